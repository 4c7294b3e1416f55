"""Reference fields as they are recorded: labelled fields of a laboratory's own slides, for fitting and acceptance."""

from typing import Any

from msgspec import Struct


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
        measures: value by gate. judged_by: whose limits they passed.
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
