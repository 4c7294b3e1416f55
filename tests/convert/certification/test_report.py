"""The page: self-contained, escaped, complete, and refused for other probabilities than the certificate's."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from convert.certification.certificate import DecisionEntry
from convert.certification.report import report
from convert.certification.report_text import CHECK_TITLES, parity_text, points
from convert.errors import ReportError
from convert.recovery.search_log import SearchLog
from models.data.published import bundles
from models.statistics.formatting import careful_percent
from tests.convert.certification.test_certificate import certified, facts
from tests.edge.page.html.page_checks import SCRIPT, check_page, scripted


class Checker(HTMLParser):
    """Counts open tags and gathers every address."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


def made(images_in_report: bool = False, **options: object) -> str:
    arguments, before, after = facts(**options)  # type: ignore[arg-type]
    return report(certified(**arguments), before, after, arguments["evidence"], images_in_report)


def visible(html: str) -> str:
    """The page's words."""
    text = re.sub(r"<style>.*?</style>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_nothing_comes_from_outside() -> None:
    html = made(changed=(1, 2), images_in_report=True)
    checker = parsed(html)
    assert checker.addresses and all(address.startswith("data:image/") for address in checker.addresses)
    assert not checker.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


def test_a_pass_shows_everything() -> None:
    html = made()
    words = visible(html)
    assert 'class="banner pass"' in html and "PASS" in words
    for text in (
        "Research use only",
        "Recall, int8",
        "Reliability curves",
        "Provenance",
        "McNemar",
        "ab" * 32,
    ):
        assert text in html
    assert "480 images with true labels" in words
    assert "3.0 x as fast" in words
    assert html.count("data:image/svg+xml") == 4


def test_a_failure_names_its_reasons() -> None:
    html = made(changed=tuple(range(1, 400, 2)))
    assert 'class="banner fail"' in html
    assert "accuracy-drop: accuracy falls by" in html and "malignant-to-benign: " in html


def test_too_few_images_are_inconclusive() -> None:
    html = made(images=40)
    assert 'class="banner inconclusive"' in html
    assert "40 images, 300 needed to say" in visible(html)


def test_without_labels_no_accuracy_is_shown() -> None:
    html = made(labelled=False)
    words = visible(html).lower()
    assert "synthetic images." in words and "agreement only, no accuracy" in words
    assert "accuracy, int8" not in words and "reliability" not in words and "recall" not in words


def test_images_are_embedded_only_when_asked() -> None:
    assert "data:image/jpeg" not in made(changed=(1, 2))
    assert made(changed=(1, 2), images_in_report=True).count("data:image/jpeg") == 2
    assert "test/1" in made(changed=(1, 2))


def test_names_are_escaped() -> None:
    arguments, before, after = facts()
    evil = '<script>alert("x")</script>'
    arguments["model"] = replace(arguments["model"], name=evil, path=Path("a&b<c>.keras"))
    html = report(certified(**arguments), before, after, arguments["evidence"])
    assert "<script>" not in html and "&lt;script&gt;" in html and "a&amp;b&lt;c&gt;.keras" in html
    parsed(html)


def test_no_text_of_certificate_or_search_becomes_markup() -> None:
    arguments, before, after = facts(changed=(1, 2))
    words = {*CHECK_TITLES, "percent", "points", "images", "pass", "fail", "inconclusive", "labels", "agreement"}
    nasty = scripted(certified(**arguments), words, ("classes", "versions", "answer_from"))
    contract = msgspec.structs.replace(nasty.contract, decision=DecisionEntry(1.5, {SCRIPT: 0.9}))
    nasty = msgspec.structs.replace(nasty, contract=contract)
    evidence = replace(arguments["evidence"], names=tuple(SCRIPT + name for name in arguments["evidence"].names))
    log = json.loads((bundles() / "mobilenet_v2-int8" / "search.json").read_text("utf-8"))
    search = msgspec.convert(scripted(log, words), SearchLog)
    check_page(lambda: report(nasty, before, after, evidence, images_in_report=True, log=search))


def test_many_classes_still_make_a_page() -> None:
    import numpy as np

    from convert.parity.comparison import compare
    from convert.parity.verdict import judge
    from edge.inference.contract import InputContract

    arguments, *_ = facts()
    labels = tuple(f"species {k}" for k in range(40))
    rows = np.full((480, 40), 0.1 / 39)
    rows[np.arange(480), np.arange(480) % 40] = 0.9
    evidence = replace(arguments["evidence"], truth=np.arange(480) % 40)
    parity = compare(labels, rows, rows, evidence.truth, benign=(), names=evidence.names)
    contract = InputContract((32, 32), labels)
    arguments |= {"contract": contract, "evidence": evidence, "parity": parity}
    arguments["judgement"] = judge(parity, arguments["policy"])
    html = report(certified(**arguments), rows, rows, evidence)
    assert "40 classes: the matrices are in certificate.json" in html
    parsed(html)


def test_other_probabilities_are_refused() -> None:
    arguments, before, after = facts(changed=(1, 2))
    certificate = certified(**arguments)
    with pytest.raises(ReportError, match=r"\(480, 4\)"):
        report(certificate, before[:-1], after[:-1], arguments["evidence"])
    with pytest.raises(ReportError, match="agree on 478"):
        report(certificate, before, before, arguments["evidence"])


def test_text_for_a_terminal() -> None:
    arguments, *_ = facts(changed=(1,))
    text = parity_text(arguments["parity"], arguments["judgement"])
    assert "Top-1 agreement" in text and "99.79 %" in text
    assert "verdict: " in text and "accuracy: float 100 %, int8 99.79 %" in text
    unlabelled, *_ = facts(labelled=False)
    assert "only agreement was judged" in parity_text(unlabelled["parity"], unlabelled["judgement"])


def test_rounding_never_says_all_or_nothing_of_almost() -> None:
    assert [careful_percent(x) for x in (1.0, 0.999999, 0.9912, 0.000001, 0.0)] == [
        "100 %",
        ">99.99 %",
        "99.12 %",
        "<0.01 %",
        "0 %",
    ]
    assert (points(0.005), points(-0.001), points(0.0), points(None)) == (
        "+0.50 points",
        "-0.10 points",
        "0 points",
        "-",
    )
