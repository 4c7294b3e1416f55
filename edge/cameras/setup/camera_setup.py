"""A camera's set-up: locked exposure, gain and white balance, its flat field, its scale, and how bright it was then.

`edge setup-camera` measures it and writes a folder, which the profile names (`[camera] setup`): `camera.json`, the
record below, and `flat_field.png`. A run checks that its camera confirms what is locked here, divides the flat field
out, and writes the digest into the record.
"""

import hashlib
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.cameras.base import Box

SETUP_FILE, FLAT_FIELD_FILE = "camera.json", "flat_field.png"
SETUP_FORMAT = 1
RED_CELL_UM = 7.5  # mean diameter of a red cell on a dried smear: ICSH 2015 (Int J Lab Hematol 37:287), 6.7 to 7.7 um
Control = float | tuple[float, ...]
Positive = Annotated[float, Meta(gt=0)]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class FlatFieldRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is said of a flat field.

    Attributes:
        sha256: of its table (`edge.cameras.setup.flat_field.FlatField.digest`).
        shift: a pixel p becomes `p + (p * c + 2**(shift - 1) >> shift)`, c the table's byte there.
        frames: how many empty frames it is the mean of.
        darkest: light where it is weakest, of where it is strongest, 0..1, over pixels and channels.
        clipped: part of the pixels whose correction was cut off at the table's end, 0..1.
    """

    sha256: Digest
    shift: Annotated[int, Meta(ge=6, le=8)]
    frames: Annotated[int, Meta(ge=1)]
    darkest: Annotated[float, Meta(gt=0, le=1)]
    clipped: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Scale(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Magnification.

    Attributes:
        method: "red cells" (their median diameter) or "micrometer" (RED_CELL_UM by a stage micrometer).
        pixels: a red cell's diameter, pixels of a frame.
        quartiles: of the diameters that were measured, pixels; left out for a micrometer.
        cells: how many were measured, 0 for a micrometer.
        um_per_px: side of a pixel on the slide: by the micrometer, or RED_CELL_UM / pixels.
    """

    method: str
    pixels: Positive
    um_per_px: Positive
    quartiles: tuple[float, float] | UnsetType = UNSET
    cells: Annotated[int, Meta(ge=0)] = 0


class Reference(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the camera saw when it was set up, flat field divided out: what the trend is measured against.

    Attributes:
        brightness: grey level of the light between the cells, 0..255. white: its red and blue against green.
        focus: width of the sharpest edges of a field of cells (`edge.inference.gates.measures.EdgeWidth.sharp_px`) at
            the size `focus_size`, pixels; left out where no field of cells was looked at.
    """

    brightness: Annotated[float, Meta(gt=0, le=255)]
    white: tuple[float, float]
    focus: Positive | UnsetType = UNSET
    focus_size: tuple[int, int] | UnsetType = UNSET


class CameraSetup(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A camera's set-up.

    Attributes:
        camera: its URI. at: when it was set up, UTC, ISO 8601. size: (width, height) of its frames, pixels.
        exposure_us, gain, colour_gains: what the profile locks. white_balance_k: likewise, of a UVC camera.
        controls: what the camera confirmed, by the driver's names.
        flat_field: what is divided out. reference: what the trend is measured against.
        scale: magnification; left out where it was not measured.
        region, still: as in the profile when the flat field was recorded.

    >>> flat = FlatFieldRecord(sha256="0" * 64, shift=8, frames=16, darkest=0.8)
    >>> light = Reference(brightness=230.0, white=(1.0, 1.0))
    >>> setup = CameraSetup(camera="sim:", at="2026-11-30T09:00:00Z", size=(64, 48), exposure_us=8000.0, gain=1.0,
    ...                     controls={"ExposureTime": 8000.0}, flat_field=flat, reference=light)
    >>> setup.digest == msgspec.json.decode(setup.to_json(), type=CameraSetup).digest, len(setup.digest)
    (True, 64)
    """

    camera: str
    at: str
    size: tuple[int, int]
    exposure_us: Positive
    gain: Annotated[float, Meta(ge=1)]
    controls: dict[str, Control]
    flat_field: FlatFieldRecord
    reference: Reference
    colour_gains: tuple[Positive, Positive] | UnsetType = UNSET
    white_balance_k: Positive | UnsetType = UNSET
    scale: Scale | UnsetType = UNSET
    region: Box | UnsetType = UNSET
    still: bool = False
    format: int = msgspec.field(default=SETUP_FORMAT)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`, hex: what records name the set-up by. A later set-up has another, also of like values:
        it says when it was made."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """As `camera.json` holds it: sorted keys, indented, one newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1) + b"\n"
