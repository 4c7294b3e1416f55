"""`edge run` whose output nobody reads, or whose commits do not come back: the record stays true, and the run ends."""

import fcntl
import json
import math
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge.bundle.provenance import Provenance
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.commands.run_output import VerdictOutput
from edge.record.audit import VerifyReport, verify
from edge.record.entries import Stored
from edge.record.formatting import stored_record
from edge.record.store import Store
from edge.system.line_writer import LineWriter
from tests.edge.record.records import verdict
from tests.paths import ROOT

EDGE = Path(sys.executable).with_name("edge")
SHARP = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"
ENDS_WITHIN_S = 2.0
BY = Provenance("custom_cnn-int8", None, "unsigned")

Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    """Starts `edge run` into the record `tmp_path / "record"`; whatever still runs at the end of the test is killed."""
    profile = tmp_path / "edge.toml"
    profile.write_text("[camera]\nsize = [320, 240]\n")
    bundle = shutil.copytree(ROOT / "models" / "bundles" / "custom_cnn-int8", tmp_path / "bundle")
    words = ["run", "--store", tmp_path / "record", "--config", profile, "--bundle", bundle, "--allow-unsigned"]
    started: list[subprocess.Popen[str]] = []

    def start(*more: str, **options: Any) -> "subprocess.Popen[str]":
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen([EDGE, *words, *more], text=True, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def checked(folder: Path) -> tuple[VerifyReport, list[dict[str, Any]]]:
    """The report, and every entry."""
    with Store.open(folder, read_only=True) as store:
        return verify(folder), [json.loads(row.body) for row in store.entries(through=store.head().id)]


def recorded(folder: Path) -> int:
    with Store.open(folder, read_only=True) as store:
        return sum(store.slides().values())


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_full_disk_under_the_output_loses_lines_and_no_verdict(tmp_path, start):
    with Path("/dev/full").open("w") as full:
        running = start("--camera", SHARP, "--every", "--frames", "20", "--json", stdout=full)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "20 lines could not be printed (No space left on device); the record has every verdict" in said
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.verdicts) == ((), (), 20)
    assert entries[-1]["counters"]["stored"] == 20
    [lost] = [entry for entry in entries if entry.get("kind") == "output_lost"]
    assert "lines could not be printed (No space left on device)" in lost["detail"]  # so many as were lost by then


def test_a_terminal_that_is_gone_loses_lines_and_no_verdict(tmp_path, start):
    """What is left of a session that was cut off, where SIGHUP is ignored: every write fails with EIO."""
    terminal, shell = pty.openpty()
    running = start("--camera", SHARP, "--every", "--frames", "20", stdout=shell, stderr=shell)
    os.close(terminal)
    os.close(shell)
    assert running.wait(60) == 0
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.verdicts) == ((), (), 20)
    assert entries[-1]["counters"]["stored"] == 20


def test_a_locale_that_cannot_spell_a_file_name_escapes_it(tmp_path, start):
    folder = tmp_path / "fields"
    folder.mkdir()
    for number, (_, frame) in enumerate(synthetic_fields(3, seed=3, size=(320, 240))):
        (folder / f"血{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    running = start("--camera", f"replay:{folder}", env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    output, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert [f"\\u8840{number}.png" in output for number in range(3)] == [True] * 3
    report, _ = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.verdicts) == ((), (), 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
@pytest.mark.parametrize("notes_too", [False, True], ids=["output", "output and notes"])
def test_a_reader_that_stops_reading_delays_neither_the_record_nor_the_end(tmp_path, start, notes_too, number):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # a page: full after some verdicts
    stderr = writer if notes_too else subprocess.PIPE
    running = start("--camera", SHARP, "--keep", "none", "--json", stdout=writer, stderr=stderr)
    os.close(writer)
    wait_until(lambda: (tmp_path / "record" / "record.sqlite").is_file() and recorded(tmp_path / "record") > 100)
    running.send_signal(number)
    began = time.monotonic()
    assert running.wait(30) == 0
    assert time.monotonic() - began < ENDS_WITHIN_S
    with os.fdopen(reader) as stream:
        printed = [line for line in stream if line.startswith("{")]
    assert all(json.loads(line) for line in printed), "no line is cut"
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.not_ended) == ((), (), 0)
    assert report.verdicts > 100 > len(printed) and entries[-1]["counters"]["stored"] == report.verdicts
    if not notes_too:
        said = running.stderr.read()
        assert f"{report.verdicts - len(printed)} lines could not be printed (nobody read them in time)" in said


def test_a_measurement_that_is_no_number_is_printed_as_it_is_recorded():
    stored = Stored(1, "S-1", 1, verdict(2, gates={"out_of_focus": math.nan}), None, "")
    assert stored_record(stored, (), simulated=True, provenance=BY)["gates"] == {"out_of_focus": None}


def test_a_line_that_cannot_be_made_is_lost_and_nothing_else():
    with Path("/dev/null").open("w") as stream:
        writer = LineWriter(stream)
        output = VerdictOutput(writer, as_json=True, labels=("one label of four",), provenance=BY, simulated=True)
        entry = verdict(0)
        output.announce([Stored(1, "S-1", 1, entry, None, ""), Stored(2, "S-1", 2, verdict(2), None, "")])
        writer.close()
    assert writer.lost == 1 and output.summary() == "Pre 1, refused: out_of_focus 1"


