"""The record of any size that tests are given: sound, and read like any other."""

from pathlib import Path

from edge.record.audit import verify
from edge.record.slide_queries import acts, history, open_slide
from edge.record.store import Store
from edge.slides.finding import SlideFinding, contradiction
from edge.slides.tally import Tally
from tests.edge.record.records import ask
from tests.edge.slides.records import BENIGN, large_record


def test_a_large_record_is_sound_and_its_findings_follow_from_its_verdicts(tmp_path: Path) -> None:
    made = tmp_path / "made"
    names = large_record(made, 8, 100, images=False)
    report = verify(made)
    assert (report.findings, report.verdicts, report.runs) == ((), 800, 8)
    by_hand = tmp_path / "by-hand"
    Store.open(by_hand).close()
    listing = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert ask(made, listing) == ask(by_hand, listing), "no index is missing"
    with Store.open(made, read_only=True) as store:
        assert [line.slide for line in history(store)] == names[::-1] and open_slide(store) is None
        found = {name: SlideFinding.of(acts(store, name)[-1][1].finding) for name in names}
        assert {each.finding for each in found.values()} == {"benign", "suspicious"}
        for name, finding in found.items():
            tally = Tally.from_record(store, name)
            assert tally.benign == set(BENIGN) and tally.seen == 2 and len(tally.corrections) == 1
            assert contradiction(finding, tally) == ""


def test_a_large_record_has_images_where_they_are_asked_for(tmp_path: Path) -> None:
    large_record(tmp_path, 2, 3, images=True)
    report = verify(tmp_path)
    assert (report.findings, report.images) == ((), 6)
