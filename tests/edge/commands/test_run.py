"""`edge run`, as users type it, on the virtual microscope and on replayed fields; and what can go wrong with it."""

import itertools
import json
import os
import resource
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

from edge.bundle import bundle as bundles
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record.audit import verify
from edge.record.formatting import stored_record
from edge.record.store import Store
from edge.settings.trusted_keys import machine_keys
from edge.system.clock import Clock
from tests.paths import ROOT

EDGE = Path(sys.executable).with_name("edge")
BUNDLES = ROOT / "models" / "bundles"
SMALL = "[camera]\nsize = [320, 240]\n"
SHARP = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"  # Early is drawn in half the time of the others
pytestmark = pytest.mark.usefixtures("drawn_once")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def words(tmp_path: Path, profile: Path) -> list[str]:
    """A run of the smaller shipped bundle, into a record of its own."""
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "custom_cnn-int8", bundle)
    return ["run", "--store", str(tmp_path / "record"), "--config", str(profile), "--bundle", str(bundle), UNSIGNED]


UNSIGNED = "--allow-unsigned"  # what signatures decide: test_trust_commands.py


def run(*words: object) -> int:
    return main("edge", COMMANDS, [str(word) for word in words])


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def events(store: Path) -> list[dict[str, Any]]:
    with Store.open(store, read_only=True) as record:
        bodies = [json.loads(row.body) for row in record.entries(through=record.head().id)]
    return [body for body in bodies if body["type"] in ("event", "end")]


