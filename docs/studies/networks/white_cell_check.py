"""Quality of the colour segmentation of white cells, against drawn smears and against boxes drawn by people.

The truth of drawn smears is known; the boxes stand around the white cells of other smears.

    python -m docs.studies.networks.white_cell_check drawn
    python -m docs.studies.networks.white_cell_check boxes FOLDER

FOLDER holds images and an `Annotations` folder of Pascal VOC XML, as Shenggan/BCCD_Dataset has. For the published
fields no pixel-wise truth exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import numpy.typing as npt

from docs.studies.command import run
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.inference.contract import InputContract, Pixels
from edge.inference.images import IMAGE_SUFFIXES, read_image
from edge.system.option_values import switch, whole_number
from models.data.white_cell_segmentation import Mask, white_cells
from models.errors import DatasetError
from models.statistics.intervals import wilson

SIDE = 224
_PREPARE = InputContract((SIDE, SIDE), ("any", "other")).prepare
_FRAME = (640, 480)
FOUND = 0.2  # part of a box or a disc that must be marked for its cell to count as found


@dataclass(frozen=True)
class DrawnField:
    """A drawn field as a network sees it, uint8 (224, 224, 3) RGB; every white cell's disc, bool (224, 224)."""

    pixels: Pixels
    discs: tuple[Mask, ...]


def drawn_fields(count: int, seed: int = 0) -> list[DrawnField]:
    """`count` drawn fields, recipes in turn."""
    names = list(RECIPES)
    return [_drawn(SyntheticSmear(seed + i, names[i % len(names)])) for i in range(count)]


def against_drawn(fields: Sequence[DrawnField]) -> dict[str, Any]:
    """Pixels: intersection over union with the discs, precision, recall, all fields together; and cells found.

    A disc is the cell with its cytoplasm, so nuclei alone cannot reach a recall of 1; smudge cells are no white cells
    here, though they are as violet, and cost precision.
    """
    shared = marked = true = found = cells = 0
    for field in fields:
        mask = white_cells(field.pixels)
        truth = np.any(field.discs, axis=0) if field.discs else np.zeros_like(mask)
        shared, marked, true = shared + int((mask & truth).sum()), marked + int(mask.sum()), true + int(truth.sum())
        cells += len(field.discs)
        found += sum(bool(mask[disc].mean() >= FOUND) for disc in field.discs)
    return {
        "fields": len(fields),
        "iou": shared / (marked + true - shared),
        "precision": shared / marked,
        "recall": shared / true,
        **_found(found, cells),
    }


def against_boxes(folder: Path) -> dict[str, Any]:
    """Cells found, and the part of the marked pixels that lies in a box; a box also holds ground beside its cell.

    Raises:
        DatasetError: no annotated image there.
    """
    found = cells = inside = marked = images = 0
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
        notes = folder / "Annotations" / f"{path.stem}.xml"
        if not notes.is_file():
            continue
        images += 1
        mask = white_cells(_PREPARE(read_image(path)))
        boxed = np.zeros_like(mask)
        for box in _boxes(notes):
            boxed[box] = True
            cells += 1
            found += bool(mask[box].mean() >= FOUND)
        inside, marked = inside + int((mask & boxed).sum()), marked + int(mask.sum())
    if not cells:
        raise DatasetError(f"{folder} must hold images with Annotations/NAME.xml that name WBC; none found")
    return {"images": images, "marked_inside": inside / max(marked, 1), **_found(found, cells)}


def _found(found: int, cells: int) -> dict[str, Any]:
    return {"cells": cells, "found": found, "found_interval": wilson(found, cells).to_record()}


def _drawn(slide: SyntheticSmear) -> DrawnField:
    field = slide.field(0, 0, _FRAME)
    discs = []
    for cell in field.white_cells:
        large: npt.NDArray[np.uint8] = np.zeros(field.frame.shape[:2], np.uint8)
        column, row = field.pixel(cell)
        cv2.circle(large, (round(column), round(row)), round(cell.radius_um / field.um_per_px), (255,), cv2.FILLED)
        disc = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 127
        if disc.any():
            discs.append(disc)
    return DrawnField(_PREPARE(field.frame), tuple(discs))


def _boxes(notes: Path) -> list[tuple[slice, slice]]:
    """Rows and columns at 224x224 of the white cells in a Pascal VOC file."""
    root = ElementTree.parse(notes).getroot()
    width, height = (int(root.findtext(f"size/{side}", "0")) for side in ("width", "height"))
    boxes = []
    for thing in root.iter("object"):
        if thing.findtext("name") == "WBC":
            left, top, right, bottom = (
                int(thing.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            rows = slice(top * SIDE // height, -(-bottom * SIDE // height))
            boxes.append((rows, slice(left * SIDE // width, -(-right * SIDE // width))))
    return boxes


@dataclass(frozen=True)
class CheckRequest:
    """Measure the segmentation: on `fields` drawn fields, or on the annotated images in `folder`."""

    fields: int
    folder: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Prints the record."""
        record = against_drawn(drawn_fields(self.fields)) if self.folder is None else against_boxes(self.folder)
        return Outcome(DONE, record, "\n".join(f"{name}: {value}" for name, value in record.items()))


def drawn(*, fields: str = "48", json: bool = False) -> CheckRequest:
    """Against drawn smears.

    Args:
        fields: how many.
        json: print the record as JSON.
    """
    return CheckRequest(whole_number(fields, "--fields", at_least=4), None, switch(json, "--json"))


def boxes(folder: str, *, json: bool = False) -> CheckRequest:
    """Against boxes around white cells.

    Args:
        folder: images, with their annotations in Annotations/.
        json: print the record as JSON.
    """
    if not (Path(folder) / "Annotations").is_dir():
        raise UsageError(f"FOLDER must hold a folder Annotations; {folder} has none")
    return CheckRequest(0, Path(folder), switch(json, "--json"))


if __name__ == "__main__":
    run({"drawn": drawn, "boxes": boxes})
