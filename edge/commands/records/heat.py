"""The `edge heat` command: what the network said of each tile of stored fields, drawn over them."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.option_values import whole_number
from edge.system.wording import counted

if TYPE_CHECKING:
    from edge.inference.contract import Pixels
    from edge.record.entries import RunBody, VerdictBody
    from edge.record.entry_parts import Image
    from edge.record.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeatRequest:
    """Draw the tiles of `slide` in the record in `store`, of one `field` or of all, into the folder `to`.

    >>> heat("s1", "/tmp/s1", field="12").field
    12
    """

    store: Path
    slide: str
    to: Path
    field: int | None
    json: bool

    def execute(self) -> Outcome:
        """Writes `FIELD.png` for each field that the network saw in tiles. Code 1 when a kept image is not what was
        recorded: its tiles are drawn on a plain ground then, as those of a field whose image was not kept.

        Raises:
            UsageError: no record, no such slide or field, or no field of it that has tiles.
        """
        from edge.record.location import require_record
        from edge.record.store import Store
        from edge.system.files import require_writable, write_whole

        require_record(self.store)
        written: list[dict[str, Any]] = []
        findings: list[str] = []
        with Store.open(self.store, read_only=True) as store:
            if self.slide not in store.slides():
                raise UsageError(f"slide {self.slide!r} is not in this record; see `edge export`")
            for run, verdict in self._tiled(store):
                frame, wrong = (None, None) if verdict.image is None else _read(store, verdict.image)
                findings += [] if wrong is None else [wrong]
                if not written:
                    require_writable(self.to, "--to")
                path = self.to / f"{verdict.field:06d}.png"
                write_whole(path, _drawn(run, verdict, frame))
                written.append({"field": verdict.field, "path": str(path), "image_kept": frame is not None})
        if not written:
            asked = f"slide {self.slide}" if self.field is None else f"field {self.field} of slide {self.slide}"
            raise UsageError(f"{asked}: no verdict here that a network gave on tiles")
        for finding in findings:
            _log.error(finding)
        record = {"slide": self.slide, "pictures": written, "findings": findings}
        text = f"{self.to}: {counted(len(written), 'picture')} of slide {self.slide}"
        return Outcome(ANSWER_IS_NO if findings else DONE, record=record, text=text)

    def _tiled(self, store: "Store") -> "Iterator[tuple[RunBody, VerdictBody]]":
        """Verdicts with tiles, each with the beginning of its run."""
        from msgspec import UNSET

        from edge.record.entries import RunBody, VerdictBody, read_body

        run: RunBody | None = None
        for row in store.slide_entries(self.slide, through=store.head().id):
            body = read_body(row.body)
            if isinstance(body, RunBody):
                run = body
            elif isinstance(body, VerdictBody) and body.tiles is not UNSET and self.field in (None, body.field):
                if run is None or run.run != body.run:  # its beginning was pruned, and is carried by the checkpoint
                    began = read_body(store.run_body(body.run) or "{}")
                    run = began if isinstance(began, RunBody) else None
                if run is not None:
                    yield run, body


def heat(slide: str, to: str, field: str = "", store: str = "", json: bool = False) -> HeatRequest:
    """Draw over stored fields what the network said of each tile: which cells made the answer. Research use only.

    For runs of a bundle whose contract has tiles. The numbers are the network's own, before calibration.

    Args:
        slide: its name.
        to: folder for the pictures, FIELD.png each; they show the fields whose images were kept.
        field: number of one field; all of the slide when left out.
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.record.entries import require_slide
    from edge.record.location import store_folder

    try:
        require_slide(slide)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
    if not to:
        raise UsageError("edge heat needs --to: the folder for the pictures")
    number = whole_number(field, "--field", at_least=1) if field else None
    return HeatRequest(store_folder(store), slide, Path(to), number, json)


def _read(store: "Store", image: "Image") -> "tuple[Pixels | None, str | None]":
    """The field's image, or what is wrong with it."""
    from edge.errors import ImageFileError
    from edge.inference.images import decode_image

    try:
        data = store.images.read(image)
        return (None, f"{image.path}: was altered") if data is None else (decode_image(data, image.path), None)
    except OSError as error:
        return None, f"{image.path}: {error.strerror}"
    except ImageFileError as error:
        return None, str(error)


def _drawn(run: "RunBody", verdict: "VerdictBody", frame: "Pixels | None") -> bytes:
    """PNG bytes."""
    import numpy as np
    from msgspec import UNSET

    from edge.commands.records.tile_picture import draw_heat
    from edge.errors import StoreError
    from edge.inference.tiles import field_boxes
    from edge.record.image_sampling import encode_png

    if run.tiling is UNSET or verdict.tiles is UNSET:
        raise StoreError(f"run {run.run}: its verdicts have tiles, and it does not say how fields were cut")
    contract = run.tiling.contract(run.labels)
    answer = f"no answer: {verdict.detail}"
    if verdict.label is not None:
        answer = f"{verdict.label} {max(verdict.probabilities or (0.0,)):.3f}"
    if frame is None:
        width, height = contract.field_size
        frame = np.full((height, width, 3), 225, np.uint8)
        answer += "; the field's image is not here"
    boxes = field_boxes(contract, (frame.shape[1], frame.shape[0]))
    said = f"slide {verdict.slide}, field {verdict.field}: {answer}"
    picture = draw_heat(frame, boxes, verdict.tiles, labels=run.labels, benign=run.tiling.benign, answer=said)
    return encode_png(picture)