@pytest.fixture
def process(words: list[str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the installed command; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*more: str, **options: Any) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [EDGE, *words, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def ended(running: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed since it was last read, on standard output and error, once it has ended."""
    assert running.stdout is not None and running.stderr is not None
    output, said = running.stdout.read(), running.stderr.read()
    running.wait(timeout=20)
    return output, said


def test_every_printed_verdict_is_in_the_record(tmp_path, words, capsys):
    assert run(*words, "--camera", SHARP, "--frames", 25, "--slide", "A-7", "--json") == 0
    captured = capsys.readouterr()
    printed = records(captured.out)
    assert len(printed) == 25
    assert [each["field"] for each in printed] == list(range(1, 26))
    assert all(each["slide"] == "A-7" and each["simulated"] for each in printed)
    assert all((each["label"] is None) != (each["reason"] is None) for each in printed)
    assert "research use only" in captured.err and "drawn smear" in captured.err
    report = verify(tmp_path / "record")
    assert report.sound and report.verdicts == 25 and report.not_ended == 0
    with Store.open(tmp_path / "record", read_only=True) as store:
        stored = [json.loads(row.body) for row in store.slide_entries("A-7", through=store.head().id)]
    verdicts = [body for body in stored if body["type"] == "verdict"]
    assert [(v["field"], v["label"], v["reason"]) for v in verdicts] == [
        (p["field"], p["label"], p["reason"]) for p in printed
    ]


def test_a_second_run_goes_on_counting_fields(words, capsys):
    assert run(*words, "--camera", SHARP, "--frames", 3, "--json") == 0
    assert run(*words, "--camera", SHARP, "--frames", 3, "--json") == 0
    assert [each["field"] for each in records(capsys.readouterr().out)] == [1, 2, 3, 4, 5, 6]


def test_a_replayed_folder_is_judged_whole_and_in_order(tmp_path, words, capsys):
    folder = tmp_path / "fields"
    folder.mkdir()
    for number, (_, frame) in enumerate(synthetic_fields(6, seed=3, size=(320, 240))):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    (folder / "3b.png").write_text("no image")
    assert run(*words, "--camera", f"replay:{folder}", "--json") == 0
    captured = capsys.readouterr()
    printed = records(captured.out)
    assert [Path(each["source"]).name for each in printed] == [f"{n}.png" for n in range(6)]
    assert not any(each["simulated"] for each in printed)
    assert "corrupt_frame" in captured.err and "3b.png" in captured.err
    assert not list((tmp_path / "record").rglob("*.png")), "the images are there already"


def test_a_damaged_field_gets_no_class_and_a_replay_of_nothing_else_ends_with_one(tmp_path, words, capsys):
    """The JPEG with a hole of 4 KiB that was Benign 0.999."""
    folder = tmp_path / "fields"
    folder.mkdir()
    whole = bytearray(cv2.imencode(".jpg", synthetic_fields(1, seed=3)[0][1])[1].tobytes())
    holed = bytes(whole[: len(whole) // 2]) + bytes(4096) + bytes(whole[len(whole) // 2 + 4096 :])
    (folder / "holed.jpg").write_bytes(holed)
    assert run(*words, "--camera", f"replay:{folder}", "--json") == 1
    captured = capsys.readouterr()
    assert records(captured.out) == []
    assert "corrupt_frame: damaged_image: " in captured.err and "no frame of the replay could be read" in captured.err
    (folder / "whole.jpg").write_bytes(whole)  # negative control
    assert run(*words, "--camera", f"replay:{folder}", "--json") == 0
    assert [Path(each["source"]).name for each in records(capsys.readouterr().out)] == ["whole.jpg"]


def test_a_kept_image_judged_again_gets_the_same_answer(tmp_path, words, capsys):
    """Fields are stored without loss: replayed, they give the same probabilities to the last bit."""
    assert run(*words, "--camera", SHARP, "--frames", 5, "--every", "--json", "--keep", "every") == 0
    first = records(capsys.readouterr().out)
    images = tmp_path / "record"
    again = tmp_path / "again"
    again.mkdir()
    for each in first:
        shutil.copy(images / each["image"], again)
    words[words.index("--store") + 1] = str(tmp_path / "second")
    assert run(*words, "--camera", f"replay:{again}", "--json") == 0
    second = records(capsys.readouterr().out)
    answers = [(each["label"], each["reason"], each["probabilities"], each["gates"]) for each in second]
    assert answers == [(each["label"], each["reason"], each["probabilities"], each["gates"]) for each in first]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_everything_stored(tmp_path, process, number):
    running = process("--camera", SHARP, "--json")
    printed = [running.stdout.readline() for _ in range(10)]
    running.send_signal(number)
    rest, said = ended(running)
    assert running.returncode == 0, said
    everything = [json.loads(line) for line in printed] + records(rest)
    report = verify(tmp_path / "record")
    assert report.sound and report.not_ended == 0
    assert report.verdicts == len(everything)
    end = events(tmp_path / "record")[-1]
    assert end["why"] == "stopped"
    counts = end["counters"]
    assert counts["captured"] == counts["dropped"] + counts["refused"] + counts["classified"]
    assert counts["stored"] == counts["refused"] + counts["classified"] == len(everything)


def test_a_killed_run_keeps_what_it_printed_and_shows_as_not_ended(tmp_path, process):
    running = process("--camera", SHARP, "--json")
    printed = [json.loads(running.stdout.readline()) for _ in range(10)]
    running.kill()
    rest, _ = ended(running)
    printed += [json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    report = verify(tmp_path / "record")
    assert report.sound and report.not_ended == 1
    assert report.verdicts >= len(printed)


def test_a_reader_that_leaves_ends_the_run(tmp_path, process):
    running = process("--camera", SHARP)
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=20) == 0, running.stderr.read()
    assert verify(tmp_path / "record").sound


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("stall@20", ["stall", "reopened"]),
        ("unplug@20:0.2", ["lost", "reopened"]),
        ("corrupt@20", ["corrupt_frame"]),
        ("size@20", ["wrong_size"]),
        ("freeze@20", ["frozen", "reopened"]),
    ],
)
def test_a_faulty_camera_shows_as_events_and_the_run_goes_on(
    tmp_path, profile, words, fault, seen, capsys, monkeypatch
):
    monkeypatch.setattr("edge.cameras.supervised._FIRST_PAUSE_S", 0.1)  # it is half a second otherwise
    profile.write_text(SMALL + "timeout_s = 0.3\nfrozen_after_s = 0.1\n")
    assert run(*words, "--camera", f"{SHARP}&fail={fault}", "--frames", 60, "--json") == 0
    assert len(records(capsys.readouterr().out)) == 60
    kinds = [event["kind"] for event in events(tmp_path / "record") if event["type"] == "event"]
    beside = ("adjusted", "unsigned", "selftest_passed", "selftest_slow")  # of another cause: a busy machine is slow
    assert [kind for kind in kinds if kind not in beside] == seen
    assert verify(tmp_path / "record").sound


def test_a_bundle_swapped_on_disk_is_noticed_and_the_run_goes_on_with_the_old_one(tmp_path, words, monkeypatch, capsys):
    """It is swapped when the first verdict is printed, and looked at more often than every two seconds."""
    bundle = Path(words[words.index("--bundle") + 1])
    digest = bundles.load(bundle, trust=machine_keys(), allow_unsigned=True).digest

    def swapped(stored, labels, **told):
        (bundle / "manifest.json").write_text("{}")
        return stored_record(stored, labels, **told)

    monkeypatch.setattr("edge.commands.run_output.stored_record", swapped)
    monkeypatch.setattr("edge.instrument.session._TICK_S", 0.02)
    monkeypatch.setattr("edge.instrument.session._LOOK_AT_BUNDLE_EVERY", 2)
    assert run(*words, "--camera", SHARP, "--frames", 150, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err.count("bundle_changed: ") == 1
    with Store.open(tmp_path / "record", read_only=True) as store:
        bodies = {row.id: json.loads(row.body) for row in store.entries(through=store.head().id)}
    [(noticed, event)] = [(n, body) for n, body in bodies.items() if body.get("kind") == "bundle_changed"]
    assert digest[:12] in event["detail"]
    later = [each for each in records(captured.out) if each["id"] > noticed]
    assert later and all(each["label"] or each["reason"] for each in later)


def test_two_runs_cannot_write_one_record(words, process, capsys):
    running = process("--camera", SHARP, "--json")
    running.stdout.readline()
    assert run(*words, "--camera", SHARP, "--frames", 3) == 4
    assert "writes to this record" in capsys.readouterr().err
    running.terminate()
    ended(running)
    assert running.returncode == 0


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    return disk_of("3m")


def test_a_full_disk_stops_recording_and_it_resumes_when_there_is_room(small_disk, words, process):
    store, ballast = small_disk / "record", small_disk / "ballast"
    words[words.index("--store") + 1] = str(store)
    running = process("--camera", SHARP, "--json")
    running.stdout.readline()
    with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        while True:
            stream.write(b"\0" * 4096)
    for line in running.stderr:
        if line.startswith("not recording"):
            break
    ballast.unlink()
    for line in running.stderr:
        if line.startswith("recording goes on"):
            break
    running.terminate()
    rest, said = ended(running)
    assert running.returncode == 0, said
    report = verify(store)
    assert report.sound and report.not_ended == 0
    assert report.verdicts == 1 + len(rest.splitlines())
    kinds = [event.get("kind") for event in events(store)]
    assert "not_recording" in kinds and "recording" in kinds


def test_a_disk_that_stays_full_ends_the_run_with_the_reason(small_disk, profile, words, process):
    profile.write_text(SMALL + "[record]\ncommit_count = 2\n")
    store = small_disk / "record"
    words[words.index("--store") + 1] = str(store)
    running = process("--camera", SHARP, "--json", "--keep", "every")
    for line in running.stderr:
        if line.startswith("not recording"):
            break
    running.terminate()
    printed, said = ended(running)
    assert running.returncode == 4
    assert "they were not announced" in said
    assert verify(store).verdicts >= len(printed.splitlines()) > 0


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--camera", "sin:"], 2, "did you mean sim:?"),
        (["--camera", "sim:?sed=3"], 2, "seed"),
        (["--camera", "replay:/nowhere"], 4, "/nowhere"),
        (["--camera", "uvc:/dev/video97"], 4, "/dev/video97"),
        (["--slide", "../../etc"], 2, "--slide must be 1 to 64 of"),
        (["--frames", "0"], 2, "--frames must be at least 1"),
        (["--frames", "many"], 2, "--frames must be a whole number"),
        (["--keep", "all"], 2, "--keep must be one of every, second, none; got 'all'"),
        (["--threads", "65"], 2, "--threads must be at most 64"),
        (["--runtime", "onnx"], 2, "--runtime must be one of"),
        (["--config", "/nowhere.toml"], 2, "/nowhere.toml: No such file"),
        (["--bundle", "/nowhere"], 2, "/nowhere"),
        (["--store", "/proc/record"], 4, "/proc/record"),
    ],
)
def test_wrong_words_and_missing_things_are_one_line(words, more, code, said, capsys):
    assert run(*words, *more) == code
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]
    assert captured.out == ""


def test_a_camera_that_is_not_there_leaves_a_sound_record(tmp_path, words, capsys):
    assert run(*words, "--camera", "uvc:/dev/video97") == 4
    capsys.readouterr()
    report = verify(tmp_path / "record")
    assert report.sound and report.verdicts == 0
    assert "/dev/video97" in events(tmp_path / "record")[-1]["why"]


def test_a_gate_that_the_profile_turns_off_is_in_the_record(tmp_path, profile, words, capsys):
    profile.write_text(SMALL + "[gates]\noff = ['out_of_focus']\n")
    assert run(*words, "--camera", SHARP, "--frames", 2) == 0
    off = [event for event in events(tmp_path / "record") if event.get("kind") == "gate_off"]
    assert len(off) == 1 and "out_of_focus" in off[0]["detail"]
    profile.write_text(SMALL + "[gates]\noff = ['out_of_fokus']\n")
    assert run(*words, "--camera", SHARP, "--frames", 2) == 2
    assert "out_of_focus" in capsys.readouterr().err


def test_the_defaults_work_right_after_installation(tmp_path):
    """`edge run --frames N` with nothing else: the shipped bundle, the virtual microscope, the user's folder."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run(
        [EDGE, "run", "--frames", "10"], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(simulated)") == 10
    assert verify(tmp_path / "leukoscope" / "record").verdicts == 10


def test_a_clock_that_is_set_shows_and_the_order_of_entries_stays(tmp_path, words, monkeypatch, capsys):
    """The wall clock goes back an hour after the tenth time it is read."""
    wall, reads = time.time_ns, itertools.count()
    back = lambda: wall() - (3_600_000_000_000 if next(reads) > 10 else 0)  # noqa: E731
    monkeypatch.setattr("edge.instrument.session.Clock", lambda: Clock(wall=back))
    assert run(*words, "--camera", SHARP, "--frames", 200, "--every", "--keep", "none", "--json") == 0
    fields = [each["field"] for each in records(capsys.readouterr().out)]
    assert fields == list(range(1, 201))
    [jump] = [event for event in events(tmp_path / "record") if event.get("kind") == "clock_jump"]
    assert "-3600" in jump["detail"]
    assert verify(tmp_path / "record").sound


def test_out_of_file_handles_stops_recording_and_it_goes_on(tmp_path, process):
    running = process("--camera", SHARP, "--json", "--keep", "every")
    running.stdout.readline()
    limits = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    for line in running.stderr:
        if line.startswith("not recording"):
            break
    assert "Too many open files" in line
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, limits)
    for line in running.stderr:
        if line.startswith("recording goes on"):
            break
    running.terminate()
    _, said = ended(running)
    assert running.returncode == 0, said
    report = verify(tmp_path / "record")
    assert report.sound and report.not_ended == 0
