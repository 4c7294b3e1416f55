"""A field with what the network said of each tile drawn over it: which cells made the answer. Research use only.

Colours are cividis (Nunez, Anderton and Renslow 2018, doi 10.1371/journal.pone.0199239), made to look nearly the same
with and without red-green blindness; every tile has its number in words as well.
"""

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge import RESEARCH_USE_ONLY
from edge.inference.benign import in_words, indices
from edge.inference.contract import Pixels
from edge.inference.tiles import Box

LEAST_SIDE, MOST_SIDE = 900, 1800  # pixels of the picture's longer side, legend left out
LEAST_TILE = 150  # pixels a tile's width should have in it
_TINT = 0.12  # of a tile's colour over its cells
_TWO_LINES = 130  # pixels of a tile's width from which its likeliest class stands beside the number
_DIMMED = 0.45  # what no tile saw
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _DARK, _PAPER = (255, 255, 255), (25, 25, 25), (245, 245, 245)
Colour = tuple[int, int, int]


def draw_heat(
    frame: Pixels,
    boxes: Sequence[Box],
    tiles: Sequence[Sequence[float]],
    *,
    labels: Sequence[str],
    benign: Sequence[str],
    answer: str,
) -> Pixels:
    """The field, enlarged or shrunk, with each tile's probability, and a legend below.

    A tile's colour and large number are the network's own probability that it shows no benign class; where no label is
    benign, that of the class most likely over all tiles. Its likeliest class stands beside where there is room, unless
    it is benign: no tile says that, whatever the field's answer may. None of it is calibrated: the field's answer is.

    Args:
        frame: uint8 (H, W, 3) RGB. boxes: of the tiles in it (`edge.inference.tiles.field_boxes`).
        tiles: the network's outputs a tile, one number a label, 0..1.
        answer: what was answered for the field, one line.

    Returns:
        uint8 (H', W', 3) RGB.

    Raises:
        ValueError: not one row of probabilities a box.

    >>> field = np.full((96, 128, 3), 230, np.uint8)
    >>> said = draw_heat(field, [(0, 0, 64, 96), (64, 0, 128, 96)], [(0.9, 0.1), (0.2, 0.8)], labels=("Benign", "Pro"),
    ...     benign=("Benign",), answer="no answer: not sure enough")
    >>> said.shape[1]
    900
    """
    if not boxes or len(boxes) != len(tiles):
        raise ValueError(f"tiles must be one a box, one or more; got {len(tiles)} and {len(boxes)}")
    values, what = _shown(np.asarray(tiles, np.float64), labels, benign)
    long = max(frame.shape[:2])
    least = max(LEAST_SIDE, LEAST_TILE * long // (boxes[0][2] - boxes[0][0]))
    scale = min(max(long, least), MOST_SIDE) / long
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)
    places = [tuple(round(value * scale) for value in box) for box in boxes]
    over = _dimmed(picture, places)
    for (left, top, right, bottom), value, row in zip(places, values, tiles, strict=True):
        colour, part = _colour(value), over[top:bottom, left:right]
        part[:] = (part * (1 - _TINT) + np.array(colour) * _TINT).astype(np.uint8)
        wide = max(3, round(min(right - left, bottom - top) * 0.02))
        cv2.rectangle(over, (left + wide, top + wide), (right - wide, bottom - wide), colour, 2 * wide - 1)
        called = labels[int(np.argmax(row))]
        named = "" if called in benign else f"{_plain(called)} {max(row):.2f}"
        _chip(over, (left + 3 * wide, top + 3 * wide), right - left - 6 * wide, f"{value:.2f}", named)
    return np.vstack([over, _legend(over.shape[1], what, answer)])


