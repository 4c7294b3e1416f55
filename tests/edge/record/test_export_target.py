"""Where an export may be written: no folder is made for a drive that is not there, and a copy beside the record is one
that goes with it."""

import json
import os
from pathlib import Path

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.system.media import mounts
from tests.edge.record.records import ask, fill

BESIDE = "is on the same medium as the record"


def export(record: Path, to: Path | str) -> int:
    return main("edge", COMMANDS, ["export", "--store", str(record), "--slide", "S-1", "--to", str(to), "--json"])


@pytest.mark.parametrize("parent", ["usb_not_there", "usb_not_there/deeper", "file", "gone"])
def test_a_parent_that_is_no_folder_is_refused_and_not_made(
    parent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record"
    fill(record)
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    assert export(record, tmp_path / parent / "S-1") == 2
    assert f"{tmp_path / parent} does not" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert ask(record, "SELECT * FROM exports") == []


def test_a_parent_that_exists_is_taken_also_by_a_link_or_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record"
    fill(record)
    (tmp_path / "usb").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "usb")
    monkeypatch.chdir(tmp_path / "usb")
    assert export(record, tmp_path / "link/a") == 0
    assert export(record, "b") == 0
    assert sorted(p.name for p in (tmp_path / "usb").iterdir()) == ["a", "b"]
    assert json.loads(capsys.readouterr().out.splitlines()[0])["removed"] is None


def test_a_copy_on_the_records_own_medium_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record"
    fill(record)
    assert export(record, tmp_path / "beside") == 0
    assert f"warning: {tmp_path} {BESIDE}" in capsys.readouterr().err
    monkeypatch.setattr(mounts, "medium", str)
    monkeypatch.setattr(mounts, "file_system", lambda device: "vfat")
    assert export(record, tmp_path / "elsewhere") == 0  # the control: a stick
    assert "warning" not in capsys.readouterr().err
    monkeypatch.setattr(mounts, "file_system", lambda device: "overlay")
    assert export(record, tmp_path / "in memory") == 0
    assert "is on overlay, in memory perhaps" in capsys.readouterr().err


def test_partitions_of_one_card_are_one_medium(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    card, blocks = tmp_path / "devices/mmcblk0", tmp_path / "block"
    (card / "mmcblk0p2").mkdir(parents=True)
    blocks.mkdir()
    assert mounts.medium(tmp_path, blocks) == number  # no block device: a network or a RAM file system
    (blocks / number).symlink_to(card / "mmcblk0p2")
    (card / "mmcblk0p2/partition").write_text("2\n")
    assert mounts.medium(tmp_path, blocks) == str(card.resolve())
    (blocks / number).unlink()
    (blocks / number).symlink_to(card)
    assert mounts.medium(tmp_path, blocks) == str(card.resolve())  # a stick without partitions


def test_the_type_of_a_file_system(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
        "30 22 0:27 / /media/a\\040-\\040b rw shared:5 master:2 - tmpfs tmpfs rw\n"
    )
    assert mounts.file_system(os.makedev(179, 2), table) == "ext4"
    assert mounts.file_system(os.makedev(0, 27), table) == "tmpfs"
    assert mounts.file_system(os.makedev(8, 1), table) == ""
    assert mounts.file_system(os.makedev(8, 1), tmp_path / "none") == ""
