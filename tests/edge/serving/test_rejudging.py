"""Rejudging: what counts as kept, changed, gained and lost; limits at their boundary; a journal that was cut off."""

import json
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.serving.rejudging.comparison import Comparison
from edge.serving.rejudging.journal import NAME, Answers, Journal
from edge.serving.rejudging.limits import DEFAULT, Limits, number_check, share_check, verdict_of
from edge.serving.rejudging.stored_fields import StoredField, Told

FOCUS = Told(None, "out_of_focus")
ABOUT = {"bundle": "a" * 64, "against": None}


def field(number: int, was: Told, slide: str = "S-1", seen: bool = False) -> StoredField:
    return StoredField(f"{number:064d}", slide, number, was, seen, Path("image.png"), "0" * 64)


def compared(*pairs: tuple[Told, Told]) -> Comparison:
    comparison = Comparison(["Benign"])
    for number, (was, now) in enumerate(pairs, 1):
        comparison.add(field(number, was), now)
    return comparison


def test_every_pair_of_answers_is_counted_once() -> None:
    pre, early, benign = (Told(label, None) for label in ("Pre", "Early", "Benign"))
    found = compared(
        (pre, pre),
        (pre, early),
        (pre, benign),
        (benign, pre),
        (FOCUS, pre),
        (FOCUS, benign),
        (pre, FOCUS),
        (FOCUS, FOCUS),
    ).as_record()
    counts = {name: found[name] for name in ("kept", "changed", "gained", "lost", "unanswered", "judged")}
    assert counts == {"kept": 1, "changed": 3, "gained": 2, "lost": 1, "unanswered": 1, "judged": 8}
    assert (found["malignant_to_benign"], found["unanswered_to_benign"]) == (1, 1)
    assert [(each["field"], each["was"]) for each in found["to_benign"]] == [(3, "Pre"), (6, "no answer: out_of_focus")]
    assert {"was": "Pre", "now": "no answer: out_of_focus", "number": 1} in found["answers"]


def test_a_slide_that_loses_its_suspicion_is_named_and_fails() -> None:
    comparison = Comparison(["Benign"])
    for number in range(1, 21):
        was = Told("Pre" if number <= 2 else "Benign", None)
        comparison.add(field(number, was), Told("Benign", None))
        comparison.add(field(number, was, "S-2"), was)
    slides = comparison.as_record()["slides"]
    assert slides["compared"] == 2 and slides["changed"] == [{"slide": "S-1", "was": "suspicious", "now": "benign"}]
    checks = {check.name: check.verdict for check in comparison.checks(Limits.read(DEFAULT))}
    assert checks["suspicious slides lost"] == "fail" and checks["malignant to benign"] == "fail"


def test_fields_that_were_seen_before_count_for_no_slide() -> None:
    comparison = Comparison(["Benign"])
    comparison.add(field(1, Told("Pre", None), seen=True), Told("Pre", None))
    assert comparison.kept == 1 and comparison.as_record()["slides"]["compared"] == 0


def test_a_share_passes_fails_and_is_undecided_by_its_interval() -> None:
    assert share_check("lost", 0, 1000, 0.05).verdict == "pass"
    assert share_check("lost", 200, 1000, 0.05).verdict == "fail"
    assert share_check("lost", 50, 1000, 0.05).verdict == "inconclusive"
    assert share_check("lost", 0, 0, 0.05).verdict == "inconclusive", "nothing was asked"
    assert (number_check("flips", 1, 1).verdict, number_check("flips", 2, 1).verdict) == ("pass", "fail")
    assert verdict_of([share_check("a", 0, 1000, 0.05), number_check("b", 2, 1)]) == "fail"


def test_too_few_fields_and_unreadable_images_do_not_pass() -> None:
    comparison = compared(*[(Told("Pre", None),) * 2] * 299)
    limits = Limits.read(DEFAULT)
    assert verdict_of(comparison.checks(limits)) == "inconclusive"
    comparison.add(field(300, Told("Pre", None)), Told("Pre", None))
    assert verdict_of(comparison.checks(limits)) == "pass"
    comparison.skip(field(301, Told("Pre", None)))
    assert verdict_of(comparison.checks(limits)) == "pass", "a field whose image was not kept is no fault"
    comparison.skip(field(302, Told("Pre", None)), "missing")
    assert verdict_of(comparison.checks(limits)) == "fail"
    assert comparison.as_record()["unread"] == ["slide S-1, field 302: missing"]


def test_without_a_benign_label_nothing_is_counted_as_safe() -> None:
    comparison = Comparison([])
    for number in range(1000):
        comparison.add(field(number, Told("cat", None)), Told("cat", None))
    checks = {check.name: check for check in comparison.checks(Limits.read(DEFAULT))}
    assert checks["malignant to benign"].verdict == "inconclusive"
    assert "not counted" in checks["malignant to benign"].why
    assert comparison.as_record()["malignant_to_benign"] is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("format = 1", "missing required field"),
        ("format = ", "Invalid value"),
        (DEFAULT.read_text().replace("lost = 0.05", "lost = 5"), "fields.lost"),
        (DEFAULT.read_text().replace("[slides]", "more = 1\n[slides]"), "more"),
    ],
)
def test_limits_that_are_none_are_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        Limits.read(tmp_path / "limits.toml")
    assert "limits.toml" in str(caught.value)


def written(folder: Path, keys: range) -> None:
    with Journal(folder, ABOUT) as journal:
        for number in keys:
            assert journal.known(f"{number}") is None
            journal.add(f"{number}", Answers((Told("Pre", None),)))


def test_a_journal_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    written(tmp_path, range(3))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-5])  # a line that was not finished
    with Journal(tmp_path, ABOUT) as journal:
        assert [journal.known(key) for key in ("0", "1", "2")] == [Answers((Told("Pre", None),))] * 2 + [None]
        journal.add("2", Answers(unread="damaged"))
        assert journal.taken == 2
    with Journal(tmp_path, ABOUT) as journal:
        assert journal.known("0") and journal.known("1") and journal.known("2") == Answers(unread="damaged")
    assert len(path.read_text().splitlines()) == 4


def test_what_comes_after_another_field_is_forgotten(tmp_path: Path) -> None:
    written(tmp_path, range(3))
    with Journal(tmp_path, ABOUT) as journal:
        assert journal.known("0") is not None and journal.known("new") is None and journal.known("1") is None
    assert len((tmp_path / NAME).read_text().splitlines()) == 2


def test_a_journal_of_another_bundle_is_begun_anew(tmp_path: Path) -> None:
    written(tmp_path, range(3))
    with Journal(tmp_path, {**ABOUT, "bundle": "b" * 64}) as journal:
        assert journal.known("0") is None
    [line] = (tmp_path / NAME).read_text().splitlines()
    assert json.loads(line)["bundle"] == "b" * 64
