"""A procedural blood smear with known truth: what the simulated camera looks at, and the default images of a
fresh clone.

Synthetic: it resembles the published classes in colour, scale and counts and is for demonstration and tests.
Accuracy on it says nothing about real smears and is never reported.

The same seed gives the same bytes on every machine: random numbers are hashes of integers, shapes use only
operations that IEEE 754 rounds alike, tables and noise are whole numbers, and the blur is OpenCV's
fixed-point one. Digests of 44 frames (four recipes, four magnifications, focused and not) were equal on
x86-64 with NumPy 1.26 and on emulated aarch64 with NumPy 2.3, both OpenCV 4.11. The limits: three `log10` a
frame and the exponentials of one table come from the C library, where a last bit might differ and, rarely,
move a grey level; and another OpenCV may blur otherwise. Frames of two fields that overlap agree within one
grey level (before noise) but for rare pixels, since positions inside a frame are rounded from another origin.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.cameras.synthetic.cell_types import WHITE_KINDS
from edge.cameras.synthetic.cells import Canvas, Cell, plasma
from edge.cameras.synthetic.layout import Layout
from edge.cameras.synthetic.noise import mix, normal, uniforms
from edge.cameras.synthetic.optics import Optics
from edge.cameras.synthetic.recipes import PUBLISHED_FIELD_UM, RECIPES, Recipe, Style
from edge.errors import SmearError
from edge.inference.contract import SMALLEST_FRAME, Pixels
from edge.system.progress import tracked

SYNTHETIC_NOTICE = (
    "synthetic: a drawn smear, not a patient's; for demonstration and tests, never for a reported accuracy"
)
LARGEST_SIDE = 8192  # pixels
UM_PER_PX = (0.02, 2.0)  # from 10 pixels for a grain of chromatin to 3 for a red cell
FARTHEST_UM = 1e6  # a slide ends at one metre
LARGEST_DEFOCUS_UM = 100.0
# Grey levels: where the measured light reaches 255 it was clipped, so the light itself is stronger; this
# much more brings back the measured figure after noise and texture have been clipped in their turn.
CLIPPED_LIGHT = 3.0
# One unit of the red dye against the 75th percentile measured in red cells: level + slope x depth of the
# pale centre, found by measuring drawn fields of every style as the published ones were.
RED_DEPTH = (0.82, 0.30)


@dataclass(frozen=True)
class Field:
    """One frame of a slide and what is in it.

    Attributes:
        frame: uint8 (H, W, 3), RGB.
        truth: cells whose circle reaches into the frame, in drawing order.
        x_um, y_um: the frame's centre on the slide; um_per_px: side of a pixel; recipe: the recipe's name.
        notice: SYNTHETIC_NOTICE.
    """

    frame: Pixels
    truth: tuple[Cell, ...]
    x_um: float
    y_um: float
    um_per_px: float
    recipe: str
    notice: str = SYNTHETIC_NOTICE

    def pixel(self, cell: Cell) -> tuple[float, float]:
        """(column, row) of a cell's centre; (0, 0) is the centre of the first pixel."""
        height, width = self.frame.shape[:2]
        column = (cell.x_um - self.x_um) / self.um_per_px + (width - 1) / 2
        return column, (cell.y_um - self.y_um) / self.um_per_px + (height - 1) / 2

    @property
    def white_cells(self) -> tuple[Cell, ...]:
        """Those of `truth` that have a nucleus."""
        return tuple(cell for cell in self.truth if cell.kind in WHITE_KINDS)


