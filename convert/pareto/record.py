"""The record of a comparison, `pareto.json`: the networks, and every point with what was measured of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from convert.parity.check import Verdict

FORMAT = 1


class Parity(msgspec.Struct, frozen=True):
    """What `convert parity` says by the default policy."""

    verdict: Verdict
    reasons: list[str]


class EdgeTpu(msgspec.Struct, frozen=True, kw_only=True):
    """What `convert inspect --edgetpu` predicts, without the list of operators; sizes in bytes."""

    verdict: Literal["mapped", "partly", "cpu", "refused"]
    mapped: int
    cpu: int
    refused: int
    subgraphs: int
    rules: list[str]
    parameter_bytes: int
    largest_activation_bytes: int | msgspec.UnsetType = msgspec.UNSET  # earlier files lack it
    on_chip_bytes: int
    fits: Literal["yes", "perhaps", "no"]
    streamed_bytes_at_least: int


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds of one point: processor time, and by the wall; and the ratio of processor times to the
    reference's in the same rounds."""

    median_ms: float
    min_ms: float
    wall_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One network in one format; `problem` says why it has no figures, None where it has."""

    network: str
    format: str
    size: list[int]
    file: str
    problem: str | None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """How a file answers the test images; `parity` of int8 alone."""

    images: int
    right: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    malignant_called_benign: int | None
    agreed_with_float: int
    parity: Parity | None


class JudgedPoint(Point, frozen=True, kw_only=True):
    """A point with all figures that need no clock: of its file, and those of `Accuracy`."""

    bytes: int
    sha256: str
    kind: str
    images: int
    right: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    malignant_called_benign: int | None
    agreed_with_float: int
    parity: Parity | None
    edgetpu: EdgeTpu


class TimedPoint(JudgedPoint, frozen=True, kw_only=True):
    """A point with all its figures; `front`: on the Pareto front of accuracy against latency."""

    latency: Latency
    peak_rss_mb: float | None
    front: bool


class Training(msgspec.Struct, frozen=True):
    """How a variant was trained for the comparison, now or before."""

    width: float
    start: str
    epochs: int
    seconds: int
    validation_accuracy: float


class Network(msgspec.Struct, frozen=True):
    """A float network; `size` is its input's (width, height) in pixels."""

    name: str
    sha256: str
    size: list[int]
    trained: Training | None


class Reference(msgspec.Struct, frozen=True):
    """The shipped bundle that all points were timed beside."""

    bundle: str
    sha256: str
    kind: str
    median_ms: float
    min_ms: float
    wall_ms: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `wanted`: points there were to be; `interrupted`: not all of it was done."""

    format: int
    interrupted: bool
    wanted: int
    labels: list[str]
    images: int
    origin: str
    calibration_images: int
    networks: list[Network]
    points: list[Point]
    reference: Reference
    runtime: str
    runtime_version: str
    threads: int
    rounds: int
    board: str
    load_before: float
    cpu_seconds: float
    seconds: dict[str, float]
    peak_rss_mb: int
    versions: dict[str, str]

    @property
    def measured(self) -> list[TimedPoint]:
        """The points that have figures."""
        return [point for point in self.points if isinstance(point, TimedPoint)]

    def to_record(self) -> dict[str, Any]:
        """As `pareto.json` holds it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def from_record(record: Mapping[str, Any]) -> Comparison:
    """The comparison that a file holds; msgspec.ValidationError names the key that is not what it must be."""
    points = [msgspec.convert(p, Point if p["problem"] else TimedPoint) for p in record["points"]]
    return msgspec.structs.replace(msgspec.convert({**record, "points": []}, Comparison), points=points)


def read_comparison(path: Path) -> Comparison:
    """As `from_record`, from a file."""
    return from_record(json.loads(path.read_text(encoding="utf-8")))
