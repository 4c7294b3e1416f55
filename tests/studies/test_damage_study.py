"""The table of docs/reference/images.md is of the record, and the record says what the page does."""

import json

from docs.studies.images import damage
from tests.paths import ROOT

RECORD = ROOT / "docs/reference/image_damage.json"


def test_the_page_shows_the_record() -> None:
    page = (ROOT / "docs/reference/images.md").read_text()
    assert f"<!-- answers:begin -->\n{damage.answers(str(RECORD))}\n<!-- answers:end -->" in page
    assert f"<!-- damage:begin -->\n{damage.table(str(RECORD))}\n<!-- damage:end -->" in page


def test_no_sound_image_was_refused_and_no_lost_block_was_read() -> None:
    record = json.loads(RECORD.read_text())
    assert record["sound"]["images"] == 3392 and record["sound"]["refused"] == []
    assert record["sound"]["other_pixels"] == 0
    for row in record["rows"]:
        if row["damage"].startswith(("lost block", "rest is zeros")):
            assert row["refused"] == row["decoded"], row


def test_a_study_of_a_few_files_counts_what_it_should() -> None:
    """Of PNG nothing that OpenCV decodes is missed; of BMP one byte is."""
    files = {form: [damage._encoded(field, form) for field in damage.drawn(1)] for form in ("png", "bmp")}
    byte = "one byte changed"
    assert damage._row("bmp", byte, files["bmp"], 5)["refused"] == 0
    assert damage._row("bmp", "lost block (4096 zeros, aligned)", files["bmp"], 5)["refused"] == 5
    found = damage._row("png", byte, files["png"], 5)
    assert found["refused"] == found["decoded"]
