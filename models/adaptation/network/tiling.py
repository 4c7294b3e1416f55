"""How a site's fields are cut, so that the network sees cells as large as those it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.commissioning.camera.magnification import by_red_cells, fit
from edge.commissioning.camera.red_cells import diameters, summary
from edge.errors import EmptyFieldError
from edge.inference.contract import MOST_TILES, InputContract
from edge.inference.images import read_image
from edge.inference.tiles import MOST_ENLARGED
from edge.system.progress import tracked
from models.errors import AdaptationError
from models.site.fields import SiteField

MOST_FIELDS = 12  # that red cells are measured on, of as many slides as there are


@dataclass(frozen=True)
class Tiling:
    """How fields are cut.

    Attributes:
        tiles: (columns, rows), None for the whole field. red_cell_px: median diameter in the fields, None where it was
            not measured or could not be. note: for a person; "" where nothing is to be said.
    """

    tiles: tuple[int, int] | None
    red_cell_px: float | None = None
    note: str = ""


def tiling_of(fields: Sequence[SiteField], contract: InputContract) -> Tiling:
    """The cut that comes nearest to the magnification of the fields that the shipped networks were made from.

    Args:
        contract: of the network, without tiles.
    """
    frames = [read_image(each.sample.path) for each in tracked(_some(fields), "measuring red cells", MOST_FIELDS)]
    try:
        found = summary([diameter for frame in frames for diameter in diameters(frame)])
    except EmptyFieldError:
        note = (
            "too few red cells lie alone to measure how large they are, so the network sees whole fields; --tiles cuts"
        )
        return Tiling(None, None, note)
    size = min((frame.shape[1], frame.shape[0]) for frame in frames)
    nearest = fit(by_red_cells(found), size)
    least = [-(-side // MOST_ENLARGED) for side in contract.size]
    columns, rows = (
        max(1, min(wanted, pixels // fewest)) for wanted, pixels, fewest in zip(nearest.tiles, size, least, strict=True)
    )
    note = "" if nearest.fits or (columns, rows) == nearest.tiles != (1, 1) else f"fields show cells {nearest}"
    return Tiling(None if (columns, rows) == (1, 1) else (columns, rows), round(found.median, 2), note)


def tiles_named(word: str) -> tuple[int, int]:
    """The value of `--tiles`: COLUMNSxROWS; (1, 1) is the whole field.

    Raises:
        AdaptationError: another word.

    >>> tiles_named("3x2")
    (3, 2)
    """
    parts = word.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 1 <= int(part) <= MOST_TILES for part in parts):
        raise AdaptationError(f"--tiles must be COLUMNSxROWS, both 1..{MOST_TILES}, such as 2x2; got {word!r}")
    return int(parts[0]), int(parts[1])


def tiled(contract: InputContract, tiles: tuple[int, int] | None) -> InputContract:
    """The contract with these tiles; (1, 1) is none."""
    return replace(contract, tiles=None if tiles == (1, 1) else tiles)


def _some(fields: Sequence[SiteField]) -> list[SiteField]:
    """The first field of each slide, evenly over the slides; further ones where there are few slides."""
    slides: dict[str, list[SiteField]] = {}
    for each in fields:
        slides.setdefault(each.slide, []).append(each)
    rounds = max(map(len, slides.values()))
    order = [own[k] for k in range(rounds) for own in slides.values() if k < len(own)]
    first = order[: len(slides)]
    return (
        first[:: max(1, len(first) // MOST_FIELDS)][:MOST_FIELDS] if len(first) > MOST_FIELDS else order[:MOST_FIELDS]
    )
