"""`models.data.fetch`: downloads of every form are checked against a list; hostile ones harm nothing."""

import bz2
import errno
import gzip
import hashlib
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

import models.data.archive
import models.data.fetch
from models.data.fetch import PublishedFile, fetch, published_files, to_text
from models.errors import DiskFullError, FetchError

CONTENT = {
    "Benign/WBC-Benign-001.jpg": b"first",
    "Benign/WBC-Benign-002.jpg": b"second picture",
    "Early/WBC-Malignant-Early-001.jpg": b"third one",
    "Pro/WBC-Malignant-Pro-001.jpg": b"twins",  # as long as the first
    "Pro/WBC-Malignant-Pro-002.jpg": b"twins",
}


def _entry(name: str, data: bytes) -> PublishedFile:
    label, file = name.split("/")
    return PublishedFile(label, file, hashlib.sha256(data).hexdigest(), len(data))


LISTED = tuple(_entry(name, data) for name, data in CONTENT.items())


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:" + path.suffix[1:] if path.suffix != ".tar" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def in_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def laid_out(target: Path) -> dict[str, bytes]:
    return {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}


def left_behind(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


MAKERS = {
    "set.zip": zipped,
    "set.tar": tarred,
    "set.tar.gz": tarred,
    "set.tar.bz2": tarred,
    "set.tar.xz": tarred,
    "folder": in_folder,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_form_and_nesting_is_laid_out_by_content(tmp_path: Path, name: str) -> None:
    files = {f"Blood cell/Original/{n}": data for n, data in CONTENT.items()}
    files |= {f"Blood cell/Segmented/{n}": b"painted " + data for n, data in CONTENT.items()}
    files["readme.txt"] = b"words"
    record = fetch(MAKERS[name](tmp_path / name, files), tmp_path / "out", listed=LISTED)
    assert record["complete"]
    assert laid_out(tmp_path / "out") == CONTENT
    assert (record["laid_out"], record["expected"], record["segmented"]) == (5, 5, 5)
    assert record["unknown"] == {"count": 1, "names": ["readme.txt"]}
    assert record["counts"] == {"Benign": [2, 2], "Early": [1, 1], "Pro": [2, 2]}
    assert "complete: 5 of 5" in to_text(record)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_renamed_files_are_recognized_and_one_copy_serves_all_its_names(tmp_path: Path) -> None:
    files = {f"{i}.bin": data for i, data in enumerate(set(CONTENT.values()))}
    assert len(files) == 4
    assert fetch(zipped(tmp_path / "z.zip", files), tmp_path / "out", listed=LISTED)["complete"]
    assert laid_out(tmp_path / "out") == CONTENT


def test_missing_altered_and_unknown_are_told_apart(tmp_path: Path) -> None:
    files = dict(CONTENT)
    del files["Benign/WBC-Benign-002.jpg"]
    files["Early/WBC-Malignant-Early-001.jpg"] = b"third oNe"  # same size, one bit
    files["Early/other.jpg"] = b"first" * 9
    record = fetch(zipped(tmp_path / "z.zip", files), tmp_path / "out", listed=LISTED)
    assert not record["complete"]
    assert record["missing"] == ["Benign/WBC-Benign-002.jpg"]
    name = "Early/WBC-Malignant-Early-001.jpg"
    assert record["altered"] == [{"name": name, "found": name}]
    assert record["unknown"] == {"count": 1, "names": ["Early/other.jpg"]}
    assert len(laid_out(tmp_path / "out")) == 3
    text = to_text(record)
    assert "INCOMPLETE: 3 of 5" in text
    assert "altered: 1" in text
    assert "missing: 1" in text


def test_names_that_climb_out_and_links_write_nothing_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    climbing = {f"../../{n}": data for n, data in CONTENT.items()} | {"/etc/leukoscope": b"first"}
    record = fetch(zipped(tmp_path / "z.zip", climbing), inside / "out", listed=LISTED)
    assert record["complete"]
    assert left_behind(inside) == ["out"]
    assert left_behind(tmp_path) == ["inside", "z.zip"]
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        link = tarfile.TarInfo("Benign")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    fetch(tmp_path / "t.tar", inside / "second", listed=LISTED)
    assert not (inside / "second" / "Benign").is_symlink()
    assert laid_out(inside / "second") == CONTENT


def test_a_folder_with_loops_pipes_and_dead_links_is_read(tmp_path: Path) -> None:
    source = in_folder(tmp_path / "in", CONTENT)
    (source / "loop").symlink_to(source)
    (source / "dead.jpg").symlink_to(source / "nothing")
    os.mkfifo(source / "pipe.jpg")
    assert fetch(source, tmp_path / "out", listed=LISTED)["complete"]


def test_a_zip_that_understates_a_size_gives_no_image(tmp_path: Path) -> None:
    """A member that unpacks to a gigabyte and says it has five bytes is read for six, and found out."""
    path = zipped(tmp_path / "z.zip", {**CONTENT, "Benign/WBC-Benign-001.jpg": b"\0" * 1_000_000})
    data = bytearray(path.read_bytes())
    where = data.rindex(b"PK\x01\x02", 0, data.rindex(b"WBC-Benign-001.jpg"))
    data[where + 24 : where + 28] = (5).to_bytes(4, "little")
    path.write_bytes(data)
    record = fetch(path, tmp_path / "out", listed=LISTED)
    assert [a["name"] for a in record["altered"]] == ["Benign/WBC-Benign-001.jpg"]


def test_implausibly_large_tars_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        header = tarfile.TarInfo("zeros")
        header.size = models.data.archive.MOST_BYTES + 1
        file.write(header.tobuf(tarfile.GNU_FORMAT))
    with gzip.open(tmp_path / "header.tar.gz", "wb") as file:
        header = tarfile.TarInfo("long")
        header.type, header.size = tarfile.XHDTYPE, 2**31
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    for name, words in (("bomb.tar.gz", "more than 8 GiB"), ("header.tar.gz", "damaged")):
        with pytest.raises(FetchError, match=words):
            fetch(tmp_path / name, tmp_path / "out", listed=LISTED)
    monkeypatch.setattr(models.data.archive, "MOST_FILES", 3)
    for path in (zipped(tmp_path / "m.zip", CONTENT), tarred(tmp_path / "m.tar", CONTENT)):
        with pytest.raises(FetchError, match="3 files"):
            fetch(path, tmp_path / "out", listed=LISTED)
    assert not (tmp_path / "out").exists()
    assert not [name for name in left_behind(tmp_path) if name.startswith(".")]


def test_wrong_requests_are_refused_in_one_line_and_leave_nothing(tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.zip", CONTENT)
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-30])
    (tmp_path / "cut.tar.gz").write_bytes(tarred(tmp_path / "g.tar.gz", CONTENT).read_bytes()[:90])
    (tmp_path / "noise.tar.bz2").write_bytes(bz2.compress(bytes(range(256)) * 40))
    zipped(tmp_path / "other.zip", {"a.jpg": b"none of them"})
    zipped(tmp_path / "outer.zip", {"archive.zip": good.read_bytes()})
    zipped(tmp_path / "half.zip", {f"Segmented/{n}": b"painted" for n in CONTENT})
    zipped(tmp_path / "altered.zip", dict.fromkeys(CONTENT, b"x"))
    locked = bytearray(good.read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    before = left_behind(tmp_path)
    for source, target, words in (
        ("absent.zip", "out", "does not exist"),
        ("text.zip", "out", "neither"),
        ("cut.zip", "out", "neither"),
        ("cut.tar.gz", "out", "damaged|neither"),
        ("noise.tar.bz2", "out", "damaged"),
        ("other.zip", "out", "none among 1 files"),
        ("outer.zip", "out", "give the archive archive.zip itself"),
        ("half.zip", "out", "segmented half only"),
        ("altered.zip", "out", "all altered"),
        ("locked.zip", "out", "encrypted"),
        ("good.zip", "full", "holds something"),
        ("good.zip", "text.zip", "is a file"),
        ("good.zip", "text.zip/out", "can be made"),
    ):
        with pytest.raises(FetchError, match=words) as caught:
            fetch(tmp_path / source, tmp_path / target, listed=LISTED)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2
    assert left_behind(tmp_path) == before


def test_a_full_disk_and_an_interruption_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = zipped(tmp_path / "z.zip", CONTENT)

    def fails_with(error: BaseException) -> None:
        def write(path: Path, data: bytes) -> int:
            raise error

        monkeypatch.setattr(Path, "write_bytes", write)

    fails_with(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(DiskFullError, match="no room") as caught:
        fetch(source, tmp_path / "out", listed=LISTED)
    assert caught.value.exit_code == 4
    fails_with(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fetch(source, tmp_path / "out", listed=LISTED)
    huge = (PublishedFile("a", "b", "0" * 64, 2**60),)
    with pytest.raises(DiskFullError, match="MiB are needed"):
        fetch(source, tmp_path / "out", listed=huge)
    assert left_behind(tmp_path) == ["z.zip"]


def test_an_empty_target_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert fetch(zipped(tmp_path / "z.zip", CONTENT), tmp_path / "out", listed=LISTED)["complete"]


def test_the_shipped_list_names_the_published_set() -> None:
    files = published_files()
    labels = [file.label for file in files]
    assert {label: labels.count(label) for label in sorted(set(labels))} == {
        "Benign": 504,
        "Early": 985,
        "Pre": 963,
        "Pro": 804,
    }
    assert len({file.name for file in files}) == len(files)
    for file in files:
        assert len(file.sha256) == 64
        assert Path(file.name).parts == (file.label, file.file)  # safe to join to a folder


def test_the_images_at_hand_are_recognized(data_dir: Path, tmp_path: Path) -> None:
    record = fetch(data_dir / "Benign", tmp_path / "out")
    there = len(list((data_dir / "Benign").iterdir()))
    assert record["counts"]["Benign"][0] == there
    assert record["altered"] == []
    assert record["unknown"]["count"] == 0
