"""Parts of entries: when, the image that was kept, and what controls and reference fields say."""

import re
from typing import Any

from msgspec import Struct

from edge.system.clock import Instant

SLIDE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # begins with a letter or digit: never "..", never hidden


class Image(Struct, frozen=True):
    """An image that was kept: path relative to the record's folder, its sha256 (hex) and size.

    >>> Image("images/s1/000001.png", "0" * 64, bytes=1200).bytes
    1200
    """

    path: str
    sha256: str
    bytes: int


class ControlSeries(Struct, frozen=True, omit_defaults=True):
    """What the targets of a control hold for: where one of these changes, a new baseline begins.

    Attributes:
        slide: the control slide. lot: of slide or stain, as it was told; "" where it was not.
        expected: its label; "" where none is expected.
        bundle, bundle_digest: the model, and the sha256 of its manifest.
        camera: its URI, without what a virtual one looks at. camera_setup: digest of its set-up, "" where it has none.

    >>> ControlSeries("QC-1", "tiny-int8", "0" * 64, "picamera2:0").lot
    ''
    """

    slide: str
    bundle: str
    bundle_digest: str
    camera: str
    camera_setup: str = ""
    lot: str = ""
    expected: str = ""


class ControlTarget(Struct, frozen=True):
    """Mean and standard deviation that a measure is judged against, from the series' baseline.

    >>> ControlTarget(mean=232.5, sd=0.8).sd
    0.8
    """

    mean: float
    sd: float


class ReferenceField(Struct, frozen=True, omit_defaults=True):
    """A labelled field, beside its image and the time.

    Attributes:
        label: the slide's class. session: the sitting it was taken in. day: ISO 8601, by the machine's clock and time
            zone, which the entry says was synchronized or not. operator: role or initials, "" where not said.
        camera: which one, "" where not known. uri: as it was opened. camera_setup: digest of its set-up, "" for none.
        camera_settings: what was asked of the camera (`asked`), what it confirmed (`controls`), and what it said of
            this frame (`frame`).
        simulated: a drawn field. sequence, source: the camera's frame number, and the file that was replayed.
        size: (width, height) of the image, pixels.
        measures: value by gate. judged_by: whose limits they passed. command: id of the command that asked for it, "".
        software: name and version of what recorded.

    >>> ReferenceField("healthy", "2026-11-30-1", "picamera2:0", 7, (1280, 960), "relative", "leukoscope 1").operator
    ''
    """

    label: str
    session: str
    uri: str
    sequence: int
    size: tuple[int, int]
    judged_by: str
    software: str
    day: str = ""
    operator: str = ""
    camera: str = ""
    camera_setup: str = ""
    camera_settings: dict[str, Any] = {}
    simulated: bool = False
    source: str = ""
    measures: dict[str, float | None] = {}
    command: str = ""


class EntryBody(Struct, frozen=True, kw_only=True, tag_field="type"):
    """When: by the wall clock, in nanoseconds and as text; by the monotonic clock; was the wall clock synchronized."""

    utc_ns: int
    utc: str = ""
    monotonic_ns: int = 0
    synchronized: bool | None = None


def moment(at: Instant) -> dict[str, Any]:
    """The keys of every body that say when."""
    return {
        "utc": at.utc,
        "utc_ns": at.utc_ns,
        "monotonic_ns": at.monotonic_ns,
        "synchronized": at.synchronized,
    }
