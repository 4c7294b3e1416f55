"""Morphology: cells drawn as amounts of dye on the slide, from arithmetic that every machine rounds alike.

Outlines are Fourier series in the angle (Chebyshev recurrences instead of `cos`), red cells follow the
biconcave profile of Evans and Fung (1972, doi 10.1016/0026-2862(72)90069-6), nuclei carry coarse and fine
chromatin texture. Only + - * / and square roots are used: IEEE 754 rounds those alike everywhere.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.cameras.synthetic.cell_types import KINDS, WHITE_KINDS, Morphology
from edge.cameras.synthetic.noise import TEXEL_UM, TEXTURE_SIDE, Floats, mix, normal, texture, uniforms

RED, CHROMATIN, CYTOPLASM, PINK = range(4)  # the dyes: one plane each
EDGE_UM = 0.35  # width of a cell's soft edge
_COARSE = (mix(101), 15)  # clumps of about 1.9 um
_FINE = (mix(102), 5)  # grains of about 0.6 um


_REACH = {"smudge": 2.0, "precipitate": 2.6}  # largest distance from the centre / radius, where it is not 1.3


@dataclass(frozen=True)
class Cell:
    """One thing on the slide, as the truth has it.

    Attributes:
        kind: a key of `KINDS`.
        x_um, y_um: centre on the slide.
        radius_um: mean radius; nucleus_um: mean radius of the nucleus, 0 without one.
        key: the number all its further morphology follows from.
        tone: for red cells the depth of the pale centre, 0..1.3; otherwise unused.
        crenated: for red cells, a scalloped outline.
    """

    kind: str
    x_um: float
    y_um: float
    radius_um: float
    nucleus_um: float
    key: int
    tone: float = 0.0
    crenated: bool = False

    @property
    def reach_um(self) -> float:
        """Nothing of the cell is drawn farther from its centre than this."""
        return self.radius_um * _REACH.get(self.kind, 1.3) + EDGE_UM


class Canvas:
    """The dyes under one field: four float32 planes (H, W), and the plane's place on the slide."""

    def __init__(self, left_um: float, top_um: float, width: int, height: int, um_per_px: float) -> None:
        self.planes: Floats = np.zeros((4, height, width), np.float32)
        self.left_um, self.top_um, self.um_per_px = left_um, top_um, um_per_px

    def draw(self, cell: Cell) -> None:
        """Add a cell; what lies outside the planes is left out."""
        _, height, width = self.planes.shape
        step, reach = self.um_per_px, cell.reach_um
        column, row = (cell.x_um - self.left_um) / step - 0.5, (cell.y_um - self.top_um) / step - 0.5
        first_column, last_column = (
            max(0, int(column - reach / step)),
            min(width, int(column + reach / step) + 2),
        )
        first_row, last_row = max(0, int(row - reach / step)), min(height, int(row + reach / step) + 2)
        if first_column >= last_column or first_row >= last_row:
            return
        x = ((np.arange(first_column, last_column) - column) * step).astype(np.float32)[None, :]
        y = ((np.arange(first_row, last_row) - row) * step).astype(np.float32)[:, None]
        patch = self.planes[:, first_row:last_row, first_column:last_column]
        if cell.kind in WHITE_KINDS:
            _draw_white(patch, x, y, cell, step)
        else:
            _OTHERS[cell.kind](patch, x, y, cell, step)


def plasma(left_um: float, top_um: float, width: int, height: int, um_per_px: float) -> Floats:
    """Fine texture of the whole plane, float32 (H, W), mean 0, standard deviation about 1."""
    columns = _texels(left_um + (np.arange(width) + 0.5) * um_per_px)
    rows = _texels(top_um + (np.arange(height) + 0.5) * um_per_px)
    found: Floats = texture(*_FINE)[np.ix_(rows, columns)]
    return found


