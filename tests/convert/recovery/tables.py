"""The table of docs/decisions/0023-recover.md from docs/reference/recovery.json, search_custom_cnn.json and the
`search.json` of the shipped MobileNetV2.

    python -m tests.convert.recovery.tables --write

Without --write it says whether the table is current, and how to make it so.
"""

import json
import re
import sys
from typing import Any

from tests.paths import ROOT

PAGE = ROOT / "docs" / "decisions" / "0023-recover.md"
REFERENCE = ROOT / "docs" / "reference"
SHIPPED = {
    "mobilenet_v2": ROOT / "models" / "bundles" / "mobilenet_v2-int8" / "search.json",
    "custom_cnn": REFERENCE / "search_custom_cnn.json",
}
CASES = {
    "folded": "MobileNetV2, batch norms folded",
    "projection": "the same, a channel of the first projection blown up",
    "residual": "the same, a channel of a residual chain blown up",
}
HEAD = (
    "| network | float, % | plain int8, % | found, % | labels kept, plain and found, % | malignant turned Benign |"
    " what was chosen | s | peak MB |\n|---|---|---|---|---|---|---|---|---|"
)


def table() -> str:
    """A row a network; on the test part where nothing else is said."""
    study: dict[str, Any] = json.loads((REFERENCE / "recovery.json").read_text(encoding="utf-8"))
    rows = [_row(CASES[case["case"]], case) for case in study["cases"]]
    for name, log in SHIPPED.items():
        rows.append(_row(f"{name}, as shipped", json.loads(log.read_text("utf-8"))))
    return "\n".join([HEAD, *rows])


def _row(name: str, log: dict[str, Any]) -> str:
    if "test" not in log:
        first = log["trials"][0]
        kept = f"{100 * first['agreement']:.2f} (validation part)"
        return f"| {name} | | | | {kept} | {first['malignant_to_benign']} | the plain file | {_cost(log)} |"
    plain, found = log["test"]["plain"], log["test"]["chosen"]
    cells = [
        name,
        f"{100 * plain['accuracy_float']:.2f}",
        f"{100 * plain['accuracy_int8']:.2f}",
        f"{100 * found['accuracy_int8']:.2f}",
        f"{100 * plain['agreement']:.2f} and {100 * found['agreement']:.2f}",
        f"{plain['malignant_to_benign']} and {found['malignant_to_benign']}",
        _measures(log["chosen"]),
        _cost(log),
    ]
    return f"| {' | '.join(cells)} |"


def _measures(chosen: dict[str, Any]) -> str:
    said = [f"{chosen['ranges']} ranges"]
    if chosen["equalized"]:
        said.append("equalized behind ReLU6 too" if chosen["equalized_behind_relu6"] else "equalized")
    if chosen["biases_corrected"]:
        said.append("biases corrected")
    if chosen["fine_tune_steps"]:
        said.append(f"{chosen['fine_tune_steps']} steps")
    return ", ".join([*said, chosen["calibration"]])


def _cost(log: dict[str, Any]) -> str:
    return f"{log['seconds']:.0f} | {log['peak_rss_mb']}"


def with_table(text: str) -> str:
    """The page with its table made anew."""
    made = table()
    pattern = r"(<!-- recovery:begin -->\n).*?(\n?<!-- recovery:end -->)"
    text, found = re.subn(pattern, lambda m: f"{m[1]}{made}\n<!-- recovery:end -->", text, flags=re.DOTALL)
    assert found == 1
    return text


if __name__ == "__main__":
    written, wanted = PAGE.read_text(encoding="utf-8"), with_table(PAGE.read_text(encoding="utf-8"))
    if "--write" in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
    elif written != wanted:
        raise SystemExit("the table is not the files': python -m tests.convert.recovery.tables --write")
