"""The figure of a comparison: accuracy against latency with the Pareto front, and the size of every file.

Colour and filling are the format; the marker is the network, named beside the rows of the right-hand panel.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from convert.pareto.formats import FORMATS
from convert.pareto.record import Comparison, TimedPoint
from models.report.figure_style import GREY, INK, MARKERS, ORANGE, SERIES, canvas, heading, plain_numbers, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = dict(zip(FORMATS, (SERIES[0], SERIES[3], SERIES[5], SERIES[2]), strict=True))
LONGEST_NAME = 26


@styled
def pareto_figure(record: Comparison) -> "Figure":
    """From a record of `convert pareto`; without a measured point, axes that say so."""
    points = record.measured
    names = list(dict.fromkeys(point.network for point in record.points))
    shapes = {name: MARKERS[k % len(MARKERS)] for k, name in enumerate(names)}
    figure, (left, right) = canvas(9.6, 2.9 + 0.28 * max(4, len(names)), 1, 2, width_ratios=(2.1, 1))
    _accuracy(left, points, shapes)
    _files(right, points, names, shapes)
    handles = [
        left.plot([], [], "o", ms=7, label=form, **_look(form))[0]
        for form in FORMATS
        if any(point.format == form for point in points)
    ]
    if points:
        handles.append(left.plot([], [], "-", color=INK, lw=1.2, label="Pareto front (bars: 95 % intervals)")[0])
    if any(point.malignant_called_benign for point in points):
        missed = {"marker": "o", "ms": 12, "mfc": "none", "mec": ORANGE, "mew": 1.4, "ls": ""}
        handles.append(left.plot([], [], **missed, label="calls malignant images benign (how many)")[0])
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    heading(figure, _title(record))
    figure.draw_without_rendering()  # the axes take their place, which texts beside points need to know
    _texts(left, points, list(shapes))
    return figure  # type: ignore[no-any-return]


def _title(record: Comparison) -> str:
    if not record.measured:
        return "no point was measured"
    cut = f"; interrupted, {len(record.points)} of {record.wanted} points" if record.interrupted else ""
    return (
        f"{record.images} test images; {record.runtime} {record.runtime_version},"
        f" {record.threads} thread{'' if record.threads == 1 else 's'}, {record.board}{cut}"
    )


def _accuracy(axis: Any, points: Sequence[TimedPoint], shapes: Mapping[str, str]) -> None:
    front = sorted((p for p in points if p.front), key=_ms)
    axis.plot([_ms(p) for p in front], [_percent(p) for p in front], "-", color=INK, lw=1.2, zorder=2)
    for p in front:
        low, high = (100 * v for v in p.accuracy_interval)
        axis.plot([_ms(p)] * 2, [low, high], "-", color=GREY, lw=0.9, zorder=1)
    for p in points:
        axis.plot(_ms(p), _percent(p), shapes[p.network], zorder=4, ms=6.5, **_look(p.format))
        if p.front:
            axis.plot(_ms(p), _percent(p), shapes[p.network], zorder=4, ms=10, mfc="none", mec=INK, mew=1.1)
        if p.malignant_called_benign:
            axis.plot(_ms(p), _percent(p), "o", ms=14, mfc="none", mec=ORANGE, mew=1.4, zorder=3)
    axis.set(xlabel="milliseconds of processor time an inference (median; left is better)", ylabel="accuracy, %")
    axis.set_xscale("log")
    plain_numbers(axis.xaxis)
    _log_ticks(axis, [_ms(p) for p in points])
    axis.margins(x=0.15, y=0.14)
    axis.grid()
    axis.set_title("accuracy against latency")


def _files(axis: Any, points: Sequence[TimedPoint], names: Sequence[str], shapes: Mapping[str, str]) -> None:
    for p in points:
        row = names.index(p.network)
        axis.plot(p.bytes / 1e6, row, shapes[p.network], ms=7, **_look(p.format))
    axis.set_yticks(range(len(names)), [f"{_short(name)}" for name in names])
    axis.set(xlabel="file, MB", xlim=(0, None), ylim=(max(len(names), 1) - 0.5, -0.5))
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="both")
    axis.set_title("size of the file")


def _look(form: str) -> dict[str, Any]:
    """Colour and filling: float32 is hollow, since float16 often lies on the same spot."""
    colour = COLOURS[form]
    return {"ls": "", "color": colour, "mfc": "none" if form == "float32" else colour, "mec": colour, "mew": 1.2}


def _texts(axis: Any, points: Sequence[TimedPoint], names: Sequence[str]) -> None:
    """Names on the front, and how many malignant images a point calls benign: where no point or other text lies."""
    from matplotlib.transforms import Bbox

    point_size = axis.figure.dpi / 72
    places = [axis.transData.transform((_ms(p), _percent(p))) for p in points]
    taken = [Bbox([place - 7 * point_size, place + 7 * point_size]) for place in places]
    front = [(p, _suffix(p.network, names), INK, ((-8, 5), (8, 5))) for p in points if p.front]
    missed = [
        (p, str(p.malignant_called_benign), ORANGE, ((9, -10), (9, 4), (-9, -10), (-9, 4), (0, -16), (0, 9)))
        for p in points
        if p.malignant_called_benign
    ]
    for point, text, colour, shifts in (*front, *missed):
        tried = [_beside(axis, point, text, shift, colour) for shift in shifts]
        boxes = [note.get_window_extent() for note in tried]
        crowd = [box.count_overlaps(taken) + 9 * (box.x0 < axis.bbox.x0) for box in boxes]
        best = crowd.index(min(crowd))
        taken.append(boxes[best])
        for note in tried[:best] + tried[best + 1 :]:
            note.remove()


def _beside(axis: Any, point: TimedPoint, text: str, shift: tuple[int, int], colour: str) -> Any:
    """A text `shift` points from its point."""
    across = (shift[0] > 0) - (shift[0] < 0)
    return axis.annotate(
        text,
        (_ms(point), _percent(point)),
        xytext=shift,
        textcoords="offset points",
        fontsize=7.5,
        color=colour,
        ha={-1: "right", 0: "center", 1: "left"}[across],
        in_layout=False,
        zorder=5,
    )


def _log_ticks(axis: Any, values: Sequence[float]) -> None:
    """1, 2, 5 of every decade that is shown: the decades alone leave an axis of one decade without a number."""
    if not values:
        return
    every = [step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5)]
    axis.set_xticks([tick for tick in every if min(values) / 1.6 <= tick <= 1.6 * max(values)])


def _ms(point: TimedPoint) -> float:
    return float(point.latency.median_ms)


def _percent(point: TimedPoint) -> float:
    return 100 * float(point.accuracy)


def _suffix(name: str, names: Sequence[str]) -> str:
    """A variant's name without the network's that it was made of, where that is shown too."""
    of = next((other for other in names if name.startswith(f"{other}-")), None)
    return name.removeprefix(f"{of}-") if of else _short(name)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}...{name[-6:]}"
