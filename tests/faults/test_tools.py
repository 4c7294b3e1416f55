"""The faults do what they say: what fails under them fails because of them, and nothing fails without."""

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from edge.record.audit import verify
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, PNG, fill, verdict
from tests.faults.tools import OUTPUTS, Faults, Stick, output, reported

SYNC = "import os,time; f=open('x','w'); b=time.monotonic(); os.fsync(f.fileno()); print(time.monotonic()-b > 0.2)"
CLOCK = "import time; from edge.system.clock import Clock; print(round(time.time()), Clock().now().synchronized)"


def words(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_syncs_are_slow_or_fail(faults: Faults, shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = faults.environment(shim)
    assert reported(environment, words(SYNC)) == "False\n"
    faults.set("sync_slow_ms", 250)
    assert reported(environment, words(SYNC)) == "True\n"
    faults.clear()
    faults.set("sync_fails")
    failing = f"try:\n exec({SYNC!r})\nexcept OSError as error: print(error.errno)"
    assert reported(environment, words(failing)) == f"{errno.EIO}\n"
    faults.set("sync_lies")  # failing comes first
    faults.clear("sync_fails")
    assert reported(environment, words(SYNC)) == "False\n"


def test_the_clock_is_wrong_and_says_so_or_not(faults: Faults, shim: Path) -> None:
    environment = {**faults.environment(shim), "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    faults.set("clock_offset_s", -86400)
    faults.set("clock_unsynchronized", 0)
    seconds, synchronized = reported(environment, words(CLOCK)).split()
    assert abs(time.time() - 86400 - int(seconds)) < 60 and synchronized == "True"
    faults.set("clock_unsynchronized", 1)
    faults.clear("clock_offset_s")
    seconds, synchronized = reported(environment, words(CLOCK)).split()
    assert abs(time.time() - int(seconds)) < 60 and synchronized == "False"


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs(kind) -> None:
    expected = {"full": errno.ENOSPC, "closed": errno.EPIPE, "terminal gone": errno.EIO}
    with output(kind) as (writing, reading):
        if kind in expected:
            with pytest.raises(OSError) as caught:
                os.write(writing, b"line\n")
            assert caught.value.errno == expected[kind]
        else:
            os.write(writing, b"line\n")
            assert (reading is None) == (kind == "unread")


def test_a_stick_holds_what_was_written(stick: Stick) -> None:
    assert fill(stick.path / "record")
    report = verify(stick.path / "record")
    assert report.sound and (report.verdicts, report.images) == (9, 9)
    (stick.path / "a").mkdir()
    (stick.path / "a/b").write_text("b")
    (stick.path / "a").rename(stick.path / "c")
    assert (stick.path / "c/b").read_text() == "b" and not (stick.path / "a").exists()


@pytest.mark.parametrize(
    ("fault", "value", "number"),
    [("unplugged", "", errno.EIO), ("entries", 3, errno.ENOSPC)],
)
def test_a_stick_fails_while_it_is_told_to(stick: Stick, fault: str, value: int, number: int) -> None:
    for name in ("1", "2", "3"):
        (stick.path / name).touch()
    stick.faults.set(fault, value)
    with pytest.raises(OSError) as caught:
        (stick.path / "4").touch()
    assert caught.value.errno == number
    stick.faults.clear()
    (stick.path / "4").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        (stick.path / "a:b").touch()
    with pytest.raises(OSError, match="Operation not permitted"):
        (stick.path / "link").symlink_to("1")


@pytest.mark.parametrize(("fault", "number"), [("sync_fails", errno.EIO), ("no_folder_sync", errno.EINVAL)])
def test_syncs_of_a_stick_fail(stick: Stick, fault: str, number: int) -> None:
    stick.faults.set(fault)
    (stick.path / "file").touch()
    path = stick.path if fault == "no_folder_sync" else stick.path / "file"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError) as caught:
            os.fsync(descriptor)
        assert caught.value.errno == number
    finally:
        os.close(descriptor)


def test_a_power_cut_loses_what_was_not_synced_and_nothing_else(stick: Stick) -> None:
    record = stick.path / "record"
    fill(record, 6)
    (stick.path / "unsynced").write_text("only in memory")
    with Store.open(record) as store:
        store.write(store.begin(INFO, NOON), [verdict(number, PNG) for number in range(3)])
        stick.cut()
    assert (stick.path / "unsynced").read_text() == ""
    report = verify(record)
    assert report.sound and (report.verdicts, report.not_ended) == (9, 1), report.findings


def test_a_stick_that_lies_about_syncing_loses_verdicts_and_the_audit_stays_truthful(stick: Stick) -> None:
    """The control of the test above: the same work, and not one byte of it on the platter."""
    record = stick.path / "record"
    fill(record, 6)
    stick.faults.set("sync_lies")
    with Store.open(record) as store:
        store.write(store.begin(INFO, NOON), [verdict(number, PNG) for number in range(3)])
        stick.cut()
    report = verify(record)
    assert not report.sound or report.verdicts == 6
