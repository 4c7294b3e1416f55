"""How a site's fields are cut, so that the network sees cells as large as those it was made from."""

from edge.inference.contract import MOST_TILES, InputContract
from edge.inference.tiles import MOST_ENLARGED
from models.errors import AdaptationError

# Pixels a red cell's diameter has in the published fields at 299x224, which the networks were made from: 18 to 19.5
# (docs/studies/networks/smear_statistics.py).
KNOWN_RED_CELL = 18.75
KNOWN_HEIGHT = 224
SQUEEZED = 4 / 3  # width to height of what "squeeze" made square


def tiles_for(size: tuple[int, int], red_cell_px: float, contract: InputContract) -> tuple[int, int] | None:
    """(columns, rows) nearest to the magnification that the network knows; None for the whole field.

    Args:
        size: (width, height) of the fields, pixels. red_cell_px: diameter of a red cell in them.
        contract: of the network, without tiles.

    >>> tiles_for((1280, 960), 40.0, InputContract((224, 224), ("a", "b")))
    (2, 2)
    >>> tiles_for((320, 240), 20.0, InputContract((224, 224), ("a", "b"))) is None
    True
    """
    known = KNOWN_RED_CELL * contract.size[1] / KNOWN_HEIGHT
    high = contract.size[1] / known  # red cells that one view is high
    wide = high * (SQUEEZED if contract.aspect == "squeeze" else contract.size[0] / contract.size[1])
    least = [-(-side // MOST_ENLARGED) for side in contract.size]
    found = [
        max(1, min(round(pixels / red_cell_px / cells), pixels // fewest, MOST_TILES))
        for pixels, cells, fewest in zip(size, (wide, high), least, strict=True)
    ]
    return None if found == [1, 1] else (found[0], found[1])


def tiles_named(word: str) -> tuple[int, int] | None:
    """The value of `--tiles`: COLUMNSxROWS; None for 1x1, the whole field.

    Raises:
        AdaptationError: another word.

    >>> tiles_named("3x2")
    (3, 2)
    """
    parts = word.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 1 <= int(part) <= MOST_TILES for part in parts):
        raise AdaptationError(f"--tiles must be COLUMNSxROWS, both 1..{MOST_TILES}, such as 2x2; got {word!r}")
    columns, rows = map(int, parts)
    return None if (columns, rows) == (1, 1) else (columns, rows)