def _texels(um: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = np.floor(um / TEXEL_UM).astype(np.int64) & (TEXTURE_SIDE - 1)
    return found


def _sample(which: tuple[int, int], x: Floats, y: Floats, dx: float, dy: float) -> Floats:
    """A texture around a cell, shifted by a part (0..1) of its period."""
    columns = _texels(x[0].astype(np.float64) + dx * TEXTURE_SIDE * TEXEL_UM)
    rows = _texels(y[:, 0].astype(np.float64) + dy * TEXTURE_SIDE * TEXEL_UM)
    found: Floats = texture(*which)[np.ix_(rows, columns)]
    return found


def _ratio(x: Floats, y: Floats, radius: float, wobble: float, u: list[float], *, scallop: float = 0.0) -> Floats:
    """Distance from the centre / distance of the outline that way: harmonics 2, 3 and 5 of the angle."""
    distance: Floats = np.sqrt(x * x + y * y) + np.float32(1e-6)
    c: Floats = x / distance
    s: Floats = y / distance
    c2: Floats = c * c - s * s
    s2: Floats = np.float32(2) * c * s
    c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
    a = [np.float32(2 * wobble * (v - 0.5)) for v in u[:6]]
    outline: Floats = np.float32(1) + np.float32(1.6) * (a[0] * c2 + a[1] * s2) + a[2] * c3 + a[3] * s3
    if wobble > 0.03:
        outline += np.float32(0.6) * (a[4] * (c3 * c2 - s3 * s2) + a[5] * (s3 * c2 + c3 * s2))
    if scallop > 0:  # eleven or twelve teeth
        c6: Floats = c3 * c3 - s3 * s3
        s6: Floats = np.float32(2) * c3 * s3
        teeth = c6 * c6 - s6 * s6 if u[0] < 0.5 else c6 * (c3 * c2 - s3 * s2) - s6 * (s3 * c2 + c3 * s2)
        outline += np.float32(scallop) * teeth
    ratio: Floats = distance / (np.float32(radius) * outline)
    return ratio


def _cover(ratio: Floats, radius: float, step: float) -> Floats:
    """1 inside, 0 outside, linear over the soft edge (never thinner than a pixel)."""
    slope = np.float32(radius / max(EDGE_UM, step))
    cover: Floats = np.clip((np.float32(1) - ratio) * slope + np.float32(0.5), np.float32(0), np.float32(1))
    return cover


def _bump(x: Floats, y: Floats, cx: float, cy: float, radius: float) -> Floats:
    """1 at (cx, cy), falling smoothly to 0 at `radius`."""
    q = ((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2) * np.float32(1 / radius**2)
    rest: Floats = np.maximum(np.float32(1) - q, np.float32(0))
    return rest * rest


def _draw_red(patch: Floats, x: Floats, y: Floats, cell: Cell, step: float) -> None:
    u = uniforms(cell.key, 12)
    scallop = 0.03 + 0.03 * u[6] if cell.crenated else 0.0
    ratio = _ratio(x, y, cell.radius_um, KINDS["red"].wobble, u, scallop=scallop)
    cover = _cover(ratio, cell.radius_um, step)
    # Evans and Fung: thickness ~ sqrt(1 - q) (0.207 + 2.003 q - 1.123 q^2), here over its largest value;
    # beyond the thickest ring the rim stays dark, as in a dried smear.
    q = np.minimum(ratio * ratio, np.float32(0.55))
    biconcave = np.sqrt(np.float32(1) - q) * (np.float32(0.3155) + q * (np.float32(3.053) - np.float32(1.712) * q))
    # squared: the published fields show a sharper pale centre than the fresh cell's profile
    dip = np.float32(cell.tone) * (np.float32(1) - biconcave * biconcave)
    patch[RED] += cover * np.maximum(np.float32(1) - dip, np.float32(0)) * np.float32(0.85 + 0.3 * u[7])


def _draw_white(patch: Floats, x: Floats, y: Floats, cell: Cell, step: float) -> None:
    shape = KINDS[cell.kind]
    u = uniforms(cell.key, 40)
    body = _cover(_ratio(x, y, cell.radius_um, shape.wobble, u[0:6]), cell.radius_um, step)
    room = max(0.0, cell.radius_um - cell.nucleus_um) * 0.8
    offset = (room * (2 * u[6] - 1), room * (2 * u[7] - 1))
    ratio = _nuclear_ratio(x - np.float32(offset[0]), y - np.float32(offset[1]), cell.nucleus_um, shape, u[8:24])
    nucleus = _cover(ratio, cell.nucleus_um, step) * body
    fine = _sample(_FINE, x, y, u[24], u[25])
    coarse = _sample(_COARSE, x, y, u[26], u[27])
    amount = shape.chromatin * (1 + shape.chromatin_sd * normal(u[28], u[29], u[30]))
    inner = np.minimum(ratio * ratio, np.float32(1))
    chromatin = np.float32(1) + np.float32(shape.clumps) * coarse + np.float32(shape.grain) * fine
    chromatin += np.float32(0.10) * (inner * inner - np.float32(0.33))  # denser under the nuclear membrane
    for k in range(min(shape.nucleoli, int(u[31] * (shape.nucleoli + 1)))):
        reach = 0.55 * cell.nucleus_um
        cx, cy = offset[0] + reach * (2 * u[32 + 2 * k] - 1), offset[1] + reach * (2 * u[33 + 2 * k] - 1)
        chromatin -= np.float32(0.22) * _bump(x, y, cx, cy, 0.24 * cell.nucleus_um)
    around = body - nucleus
    patch[RED] *= np.float32(1) - np.float32(0.9) * body
    patch[CHROMATIN] *= np.float32(1) - np.float32(0.7) * body  # of two that overlap the upper one is seen
    patch[CYTOPLASM] *= np.float32(1) - np.float32(0.7) * body
    patch[CHROMATIN] += np.float32(amount) * nucleus * np.maximum(chromatin, np.float32(0.5))
    patch[CYTOPLASM] += np.float32(shape.cytoplasm) * around * (np.float32(1) + np.float32(0.1) * coarse)
    if shape.pink > 0:
        patch[PINK] += np.float32(shape.pink) * around * np.maximum(np.float32(1) + np.float32(0.5) * fine, 0)


def _nuclear_ratio(x: Floats, y: Floats, radius: float, shape: Morphology, u: list[float]) -> Floats:
    """As `_ratio`, for a round, notched or lobed nucleus."""
    if shape.lobes == 1:
        ratio = _ratio(x, y, radius, shape.nuclear_wobble, u)
        if shape.indentation > 0 and u[6] < 0.6:
            norm = ((u[7] - 0.5) ** 2 + (u[8] - 0.5) ** 2) ** 0.5 + 1e-3
            cx, cy = radius * (u[7] - 0.5) / norm, radius * (u[8] - 0.5) / norm
            ratio = ratio + np.float32(1.2 * shape.indentation) * _bump(x, y, cx, cy, 0.75 * radius)
        return ratio
    count = max(2, shape.lobes - int(2 * u[6]))
    lobe = radius * (0.62 - 0.05 * count)
    corners = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.1), (-0.1, -1.0))
    turn = (2 * u[7] - 1, 2 * u[8] - 1)
    norm = (turn[0] ** 2 + turn[1] ** 2) ** 0.5 + 1e-3
    c, s = turn[0] / norm, turn[1] / norm
    parts = []
    for k in range(count):
        away = radius * (0.5 + 0.15 * u[9 + k])
        cx, cy = (
            away * (c * corners[k][0] - s * corners[k][1]),
            away * (s * corners[k][0] + c * corners[k][1]),
        )
        parts.append(_ratio(x - np.float32(cx), y - np.float32(cy), lobe, 0.08, u[6 - k : 12 - k]))
    nearest = parts[0]
    for part in parts[1:]:
        nearest = np.minimum(nearest, part)
    return nearest * np.float32(lobe / radius) + np.float32(1 - lobe / radius)


