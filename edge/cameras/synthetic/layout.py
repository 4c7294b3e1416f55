"""Where the cells lie: each tile of the slide is laid out from its own key, so fields may be asked in any
order.

Positions are a hard-core process (Matern's second kind: of two that are too close the one of higher rank
stays), which needs a tile's neighbours only as candidates and never as results. Red cells come in chains or
clumps, white cells in small groups that touch; red cells give way to white ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, floor, log, pi, sqrt

import numpy as np
import numpy.typing as npt

from edge.cameras.synthetic.cell_types import KINDS
from edge.cameras.synthetic.cells import Cell
from edge.cameras.synthetic.noise import mix, normal, uniform_rows, uniforms
from edge.cameras.synthetic.recipes import PUBLISHED_FIELD_UM, Recipe, Style

TILE_UM = 64.0
MARGIN_UM = 36.0  # a cell is drawn at most this far from the tile that owns it
CONTACT = 0.94  # centres of two white cells are at least this part of the sum of their radii apart
LONGEST_CHAIN = 7
# What `docs.studies.networks.smear_statistics` finds in drawn fields against what was asked for; these make the two
# agree.
WHITE_SEEN, RED_SEEN = 0.88, 1.17
_FIELD_AREA = PUBLISHED_FIELD_UM[0] * PUBLISHED_FIELD_UM[1]
_TILE_AREA = TILE_UM * TILE_UM
_WHITE, _RED, _EXTRA = 1, 2, 3  # what a key is for
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Candidate:
    cell: Cell
    rank: float
    group: int


class Layout:
    """The cells of one slide.

    Args:
        key: the slide's key.
        recipe, style: what is on it.
        white_factor, red_factor: numbers of white and red cells against the style's.
    """

    def __init__(self, key: int, recipe: Recipe, style: Style, white_factor: float, red_factor: float) -> None:
        self._key, self._recipe, self._style = key, recipe, style
        kinds = sorted(recipe.mix)
        total = sum(recipe.mix.values())
        self._kinds = [(kind, recipe.mix[kind] / total) for kind in kinds]
        white_radius = style.white_scale * sum(KINDS[kind].radius * part for kind, part in self._kinds)
        self._white_rate = _proposals(
            style.white_count * white_factor * WHITE_SEEN / _FIELD_AREA, 2 * CONTACT * white_radius
        )
        white_share = style.white_count * white_factor * pi * white_radius**2 / _FIELD_AREA
        red_density = style.red_share * red_factor * RED_SEEN / (pi / 4 * style.red_diameter**2)
        red_density /= max(0.3, 1 - 1.5 * white_share)
        # Red cells overlap where there are too many for a hard core of their own size.
        self._red_contact = min(0.85, sqrt(0.65 / (pi * red_density)) / style.red_diameter)
        self._red_rate = _proposals(red_density, self._red_contact * style.red_diameter)
        self._white_candidates = lru_cache(maxsize=256)(self._propose_white)
        self._red_candidates = lru_cache(maxsize=160)(self._propose_red)
        self._whites = lru_cache(maxsize=160)(self._settle_white)
        self._tile = lru_cache(maxsize=64)(self._settle_all)

    def cells(self, left: float, top: float, right: float, bottom: float) -> Iterator[Cell]:
        """Every cell that can reach into a rectangle (um), always in the same order."""
        columns = range(floor((left - MARGIN_UM) / TILE_UM), floor((right + MARGIN_UM) / TILE_UM) + 1)
        rows = range(floor((top - MARGIN_UM) / TILE_UM), floor((bottom + MARGIN_UM) / TILE_UM) + 1)
        layers = [self._tile(column, row) for row in rows for column in columns]
        for layer in range(3):
            for tile in layers:
                for cell in tile[layer]:
                    reach = cell.reach_um
                    if left - reach < cell.x_um < right + reach and top - reach < cell.y_um < bottom + reach:
                        yield cell

    def _settle_all(self, column: int, row: int) -> tuple[tuple[Cell, ...], ...]:
        """(below, red cells and what lies on them, white cells) of one tile, in drawing order."""
        whites = [cell for c, r in _around(column, row) for cell in self._whites(c, r)]
        reds = _survivors(
            self._red_candidates(column, row),
            [c for at in _around(column, row) for c in self._red_candidates(*at)],
            self._red_contact,
        )
        reds = _clear_of(reds, whites, 0.55)
        extras = self._extras(column, row)
        smudges = _clear_of([cell for cell in extras if cell.kind == "smudge"], whites, 0.9)
        others = [cell for cell in extras if cell.kind != "smudge"]
        return tuple(smudges), (*reds, *_clear_of(others, whites, 1.0)), self._whites(column, row)

    def _settle_white(self, column: int, row: int) -> tuple[Cell, ...]:
        around = [c for at in _around(column, row) for c in self._white_candidates(*at)]
        return tuple(_survivors(self._white_candidates(column, row), around, CONTACT))

    def _propose_white(self, column: int, row: int) -> tuple[_Candidate, ...]:
        found: list[_Candidate] = []
        size = self._recipe.cluster
        for parent in _parents(mix(self._key, _WHITE, column, row), self._white_rate * _TILE_AREA / size):
            u = uniforms(parent, 12)
            members = 1 + int(u[2] < (size - 1) * 0.6) + int(u[3] < (size - 1) * 0.4)
            x, y = (column + u[0]) * TILE_UM, (row + u[1]) * TILE_UM
            first = self._white_cell(mix(parent, 0), x, y)
            found.append(_Candidate(first, u[4], parent))
            for k in range(1, members):
                dx, dy = _direction(u[5 + 2 * k], u[6 + 2 * k])
                other = self._white_cell(mix(parent, k), x, y)
                away = 0.99 * (first.radius_um + other.radius_um)
                placed = replace(other, x_um=x + dx * away, y_um=y + dy * away)
                found.append(_Candidate(placed, u[4] * (1 - 0.1 * k), other.key))
        return tuple(found)

    def _white_cell(self, key: int, x: float, y: float) -> Cell:
        u = uniforms(mix(key, 7), 8)
        kind, remaining = self._kinds[-1][0], u[0]
        for name, part in self._kinds:
            if remaining < part:
                kind = name
                break
            remaining -= part
        shape = KINDS[kind]
        radius = self._style.white_scale * (shape.radius + shape.radius_sd * normal(u[1], u[2], u[3]))
        nucleus = radius * min(0.98, shape.nucleus * (1 + 0.04 * normal(u[4], u[5], u[6])))
        return Cell(kind, x, y, radius, nucleus, key)

    def _propose_red(self, column: int, row: int) -> tuple[_Candidate, ...]:
        style, recipe = self._style, self._recipe
        found: list[_Candidate] = []
        go_on = 1 - 1 / style.chain
        parents = _parents(mix(self._key, _RED, column, row), self._red_rate * _TILE_AREA / style.chain)
        for parent, u in zip(parents, uniform_rows(parents, 8 + 8 * LONGEST_CHAIN), strict=True):
            x, y = (column + u[0]) * TILE_UM, (row + u[1]) * TILE_UM
            dx, dy = _direction(u[2], u[3])
            ends = [(x, y), (x, y)]
            for k in range(LONGEST_CHAIN):
                v = u[8 + 8 * k : 16 + 8 * k]
                if k > 0:
                    if v[0] > go_on:
                        break
                    # both ends grow in turn; a clump forgets its direction, a roll keeps it
                    sign = 1 if k % 2 else -1
                    tx, ty = _direction(v[1], v[2])
                    along, aside = sign * recipe.straight, 0.9 * (1 - recipe.straight)
                    hx, hy = _unit(along * dx + aside * tx, along * dy + aside * ty)
                    step = style.red_diameter * (0.45 + 0.35 * v[3])
                    px, py = ends[k % 2]
                    ends[k % 2] = (px + hx * step, py + hy * step)
                x, y = ends[k % 2]
                radius = style.red_diameter / 2 * (1 + KINDS["red"].radius_sd / 3.5 * normal(v[4], v[5], v[6]))
                tone = style.pallor * (0.75 + 0.5 * v[7])
                cell = Cell("red", x, y, radius, 0.0, mix(parent, k), tone, u[4] < recipe.crenation)
                found.append(_Candidate(cell, u[5], parent))
        return tuple(found)

    def _extras(self, column: int, row: int) -> list[Cell]:
        found = []
        for kind in sorted(self._recipe.extras):
            mean = self._style.debris * self._recipe.extras[kind] * _TILE_AREA / _FIELD_AREA
            for key in _parents(mix(self._key, _EXTRA, sorted(KINDS).index(kind), column, row), mean):
                u = uniforms(key, 5)
                radius = KINDS[kind].radius + KINDS[kind].radius_sd * normal(u[2], u[3], u[4])
                found.append(Cell(kind, (column + u[0]) * TILE_UM, (row + u[1]) * TILE_UM, radius, 0.0, key))
        return found


def _proposals(density: float, core: float) -> float:
    """Candidates per um^2 that leave `density` after thinning with a hard core of `core` um (Matern II)."""
    filled = min(0.93, density * pi * core * core)
    return -log(1 - filled) / (pi * core * core)


def _parents(key: int, mean: float) -> list[int]:
    """Keys of a random number of points: twice `mean` slots, each taken with the chance for that mean."""
    slots = ceil(2 * mean)
    chance = mean / slots if slots else 0.0
    return [mix(key, k) for k, u in enumerate(uniforms(key, slots)) if u < chance]


def _survivors(own: tuple[_Candidate, ...], around: list[_Candidate], contact: float) -> list[Cell]:
    """Those of `own` with no candidate of higher rank and another group nearer than contact x radii."""
    if not own:
        return []
    x, y, r, rank = _columns(around)
    groups = np.array([c.group for c in around], dtype=np.uint64)
    own_x, own_y, own_r, own_rank = _columns(list(own))
    own_groups = np.array([c.group for c in own], dtype=np.uint64)
    squared = (own_x[:, None] - x) ** 2 + (own_y[:, None] - y) ** 2
    limit = contact * (own_r[:, None] + r)
    beaten = (squared < limit * limit) & (rank > own_rank[:, None]) & (groups != own_groups[:, None])
    lost = beaten.any(axis=1)
    return [c.cell for c, gone in zip(own, lost, strict=True) if not gone]


def _columns(candidates: list[_Candidate]) -> tuple[Array, Array, Array, Array]:
    table = np.array([(c.cell.x_um, c.cell.y_um, c.cell.radius_um, c.rank) for c in candidates])
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def _clear_of(cells: list[Cell], whites: list[Cell], part: float) -> list[Cell]:
    """Cells whose centre keeps the white radius and `part` of its own radius away from every white cell."""
    if not cells or not whites:
        return cells
    white = np.array([(w.x_um, w.y_um, w.radius_um) for w in whites])
    own = np.array([(c.x_um, c.y_um, c.radius_um * part) for c in cells])
    squared = (own[:, None, 0] - white[:, 0]) ** 2 + (own[:, None, 1] - white[:, 1]) ** 2
    limit = own[:, None, 2] + white[:, 2]
    near = (squared < limit * limit).any(axis=1)
    return [c for c, hidden in zip(cells, near, strict=True) if not hidden]


def _around(column: int, row: int) -> list[tuple[int, int]]:
    return [(column + dx, row + dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def _unit(x: float, y: float) -> tuple[float, float]:
    norm = sqrt(x * x + y * y) or 1.0
    return x / norm, y / norm


def _direction(u: float, v: float) -> tuple[float, float]:
    """A direction from two uniform numbers, without sine and cosine (slightly more often diagonal)."""
    x, y = _unit(2 * u - 1, 2 * v - 1)
    return (1.0, 0.0) if x == y == 0 else (x, y)
