"""What `edge verify` says, to the word, and the bounds of what it lists: one more or one less changes an answer."""

import shutil
from pathlib import Path

import msgspec
import pytest

from edge.bundle.provenance import ON_SYNTHETIC
from edge.errors import StoreFull
from edge.record import audit
from edge.record.audit import VerifyReport, verify
from edge.record.chain import ChainEnd
from edge.record.retention import Retention, apply
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, fill, later, miscount, tamper, verdict

NOTHING = "sound: 0 entries (0 verdicts, 0 events, 0 runs, 0 of them not ended), 0 images"


def test_a_new_report_has_counted_nothing() -> None:
    report = VerifyReport(Path("record"))
    assert report.text() == NOTHING and report.sound
    counts = msgspec.to_builtins(report, enc_hook=str)
    assert {value for name, value in counts.items() if isinstance(value, int)} == {0}
    assert report.as_record()["sound"] is True and report.as_record()["folder"] == "record"


@pytest.mark.parametrize(
    ("found", "adds"),
    [
        ({"pruned_through": 1}, "; entries up to 1 were pruned"),
        ({"synthetic_certificates": 1}, f"; 1 run of a bundle {ON_SYNTHETIC}"),
        ({"synthetic_certificates": 2}, f"; 2 runs of a bundle {ON_SYNTHETIC}"),
        ({"ungated": 1}, "; 1 run without gates"),
        ({"unrecorded": 1}, "; 1 unfinished image file (no damage)"),
        ({"left_over": 3}, "; 3 in left-over/"),
        ({"signers": {"unsigned": 2, "ab" * 32: 1}}, "; runs by who signed their bundle: abababababab 1, unsigned 2"),
        ({"head": ChainEnd(7, "ff")}, "\nhead: entry 7, ff"),
    ],
)
def test_each_thing_that_was_counted_is_said(found: dict[str, object], adds: str) -> None:
    assert VerifyReport(Path("record"), **found).text() == NOTHING + adds  # type: ignore[arg-type]


def test_findings_come_first_and_those_that_are_not_listed_are_counted() -> None:
    report = VerifyReport(Path("record"), findings=("a", "b"), found=2, warnings=("c",))
    assert report.text().splitlines()[:3] == ["warning: c", "a", "b"] and not report.sound
    assert report.text().splitlines()[3].startswith("2 findings: 0 entries")
    more = VerifyReport(Path("record"), findings=("a", "b"), found=3)
    assert more.text().splitlines()[2] == "... and 1 more"


def test_a_record_that_cannot_be_opened_is_one_finding_and_a_machine_that_lacks_something_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = verify(tmp_path / "none")
    assert report.found == 1 and len(report.findings) == 1 and report.head is None

    def full(*_: object, **__: object) -> Store:
        raise StoreFull("no file handles")

    monkeypatch.setattr(audit.Store, "open", full)
    with pytest.raises(StoreFull, match="no file handles"):
        verify(tmp_path)


def test_a_hundred_findings_are_listed_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 9, images=False)
    tamper(tmp_path, "UPDATE entries SET body = replace(body, 'sha', 'SHA') WHERE id > 0")
    tamper(tmp_path, "UPDATE entries SET digest = 'x' || digest")
    whole = verify(tmp_path)
    assert whole.found == len(whole.findings) > 4
    monkeypatch.setattr(audit, "MOST_FINDINGS", 4)
    report = verify(tmp_path)
    assert (report.found, report.findings) == (whole.found, whole.findings[:4])
    assert audit.MOST_SIGNERS == 100


