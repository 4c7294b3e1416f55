"""The part of a certificate's page that tells how the int8 file was searched for: every trial, and what was chosen."""

from typing import Any

from convert.certification.report_text import percent
from models.report.html_page import Cell, Markup, element, section, table

Record = dict[str, Any]


def search_section(log: Record) -> Markup:
    """From the log that `search.json` holds."""
    labelled = log["images"]["labelled"]
    rows: list[list[Cell]] = []
    for number, trial in enumerate(log["trials"], start=1):
        chosen = number == log["chosen_trial"]
        rows.append(
            [
                element("strong", f"{number} chosen") if chosen else str(number),
                trial["calibration"],
                trial["ranges"],
                ("behind ReLU6 too" if trial["equalized_behind_relu6"] else "yes") if trial["equalized"] else "-",
                "yes" if trial["biases_corrected"] else "-",
                str(trial["fine_tune_steps"] or "-"),
                percent(trial["agreement"]),
                f"{trial['lost']} / {trial['gained']}" if labelled else "-",
                f"{trial['drift_mean']:.4f}",
            ]
        )
    head = ["Trial", "Calibration set", "Ranges", "Equalized", "Biases corrected", "Fine-tune steps"]
    head += ["Keep their label", "Lost / gained", "Drift"]
    said = (
        f"Each trial was compared with the float network on {log['images']['images']} images of their own "
        f"({log['images']['origin']}), which neither calibrate nor judge. Drift: mean over images of the largest "
        "change of a probability."
    )
    if log["interrupted"]:
        said += " The search was stopped before its end; the best so far was kept."
    parts: list[Cell] = [element("p", said), table(head, rows, range(6, 9)), _confirmation(log)]
    parts += [element("p", note, css="note") for note in log["notes"]]
    return section("How it was searched for", *parts)


def _confirmation(log: Record) -> Markup:
    if "test" not in log:
        return element("p", "Nothing did better than the plain file, trial 1.")
    test = log["test"]
    rows: list[list[Cell]] = [
        [name, percent(one["agreement"]), percent(one["accuracy_int8"]), f"{one['drift_mean']:.4f}"]
        for name, one in (("plain (trial 1)", test["plain"]), ("chosen", test["chosen"]))
    ]
    verdict = "confirms the choice" if test["confirmed"] else "speaks against the choice: the plain file was kept"
    said = f"The test part, {test['plain']['images']} images that had no part in choosing, {verdict}."
    return element(
        "div", element("p", said), table(["File", "Keep their label", "Accuracy, int8", "Drift"], rows, range(1, 4))
    )
