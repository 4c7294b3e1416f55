"""Levey-Jennings charts drawn: one a measure, with mean and deviations, and a mark of its own for each kind of point.

Colours are of Okabe and Ito's palette for the colour-blind (2008, jfly.uni-koeln.de/color); kinds differ by shape as
well, and a chart is legible in black and white.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.commissioning.control.charts import Chart, Point, SlideCharts
from edge.commissioning.control.measures import SHARES
from edge.commissioning.control.targets import spread

NEWEST = 60  # points that a chart shows at most
_MARKS = {  # kind -> marker, colour, filled, words
    "baseline": ("o", "#6c6c6c", False, "baseline"),
    "in": ("o", "#0072B2", True, "in control"),
    "warning": ("s", "#E69F00", True, "warning 1-2s"),
    "out": ("X", "#D55E00", True, "rejected"),
    "unsound": ("D", "#6c6c6c", False, "not counted: a check failed"),
}
_GREY, _INK = "#9a9a9a", "#1c1c1c"


def draw_sheet(slide: SlideCharts, path: Path) -> None:
    """Write all charts of a slide as one figure, a column of two.

    Args:
        path: suffix .png, .svg or .pdf.

    Raises:
        ImportError: no matplotlib.
    """
    rows = max(1, -(-len(slide.charts) // 2))
    figure = _figure(11, 2.4 * rows + 0.9)
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for chart, each in zip(slide.charts, axes, strict=False):
        _draw(each, chart)
    for each in axes[len(slide.charts) :]:
        each.set_axis_off()
    series = slide.series
    lot = f", lot {series.lot}" if series.lot else ""
    figure.suptitle(
        f"Control slide {series.slide}{lot}: {series.bundle} on {series.camera}, {slide.controls} controls\n"
        "Research use only",
        fontsize=11,
    )
    handles = _legend(axes[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False)
    figure.savefig(path, dpi=150)


def svg_of(chart: Chart) -> bytes:
    """One chart as SVG, drawn for a column of a page.

    Raises:
        ImportError: no matplotlib.
    """
    import matplotlib

    figure = _figure(4.4, 2.5)
    _draw(figure.subplots(), chart)
    written = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": chart.measure, "svg.fonttype": "path"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def description(chart: Chart) -> str:
    """A chart in words, for who cannot see it."""
    count = len(chart.points)
    newest = chart.points[-1] if chart.points else None
    said = f"{chart.words}: {count} control{'s' if count != 1 else ''}"
    if newest is not None and newest.z is not None:
        said += f", the newest {newest.z:+.1f} standard deviations from the mean"
    rejected = sum(point.kind == "out" for point in chart.points)
    return f"{said}, {rejected} rejected"


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw(axes: Any, chart: Chart) -> None:
    points = [point for point in chart.points[-NEWEST:] if point.value is not None]
    sd = 0.0 if chart.target is None else spread(chart.measure, chart.target, chart.fields)
    if chart.target is not None and sd > 0:
        _draw_limits(axes, chart.target.mean, sd, chart.measure in SHARES)
    counted = [point for point in points if point.kind != "unsound"]
    axes.plot([p.number for p in counted], [p.value for p in counted], color=_GREY, linewidth=0.8, zorder=1)
    for kind, (marker, colour, filled, _) in _MARKS.items():
        of_kind = [point for point in points if point.kind == kind]
        face = colour if filled else "white"
        size = 64 if kind == "out" else 26
        axes.scatter(
            [p.number for p in of_kind],
            [p.value for p in of_kind],
            marker=marker,
            s=size,
            facecolors=face,
            edgecolors=colour,
            linewidths=1.1,
            zorder=2,
        )
    before: tuple[str, ...] = ()
    for point in points:
        if rules := [rule for rule in point.rules if rule not in before]:
            _name_rules(axes, point, rules)
        before = point.rules
    unit = f", {chart.unit}" if chart.unit else ""
    axes.set_title(f"{chart.words}{unit}", fontsize=10, loc="left", color=_INK)
    axes.set_xlabel("control", fontsize=9)
    axes.tick_params(labelsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.04, y=0.42)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_limits(axes: Any, mean: float, sd: float, is_share: bool) -> None:
    styles = {0: ("-", _INK, 1.0), 1: (":", _GREY, 0.8), 2: ("--", _GREY, 0.9), 3: ("-", _GREY, 0.9)}
    for deviations in range(-3, 4):
        style, colour, width = styles[abs(deviations)]
        level = mean + deviations * sd
        if is_share and not 0 <= level <= 1:
            continue
        axes.axhline(level, linestyle=style, color=colour, linewidth=width, zorder=0)
        if deviations in (-3, -2, 0, 2, 3):
            label = "mean" if deviations == 0 else f"{deviations:+d} SD"
            axes.annotate(
                label,
                (1, level),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                color="#5a5a5a",
                annotation_clip=False,
            )


def _name_rules(axes: Any, point: Point, rules: Sequence[str]) -> None:
    """The rules that reject a control and did not reject the one before it: as many names as can be read."""
    above = (point.z or 0) > 0
    axes.annotate(
        "  ".join(rules),
        (point.number, point.value),
        rotation=90,  # beside each other the names of neighbours would overprint
        xytext=(0, 7 if above else -7),
        textcoords="offset points",
        fontsize=8,
        ha="center",
        va="bottom" if above else "top",
        color="#8a3500",
    )


def _legend(axes: Any) -> Sequence[Any]:
    return [
        axes.scatter(
            [], [], marker=marker, s=30, facecolors=colour if filled else "white", edgecolors=colour, label=words
        )
        for marker, colour, filled, words in _MARKS.values()
    ]
