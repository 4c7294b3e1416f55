"""Whether a microscope magnifies as the one that a model was made from, and how many tiles make up for it.

The fields that the shipped networks were trained on show a red cell over 18 to 19.5 pixels of 299x224 (4:3). What
counts for a network is which part of its view a cell takes, so a frame is compared by its height and width in cells.
"""

from dataclasses import dataclass

from edge.cameras.setup.camera_setup import RED_CELL_UM, Scale
from edge.commissioning.camera.micrometer import pitch_px
from edge.commissioning.camera.red_cells import RedCells
from edge.inference.contract import Pixels

TRAINED_PX, TRAINED_SIZE = 18.75, (299, 224)  # red cell's diameter on the published fields, and their size, pixels
TOLERANCE = 0.10
MOST_TILES = 8  # a side, as `InputContract.tiles` allows


@dataclass(frozen=True)
class Fit:
    """How a frame compares with the fields of the training.

    Attributes:
        ratio: magnification against the training's, of the whole frame squeezed into the network's view: 0.5 shows
            cells half as large.
        tiles: (columns, rows) of the tiles that come nearest to the training's; (1, 1) is the whole frame.
        tile_ratio: the same of one such tile.
    """

    ratio: float
    tiles: tuple[int, int]
    tile_ratio: float

    @property
    def fits(self) -> bool:
        """The whole frame is within TOLERANCE."""
        return abs(self.ratio - 1) <= TOLERANCE

    def __str__(self) -> str:
        said = f"{self.ratio:.2f} times the magnification that the shipped networks were trained at"
        if self.fits:
            return f"{said}: the whole field is what they know"
        columns, rows = self.tiles
        if self.tiles == (1, 1):
            return f"{said}: cells are too large for them; take an objective that magnifies less"
        return f"{said}: cut the field into {columns}x{rows} tiles, each at {self.tile_ratio:.2f} times it"


def fit(scale: Scale, size: tuple[int, int]) -> Fit:
    """Compare the red cells of frames of `size` (width, height) with those of the training.

    >>> str(fit(Scale(method="red cells", pixels=37.5, um_per_px=0.2), (1196, 896)))[-52:]
    ' cut the field into 2x2 tiles, each at 1.00 times it'
    """
    # How many of the training's fields lie along each side.
    along = [side * TRAINED_PX / trained / scale.pixels for side, trained in zip(size, TRAINED_SIZE, strict=True)]
    columns, rows = (min(max(round(count), 1), MOST_TILES) for count in along)
    whole = (along[0] * along[1]) ** -0.5
    return Fit(whole, (columns, rows), (columns / along[0] * rows / along[1]) ** 0.5)


def by_red_cells(found: RedCells) -> Scale:
    """The scale by red cells, taken as RED_CELL_UM across."""
    return Scale(
        method="red cells",
        pixels=round(found.median, 2),
        um_per_px=round(RED_CELL_UM / found.median, 5),
        quartiles=(round(found.quartiles[0], 2), round(found.quartiles[1], 2)),
        cells=found.cells,
    )


def by_micrometer(frame: Pixels, division_um: float) -> Scale:
    """The scale by a stage micrometer whose lines lie `division_um` apart; EmptyFieldError where there are none."""
    um_per_px = division_um / pitch_px(frame)
    return Scale(method="micrometer", pixels=round(RED_CELL_UM / um_per_px, 2), um_per_px=round(um_per_px, 5))
