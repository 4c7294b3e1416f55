"""The page of a rejudging: the verdict, what changed by class and reason, which fields became benign, and slides."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge.page.html.rendering import render_page
from edge.page.html.values import Table
from edge.system.wording import counted

_SHOWN = 200  # rows of a table by name; the record beside the page has up to a thousand
_VERDICTS = {"pass": "may be released", "fail": "must not be released", "inconclusive": "not enough to say"}


def page(record: Mapping[str, Any]) -> str:
    """HTML of a record of `edge.serving.rejudging.job.Rejudging`."""
    slides = record["slides"]
    return render_page(
        "edge.page.rejudge_report",
        "rejudge.html",
        record=record,
        word=_VERDICTS[record["verdict"]],
        against=record["against"] or "what was stored",
        compared=counted(slides["compared"], "slide"),
        checks=Table(("limit", "verdict", "found"), [_check(check) for check in record["checks"]]),
        answers=_pairs(record["answers"], strong=True),
        findings=_pairs(slides["findings"]),
        to_benign=Table(
            ("slide", "field", "was", "now"),
            [(each["slide"], str(each["field"]), each["was"], each["now"]) for each in record["to_benign"][:_SHOWN]],
            numbers={1},
        ),
        changed=Table(
            ("slide", "was", "now"), [(each["slide"], each["was"], each["now"]) for each in slides["changed"][:_SHOWN]]
        ),
        unread=record["unread"][:_SHOWN],
    )


def _check(check: Mapping[str, str]) -> tuple[str, str, str]:
    return check["name"], check["verdict"], check["why"].removeprefix(f"{check['name']}: ")


def _pairs(rows: Sequence[Mapping[str, Any]], strong: bool = False) -> Table:
    """The largest first; those that changed stand out."""
    ordered = sorted(rows, key=lambda row: -int(row["number"]))
    marked = [n for n, row in enumerate(ordered) if row["was"] != row["now"]] if strong else []
    return Table(
        ("was", "now", "number"),
        [(row["was"], row["now"], f"{row['number']:,}") for row in ordered],
        numbers={2},
        strong=marked,
    )
