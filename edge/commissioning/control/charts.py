"""The controls of a slide as Levey-Jennings charts: a series of points a measure, against mean and deviations.

Source: Levey and Jennings (1950), "The use of control charts in the clinical laboratory", Am J Clin Pathol 20:1059.
"""

from collections.abc import Sequence

from msgspec import Struct

from edge.commissioning.control.measures import MEASURES
from edge.commissioning.control.targets import spread, z_score, z_scores
from edge.commissioning.control.trend import Trend, trend
from edge.commissioning.control.westgard import one_2s, one_more_breaks
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries, ControlTarget

_NEAR = {
    "2-2s": "beyond 2 SD: one more on that side is rejected",
    "4-1s": "beyond 1 SD three times in a row: one more on that side is rejected",
    "10x": "on one side of its mean eight times or more in a row: ten are rejected",
}


class Point(Struct, frozen=True):
    """One control on a chart.

    Attributes:
        number: of the slide's controls in this series, from 1, rejected and unsound ones counted. utc: ISO 8601.
        value, z: None where it was not told, or there is no target.
        kind: "baseline", "in", "warning" (1-2s), "out" (a rule rejects) or "unsound" (a check failed: it is no
            measurement of the series).
        rules: that reject.

    >>> Point(21, "2026-11-30T08:00:00Z", 231.9, -0.4, "in", ()).z
    -0.4
    """

    number: int
    utc: str
    value: float | None
    z: float | None
    kind: str
    rules: tuple[str, ...]


class Chart(Struct, frozen=True):
    """The chart of one measure.

    Attributes:
        measure: its name in `MEASURES`. words, unit: of it, for people.
        target: None while the baseline is being built. points: oldest first. trend: of the newest. near: rules that one
            or two more on the same side would break. fields: of the newest control.

    >>> Chart("focus", "focus", "px", None, (), None, ()).target is None
    True
    """

    measure: str
    words: str
    unit: str
    target: ControlTarget | None
    points: tuple[Point, ...]
    trend: Trend | None
    near: tuple[str, ...]
    fields: int = 0


class SlideCharts(Struct, frozen=True):
    """All charts of a control slide's newest series.

    Attributes:
        newest: its last control. controls: of the series. earlier: controls of the slide in series before.

    >>> slides_of([])
    ()
    """

    series: ControlSeries
    newest: ControlBody
    controls: int
    earlier: int
    charts: tuple[Chart, ...]


def slides_of(controls: Sequence[ControlBody], slide: str = "") -> tuple[SlideCharts, ...]:
    """The charts of every control slide, the one that was controlled last at the end; of one where it is named."""
    last: dict[str, ControlBody] = {}
    for each in controls:
        if not slide or each.slide == slide:
            last.pop(each.slide, None)
            last[each.slide] = each
    found = []
    for newest in last.values():
        of_slide = [each for each in controls if each.slide == newest.slide]
        series = [each for each in of_slide if each.series == newest.series]
        charts = tuple(chart for name in MEASURES if (chart := _chart(name, series, newest)) is not None)
        found.append(SlideCharts(newest.series, newest, len(series), len(of_slide) - len(series), charts))
    return tuple(found)


def trends_of(charts: Sequence[Chart]) -> list[str]:
    """A sentence for each measure that moves, and for each that one more control would have rejected."""
    said = []
    for chart in charts:
        if chart.trend is not None:
            said.append(trend_text(chart, chart.trend))
        said += [f"{chart.words} is {_NEAR[rule]} ({rule})" for rule in chart.near]
    return said


def trend_text(chart: Chart, found: Trend) -> str:
    """A trend in one sentence.

    >>> chart = Chart("brightness", "brightness", "grey level", ControlTarget(230.0, 0.5), (), None, ())
    >>> trend_text(chart, Trend(slope=-0.3, measurements=6, newest=-1.5, until=2))
    'brightness falls by 0.15 grey level a control (6 controls); 2 SD from its mean in about 2 controls'
    """
    scale = spread(chart.measure, chart.target, 0) if chart.target else 0.0
    way = "rises" if found.slope > 0 else "falls"
    step = f"{abs(found.slope) * scale:.2g} {chart.unit}" if scale else f"{abs(found.slope):.2g} SD"
    if found.until:
        where = f"2 SD from its mean in about {found.until} control{'s' if found.until > 1 else ''}"
    else:
        where = "2 SD from its mean by now"
    return f"{chart.words} {way} by {step.strip()} a control ({found.measurements} controls); {where}"


def _chart(name: str, series: Sequence[ControlBody], newest: ControlBody) -> Chart | None:
    if all(each.measures.get(name) is None for each in series):
        return None
    target = newest.targets.get(name)
    points = []
    for number, each in enumerate(series, 1):
        value = each.measures.get(name)
        score = None if value is None or target is None else z_score(name, value, target, each.fields)
        points.append(Point(number, each.utc, value, score, _kind(each, name, score), each.broken.get(name, ())))
    judged = [each for each in series if each.outcome != "baseline"]
    z = z_scores(judged, name, newest.targets)
    near = () if newest.broken.get(name) else one_more_breaks(z)
    return Chart(name, MEASURES[name].words, MEASURES[name].unit, target, tuple(points), trend(z), near, newest.fields)


def _kind(control: ControlBody, name: str, z: float | None) -> str:
    if control.checks:
        return "unsound"
    if control.outcome == "baseline":
        return "baseline"
    if name in control.broken:
        return "out"
    return "warning" if z is not None and one_2s([z]) else "in"