class SyntheticSmear:
    """A smear of one recipe: stain, light and every cell follow from the seed.

    >>> SyntheticSmear(7, "Early").field(0.0, 0.0, (64, 48)).frame.shape
    (48, 64, 3)

    Args:
        seed: any integer.
        recipe: a name in RECIPES, or a recipe of your own.
        style: which of the recipe's styles; drawn by their shares when not given.

    Raises:
        SmearError: an unknown recipe or style, or a seed that is no integer.
    """

    def __init__(self, seed: int, recipe: str | Recipe = "Benign", *, style: int | None = None) -> None:
        self.seed = _integer("seed", seed)
        self.recipe = _recipe(recipe)
        key = mix(self.seed, *self.recipe.name.encode())
        u = uniforms(mix(key, 1), 24)
        self.style_index = _style(self.recipe, style, u[0])
        chosen = self.recipe.styles[self.style_index]
        bells = [normal(*uniforms(mix(key, 2, k), 3)) for k in range(8)]
        self._key = key
        self.optics = _optics(chosen, bells)
        white_factor = 1 + 0.22 * bells[5]
        red_factor = 1 + 0.12 * bells[6]
        self._layout = Layout(mix(key, 3), self.recipe, chosen, white_factor, red_factor)

    @property
    def notice(self) -> str:
        """SYNTHETIC_NOTICE."""
        return SYNTHETIC_NOTICE

    def field(
        self,
        x_um: float,
        y_um: float,
        size: tuple[int, int] = (640, 480),
        um_per_px: float | None = None,
        defocus_um: float = 0.0,
        *,
        light: bool = True,
        noise: int | None = 0,
    ) -> Field:
        """The frame a camera over (x_um, y_um) gives.

        Args:
            x_um, y_um: the frame's centre on the slide, um, within +-1e6.
            size: (width, height) in pixels, 16..8192.
            um_per_px: side of a pixel on the slide, 0.02..2 um; by default the published fields' height
                (80.64 um) fills the frame's.
            defocus_um: distance from focus, um, of either sign, within +-100.
            light: False leaves out the lamp's colour and falloff, which belong to the frame and not to the
            slide. noise: which sensor noise (one number a frame), None without.

        Returns:
            The field. What overlaps another field shows the same cells at the same places.

        Raises:
            SmearError: an argument out of range, by name.
        """
        x_um, y_um = (
            _number("x_um", x_um, -FARTHEST_UM, FARTHEST_UM),
            _number("y_um", y_um, -FARTHEST_UM, FARTHEST_UM),
        )
        width, height = _size(size)
        if um_per_px is None:
            um_per_px = min(UM_PER_PX[1], PUBLISHED_FIELD_UM[1] / height)
        step = _number("um_per_px", um_per_px, *UM_PER_PX)
        defocus = abs(_number("defocus_um", defocus_um, -LARGEST_DEFOCUS_UM, LARGEST_DEFOCUS_UM))
        if noise is not None:
            noise = _integer("noise", noise)
        left, top = x_um - width * step / 2, y_um - height * step / 2
        canvas = Canvas(left, top, width, height, step)
        truth = []
        for cell in self._layout.cells(left, top, left + width * step, top + height * step):
            canvas.draw(cell)
            if _inside(cell, left, top, width * step, height * step):
                truth.append(cell)
        texture = plasma(left, top, width, height, step)
        density = self.optics.density(canvas.planes, texture, light=light)
        blur_um = math.sqrt(self.optics.blur_um**2 + (self.optics.defocus_blur * defocus) ** 2)
        noise_key = None if noise is None else mix(self._key, 4, noise)
        frame = self.optics.expose(density, blur_um / step, noise_key)
        return Field(frame, tuple(truth), x_um, y_um, step, self.recipe.name)