def test_whatever_breaks_after_a_commit_the_end_counts_what_is_stored(tmp_path, start, monkeypatch):
    """A record stage that fails between a commit and whoever hears of it."""

    def broken(self, stored):
        raise RuntimeError("between the commit and the reader")

    monkeypatch.setattr(VerdictOutput, "announce", broken)
    words = ["run", "--store", str(tmp_path / "record"), "--bundle", str(tmp_path / "bundle"), "--allow-unsigned"]
    with pytest.raises(RuntimeError, match="between the commit"):
        main("edge", COMMANDS, [*words, "--camera", SHARP, "--frames", "40"])
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.not_ended) == ((), (), 0)
    assert entries[-1]["counters"]["stored"] == report.verdicts > 0


@pytest.mark.parametrize("gap_s", [0.3, pytest.param(1.5, marks=pytest.mark.slow)])
def test_two_interrupts_during_a_slow_commit_store_nothing_twice(tmp_path, start, faults, shim, gap_s):
    camera = "sim:Early?motion=0&focus_drift=0&empty=0&fps=20"
    running = start("--camera", camera, "--every", "--keep", "none", "--json", env=faults.environment(shim))
    printed = [json.loads(running.stdout.readline()) for _ in range(5)]
    faults.set("sync_slow_ms", 8000)
    time.sleep(0.8)  # the next commit is under way
    running.send_signal(signal.SIGINT)
    time.sleep(gap_s)
    running.send_signal(signal.SIGINT)
    began = time.monotonic()
    rest, said = running.communicate(timeout=30)
    assert time.monotonic() - began < 6, "it does not wait for the card"
    assert running.returncode == 130 and "the run shows as not ended" in said
    printed += [json.loads(line) for line in rest.splitlines()]
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.warnings, report.not_ended) == ((), (), 1)
    verdicts = [entry for entry in entries if entry["type"] == "verdict"]
    sequences = [entry["sequence"] for entry in verdicts]
    assert len(set(sequences)) == len(sequences), "a frame was stored twice"
    fields = [each["field"] for each in printed]
    assert fields == list(range(1, len(fields) + 1)) and len(fields) <= len(verdicts)
    faults.clear()
    again = start("--camera", SHARP, "--frames", "2", "--json")
    output, _ = again.communicate(timeout=60)
    assert [json.loads(line)["field"] for line in output.splitlines()] == [len(verdicts) + 1, len(verdicts) + 2]
    assert verify(tmp_path / "record").sound


def test_a_signal_while_python_ends_changes_no_exit_code(tmp_path):
    """What the run came to is what the caller sees, also where the service manager stops it at its very end."""
    program = (
        "import atexit, os, signal, sys\n"
        "from edge.commands.command_line import Outcome, run_script\n"
        "number = getattr(signal, sys.argv.pop())\n"
        "atexit.register(lambda: os.kill(os.getpid(), number))\n"
        "class Request:\n"
        "    json = False\n"
        "    def execute(self): return Outcome(4, text='said')\n"
        "def work():\n    'Work.'\n    return Request()\n"
        "sys.argv.append('work')\n"
        "run_script('edge', {'work': work})\n"
    )
    for name in ("SIGINT", "SIGTERM"):
        done = subprocess.run(
            [sys.executable, "-c", program, name], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert (done.returncode, done.stdout, done.stderr) == (4, "said\n", "")


def test_a_second_interrupt_shows_no_traceback(tmp_path):
    program = (
        "import os, signal, sys, edge.commands.command_line as c\n"
        "original = c.LineWriter.close\n"
        "c.LineWriter.close = lambda self: (os.kill(os.getpid(), signal.SIGINT), original(self))\n"
        "class Request:\n"
        "    json = False\n"
        "    def execute(self): raise KeyboardInterrupt\n"
        "def work():\n    'Work.'\n    return Request()\n"
        "c.run_script('edge', {'work': work})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "work"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (130, "error: interrupted; nothing half-written was left behind\n")


@pytest.mark.parametrize("threads", [1, 0], ids=["a thread is left", "the control"])
def test_a_thread_that_is_left_cannot_change_the_exit_code(threads):
    """One inside OpenCV or the interpreter aborted the process while Python ended ("terminate called without ...")."""
    program = (
        "import atexit, sys, threading\n"
        "from edge.commands.command_line import Outcome, run_script\n"
        "atexit.register(print, 'Python ends')\n"
        "for _ in range(int(sys.argv.pop())): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "class Request:\n"
        "    json = False\n"
        "    def execute(self): return Outcome(4, text='said')\n"
        "def work():\n    'Work.'\n    return Request()\n"
        "sys.argv.append('work')\n"
        "run_script('edge', {'work': work}, defect=70)\n"
    )
    words = [sys.executable, "-c", program, str(threads)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (4, "said\n" if threads else "said\nPython ends\n")


def test_a_full_disk_under_a_writer_that_is_late_is_in_the_record(tmp_path, start, monkeypatch):
    """The run has judged its last frame before the writing thread finds out that nothing can be written."""
    write = LineWriter._write

    def late(self, piece):
        time.sleep(0.7)
        write(self, piece)

    monkeypatch.setattr(LineWriter, "_write", late)
    words = ["run", "--store", str(tmp_path / "record"), "--config", str(tmp_path / "edge.toml"), "--json"]
    words += ["--bundle", str(tmp_path / "bundle"), "--allow-unsigned", "--camera", SHARP, "--every", "--frames", "5"]
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main("edge", COMMANDS, words) == 0
    report, entries = checked(tmp_path / "record")
    assert (report.findings, report.verdicts) == ((), 5)
    [lost] = [entry for entry in entries if entry.get("kind") == "output_lost"]
    assert "could not be printed (No space left on device)" in lost["detail"]
