"""One frame to one reference field: judged, told from what the slide has shown before, and stored with its image."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from edge.cameras.base import Camera, CameraSettings
from edge.cameras.setup.set_up_camera import setup_digest
from edge.commissioning.reference.quality import FieldQuality, Quality
from edge.commissioning.reference.record import camera_name, references
from edge.commissioning.reference.tally import Tally, session_name
from edge.commissioning.registration import FieldPrint, SlideFields
from edge.errors import StoreError
from edge.inference.contract import Pixels
from edge.inference.images import decode_image
from edge.record.chain import finite
from edge.record.entries import ReferenceBody
from edge.record.entry_parts import ReferenceField
from edge.record.image_sampling import encode_png
from edge.record.reader import Row
from edge.record.store import Store
from edge.system.clock import Instant

SEEN_BEFORE = "seen_before"
_NOT_OF_THE_CAMERA = ("truth", "notice")  # what the virtual microscope adds to a frame's metadata


@dataclass(frozen=True)
class Captured:
    """A frame that is offered.

    Attributes:
        pixels: uint8 (H, W, 3) RGB. at: when it was taken. sequence, source, metadata: as of the camera's frame.
    """

    pixels: Pixels
    at: Instant
    sequence: int
    source: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class NotTaken:
    """A frame that was not stored. `reason`: a gate's name, or SEEN_BEFORE; `detail`: the same for a person."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Whose:
    """Of whom fields are: the slide, its class, the sitting ("" for `session_name`), who collects, what records, and
    the command that asked for one.

    >>> Whose("S-0412", "healthy", "leukoscope 1").session
    ''
    """

    slide: str
    label: str
    software: str
    session: str = ""
    operator: str = ""
    command: str = ""


class FieldTaker:
    """Takes fields of one slide into an open reference record, in which the collection has begun.

    Args:
        camera: that they come from. settings: asked of it. quality: says which frames are fit.

    Attributes:
        tally: all reference fields of the record, kept up to date. focus: edge widths of the fields that were taken.

    Raises:
        StoreError: an image of the slide is not the one that was recorded.
    """

    def __init__(
        self, store: Store, whose: Whose, camera: Camera, settings: CameraSettings, quality: FieldQuality
    ) -> None:
        self._store, self._whose, self._camera, self._settings = store, whose, camera, settings
        self._quality = quality
        self.tally, self._slide = Tally(), SlideFields()
        self.focus: list[float] = []
        for _, body in references(store):
            self.tally.add(body)
            if body.slide == whose.slide:
                self._slide.add(f"field {body.field}", FieldPrint(decode_image(self._image(body), body.image.path)))

    def take(self, frame: Captured, controls: Mapping[str, Any]) -> tuple[Row, ReferenceBody] | NotTaken:
        """Store a frame, or say why not.

        Args:
            controls: what the camera confirmed.

        Raises:
            StoreFull: no room; those before are stored.
        """
        quality = self._quality.judge(frame.pixels)
        if quality.reason:
            return NotTaken(quality.reason, quality.detail)
        field_print = FieldPrint(frame.pixels)
        seen = self._slide.seen(field_print)
        if seen is not None:
            detail = f"{seen[1].share:.0%} of it is on {seen[0]}: move to another part of the slide"
            return NotTaken(SEEN_BEFORE, detail)
        return self._keep(frame, quality, field_print, controls)

    def _keep(
        self, frame: Captured, quality: Quality, field_print: FieldPrint, controls: Mapping[str, Any]
    ) -> tuple[Row, ReferenceBody]:
        whose, camera, at = self._whose, self._camera, frame.at
        day, name, setup = day_of(at), camera_name(camera.uri), setup_digest(camera)
        session = whose.session or session_name(self.tally, day=day, camera=name, camera_setup=setup, utc_ns=at.utc_ns)
        said = {key: value for key, value in frame.metadata.items() if key not in _NOT_OF_THE_CAMERA}
        reference = ReferenceField(
            label=whose.label,
            session=session,
            uri=camera.uri,
            sequence=frame.sequence,
            size=(frame.pixels.shape[1], frame.pixels.shape[0]),
            judged_by=self._quality.judged_by,
            software=whose.software,
            day=day,
            operator=whose.operator,
            command=whose.command,
            camera=name,
            camera_setup=setup,
            camera_settings=_plain({"asked": asdict(self._settings), "controls": dict(controls), "frame": said}),
            simulated=bool(camera.notice),
            source=frame.source,
            measures={gate: finite(value) for gate, value in quality.measures.items()},
        )
        row, body = self._store.write_reference(whose.slide, at, reference, encode_png(frame.pixels))
        self._slide.add(f"field {body.field}", field_print)
        self.focus.append(quality.focus)
        self.tally.add(body)
        return row, body

    def _image(self, body: ReferenceBody) -> bytes:
        try:
            data = self._store.images.read(body.image)
        except OSError as error:
            raise StoreError(f"{self._store.folder / body.image.path}: {error.strerror}; see `edge verify`") from error
        if data is None:
            raise StoreError(f"{self._store.folder / body.image.path}: was altered; see `edge verify`")
        return data


def day_of(at: Instant) -> str:
    """The day by this machine's clock and time zone; the entry says whether the clock was synchronized."""
    return datetime.fromtimestamp(at.utc_ns / 1e9).astimezone().date().isoformat()


def _plain(value: Any) -> Any:
    """JSON's form of what cameras say: tuples as lists, numbers that are none as null, the rest as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return finite(value) if isinstance(value, float) else str(value)