def _draw_platelet(patch: Floats, x: Floats, y: Floats, cell: Cell, step: float) -> None:
    u = uniforms(cell.key, 10)
    cover = _cover(_ratio(x, y, cell.radius_um, KINDS["platelet"].wobble, u), cell.radius_um, step)
    grain = np.maximum(np.float32(0.75) + np.float32(0.35) * _sample(_FINE, x, y, u[6], u[7]), np.float32(0.1))
    patch[CHROMATIN] += np.float32(0.45 + 0.35 * u[8]) * cover * grain
    patch[PINK] += np.float32(0.25) * cover


def _draw_smudge(patch: Floats, x: Floats, y: Floats, cell: Cell, step: float) -> None:
    """A burst cell: pale pink, frayed, lets red cells shine through."""
    u = uniforms(cell.key, 10)
    fine, coarse = _sample(_FINE, x, y, u[6], u[7]), _sample(_COARSE, x, y, u[8], u[9])
    ratio = (
        _ratio(x, y, cell.radius_um, KINDS["smudge"].wobble, u) + np.float32(0.06) * coarse + np.float32(0.04) * fine
    )
    cover = _cover(ratio, cell.radius_um, max(step, 1.0))
    patch[PINK] += cover * np.maximum(np.float32(0.75) + np.float32(0.1) * (fine + coarse), np.float32(0))


def _draw_precipitate(patch: Floats, x: Floats, y: Floats, cell: Cell, step: float) -> None:
    """Stain deposit: a few dark grains in a line."""
    u = uniforms(cell.key, 14)
    cx = cy = 0.0
    for k in range(2 + int(4 * u[0])):
        grain = cell.radius_um * (0.25 + 0.2 * u[1 + k])
        patch[CHROMATIN] += np.float32(1.1) * _bump(x, y, cx, cy, grain * 1.4)
        cx += grain * 2.4 * (u[7 + k] - 0.5)
        cy += grain * 2.4 * (u[8 + k] - 0.5)


_OTHERS = {
    "red": _draw_red,
    "platelet": _draw_platelet,
    "smudge": _draw_smudge,
    "precipitate": _draw_precipitate,
}
