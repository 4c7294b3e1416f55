"""The picture of rooms and arrows, its record, and the tables of rooms in the documents.

    python -m docs.studies.architecture.map write docs/images/architecture.png

writes the picture, `architecture.json` beside it, and the tables in docs/explanation/architecture.md.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.studies.architecture.house import EVERYWHERE, FLOORS, ROOT, House, read_house
from docs.studies.architecture.layout import Layout, abscissas, layered
from docs.studies.command import run
from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import write_whole
from edge.system.option_values import switch
from models.report.figure_style import BLUE, GREEN, INK, ORANGE, canvas, render, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = ROOT / "docs" / "explanation" / "architecture.md"
BEGIN, END = "<!-- rooms:begin -->", "<!-- rooms:end -->"
_COLOURS = {"convert": ORANGE, "models": GREEN, "edge": BLUE}
_WIDTH, _ROW, _BOX, _GAP = 10.0, 0.56, 0.28, 0.62  # inches: the picture, a row, a box's height, between two floors
_LEFT, _RIGHT, _PASSING, _CLEAR = 0.5, 9.5, 0.3, 0.04


def draw(house: House) -> bytes:
    """The picture as PNG, 1500 pixels wide."""
    figure = _figure(house)
    return render(figure)


@styled
def _figure(house: House) -> Any:
    rooms = {floor: [row for row in house.rows[floor] if row != [EVERYWHERE]] for floor in FLOORS}
    height = sum(len(rows) * _ROW for rows in rooms.values()) + _GAP * len(FLOORS)
    figure, axes = canvas(_WIDTH, height)
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    top = _GAP / 2
    for floor in FLOORS:
        bottom = top + len(rooms[floor]) * _ROW
        _floor(axes, house, floor, top, bottom)
        layout = layered([[f"{floor}.{room}" for room in row] for row in rooms[floor]], house.inside(floor))
        _rooms(axes, house, layout, floor, top)
        top = bottom + _GAP
    return figure


def _floor(axes: "Axes", house: House, floor: str, top: float, bottom: float) -> None:
    """The floor's ground, its name, and below it what it takes from the floors below."""
    from matplotlib.patches import FancyBboxPatch

    ground = FancyBboxPatch((0.1, top), _WIDTH - 0.2, bottom - top, boxstyle="round,pad=0,rounding_size=0.08")
    ground.set(facecolor=_COLOURS[floor], alpha=0.08, linewidth=0)
    axes.add_patch(ground)
    axes.text(0.28, top + 0.26, floor, fontsize=13, fontweight="bold", color=_COLOURS[floor], va="center")
    for index, lower in enumerate(FLOORS[FLOORS.index(floor) + 1 :]):
        names = ", ".join(room.partition(".")[2] for room in house.between(floor, lower))
        y = bottom + 0.17 + 0.22 * index
        axes.annotate("", (0.42, y + 0.09), (0.42, y - 0.09), arrowprops={"arrowstyle": "-|>", "color": INK})
        axes.text(0.6, y, f"{floor} imports from {lower}: {names}", fontsize=8, va="center")


def _rooms(axes: "Axes", house: House, layout: Layout, floor: str, top: float) -> None:
    height = {name: top + _ROW * (index + 0.5) for index, row in enumerate(layout.rows) for name in row}
    widths = {name: _PASSING if layout.passes(name) else _width(house, name) + 0.6 for name in height}
    places = {name: (x, height[name]) for name, x in abscissas(layout, widths, _LEFT, _RIGHT).items()}
    for line in layout.lines:
        _line(axes, [places[name] for name in line], _COLOURS[floor])
    for name, (x, y) in places.items():
        if not layout.passes(name):
            _box(axes, house, name, x, y)


def _line(axes: "Axes", points: list[tuple[float, float]], colour: str) -> None:
    """A smooth line through the places it passes, with a head at its end."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    (x, y), (end_x, end_y) = points[0], points[-1]
    stops = [(x, y + _BOX / 2), *points[1:-1], (end_x, end_y - _BOX / 2)]
    vertices, codes = [stops[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(stops):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    axes.add_patch(PathPatch(Curve(vertices, codes), edgecolor=colour, facecolor="none", linewidth=1.0))
    axes.plot([end_x], [end_y - _BOX / 2 - 0.03], marker="v", markersize=4, color=colour)


def _box(axes: "Axes", house: House, name: str, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    width = _width(house, name)
    box = FancyBboxPatch((x - width / 2, y - _BOX / 2), width, _BOX, boxstyle="round,pad=0,rounding_size=0.05")
    box.set(facecolor="white", edgecolor=_COLOURS[name.partition(".")[0]], linewidth=1.2, zorder=3)
    axes.add_patch(box)
    axes.text(x, y, _text(house, name), fontsize=9, ha="center", va="center", zorder=4)


def _text(house: House, name: str) -> str:
    """The room's own name, and in brackets the rooms inside it."""
    parts = [inner.rpartition(".")[2] for inner in house.sentences if inner.startswith(f"{name}.")]
    return name.partition(".")[2] + (f" ({', '.join(parts)})" if parts else "")


def _width(house: House, name: str) -> float:
    return 0.35 + 0.078 * len(_text(house, name))


def with_table(text: str, table: str) -> str:
    """The page with `table` between its markers."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin and end, f"{PAGE.name} holds no {BEGIN} and {END}"
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


@dataclass(frozen=True)
class MapRequest:
    """Draw the map."""

    path: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the picture, the record beside it, and the tables of the page."""
        house = read_house()
        write_whole(self.path, draw(house))
        write_whole(self.path.with_suffix(".json"), house.to_json())
        write_whole(PAGE, with_table(PAGE.read_text(encoding="utf-8"), house.table()))
        arrows = sum(map(len, house.arrows.values()))
        record = {"path": str(self.path), "rooms": len(house.sentences), "arrows": arrows}
        return Outcome(DONE, record, f"{self.path}: {len(house.sentences)} rooms, {arrows} arrows")


def write(path: str, *, json: bool = False) -> MapRequest:
    """Draw rooms and arrows as they are imported today.

    Args:
        path: PNG to write.
        json: print the record as JSON.
    """
    return MapRequest(Path(path), switch(json, "--json"))


if __name__ == "__main__":
    run({"write": write})
