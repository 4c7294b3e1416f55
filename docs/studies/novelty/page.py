"""The tables of docs/explanation/novelty.md, from the record that `docs.studies.novelty.refusals` writes."""

import re
from collections.abc import Mapping
from typing import Any

PAGE = "docs/explanation/novelty.md"


def with_tables(page: str, record: Mapping[str, Any]) -> str:
    """The page with the rows of its three tables, each after its header, as `record` has them."""
    for first, rows in (
        ("| images | number", _sets(record)),
        ("| microscope | way", _microscopes(record)),
        ("| score | test", _alternatives(record)),
    ):
        table = re.compile(rf"(^{re.escape(first)}.*\n\|[-|]+\n)(?:\|.*\n)*", re.MULTILINE)
        page = table.sub(lambda match, rows=rows: match[1] + "".join(f"{row}\n" for row in rows), page)  # type: ignore[misc]
    return page


def _sets(record: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, entry in {**record["published"], **record["sets"]}.items():
        counts = entry["refused_by_all_gates"]
        share, low, high = (f"{100 * value:.1f}" for value in (counts["share"], *counts["interval"]))
        area = "-"
        if "auroc" in entry:
            area = "{:.4f} ({:.4f} to {:.4f})".format(entry["auroc"]["value"], *entry["auroc"]["interval"])
        rows.append(f"| {name} | {counts['images']} | {share} % | {low} to {high} % | {area} |")
    return rows


def _microscopes(record: Mapping[str, Any]) -> list[str]:
    keys = ("images", "refused_by_all_gates", "called_benign", "passed_and_called_benign")
    return [
        f"| {row['microscope']} | {row['way']:g} | " + " | ".join(str(row[key]) for key in keys) + " |"
        for row in record["other_microscopes"]
    ]


def _alternatives(record: Mapping[str, Any]) -> list[str]:
    return [
        f"| {row['name']} | {row['test']['refused']} of {row['test']['images']} | "
        + " | ".join(f"{100 * entry['share']:.0f}" for entry in row["sets"].values())
        + " |"
        for row in record["alternatives"]
    ]
