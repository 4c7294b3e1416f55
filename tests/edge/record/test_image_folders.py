"""Images in folders of a thousand fields, in the record and in exports; records from before there were any."""

import csv
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.record.audit import verify
from edge.record.exports.export import export
from edge.record.images import ImageFolder, Place, image_path
from edge.record.retention import Retention, apply
from edge.record.schema import VERSION
from edge.record.store import Store
from tests.edge.record.records import PNG, ask, fill, later, tamper


def test_a_batch_across_the_boundary_lies_in_two_folders(tmp_path: Path) -> None:
    images = ImageFolder(tmp_path)
    saved = images.save("s", [(field, ".png", PNG + bytes([field % 256])) for field in (998, 999, 1000, 1001)])
    assert [image.path for image in saved] == [
        *("images/s/000/000998.png", "images/s/000/000999.png"),
        *("images/s/001/001000.png", "images/s/001/001001.png"),
    ]
    assert images.read(saved[2]) == PNG + bytes([1000 % 256])
    (tmp_path / "images/s/001/.001002.png.aa.partial").write_bytes(b"half")
    assert images.sweep("s", 1000) == 1 and not list(tmp_path.rglob("*.partial"))
    assert [path.name.split(".", 2)[2] for path in (tmp_path / "left-over").iterdir()] == ["001001.png"]
    images.delete([image.path for image in saved])
    assert not (tmp_path / "images/s").exists()


def test_a_batch_that_fails_in_its_second_folder_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "images/s").mkdir(parents=True)
    (tmp_path / "images/s/001").write_text("a file in the way")
    with pytest.raises(NotADirectoryError):
        ImageFolder(tmp_path).save("s", [(999, ".png", PNG), (1000, ".png", PNG)])
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize(
    "path",
    ["images/s/001/000042.png", "images/s/0/000042.png", "images/s/../000042.png", "images/s/000/a/000042.png"],
)
def test_a_path_of_another_folder_names_no_image(path: str) -> None:
    with pytest.raises(StoreError, match="names no image of a record"):
        Place.of(path)
    assert Place.of("images/s/000/000042.png").exported == Place.of("images/s/000042.png").exported


def older(folder: Path, monkeypatch: pytest.MonkeyPatch, verdicts: int = 9) -> None:
    """A record as it was before there were folders of a thousand."""
    with monkeypatch.context() as before:
        before.setattr(
            "edge.record.images.image_path", lambda slide, field, suffix: f"images/{slide}/{field:06d}{suffix}"
        )
        fill(folder, verdicts)
    for image in (folder / "images/S-1/000").iterdir():
        image.rename(folder / "images/S-1" / image.name)
    (folder / "images/S-1/000").rmdir()
    tamper(folder, "PRAGMA user_version = 3")


def test_an_older_record_is_read_exported_swept_and_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    older(record, monkeypatch)
    assert ask(record, "SELECT image FROM verdicts LIMIT 1") == [("images/S-1/000001.png",)]
    report = verify(record)
    assert report.sound and report.images == 9, report.findings
    export(record, "S-1", to)
    rows = list(csv.DictReader((to / "verdicts.csv").open(newline="")))
    assert [row["image"] for row in rows] == [f"images/000/{field:06d}.png" for field in range(1, 10)]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=to, check=True)
    (record / "images/S-1/.000010.png.aa.partial").write_bytes(b"half")
    (record / "images/S-1/000010.png").write_bytes(b"never committed")
    fill(record, 3)  # goes on in it, in both forms
    assert len(list((record / "left-over").iterdir())) == 1
    report = verify(record)
    assert report.sound and (report.images, report.unrecorded) == (12, 0)
    assert ask(record, "PRAGMA user_version") == [(VERSION,)]
    with Store.open(record) as store:
        assert apply(store, Retention(gigabytes=1e-9, only_exported=False), later(99)).images == 12
    assert not (record / "images/S-1").exists()
    shutil.rmtree(to)


def test_an_image_at_another_fields_place_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    tamper(tmp_path, "UPDATE entries SET body = replace(body, 'S-1/000/000003', 'S-1/001/000003')")
    findings = verify(tmp_path).findings
    assert any("images/S-1/001/000003.png is no image of field 3 of slide S-1" in text for text in findings)


def test_an_export_lies_in_folders_as_the_record_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    monkeypatch.setattr("edge.record.images.A_FOLDER", 10)  # a thousand take their time
    fill(record, 24)
    summary, checked = export(record, "S-1", to)
    assert checked.sound and summary.images == 24
    counts = {folder.name: len(list(folder.iterdir())) for folder in (to / "images").iterdir()}
    assert counts == {"000": 9, "001": 10, "002": 5}
    assert (to / image_path("S-1", 24, ".png").replace("S-1/", "")).is_file()
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=to, check=True)
