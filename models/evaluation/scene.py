"""Degradations by what lies before the lens and what a program writes over the picture: dust, geometry, scale bars.

Functions as in `models.evaluation.optical`. Turning and scaling paint the image's own scale bar out first: the bar
belongs to the picture and not to the slide, and mirrored copies of it would lie at borders where no camera shows any.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.data.scale_bar import CORNER_HEIGHT, CORNER_WIDTH, fill_corner
from models.evaluation.optical import SQUEEZE, in_pixels, to_light, to_pixels

_MOST_PARTICLES = 2000
_BAR_TEXTS = ("100 pixels", "200 pixels", "500 pixels")
_BLACK, _RED = (15, 15, 15), (220, 30, 40)


def dust(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Specks and fibres of 1 to 8 px cover `share` (0..1) of the field: dark, somewhat coloured, a bit out of focus."""
    height, width = pixels.shape[:2]
    blur = in_pixels(rng.uniform(0.5, 1.8), pixels)
    which = np.zeros((height, width), np.uint16)  # the particle at each pixel, 0 for none
    densities = [np.zeros(3)]
    while np.count_nonzero(which) < share * which.size and len(densities) <= _MOST_PARTICLES:
        _draw_particle(which, len(densities), rng)
        densities.append(rng.uniform(0.4, 2.2) * rng.uniform(0.75, 1.25, 3))
    density = np.array(densities, np.float32)[which]
    blurred = cv2.GaussianBlur(density, (0, 0), SQUEEZE * blur, sigmaY=blur)
    return to_pixels(to_light(pixels) * cv2.exp(-blurred))


def _draw_particle(which: npt.NDArray[np.uint16], number: int, rng: np.random.Generator) -> None:
    """A ragged speck, or one time in five a fibre, at a random place of `which` (H, W)."""
    height, width = which.shape
    centre = rng.uniform(0, 1, 2) * (width, height)
    radius = min(8.0, rng.lognormal(1.0, 0.5)) * height / 224
    angles = np.linspace(0, 2 * np.pi, 10)[:-1]
    ragged = radius * rng.uniform(0.5, 1.2, 9)
    outline = centre + np.stack([SQUEEZE * ragged * np.cos(angles), ragged * np.sin(angles)], axis=1)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 9))
    thread = centre + 0.6 * radius * np.cumsum(np.stack([SQUEEZE * np.cos(heading), np.sin(heading)], axis=1), axis=0)
    if rng.random() < 0.8:
        cv2.fillPoly(which, [np.rint(outline).astype(np.int32)], (number,))
    else:
        cv2.polylines(which, [np.rint(thread).astype(np.int32)], False, (number,), max(1, round(height / 224)))


def scale(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Another magnification: cells `factor` larger or smaller, by a random sign; beyond the field its mirror image."""
    return magnified(pixels, factor ** float(rng.choice((-1, 1))))


def magnified(pixels: Pixels, zoom: float) -> Pixels:
    """Cells `zoom` times as large, > 1/3, without scale bar; beyond the field its mirror image."""
    height, width = pixels.shape[:2]
    rows, columns = round(height / zoom), round(width / zoom)
    field = fill_corner(pixels)
    if zoom < 1:
        top, left = (rows - height + 1) // 2, (columns - width + 1) // 2
        field = cv2.copyMakeBorder(  # type: ignore[assignment]
            field, top, rows - height - top, left, columns - width - left, cv2.BORDER_REFLECT_101
        )
        return cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
    top, left = (height - rows) // 2, (width - columns) // 2
    part = np.ascontiguousarray(field[top : top + rows, left : left + columns])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def rotation(pixels: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    """The camera is turned by `degrees` to either side: in the 4:3 frame, before it is squeezed to a square."""
    angle = np.deg2rad(degrees) * rng.choice((-1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin * SQUEEZE], [sin / SQUEEZE, cos]])
    height, width = pixels.shape[:2]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.column_stack([turn, centre - turn @ centre])
    return cv2.warpAffine(  # type: ignore[return-value]
        fill_corner(pixels), matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def scale_bar_added(pixels: Pixels, width: float, rng: np.random.Generator) -> Pixels:
    """A second bar `width` px wide in another corner, in one of the published styles: black on a white box, or red."""
    box = round(in_pixels(width, pixels))
    boxed, text = rng.random() < 2 / 3, _BAR_TEXTS[rng.integers(len(_BAR_TEXTS))]
    at_top, at_left = [(True, True), (True, False), (False, True)][rng.integers(3)]
    bar = np.full((max(8, round(0.42 * box)), box, 3), 255, np.uint8)
    out = pixels.copy()
    rows = slice(4, 4 + len(bar)) if at_top else slice(-4 - len(bar), -4)
    columns = slice(4, 4 + box) if at_left else slice(-4 - box, -4)
    if not boxed:
        bar = np.ascontiguousarray(out[rows, columns])
    draw_bar(bar, text, _BLACK if boxed else _RED)
    out[rows, columns] = bar
    return out


def draw_bar(box: Pixels, text: str, ink: tuple[int, int, int]) -> None:
    """A line with ticks at its ends and its length above, filling `box` uint8 (h, w, 3)."""
    height, width = box.shape[:2]
    heavy = max(1, width // 40)
    base = height - 2 - heavy
    cv2.line(box, (2, base), (width - 3, base), ink, heavy)
    for end in (2, width - 3):
        cv2.line(box, (end, base - height // 4), (end, height - 2), ink, heavy)
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = 0.86 * width / wide
    left = round(0.07 * width)
    cv2.putText(box, text, (left, base - height // 6), cv2.FONT_HERSHEY_SIMPLEX, size, ink, heavy, cv2.LINE_AA)


def scale_bar_removed(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """The bar painted out by the mirror image of what lies left of it, in a box `factor` times as wide and high as the
    bar's."""
    del rng
    height, width = _corner_size(pixels, factor)
    out = fill_corner(pixels)  # blends at its edge, and no bar is left to be mirrored
    if factor > 1:
        out[-height:, -width:] = out[-height:, -2 * width : -width][:, ::-1].copy()
    return out


def scale_bar_swapped(pixels: Pixels, factor: float, rng: np.random.Generator, donor: Pixels) -> Pixels:
    """The corner with the bar comes from `donor`, `factor` times as large: that image's style of bar."""
    del rng
    rows, columns = _corner_size(donor, 1)
    height, width = _corner_size(pixels, factor)
    out = fill_corner(pixels)
    patch = np.ascontiguousarray(donor[-rows:, -columns:])
    out[-height:, -width:] = cv2.resize(patch, (width, height), interpolation=cv2.INTER_CUBIC)
    return out


def _corner_size(pixels: Pixels, factor: float) -> tuple[int, int]:
    """(rows, columns) of the bar's box, `factor` times as large, at most half the image."""
    rows, columns = pixels.shape[:2]
    return min(rows // 2, round(factor * rows * CORNER_HEIGHT)), min(
        columns // 2, round(factor * columns * CORNER_WIDTH)
    )
