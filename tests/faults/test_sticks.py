"""Records and exports on sticks: that cannot sync, have little room in a folder, are pulled or unmounted."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record.audit import verify
from edge.record.exports.export import export
from edge.system import durable
from edge.system.media import ejection, mounts
from edge.system.media.ejection import eject
from edge.system.media.mounts import Mount
from tests.edge.record.records import ask, fill
from tests.faults.tools import Stick

CANNOT_SYNC = "its file system cannot sync a folder"


def run(*words: object) -> int:
    return main("edge", COMMANDS, ["export", "--slide", "S-1", *map(str, words)])


def whole(to: Path, images: int = 9) -> bool:
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=to, check=True)
    return len(list((to / "images").rglob("*.png"))) == images


@pytest.fixture
def record(tmp_path: Path) -> Path:
    fill(tmp_path / "record")
    return tmp_path / "record"


def test_an_export_to_a_stick_that_cannot_sync_folders_is_kept(
    stick: Stick, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    durable._cannot_sync_folders.clear()
    stick.faults.set("no_folder_sync")
    assert run("--store", record, "--to", stick.path / "S-1") == 0
    assert capsys.readouterr().err.count(CANNOT_SYNC) == 1, "said once"
    assert whole(stick.path / "S-1") and ask(record, "SELECT slide FROM exports") == [("S-1",)]
    assert [path.name for path in stick.path.iterdir()] == ["S-1"]


def test_a_record_on_a_stick_that_cannot_sync_folders_is_kept(stick: Stick, caplog: pytest.LogCaptureFixture) -> None:
    durable._cannot_sync_folders.clear()
    stick.faults.set("no_folder_sync")
    fill(stick.path / "record")
    assert caplog.text.count(CANNOT_SYNC) == 1
    stick.cut()
    report = verify(stick.path / "record")
    assert report.sound and (report.verdicts, report.images) == (9, 9), report.findings


@pytest.mark.parametrize(
    ("fault", "said"),
    [("sync_fails", "Input/output error"), ("unplugged", "Input/output error"), ("entries", "No space left on device")],
)
def test_an_export_that_fails_names_the_path_and_ends_with_4(
    stick: Stick, record: Path, capsys: pytest.CaptureFixture[str], fault: str, said: str
) -> None:
    stick.faults.set(fault, 2)
    assert run("--store", record, "--to", stick.path / "S-1") == 4
    [error] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: {stick.path}") and said in error
    stick.faults.clear()
    assert list(stick.path.iterdir()) == [] and ask(record, "SELECT slide FROM exports") == []


@pytest.mark.parametrize(("a_folder", "code"), [(5, 0), (1000, 4)], ids=["folders of five", "the control"])
def test_a_stick_whose_folders_take_few_entries_takes_many_images(
    stick: Stick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a_folder: int, code: int
) -> None:
    monkeypatch.setattr("edge.record.images.A_FOLDER", a_folder)
    fill(tmp_path / "record")
    stick.faults.set("entries", 7)  # six names at the top of an export
    assert run("--store", tmp_path / "record", "--to", stick.path / "S-1") == code
    assert code or whole(stick.path / "S-1")


def test_an_empty_folder_is_replaced_where_rename_does_not(stick: Stick, record: Path) -> None:
    stick.faults.set("no_replace")
    (stick.path / "S-1").mkdir()
    assert run("--store", record, "--to", stick.path / "S-1") == 0
    assert whole(stick.path / "S-1")


def test_eject_leaves_the_stick_ready_to_be_pulled(
    stick: Stick, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--store", record, "--to", stick.path / "S-1", "--eject", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["ejected"] is True
    assert f"{stick.path} is unmounted: it may be pulled" in captured.err
    assert not os.path.ismount(stick.path)
    stick.remove()
    stick.mount()
    assert whole(stick.path / "S-1")


def test_a_stick_in_use_stays_and_it_is_said_what_to_do(
    stick: Stick, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (stick.path / "open").open("w"):
        assert run("--store", record, "--to", stick.path / "S-1", "--eject") == 0
        said = capsys.readouterr().out.splitlines()[-1]
    assert "all is written, and it is still mounted" in said and "busy" in said
    assert said.endswith(f"before it is pulled: sudo umount {stick.path}")
    assert os.path.ismount(stick.path) and whole(stick.path / "S-1")
    assert run("--store", record, "--to", stick.path / "S-2", "--json") == 0  # the control: not asked for
    assert json.loads(capsys.readouterr().out)["ejected"] is None and os.path.ismount(stick.path)


def test_what_holds_the_record_is_not_ejected(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ejection, "_ran", lambda words: pytest.fail("nothing may be unmounted"))
    assert run("--store", record, "--to", tmp_path / "S-1", "--eject") == 2
    assert "--eject needs --to on a drive of its own" in capsys.readouterr().err
    assert not (tmp_path / "S-1").exists()


def test_the_ways_to_unmount_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []

    def refused(words: list[str]) -> str:
        tried.append(words)
        return f"{words[0]} refused"

    monkeypatch.setattr(ejection, "_ran", refused)
    monkeypatch.setattr(ejection.shutil, "which", lambda name: f"/usr/bin/{name}")
    found = eject(Mount("8:1", tmp_path, "fuseblk", "/dev/sda1"))
    assert [words[0] for words in tried] == ["udisksctl", "umount", "/usr/bin/fusermount3"]
    assert tried[0][1:] == ["unmount", "--no-user-interaction", "-b", "/dev/sda1"]
    assert not found.done and "(udisksctl refused)" in found.text


def test_the_mount_of_a_path_is_the_nearest(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    (tmp_path / "a b").mkdir()
    escaped = str(tmp_path / "a b").replace(" ", "\\040")
    table.write_text(
        "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
        f"30 22 8:1 / {escaped} rw shared:5 - vfat /dev/sda1 rw\n"
        f"31 22 8:2 / {escaped} rw shared:5 - exfat /dev/sdb1 rw\n"
    )
    assert mounts.mount_of(tmp_path / "a b" / "S-1", table) == Mount("8:2", tmp_path / "a b", "exfat", "/dev/sdb1")
    found = mounts.mount_of(tmp_path / "a c", table)
    assert found is not None and found.point == Path("/")
    assert mounts.mount_of(tmp_path, tmp_path / "none") is None


def test_a_stick_that_is_pulled_while_it_is_written_leaves_the_record_as_it_was(stick: Stick, record: Path) -> None:
    stick.faults.set("slow_ms", 30)
    code = subprocess.Popen(["sh", "-c", f"sleep 0.2; touch {stick.faults.folder}/unplugged"])
    with pytest.raises(OSError, match="Input/output error"):
        export(record, "S-1", stick.path / "S-1")
    code.wait()
    assert verify(record).sound and ask(record, "SELECT slide FROM exports") == []
