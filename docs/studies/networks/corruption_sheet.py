"""The contact sheet of the corruptions, on drawn smears.

    python -m docs.studies.networks.corruption_sheet sheet PATH

No image of a data set is in it, so it may be published.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from docs.studies.command import run
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SYNTHETIC_NOTICE, SyntheticSmear
from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.inference.contract import InputContract, Pixels
from edge.system.files import require_file, write_whole
from edge.system.option_values import switch
from models.data.scale_bar import corner
from models.evaluation.corruptions import CORRUPTIONS, corrupt
from models.evaluation.scene import draw_bar

SHOWN = (1, 3, 5)  # severities
BLOCKS = 2  # corruptions in a row of the sheet
_SIDE, _TILE, _GAP, _TEXT = 224, 136, 6, 17  # pixels
_INKS = {"Benign": (15, 15, 15), "Early": (220, 30, 40), "Pre": (15, 15, 15), "Pro": (220, 30, 40)}


def contact_sheet(seed: int = 3) -> bytes:
    """A PNG: every corruption at severities 1, 3 and 5, with its values, on drawn fields of every recipe in turn."""
    from PIL import Image, ImageDraw, ImageFont

    step, high = _TILE + _GAP, _TILE + 2 * _TEXT + _GAP
    rows = -(-len(CORRUPTIONS) // BLOCKS)
    width = BLOCKS * (len(SHOWN) * step + 2 * _GAP)
    sheet = Image.new("RGB", (width, rows * high + 2 * _TEXT), "white")
    pen = ImageDraw.Draw(sheet)
    name_font, font = (ImageFont.load_default(size) for size in (13, 10.5))
    pen.text((_GAP, _GAP), f"Severities 1, 3, 5. {SYNTHETIC_NOTICE}", fill="#555555", font=font)
    recipes = list(RECIPES)
    for place, (name, corruption) in enumerate(CORRUPTIONS.items()):
        left = _GAP + place % BLOCKS * width // BLOCKS
        top = 2 * _TEXT + place // BLOCKS * high
        pen.text((left, top), name.replace("_", " "), fill="#222222", font=name_font)
        field, donor = (_field(recipes[(place + k) % len(recipes)], seed + place) for k in (0, 1))
        for column, severity in enumerate(SHOWN):
            tile = cv2.resize(
                corrupt(field, name, severity, str(place), donor), (_TILE, _TILE), interpolation=cv2.INTER_AREA
            )
            at = (left + column * step, top + _TEXT)
            sheet.paste(Image.fromarray(np.asarray(tile, np.uint8)), at)
            pen.text((at[0], at[1] + _TILE + 1), corruption.says(severity), fill="#222222", font=font)
    buffer = BytesIO()
    # The nearest of 255 colours, without dithering: a dithered picture does not compress.
    sheet.quantize(255, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _field(recipe: str, seed: int) -> Pixels:
    """A drawn field with a bar in its corner, as the published ones have, uint8 (224, 224, 3)."""
    frame = SyntheticSmear(seed, recipe).field(0, 0).frame
    pixels = InputContract((_SIDE, _SIDE), ("any", "other")).prepare(frame).copy()
    box = corner(pixels)[-24:, -46:]
    bar = np.full(box.shape, 255, np.uint8)
    draw_bar(bar, "100 pixels", _INKS[recipe])
    box[:] = bar
    return pixels


@dataclass(frozen=True)
class SheetRequest:
    """Write the contact sheet."""

    path: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one PNG."""
        require_file(self.path, "PATH")
        data = contact_sheet()
        write_whole(self.path, data)
        record = {"path": str(self.path), "bytes": len(data)}
        return Outcome(DONE, record, f"{self.path}: {len(data) // 1000} kB, {SYNTHETIC_NOTICE}")


def sheet(path: str, *, json: bool = False) -> SheetRequest:
    """Draw the contact sheet of the corruptions.

    Args:
        path: PNG to write.
        json: print the record as JSON.
    """
    return SheetRequest(Path(path), switch(json, "--json"))


if __name__ == "__main__":
    run({"sheet": sheet})