def _shown(tiles: npt.NDArray[np.float64], labels: Sequence[str], benign: Sequence[str]) -> tuple[list[float], str]:
    """One number a tile, and what it is."""
    healthy = indices(labels, benign)
    if healthy:
        return np.clip(1 - tiles[:, healthy].sum(axis=1), 0, 1).tolist(), f"not {in_words(benign)}"
    called = int(tiles.mean(axis=0).argmax())
    return tiles[:, called].tolist(), labels[called]


def _dimmed(picture: Pixels, places: Sequence[tuple[int, ...]]) -> Pixels:
    """A copy, darker where no tile is."""
    seen = np.zeros(picture.shape[:2], bool)
    for left, top, right, bottom in places:
        seen[top:bottom, left:right] = True
    return np.where(seen[..., np.newaxis], picture, (picture * _DIMMED).astype(np.uint8))


def _colour(value: float) -> Colour:
    level = np.full((1, 1), round(255 * min(max(value, 0.0), 1.0)), np.uint8)
    blue, green, red = cv2.applyColorMap(level, cv2.COLORMAP_CIVIDIS)[0, 0].tolist()
    return red, green, blue


def _chip(picture: Pixels, at: tuple[int, int], room: int, number: str, named: str) -> None:
    """The number, and where a tile is large enough its likeliest class, on a dark ground no wider than `room`."""
    lines = [(number, _scale(number, min(22, room * 0.14), room * 0.9))]
    if named and room >= _TWO_LINES:
        lines.append((named, _scale(named, min(15, room * 0.1), room * 0.9)))
    sizes = [cv2.getTextSize(text, _FONT, scale, _heavy(scale))[0] for text, scale in lines]
    pad = max(2, round(sizes[0][1] * 0.35))
    wide, high = max(size[0] for size in sizes) + 2 * pad, sum(size[1] + pad for size in sizes) + pad
    cv2.rectangle(picture, at, (at[0] + wide, at[1] + high), _DARK, -1)
    base = at[1]
    for (text, scale), (_, height) in zip(lines, sizes, strict=True):
        base += height + pad
        cv2.putText(picture, text, (at[0] + pad, base), _FONT, scale, _WHITE, _heavy(scale), cv2.LINE_AA)


def _legend(width: int, what: str, answer: str) -> Pixels:
    """The scale of colours, what it is of, and the field's answer."""
    line = 34
    legend = np.full((5 * line, width, 3), _PAPER, np.uint8)
    ramp = cv2.applyColorMap(np.linspace(0, 255, width // 2).round().astype(np.uint8)[np.newaxis], cv2.COLORMAP_CIVIDIS)
    left, room = line // 2, width - line
    legend[line // 2 : line, left : left + width // 2] = cv2.cvtColor(ramp, cv2.COLOR_BGR2RGB)
    for share in (0.0, 0.5, 1.0):
        mark = f"{share:g}"
        shift = round(share * (width // 2)) - round(share * cv2.getTextSize(mark, _FONT, 0.5, 1)[0][0])
        cv2.putText(legend, mark, (left + shift, line + 18), _FONT, 0.5, _DARK, 1, cv2.LINE_AA)
    lines = (
        f"probability that a tile is {_plain(what)}, by the network alone (not calibrated)",
        f"field: {_plain(answer)}",
        f"{RESEARCH_USE_ONLY} A tile's number is no verdict.",
    )
    for row, text in enumerate(lines):
        place = (left, round((2.3 + 0.9 * row) * line))
        cv2.putText(legend, text, place, _FONT, _scale(text, 15, room), _DARK, 1, cv2.LINE_AA)
    return legend


def _scale(text: str, height: float, room: float) -> float:
    """The font's scale for letters `height` pixels high, smaller where the text would be wider than `room`."""
    (wide, high), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    return max(0.25, min(height / high, room / max(1, wide)))


def _heavy(scale: float) -> int:
    return 2 if scale > 0.7 else 1


def _plain(text: str) -> str:
    """ASCII, which is all that OpenCV's letters have: accents go, what has no such form becomes "?"."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or "?" * len(text)