def test_retention_in_the_middle_of_the_audit_begins_it_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was removed under its eyes is not missing."""
    fill(tmp_path)
    began = []

    def prune_once(store: Store) -> None:
        if not began:
            began.append(True)
            with Store.open(tmp_path) as writer:
                assert apply(writer, Retention(days=1.0, only_exported=False), later(400 * 86_400)).removed > 0

    original = audit._Check._read_chain

    def read_chain(check: audit._Check) -> None:
        prune_once(check._store)
        original(check)

    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO"):
        patch.setattr(audit._Check, "_read_chain", read_chain)
        report = verify(tmp_path)
    assert report.sound and report.pruned_through > 0
    assert "retention removed entries meanwhile; beginning again" in caplog.text


def test_a_run_that_did_not_end_and_one_that_never_began(tmp_path: Path) -> None:
    fill(tmp_path, 2, ended=False)
    report = verify(tmp_path)
    assert (report.runs, report.not_ended, report.verdicts, report.events, report.sound) == (1, 1, 2, 1, True)
    fill(tmp_path, 1)
    report = verify(tmp_path)
    assert (report.runs, report.not_ended, report.verdicts) == (2, 1, 3)


def test_runs_by_signer_and_how_they_were_certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path) as store:
        for signer, synthetic, ungated in (
            ("unsigned", True, True),
            ("unsigned", True, True),
            ("ff" * 32, False, False),
        ):
            info = msgspec.structs.replace(INFO, signed_by=signer, synthetic_certificate=synthetic)
            run = store.begin(msgspec.structs.replace(info, ungated=True) if ungated else info, NOON)
            store.end(run, NOON, {"captured": 0, "stored": 0}, "complete")
    report = verify(tmp_path)
    assert report.signers == {"unsigned": 2, "ff" * 32: 1}
    assert (report.synthetic_certificates, report.ungated) == (2, 2)
    monkeypatch.setattr(audit, "MOST_SIGNERS", 1)
    assert verify(tmp_path).signers == {"unsigned": 2, "others": 1}


def test_entries_that_are_missing_are_named_by_number(tmp_path: Path) -> None:
    def found(name: str, *statements: str) -> tuple[str, ...]:
        folder = tmp_path / name
        shutil.copytree(tmp_path / "whole", folder)
        for statement in statements:
            tamper(folder, statement)
        return verify(folder).findings

    fill(tmp_path / "whole", images=False)
    assert "entry 5 is missing" in found("one", "DELETE FROM entries WHERE id = 5")
    assert "entries 5 to 6 are missing" in found("two", "DELETE FROM entries WHERE id IN (5, 6)")
    last = verify(tmp_path / "whole").head
    assert last is not None
    at_end = found("end", f"DELETE FROM entries WHERE id = {last.id}")
    assert any(text.startswith(f"entries {last.id} to {last.id} are missing at the end") for text in at_end)
    assert any("was altered" in text for text in found("changed", "UPDATE entries SET body = body || ' ' WHERE id = 4"))


def test_an_image_that_no_entry_names_is_found_and_an_unfinished_one_only_counted(tmp_path: Path) -> None:
    stored = fill(tmp_path, 3)
    folder = (tmp_path / (stored[0].image or "")).parent
    name = Path(stored[0].image or "").name
    assert verify(tmp_path).images == 3 and verify(tmp_path, images=False).images == 0
    (folder / name.replace("000001", "000009")).write_bytes(b"of a write that goes on")
    report = verify(tmp_path)
    assert report.sound and report.unrecorded == 1
    (folder / "somebody.png").write_bytes(b"laid there")
    report = verify(tmp_path)
    assert report.found == 1 and report.findings[0].endswith("somebody.png: no entry names this file")
    unread = verify(tmp_path, images=False)
    assert unread.sound and unread.unrecorded == 0
    (folder / "somebody.png").unlink()
    (folder / name.replace("000001.png", "000003.tiff")).write_bytes(b"of the last field, which has another image")
    assert verify(tmp_path).findings[0].endswith("000003.tiff: no entry names this file")


def test_a_slide_that_begins_during_the_audit_is_known_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 2)
    original = audit._Check._compare_counts

    def compare(check: audit._Check) -> None:
        original(check)
        stored = fill(tmp_path, 1, info=msgspec.structs.replace(INFO, slide="S-2"))
        image = tmp_path / (stored[0].image or "")
        image.with_name(image.name.replace("000001", "000002")).write_bytes(b"of a write that goes on")

    monkeypatch.setattr(audit._Check, "_compare_counts", compare)
    report = verify(tmp_path)
    assert report.sound and report.unrecorded == 1


def test_a_verdict_of_a_run_that_never_began_is_found_unless_its_beginning_was_pruned(tmp_path: Path) -> None:
    whole, pruned = tmp_path / "whole", tmp_path / "pruned"
    fill(whole, 3, images=False)
    tamper(whole, "UPDATE entries SET body = replace(body, '\"run\":1', '\"run\":7') WHERE id = 3")
    assert any(finding.startswith("entry 3: run 7 had not begun") for finding in verify(whole).findings)
    with Store.open(pruned) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0), verdict(1)])
        # of the first day all goes; the run goes on
        store.write(run, [verdict(5 * 86_400, captured=later(5 * 86_400))])
        removed = apply(store, Retention(days=1.0, only_exported=False), later(5 * 86_400 + 60)).removed
        assert removed > 0
        store.end(run, later(5 * 86_400), {"captured": 3, "stored": 3}, "complete")
    report = verify(pruned)
    assert report.sound and report.pruned_through == removed and report.verdicts == 1


def test_only_so_many_miscounted_ends_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        fill(tmp_path, 2, images=False, ended=False)
        miscount(tmp_path, 0)
    assert len(verify(tmp_path).warnings) == 3
    monkeypatch.setattr(audit, "MOST_FINDINGS", 2)
    assert len(verify(tmp_path).warnings) == 2


def test_files_are_looked_for_two_folders_deep_and_links_are_not_followed(tmp_path: Path) -> None:
    deep = tmp_path / "images" / "S-1" / "000"
    deep.mkdir(parents=True)
    (deep / "a.png").touch()
    (deep / "inner").mkdir()
    (deep / "inner" / "b.png").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.png").touch()
    (tmp_path / "images" / "link").symlink_to(tmp_path / "elsewhere")
    found = set(audit._files(tmp_path, "images"))
    assert found == {"images/S-1/000/a.png", "images/S-1/000/inner", "images/link"}
    assert set(audit._files(tmp_path, "none")) == set()
