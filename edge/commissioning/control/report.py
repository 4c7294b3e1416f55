"""A control, and the history of controls, as a person reads them and as JSON."""

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from edge.commissioning.control.charts import SlideCharts, trends_of
from edge.commissioning.control.measures import MEASURES
from edge.commissioning.control.standing import why
from edge.commissioning.control.targets import newest_z, spread
from edge.record.entries import ControlBody
from edge.record.reader import Row

_WORDS = {"passed": "passed", "failed": "FAILED", "baseline": "building baseline"}


def heading(control: ControlBody) -> str:
    """`QC-1: passed (control 23 ...)`.

    >>> from edge.record.entry_parts import ControlSeries
    >>> series = ControlSeries("QC-1", "tiny-int8", "0" * 64, "picamera2:0", lot="A7")
    >>> heading(ControlBody(run=1, slide="QC-1", utc_ns=0, series=series, fields=20, measures={}, outcome="baseline",
    ...                     number=3, baseline=20))
    'QC-1: building baseline 3 of 20 (tiny-int8, picamera2:0, lot A7)'
    """
    series = control.series
    word = _WORDS[control.outcome]
    if control.outcome == "baseline":
        word += f" {control.number} of {control.baseline}"
    elif not control.checks:
        word += f", control {control.number} of its series"
    of = [series.bundle, series.camera, *([f"lot {series.lot}"] if series.lot else [])]
    return f"{control.slide}: {word} ({', '.join(of)})"


def text(control: ControlBody, charts: SlideCharts | None) -> str:
    """A control as a table, with what is wrong and what moves."""
    lines = [heading(control)]
    z = newest_z(control)
    width = max(len(measure.words) for measure in MEASURES.values())
    for name, measure in MEASURES.items():
        value = control.measures.get(name)
        if value is None:
            continue
        target = control.targets.get(name)
        against = "" if target is None else f"   {target.mean:9.4g} SD {spread(name, target, control.fields):<8.2g}"
        score = f"{z[name]:+6.1f}" if name in z else ""
        rules = "  ".join(control.broken.get(name, ()))
        lines.append(f"  {measure.words:<{width}} {value:9.4g}{against}{score}  {rules}".rstrip())
    lines += [f"  {sentence}" for sentence in control.checks.values()]
    if charts is not None:
        lines += [f"  warning: {sentence}" for sentence in trends_of(charts.charts)]
    if control.outcome == "baseline":
        lines.append(f"  no rule is asked before {control.baseline} controls; only labels and answers were checked")
    return "\n".join(lines)


def record(row: Row, control: ControlBody, charts: SlideCharts | None) -> dict[str, Any]:
    """The JSON object of a control: the entry as it is recorded, its place, z-scores and trends."""
    trends = {} if charts is None else {chart.measure: to_builtins(chart.trend) for chart in charts.charts}
    return {
        "entry": row.id,
        "digest": row.digest,
        **to_builtins(control),
        "z": newest_z(control),
        "trends": {name: found for name, found in trends.items() if found is not None},
        "why": why(control) if not control.passed else None,
    }


def history(controls: Sequence[tuple[Row, ControlBody]]) -> str:
    """One line a control, oldest first."""
    lines = [f"{'utc':<20}  {'slide':<12}  {'control':<12}  outcome"]
    for _, control in controls:
        number = f"{control.number} of {control.baseline}" if control.outcome == "baseline" else str(control.number)
        said = _WORDS[control.outcome] + ("" if control.passed else f": {why(control)}")
        lines.append(f"{control.utc[:19]}Z  {control.slide:<12}  {number:<12}  {said}")
    return "\n".join(lines)
