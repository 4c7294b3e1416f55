"""What an entry about a control names: the series that it belongs to, and what it was judged against."""

from msgspec import Struct


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