def synthetic_fields(
    count: int, seed: int = 0, size: tuple[int, int] = (640, 480), recipes: Sequence[str] | None = None
) -> list[tuple[str, Pixels]]:
    """Synthetic frames that cycle through the recipes, each from a slide of its own.

    Styles come by their shares; stain, light, density, magnification (+-8 %) and focus (up to 0.6 um off)
    vary as among the published fields.

    Args:
        count: frames, >= 0.
        seed: any integer; a longer list begins with the shorter one of the same seed.
        size: (width, height) in pixels; 4:3 gives the published fields' proportions.
        recipes: names in RECIPES, by default all in the order Benign, Early, Pre, Pro.

    Returns:
        [(recipe name, uint8 (H, W, 3) RGB)]. See SYNTHETIC_NOTICE.

    Raises:
        SmearError: an argument out of range, by name.
    """
    if _integer("count", count) < 0:
        raise SmearError(f"count must be >= 0; got {count}")
    seed = _integer("seed", seed)
    names = list(RECIPES) if recipes is None else list(recipes)
    if not names:
        raise SmearError("recipes must name at least one recipe; got none")
    result = []
    for index in tracked(range(count), "drawing fields"):
        name = names[index % len(names)]
        key = mix(seed, 5, index)
        u = uniforms(key, 6)
        step = min(UM_PER_PX[1], PUBLISHED_FIELD_UM[1] / _size(size)[1] * (0.92 + 0.16 * u[0]))
        turn = index // len(names) * 0.6180339887498949  # golden ratio: styles come evenly, by their shares
        place = uniforms(mix(seed, 6, *name.encode()), 1)[0] + turn
        slide = SyntheticSmear(key, name, style=_style(_recipe(name), None, place - math.floor(place)))
        field = slide.field(2000 * (u[1] - 0.5), 2000 * (u[2] - 0.5), size, step, 0.6 * u[3])
        result.append((name, field.frame))
    return result


def _optics(style: Style, bells: Sequence[float]) -> Optics:
    white = 1 + style.white_sd * bells[3]
    red = (1 + style.red_sd * bells[4]) * (RED_DEPTH[0] + RED_DEPTH[1] * style.pallor)
    strength = white * style.white_density[1] / 0.28
    return Optics(
        background=_triple(
            b + sd * n + (CLIPPED_LIGHT if b > 254 else 0.0)
            for b, sd, n in zip(style.background, style.background_sd, bells, strict=False)
        ),
        falloff=style.falloff,
        white=_triple(white * d for d in style.white_density),
        red=_triple(red * d for d in style.red_density),
        cytoplasm=_triple(
            white * 0.4 * own + strength * blue
            for own, blue in zip(style.white_density, (0.10, 0.06, 0.02), strict=True)
        ),
        pink=_triple(strength**0.5 * d for d in (0.05, 0.15, 0.015)),
    )


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third


def _inside(cell: Cell, left: float, top: float, width: float, height: float) -> bool:
    dx = max(left - cell.x_um, 0.0, cell.x_um - left - width)
    dy = max(top - cell.y_um, 0.0, cell.y_um - top - height)
    return dx * dx + dy * dy < cell.radius_um**2


def _recipe(recipe: str | Recipe) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise SmearError(f"recipe must be one of {', '.join(RECIPES)}; got {recipe!r}")
    return RECIPES[recipe]


def _style(recipe: Recipe, style: int | None, u: float) -> int:
    if style is not None:
        if not 0 <= _integer("style", style) < len(recipe.styles):
            raise SmearError(f"style must be 0..{len(recipe.styles) - 1} for recipe {recipe.name}; got {style}")
        return style
    left = u * sum(s.share for s in recipe.styles)
    for index, each in enumerate(recipe.styles):
        left -= each.share
        if left < 0:
            return index
    return len(recipe.styles) - 1


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SmearError(f"{name} must be a whole number; got {value!r}")
    return value.__index__()  # type: ignore[no-any-return]


def _number(name: str, value: object, lowest: float, highest: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SmearError(f"{name} must be a number in {lowest:g}..{highest:g}; got {value!r}") from error
    if not lowest <= number <= highest:
        raise SmearError(f"{name} must be in {lowest:g}..{highest:g}; got {value}")
    return number


def _size(size: object) -> tuple[int, int]:
    try:
        width, height = (_integer("size", n) for n in size)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        width = height = 0
    if not (SMALLEST_FRAME <= width <= LARGEST_SIDE and SMALLEST_FRAME <= height <= LARGEST_SIDE):
        raise SmearError(f"size must be (width, height) in pixels, both {SMALLEST_FRAME}..{LARGEST_SIDE}; got {size!r}")
    return width, height
