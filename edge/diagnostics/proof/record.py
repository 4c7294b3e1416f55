"""The file of a board's proof, as it is written and strictly read."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from edge.diagnostics.benchmark.record import BenchRecord
from edge.errors import UsageError
from edge.system.files import read_at_most
from edge.system.machine import Finding
from edge.system.strict_json import read_object

FORMAT: Literal["leukoscope board proof 1"] = "leukoscope board proof 1"
_MOST_BYTES = 16 * 2**20


class Board(Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured.

    Attributes:
        model: as the device tree says; "" for a machine without one, which is no Raspberry Pi.
        memory_mib: of the whole machine. storage: kind of the disk that holds the record, as the kernel names it.
        system: distribution. kernel: version. architecture: as `platform.machine()`.

    >>> Board("Raspberry Pi 5", 8062, "mmcblk0", "Debian 13", "6.12", "aarch64", "3.13.5").memory_mib
    8062
    """

    model: str
    memory_mib: int
    storage: str
    system: str
    kernel: str
    architecture: str
    python: str


class SensorModeFound(Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor mode as picamera2 lists it: `crop` in sensor pixels, `fps` the most frames a second.

    >>> SensorModeFound((1640, 1232), 10, (0, 0, 3280, 2464), 41.85).fps
    41.85
    """

    size: tuple[int, int]
    bit_depth: int
    crop: tuple[int, int, int, int]
    fps: float


class CameraProof(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one camera did for `seconds`.

    Attributes:
        asked: (width, height) that were asked for. size, pixel_format, field_of_view, adjusted: as `CameraMode`.
        frames: sound ones that arrived. skipped: that the driver numbered and never gave. unusable: damaged ones.
        fps: frames a second from the first to the last. interval_ms: between two frames, median, 95 % and longest.
        error: why it could not be measured, "" where it was.

    >>> CameraProof(uri="uvc:0", asked=(640, 480), error="no such camera").frames
    0
    """

    uri: str
    asked: tuple[int, int]
    modes: tuple[SensorModeFound, ...] = ()
    size: tuple[int, int] | None = None
    pixel_format: str = ""
    field_of_view: str = ""
    adjusted: tuple[str, ...] = ()
    seconds: float = 0.0
    frames: int = 0
    skipped: int = 0
    unusable: int = 0
    fps: float | None = None
    interval_ms: tuple[float, float, float] | None = None
    error: str = ""


class LoadProof(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Inferences without a pause for `seconds`.

    Attributes:
        invoke_fps: inferences a second over all of it, and in its first and last tenth.
        temperature_c: at the start, the highest, at the end; None where no sensor can be read.
        throttled_before, throttled_after: the firmware's bits; None where it does not say.
        lowest_mhz: the lowest clock of the first core seen meanwhile; None where the kernel does not say.

    >>> LoadProof(seconds=60, invoke_fps=(90.0, 95.0, 88.0)).invoke_fps[2]
    88.0
    """

    seconds: float
    invoke_fps: tuple[float, float, float]
    temperature_c: tuple[float, float, float] | None = None
    throttled_before: int | None = None
    throttled_after: int | None = None
    lowest_mhz: float | None = None


class PowerCut(Struct, frozen=True, forbid_unknown_fields=True):
    """One cut of the power in a run: verdicts that had been printed, that the record has, and `edge verify`'s code.

    >>> PowerCut(announced=120, stored=124, verify=0).lost
    0
    """

    announced: int
    stored: int
    verify: int

    @property
    def lost(self) -> int:
        """Verdicts that were printed and are not in the record."""
        return max(0, self.announced - self.stored)


class Proof(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A board's proof.

    Attributes:
        taken: when, UTC, ISO 8601. software: version of Leukoscope.
        edgetpu: `bench` on the Edge TPU that the profile names; None without one.
        power_cuts: None where there was no relay.
        not_measured: what could not be measured, and why, one line each.

    >>> read(b"{}")
    Traceback (most recent call last):
    edge.errors.UsageError: proof.json: not a board's proof: Object missing required field `format`
    """

    format: Literal["leukoscope board proof 1"]
    taken: str
    software: str
    board: Board
    doctor: tuple[Finding, ...]
    bench: BenchRecord | None = None
    load: LoadProof | None = None
    cameras: tuple[CameraProof, ...] = ()
    edgetpu: BenchRecord | None = None
    power_cuts: tuple[PowerCut, ...] | None = None
    not_measured: tuple[str, ...] = ()


def read(data: bytes, shown: str = "proof.json") -> Proof:
    """A proof from the bytes of its file; `shown` is its name in messages.

    Raises:
        UsageError: not JSON, a key that is unknown, missing or there twice, or a value of another type.
    """
    try:
        return msgspec.convert(read_object(data, shown, UsageError), Proof)
    except msgspec.ValidationError as error:
        raise UsageError(f"{shown}: not a board's proof: {error}") from error


def read_file(path: Path) -> Proof:
    """As `read`, of a file."""
    return read(read_at_most(path, _MOST_BYTES, UsageError), str(path))


def read_power_cuts(path: Path) -> tuple[PowerCut, ...]:
    """The cuts that firmware_scripts/proof.sh counted, one JSON object a line; UsageError as `read`."""
    lines = read_at_most(path, _MOST_BYTES, UsageError).splitlines()
    try:
        return tuple(
            msgspec.convert(read_object(line, str(path), UsageError), PowerCut) for line in lines if line.strip()
        )
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: not a list of power cuts: {error}") from error
