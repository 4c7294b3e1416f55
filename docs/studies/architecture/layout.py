"""Layered drawing of a graph whose rows are given: an order within each row that lets few lines cross.

After Sugiyama, Tagawa and Toda (1981): a line that passes through rows gets a place of its own in each, and places are
ordered by the mean position of their neighbours, above and below in turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

_SWEEPS, _RELAXATIONS = 24, 40


@dataclass(frozen=True)
class Layout:
    """Places row by row, and lines as chains of places.

    Attributes:
        rows: names of nodes and of places that a line passes, from left to right.
        lines: for each arrow the names from its beginning to its end, one a row.
    """

    rows: list[list[str]]
    lines: list[list[str]]

    def passes(self, name: str) -> bool:
        """Whether that place is one that a line passes, and no node."""
        return ">" in name


def layered(rows: Sequence[Sequence[str]], arrows: Mapping[str, Sequence[str]]) -> Layout:
    """Order the nodes of `rows`; every arrow must lead from a row to a lower one."""
    row_of = {name: index for index, row in enumerate(rows) for name in row}
    placed = [list(row) for row in rows]
    lines = []
    for begin, targets in arrows.items():
        for end in targets:
            passed = [f"{begin}>{end}@{row}" for row in range(row_of[begin] + 1, row_of[end])]
            for row, name in enumerate(passed, row_of[begin] + 1):
                placed[row].append(name)
            lines.append([begin, *passed, end])
    return Layout(_ordered(placed, lines), lines)


def crossings(layout: Layout) -> int:
    """How many pairs of line segments cross."""
    position = {name: index for row in layout.rows for index, name in enumerate(row)}
    row_of = {name: index for index, row in enumerate(layout.rows) for name in row}
    total = 0
    segments = [pair for line in layout.lines for pair in pairwise(line)]
    for index, (a, b) in enumerate(segments):
        for c, d in segments[index + 1 :]:
            if row_of[a] == row_of[c]:
                total += (position[a] - position[c]) * (position[b] - position[d]) < 0
    return total


def _ordered(rows: list[list[str]], lines: list[list[str]]) -> list[list[str]]:
    best = Layout(rows, lines)
    fewest = crossings(best)
    for sweep in range(_SWEEPS):
        rows = [list(row) for row in rows]
        down = sweep % 2 == 0
        for index in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            beside = rows[index - 1] if down else rows[index + 1]
            place = {name: (position + 0.5) / len(beside) for position, name in enumerate(beside)}
            rows[index] = _by_neighbours(rows[index], place, lines)
        tried = Layout(rows, lines)
        if crossings(tried) < fewest:
            best, fewest = tried, crossings(tried)
    return _swapped(best).rows


def _swapped(layout: Layout) -> Layout:
    """Neighbours of a row exchanged as long as that lets fewer lines cross."""
    for row in range(len(layout.rows)):
        for index in range(len(layout.rows[row]) - 1):
            rows = [list(names) for names in layout.rows]
            rows[row][index : index + 2] = reversed(rows[row][index : index + 2])
            tried = Layout(rows, layout.lines)
            if crossings(tried) < crossings(layout):
                return _swapped(tried)
    return layout


def abscissas(layout: Layout, widths: Mapping[str, float], left: float, right: float) -> dict[str, float]:
    """Where each place of each row stands: near its neighbours, its row's order kept, all of `left` to `right` used.

    Args:
        widths: room that each place takes, its distance to the next included.
    """
    neighbours: dict[str, list[str]] = {name: [] for row in layout.rows for name in row}
    for line in layout.lines:
        for above, below in pairwise(line):
            neighbours[above].append(below)
            neighbours[below].append(above)
    x = dict.fromkeys(neighbours, (left + right) / 2)
    for _ in range(_RELAXATIONS):
        for row in layout.rows:
            wanted = {name: fmean(x[other] for other in neighbours[name] or [name]) for name in row}
            x |= _apart(row, wanted, widths, left, right)
    begin = min(place - widths[name] / 2 for name, place in x.items())
    end = max(place + widths[name] / 2 for name, place in x.items())
    return {name: left + (place - begin) * (right - left) / (end - begin) for name, place in x.items()}


def _apart(
    row: Sequence[str], wanted: Mapping[str, float], widths: Mapping[str, float], left: float, right: float
) -> dict[str, float]:
    """Mean of the places found by pushing apart from the left and from the right."""
    from_left, edge = {}, left
    for name in row:
        from_left[name] = max(wanted[name], edge + widths[name] / 2)
        edge = from_left[name] + widths[name] / 2
    from_right, edge = {}, right
    for name in reversed(row):
        from_right[name] = min(wanted[name], edge - widths[name] / 2)
        edge = from_right[name] - widths[name] / 2
    mean = {name: (from_left[name] + from_right[name]) / 2 for name in row}
    edge = left
    for name in row:  # the mean of two orders keeps the order, and may lie beyond an end
        mean[name] = max(mean[name], edge + widths[name] / 2)
        edge = mean[name] + widths[name] / 2
    over = max(0.0, edge - right)
    return {name: place - over for name, place in mean.items()}


def _by_neighbours(row: list[str], place: Mapping[str, float], lines: list[list[str]]) -> list[str]:
    """The row in the order of its neighbours' mean place; what has none keeps its own."""
    means = {}
    for index, name in enumerate(row):
        found = [
            place[other]
            for line in lines
            if name in line
            for other in line[max(0, line.index(name) - 1) : line.index(name) + 2]
            if other in place
        ]
        means[name] = sum(found) / len(found) if found else (index + 0.5) / len(row)
    return sorted(row, key=lambda name: means[name])
