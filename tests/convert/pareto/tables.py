"""The tables of docs/how-to/choose-a-size.md, and what a comparison takes, from docs/reference/pareto_*.json.

    python -m tests.convert.pareto.tables --write

Without --write it says whether they are current, and how to make them so.
"""

import re
import sys
from pathlib import Path

from convert.pareto.page import markdown, overlap
from convert.pareto.record import Comparison, read_comparison
from edge.inference.runtime.arithmetic import named
from tests.paths import ROOT
from tests.project.pages.paragraphs import wrapped

PAGE = ROOT / "docs" / "how-to" / "choose-a-size.md"
REFERENCE = ROOT / "docs" / "reference"
MEASUREMENTS = REFERENCE / "measurements.md"
NAMES = ("shipped",)


def block(name: str, reference: Path = REFERENCE) -> str:
    """What stands between the markers of one network."""
    record: Comparison = read_comparison(reference / f"pareto_{name}.json")
    return "\n\n".join(part for part in (markdown(record), _circumstances(record), _training(record)) if part)


def _circumstances(record: Comparison) -> str:
    reference = record.reference
    points = record.measured
    return wrapped(
        f"{record.images} images of the test part, {record.origin}. The reference is `{reference.bundle}`,"
        f" {reference.median_ms:.2f} ms here; {record.runtime} {record.runtime_version},"
        f" {named(reference.kind)} arithmetic for int8, {record.threads} thread, {record.rounds} rounds in turns, on"
        f" {record.board} at load {record.load_before}. Bold: on the Pareto front"
        f" ({sum(p.front for p in points)} of {len(points)} points)."
        + "".join(f" {line[0].upper()}{line[1:]}." for line in overlap(record))
    )


def _training(record: Comparison) -> str:
    trained = [network for network in record.networks if network.trained]
    if not trained:
        return ""
    rows = [
        f"| {n.name} | {n.trained.start} | {n.trained.epochs} | {n.trained.seconds / 60:.0f} |"
        f" {100 * n.trained.validation_accuracy:.2f} |"
        for n in trained
    ]
    head = "| trained | from | epochs | minutes | validation accuracy, % |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def costs(reference: Path = REFERENCE) -> str:
    """What stands in the page of measurements about the command's own time and memory."""

    def record(name: str) -> Comparison:
        return read_comparison(reference / f"pareto_{name}.json")

    def said(found: Comparison) -> str:
        return f"{sum(found.seconds.values()):.0f} s, at a peak of {found.peak_rss_mb} MB"

    custom, one, shipped = (record(name) for name in ("custom_cnn", "one_variant", "shipped"))
    trained = [n for n in shipped.networks if n.trained]
    minutes = ", ".join(f"{n.name} {n.trained.seconds / 60:.0f}" for n in trained)
    short, epochs = one.networks[0].trained.epochs, trained[0].trained.epochs
    learning = f"{one.seconds['train']:.0f} s"
    return wrapped(
        f"**What a comparison takes**, on two cores. One network in four formats (`pareto_custom_cnn.json`):"
        f" {said(custom)}; most of it is int16x8 on {custom.images} images. One variant of MobileNetV2 at 160"
        f" pixels, trained for {short} epoch, as int8 alone (`pareto_one_variant.json`): {said(one)}, of which"
        f" training took {learning} and the memory. The variants in `pareto_shipped.json` were trained beside"
        f" much else: minutes of their {epochs} epochs are {minutes}."
    )


def with_tables(text: str) -> str:
    """The page with every block made anew."""
    for name in NAMES:
        text = _between(text, f"pareto_{name}", block(name))
    return text


def with_costs(text: str) -> str:
    """The page of measurements with its paragraph made anew."""
    return _between(text, "pareto_costs", costs())


def _between(text: str, marker: str, made: str) -> str:
    pattern = rf"(<!-- {marker}:begin -->\n).*?(<!-- {marker}:end -->)"
    text, found = re.subn(pattern, lambda m: m[1] + made + "\n" + m[2], text, flags=re.DOTALL)
    assert found == 1, marker
    return text


if __name__ == "__main__":
    for page, renewed in ((PAGE, with_tables), (MEASUREMENTS, with_costs)):
        stands = page.read_text(encoding="utf-8")
        if "--write" in sys.argv[1:]:
            page.write_text(renewed(stands), encoding="utf-8")
        elif stands != renewed(stands):
            sys.exit(f"{page.name} is not what the records say: python -m tests.convert.pareto.tables --write")
