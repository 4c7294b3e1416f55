"""The page of controls: how each control slide stands, its charts, what the rules say, and the newest controls."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.commissioning.control.charts import Chart, SlideCharts, trends_of
from edge.commissioning.control.measures import MEASURES
from edge.commissioning.control.standing import why
from edge.commissioning.control.targets import newest_z, spread
from edge.page.control_report.figure import description, draw_sheet, svg_of
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from edge.system.files import write_whole

PNG, HTML, JSON = "control.png", "control.html", "control.json"
_OUTCOMES = {"passed": ("pass", "In control"), "failed": ("fail", "Control failed"), "baseline": ("inconclusive", "")}
_NEWEST_ROWS = 30
RULES = (
    ("1-3s", "one control beyond 3 standard deviations"),
    ("2-2s", "two in a row beyond 2 on the same side"),
    ("R-4s", "two in a row, or two slides of one run, one beyond +2 and the other beyond -2"),
    ("4-1s", "four in a row beyond 1 on the same side"),
    ("10x", "ten in a row on the same side of the mean"),
    ("1-2s", "one beyond 2: a warning, no rejection"),
)


def write(slides: Sequence[SlideCharts], folder: Path) -> list[Path]:
    """Write figure, page and JSON of control slides, the newest last, each file whole; their paths.

    With several slides each has a figure of its own, `control-SLIDE.png`.

    Raises:
        PageUnavailable, ImportError: no Jinja, no matplotlib. OSError: a file cannot be written.
    """
    written = []
    for slide in slides:
        path = folder / (PNG if len(slides) == 1 else f"control-{slide.series.slide}.png")
        staging = path.with_name(f".{path.name}.partial.png")
        try:
            draw_sheet(slide, staging)
            write_whole(path, staging.read_bytes())
        finally:
            staging.unlink(missing_ok=True)
        written.append(path)
    record = msgspec.json.format(msgspec.json.encode({"slides": slides}), indent=1)
    write_whole(folder / JSON, record + b"\n")
    write_whole(folder / HTML, page(slides))
    return [*written, folder / HTML, folder / JSON]


def page(slides: Sequence[SlideCharts]) -> str:
    """The page of control slides, UTF-8 HTML."""
    return render_page(
        "edge.page.control_report",
        "control.html",
        slides=[_slide(each) for each in reversed(slides)],
        rules=Table(("rule", "rejects"), RULES),
    )


def _slide(slide: SlideCharts) -> dict[str, object]:
    newest, series = slide.newest, slide.series
    outcome, word = _OUTCOMES[newest.outcome]
    if newest.outcome == "baseline":
        word = f"Building baseline {newest.number} of {newest.baseline}"
    return {
        "name": series.slide,
        "outcome": outcome,
        "word": word,
        "why": "" if newest.passed else why(newest),
        "trends": trends_of(slide.charts),
        "when": f"{newest.utc[:16].replace('T', ' ')} UTC",
        "fields": newest.fields,
        "series": series,
        "controls": slide.controls,
        "earlier": slide.earlier,
        "measures": _measures(slide),
        "charts": [Picture(svg_of(chart), "svg+xml", description(chart)) for chart in slide.charts],
        "newest": _newest(slide),
    }


def _measures(slide: SlideCharts) -> Table:
    newest, z = slide.newest, newest_z(slide.newest)
    rows: list[tuple[str, ...]] = []
    strong = []
    for name, measure in MEASURES.items():
        value, target = newest.measures.get(name), newest.targets.get(name)
        if value is None:
            continue
        if newest.broken.get(name):
            strong.append(len(rows))
        rows.append(
            (
                f"{measure.words}{f' ({measure.unit})' if measure.unit else ''}",
                f"{value:.4g}",
                "" if target is None else f"{target.mean:.4g}",
                "" if target is None else f"{spread(name, target, newest.fields):.2g}",
                f"{z[name]:+.1f}" if name in z else "",
                ", ".join(newest.broken.get(name, ())),
            )
        )
    return Table(("measure", "value", "mean", "SD", "z", "rejected by"), rows, numbers={1, 2, 3, 4}, strong=strong)


def _newest(slide: SlideCharts) -> Table:
    points: dict[int, list[tuple[Chart, int]]] = {}
    for chart in slide.charts:
        for index, point in enumerate(chart.points):
            points.setdefault(point.number, []).append((chart, index))
    rows = []
    for number in sorted(points, reverse=True)[:_NEWEST_ROWS]:
        of_number = [(chart, chart.points[index]) for chart, index in points[number]]
        kinds = {point.kind for _, point in of_number}
        said = "; ".join(f"{chart.words}: {', '.join(point.rules)}" for chart, point in of_number if point.rules)
        outcome = (
            "not counted: a check failed"
            if "unsound" in kinds
            else "baseline"
            if "baseline" in kinds
            else "rejected"
            if "out" in kinds
            else "in control"
        )
        utc = of_number[0][1].utc[:16].replace("T", " ")
        rows.append((str(number), utc, outcome, said))
    strong = [index for index, row in enumerate(rows) if row[2] == "rejected"]
    return Table(("control", "UTC", "outcome", "rejected by"), rows, numbers={0, 1}, strong=strong)
