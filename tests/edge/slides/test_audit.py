"""`edge verify` about slides: each fault gets its name, and a record without one is sound."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.record.audit import VerifyReport, verify
from edge.record.entries import Body
from edge.record.entry_parts import moment
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.record.store import Store
from edge.slides import audit
from edge.slides.finding import finding_of
from edge.slides.settings import SlideSettings
from edge.slides.tally import Tally
from tests.commands import shell
from tests.edge.record.records import INFO, later, tamper, verdict
from tests.edge.slides.records import BENIGN, SLIDES_INFO, bodies


def act(what: Any, slide: str = "S-1", **other: Any) -> SlideBody:
    return SlideBody(run=None, slide=slide, **moment(later(20)), act=what, by="reader", **other)


def slide_read(folder: Path, *, fields: int = 24, closed: bool = True) -> None:
    """A slide opened, read, one field seen twice, corrected and closed."""
    with Store.open(folder) as store:
        run = store.begin(SLIDES_INFO, later(0), act("opened", command="a" * 32))
        entries = [benign(number) for number in range(fields)]
        entries[9] = replace(entries[9], seen=4)
        store.write(run, entries)
        store.append_correction(correction(1))
        if closed:
            found = finding_of(Tally.from_record(store, "S-1"), SlideSettings())
            store.end(run, later(30), {}, "closed", act("closed", finding=found.as_record()))


def benign(number: int) -> Any:
    return verdict(number, label="Benign", reason=None, detail=None, probabilities=(0.9, 0.1, 0.0, 0.0))


def correction(field: int, entry: int = 0, slide: str = "S-1", **other: Any) -> CorrectionBody:
    said = {"label": "Benign", "agrees": True, "by": "reader", **other}
    return CorrectionBody(slide=slide, **moment(later(25)), corrects=field, verdict=entry, **said)


def append(folder: Path, *made: Body) -> None:
    """Entries that chain like any, and that no method of the store would write."""
    with Store.open(folder) as store, store.transaction() as transaction:
        for body in made:
            transaction.append(body)


def checked(folder: Path) -> VerifyReport:
    return verify(folder, also=audit.SlideCheck)


def test_a_slide_that_was_read_is_sound(tmp_path: Path) -> None:
    slide_read(tmp_path)
    report = checked(tmp_path)
    assert (report.findings, report.acts, report.corrections, report.commands) == ((), 2, 1, 0)
    assert "2 slide acts, 1 correction" in report.text()
    with Store.open(tmp_path) as store:  # and read on another day
        run = store.begin(SLIDES_INFO, later(40), act("reopened"))
        store.write(run, [benign(n) for n in range(3)])
        found = finding_of(Tally.from_record(store, "S-1"), SlideSettings())
        store.end(run, later(60), {}, "closed", act("closed", finding=found.as_record()))
    assert checked(tmp_path).findings == ()


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ([act("opened")], audit.ACT_ORDER),
        ([act("paused")], audit.ACT_ORDER),
        ([act("closed", "S-2")], audit.ACT_ORDER),
        ([act("reopened"), act("opened", "S-2")], audit.TWO_OPEN),
        ([correction(2, 99)], audit.NO_VERDICT),
        ([correction(2, 3)], audit.NO_VERDICT),  # of field 1
        ([correction(1, 3, "S-2")], audit.NO_VERDICT),
        ([correction(99, 3)], audit.NO_VERDICT),
        ([act("reopened", finding={"finding": "benign"})], audit.FINDING),
        ([act("reopened"), act("closed", finding={"finding": "benign"})], audit.FINDING),
        ([CommandBody(run=None, slide=None, **moment(later(50)), command="e" * 32, name="automatic", by="r")] * 2,
         audit.COMMAND_TWICE),
    ],
)  # fmt: skip
def test_each_fault_has_its_name(tmp_path: Path, wrong: list[Body], name: str) -> None:
    slide_read(tmp_path)
    append(tmp_path, *wrong)
    report = checked(tmp_path)
    assert [finding.rpartition("[")[2] for finding in report.findings] == [f"{name}]"]
    assert verify(tmp_path).sound, "the chain itself is whole"


@pytest.mark.parametrize("seen", [0, -1, 30, 31, 10])
def test_a_field_is_seen_as_one_that_was_counted_before(tmp_path: Path, seen: int) -> None:
    """30: itself, 31: later, 10: was seen itself."""
    slide_read(tmp_path, fields=29, closed=False)
    with Store.open(tmp_path) as store:
        store.write(store.begin(SLIDES_INFO, later(40)), [replace(benign(3), seen=seen)])
    [finding] = checked(tmp_path).findings
    assert f"was seen as field {seen}, which was not counted before it [{audit.NO_FIELD}]" in finding


def _with(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def changed(finding: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(json.dumps(finding))
        change(made)
        return made

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update(finding="suspicious"), "says 'suspicious', and rule tenth-1 gives 'benign'"),
        (lambda f: f["tally"].update(fields=25), "counts fields 25, and the verdicts give 23"),
        (lambda f: f["tally"].update(labels={"Benign": 22, "Pre": 1}), "counts labels"),
        (lambda f: f["tally"].pop("seen"), "counts seen None, and the verdicts give 1"),
        (lambda f: f.update(interval=[0.0, 0.5]), "its interval is"),
        (lambda f: f.update(interval=None), "its interval is None"),
        (lambda f: f.update(benign=["Benign", "Pre"]), "holds Benign, Pre for benign, and the run Benign"),
        (lambda f: f.update(rule="tenth-2"), "its rule 'tenth-2' is none that this version knows"),
        (lambda f: f.update(fields=100), "rule tenth-1 gives 'not_enough_fields'"),
        (lambda f: f.update(finding="healthy"), "no finding of a slide"),
        (lambda f: f.pop("tally"), "no finding of a slide"),
    ],
)
def test_a_finding_that_does_not_follow_from_the_verdicts_is_found(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    slide_read(tmp_path, closed=False)
    with Store.open(tmp_path) as store:
        found = finding_of(Tally.from_record(store, "S-1"), SlideSettings()).as_record()
    assert found["finding"] == "benign"
    append(tmp_path, act("closed", finding=_with(change)(found)))
    [finding] = checked(tmp_path).findings
    assert said in finding and finding.endswith(f"[{audit.FINDING}]")


def test_a_verdict_changed_under_a_finding_shows_twice(tmp_path: Path) -> None:
    slide_read(tmp_path)
    tamper(tmp_path, 'UPDATE entries SET body = replace(body, \'"label":"Benign"\', \'"label":"Pre"\') WHERE id = 8')
    found = " ".join(checked(tmp_path).findings)
    assert "entry 8 was altered" in found and audit.FINDING in found


def test_a_run_of_before_says_no_benign_labels_and_the_finding_is_taken_by_its_own(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, later(0), act("opened"))
        store.write(run, [benign(n) for n in range(20)])
        found = finding_of(Tally.from_record(store, "S-1", BENIGN), SlideSettings())
        store.end(run, later(30), {}, "closed", act("closed", finding=found.as_record()))
    assert checked(tmp_path).findings == () and "benign" not in bodies(tmp_path, "run")[0]


def test_a_command_that_was_refused_may_be_given_again(tmp_path: Path) -> None:
    slide_read(tmp_path)
    said = {"run": None, "slide": None, "command": "e" * 32, "name": "judge", "by": "reader"}
    append(tmp_path, *[CommandBody(**moment(later(50)), **said, refused="the camera is away")] * 2)  # type: ignore[arg-type]
    append(tmp_path, CommandBody(**moment(later(51)), **said))  # type: ignore[arg-type]
    assert checked(tmp_path).findings == ()


def test_the_command_verifies_slides_and_an_export_says_what_is_wrong(tmp_path: Path) -> None:
    record = tmp_path / "record"
    slide_read(record)
    done = shell("edge", "verify", "--store", record, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["acts"] == 2
    append(record, correction(2, 99))
    done = shell("edge", "verify", "--store", record)
    assert done.returncode == 1 and f"[{audit.NO_VERDICT}]" in done.stdout
    done = shell("edge", "export", "--store", record, "--slide", "S-1", "--to", tmp_path / "to")
    assert done.returncode == 1 and f"[{audit.NO_VERDICT}]" in done.stdout
