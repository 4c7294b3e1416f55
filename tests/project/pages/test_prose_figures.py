"""Figures in sentences are those of the records that the sentences name."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from convert.parity.policy import Policy
from models.data.split import DEFAULT_FRACTIONS
from models.decision.operating_point import REFUSED
from tests.paths import ROOT

MOBILENET, CUSTOM = "models/trained/mobilenet_v2", "models/trained/custom_cnn"
REFERENCE = "docs/reference"
DATA, MEASURED = "explanation/data", "reference/measurements"
EXPECTED, STUDY = "explanation/decision", "decision_study"
AUDIT = "audit_published"
SLIDES, DRAWN = "explanation/slides", "drawn_sites"
OWN, RESIZE, SMALL = "how-to/convert-your-own-model", "resize", "sets.fields at 96x96"
FAST = "quantize_benchmark_custom_cnn"
BY_KERAS = "right.trained on keras bilinear"
BLOCKS = "schemes.blocks.pooled"
DECISION = "models/trained/mobilenet_v2/contract"
MOBILENET_ALONE, MOBILENET_BOTH, CUSTOM_ALONE, CUSTOM_BOTH = (
    f"networks.{name}.{parts}.expected"
    for name in ("mobilenet_v2", "custom_cnn")
    for parts in ("validation", "train+validation")
)
FIGURES = (  # page, words around the figure, record, path in it, format
    ("how-to/run-at-the-microscope", "Benign 0.7134, at least {}", DECISION, "decision.answer_from.0", ".4f"),
    ("reference/record", "Benign 0.7134, at least {}", DECISION, "decision.answer_from.0", ".4f"),
    (DATA, "is right on {} % of the images and calls", MOBILENET, f"{BLOCKS}.accuracy", "percent"),
    (DATA, "of the images and calls {} malignant ones Benign", MOBILENET, f"{BLOCKS}.malignant_to_benign", "d"),
    (DATA, "by microscope fields it is right on {} %", MOBILENET, "schemes.fields.pooled.accuracy", "percent"),
    (DATA, "at random on {} %, with", MOBILENET, "schemes.random.pooled.accuracy", "percent"),
    (DATA, "makes most of the difference: {} %", MOBILENET, "schemes.blocks.folds.0.accuracy", "percent"),
    (DATA, "lower level: {} % by blocks", CUSTOM, f"{BLOCKS}.accuracy", "percent"),
    (DATA, "% by blocks with {} called Benign", CUSTOM, f"{BLOCKS}.malignant_to_benign", "d"),
    (DATA, "called Benign, {} and", CUSTOM, "schemes.fields.pooled.accuracy", "percent"),
    (DATA, "against {} and", MOBILENET, "schemes.blocks.folds.1.accuracy", "percent"),
    (DATA, "against 98.2 and {} % in the others", MOBILENET, "schemes.blocks.folds.2.accuracy", "percent"),
    (DATA, "called Benign, 91.8 and {} % by fields", CUSTOM, "schemes.random.pooled.accuracy", "percent"),
    (DATA, "of ground and red cells alone at {} %", AUDIT, "told.0.accuracy", "percent"),
    (DATA, "border with its scale bars at {} %", AUDIT, "told.1.accuracy", "percent"),
    (DATA, "by six colour numbers at {} %; chance", AUDIT, "told.2.accuracy", "percent"),
    (DATA, "blocks of one class are told apart at {} %", AUDIT, "identity.same_class", "percent"),
    (DATA, "blocks of two classes at {} %, where", AUDIT, "identity.other_class", "percent"),
    (EXPECTED, "**MobileNetV2**: {} % without", STUDY, f"{MOBILENET_ALONE}.unanswered.share", "percent"),
    (EXPECTED, "validation part, {} % of those", STUDY, f"{MOBILENET_BOTH}.unanswered.share", "percent"),
    (EXPECTED, "they alone refuse {} of the 326", STUDY, f"{MOBILENET_ALONE}.gates", "d"),
    (EXPECTED, "6 of the {} fields", STUDY, f"{MOBILENET_ALONE}.fields", "d"),
    (EXPECTED, "is any of {} degraded forms", STUDY, f"{MOBILENET_ALONE}.forms", ",d"),
    (EXPECTED, "**The custom CNN**: {} % and", STUDY, f"{CUSTOM_ALONE}.unanswered.share", "percent"),
    (EXPECTED, "% and {} %, where at most 3 %", STUDY, f"{CUSTOM_BOTH}.unanswered.share", "percent"),
    (EXPECTED, "alone {} malignant forms of fields", STUDY, f"{CUSTOM_ALONE}.missed_forms", "d"),
    (SLIDES, "four fields a slide it accused {};", DRAWN, "falsely_accused", "d"),
    (SLIDES, "two fields a slide it accused {}, of", DRAWN, "falsely_accused_of_few_fields", "d"),
    (SLIDES, "refused at least {} % of any other's", DRAWN, "gates.others_least", "percent"),
    (SLIDES, "between none and {} %. The record", DRAWN, "gates.own_most", "percent"),
    (OWN, "to 96x96, {} (5.2 %", RESIZE, f"{SMALL}.changed.count", "d"),
    (OWN, "36 ({} %, 3.8 to 7.1)", RESIZE, f"{SMALL}.changed.share", "percent"),
    (OWN, "got the device's, and {} instead", RESIZE, f"{SMALL}.{BY_KERAS}.judged on contract.count", "d"),
    (OWN, "instead of {} were named", RESIZE, f"{SMALL}.{BY_KERAS}.judged on keras bilinear.count", "d"),
    (OWN, "device's pixels named {}.", RESIZE, f"{SMALL}.right.trained on contract.judged on contract.count", "d"),
    (MEASURED, "{} times as fast for MobileNetV2", "mobilenet_v2-int8", "latency.ratio", ".1f"),
    (MEASURED, "and {} times for the custom CNN in", "custom_cnn-int8", "latency.ratio", ".1f"),
    (MEASURED, "1x1 convolutions gain {} times", "kernel_benchmark", "layers.1x1.ratio", ".1f"),
    (MEASURED, "depthwise convolutions nothing ({})", "kernel_benchmark", "layers.depthwise.ratio", ".2f"),
    (MEASURED, ": {} % beyond conversion", "quantize_benchmark_mobilenet_v2", "overhead_share", "percent"),
    (MEASURED, "parity inference ({} s of", "quantize_benchmark_mobilenet_v2", "overhead_s", ".1f"),
    (MEASURED, "s of {} s), at a peak of", "quantize_benchmark_mobilenet_v2", "quantize_s", ".1f"),
    (MEASURED, "at a peak of {} MB where", "quantize_benchmark_mobilenet_v2", "quantize_peak_mb", ".0f"),
    (MEASURED, "the bare converter takes {} MB", "quantize_benchmark_mobilenet_v2", "bare_peak_mb", ".0f"),
    (MEASURED, "the same seconds are {} % of its run", FAST, "overhead_share", "whole percent"),
    (MEASURED, "% of its run ({} s of", FAST, "overhead_s", ".1f"),
    (MEASURED, "s of {} s). **Where int8", FAST, "quantize_s", ".1f"),
    (MEASURED, "`convert diagnose` took {} s and", "diagnose_mobilenet_v2", "cpu_seconds", ".0f"),
    (MEASURED, "s and {} s of processor time", "diagnose_custom_cnn", "cpu_seconds", ".0f"),
    (MEASURED, "at peaks of {} and", "diagnose_mobilenet_v2", "peak_rss_mb", "d"),
    (MEASURED, "and {} MB. <!--", "diagnose_custom_cnn", "peak_rss_mb", "d"),
    (MEASURED, "and {} of the 64 outputs of", "diagnose_custom_cnn", "causes.0.evidence", ".0f"),
    (MEASURED, "the logits agree to {} and", "diagnose_mobilenet_v2", "logits_db", ".1f"),
    (MEASURED, "and {} dB. In MobileNetV2", "diagnose_custom_cnn", "logits_db", ".1f"),
    (MEASURED, "first painted after {} ms", "bench_page", "first_paint_ms.median", ".0f"),
    (MEASURED, "a picture is {} ms old", "bench_page", "glass_to_page_ms.median", ".0f"),
    (MEASURED, "page's process holds {} MB", "bench_page", "page_memory_mb.viewers.rss", ".1f"),
    (MEASURED, "and {} MB of them are its own", "bench_page", "page_memory_mb.viewers.own", ".1f"),
    (MEASURED, "takes {} % of a processor, with ten", "bench_page", "processor_share.page.none", "percent"),
    (MEASURED, "and {} ms with ten watchers", "bench_page", "pipeline.processor_ms.watched", ".2f"),
    (MEASURED, "{} answers and", "bench_load", "requests", ",d"),
    (MEASURED, "pictures came, {} errors", "bench_load", "errors", "d"),
    (MEASURED, "page's memory went from {} to", "bench_load", "memory_mb.page.settled", ".1f"),
    (MEASURED, "takes more than {} ms at the 95th", "bench_large_record", "slowest_p95_ms", ".1f"),
    (MEASURED, "The page was killed {} times", "bench_faults", "kills.page", "d"),
    (MEASURED, "commands {} were done twice", "bench_faults", "commands_done_twice", "d"),
    (MEASURED, "{} that it was told of were lost", "bench_faults", "announced_and_lost", "d"),
)  # fmt: skip


def record_file(name: str) -> Path:
    if name.endswith("/contract"):
        return ROOT / f"{name}.json"
    if name.startswith("models/"):
        return ROOT / name / "cross_validation.json"
    if name.endswith("-int8"):
        return ROOT / "models" / "bundles" / name / "certificate.json"
    return ROOT / REFERENCE / f"{name}.json"


def value_in(name: str, path: str) -> Any:
    found: Any = json.loads(record_file(name).read_text(encoding="utf-8"))
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def shown(value: float, form: str) -> str:
    """As the pages write it: percent with one decimal, half up; other numbers by their format."""
    if form == "whole percent":
        return f"{int(100 * value + 0.5)}"
    return f"{int(1000 * value + 0.5) / 10:.1f}" if form == "percent" else format(value, form)


@pytest.mark.parametrize(("page", "words", "name", "path", "form"), FIGURES)
def test_a_figure_in_a_sentence_is_the_record_s(page: str, words: str, name: str, path: str, form: str) -> None:
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split())
    assert words.format(shown(value_in(name, path), form)) in text


def test_the_table_of_the_published_set_as_a_foreign_site_is_its_record() -> None:
    page = (ROOT / "docs" / "decisions" / "0038-adaptation.md").read_text(encoding="utf-8")
    found = json.loads(record_file("adaptation_published").read_text(encoding="utf-8"))
    ways = {
        "other field groups": "field_groups",
        "other blocks of file numbers": "blocks",
        "the same, six colours alone": "six_colours_by_blocks",
    }
    for words, key in ways.items():
        for row in found[key]:
            mean, low, high = (shown(row["right"][part], "percent") for part in ("mean", "low", "high"))
            sick, well = (shown(row[part]["mean"], "percent") for part in ("sensitivity", "specificity"))
            line = f"| {row['fields_a_class']} | {words} | {mean} ({low} to {high}) | {sick} | {well} |"
            assert line in page
    assert len(re.findall(r"^\| \d+ \|", page, flags=re.MULTILINE)) == sum(len(found[key]) for key in ways.values())


def test_the_table_of_registration_is_its_record() -> None:
    page = (ROOT / "docs" / "decisions" / "0037-collect.md").read_text(encoding="utf-8")
    found = json.loads(record_file("registration").read_text(encoding="utf-8"))
    columns = [each["by_share"] for each in found["altered"].values()]
    plain = found["plain_phase_correlation"]
    columns.append(plain.get("by_share", plain))
    shares = {
        "5 to 10 %": "5% to 10%",
        "10 to 20 %": "10% to 20%",
        "20 to 40 %": "20% to 40%",
        "more than 40 %": "40% to 100%",
        "2 to 5 %": "2% to 5%",
        "nothing": "none",
    }
    for words, share in shares.items():
        cells = " | ".join(f"{column[share]['found']} of {column[share]['pairs']}" for column in columns)
        assert f"| {words} | {cells} |" in page
    across = found["altered"]["none"]["across_slides"]
    assert f"Of {across['pairs']} pairs of different slides {across['merged']} were merged." in page


def test_another_figure_would_be_found() -> None:
    """Negative control."""
    text = " ".join((ROOT / "docs" / "explanation" / "data.md").read_text(encoding="utf-8").split())
    assert "calls 31 malignant ones Benign" not in text and "calls 30 malignant ones Benign" in text


def test_numbers_of_images_follow_from_policy_limits_and_split() -> None:
    page = " ".join((ROOT / "docs" / "how-to" / "convert-your-own-model.md").read_text(encoding="utf-8").split())
    policy = Policy.default()
    whole = round(policy.min_images / DEFAULT_FRACTIONS["test"])
    judged = f"{policy.min_images} have to judge, {policy.min_class_images} or more of each class"
    assert f"{judged}, which is about {whole} images in all" in page
    validation = math.ceil(1 / REFUSED)
    about = round(validation / DEFAULT_FRACTIONS["validation"])
    assert f"{validation} validation images are the least" in page and f"about {about} in all" in page
