"""`edge run` as a service: what systemd is told, when the watchdog bites, and the self-test inside a run."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import bundle as bundles
from edge.bundle.golden import Golden
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.errors import GoldenMismatchError, SettingsError
from edge.inference.classifier import Classifier
from edge.inference.runtime.interpreters import open_interpreter
from edge.instrument.pipeline.counters import Counts
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.record.audit import verify
from edge.record.image_sampling import ImageSampler
from edge.record.store import Store
from edge.serving.selftest import SelfTester
from edge.serving.selftest_schedule import DailySelfTest
from edge.serving.selftest_state import read_state
from edge.serving.serve import Served
from edge.settings.profile import parse
from edge.settings.trusted_keys import machine_keys
from edge.system.clock import Clock
from tests.edge.instrument.pipeline.parts import CountingCamera, ListStore, NumberJudge, no_gates
from tests.edge.serving.service_manager import Manager
from tests.paths import ROOT
from tests.tiny_bundle import certified

pytestmark = pytest.mark.usefixtures("drawn_once")
CAMERA = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"


def events(store: Path) -> list[tuple[str, str]]:
    with Store.open(store, read_only=True) as record:
        bodies = [json.loads(row.body) for row in record.entries(through=record.head().id)]
    return [(body["kind"], body["detail"]) for body in bodies if body["type"] == "event"]


# --- the run, as a unit starts it


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`edge run` on the shipped custom CNN, told of a manager; whatever still runs is killed."""
    started = []
    (tmp_path / "edge.toml").write_text("[camera]\nsize = [320, 240]\n")

    def start(manager: Manager, *more: str, watchdog_s: float = 30.0, before: str = "") -> subprocess.Popen[str]:
        words = ["run", "--store", str(tmp_path / "record"), "--config", str(tmp_path / "edge.toml"), "--json"]
        words += ["--bundle", str(bundles_folder() / "custom_cnn-int8"), "--camera", CAMERA, *more]
        program = f"import sys; from edge.cli import main; {before}\nsys.argv = ['edge', *sys.argv[1:]]; main()"
        environment = {**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        running = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(running)
        return running

    yield start
    for each in started:
        each.kill()
        each.communicate()


def bundles_folder() -> Path:
    return ROOT / "models" / "bundles"


@pytest.fixture
def at_path(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


def test_a_run_says_that_it_is_ready_lives_works_and_stops(
    service: Callable[..., subprocess.Popen[str]], at_path: Manager, tmp_path: Path
) -> None:
    running = service(at_path)
    [*before, ready] = at_path.until("READY=1")
    assert "custom_cnn-int8 serves" in ready
    assert not any("WATCHDOG" in message or "STOPPING" in message for message in before)
    at_path.until("WATCHDOG=1")
    [*_, status] = at_path.until(" stored")
    assert "answered" in status and "abstained" in status
    running.terminate()
    [*_, last] = at_path.until("STOPPING=1")
    assert "stopped" in last
    assert running.wait(20) == 0
    report = verify(tmp_path / "record")
    assert report.sound and report.not_ended == 0
    assert events(tmp_path / "record")[0][0] == "selftest_passed"
    kept = read_state(tmp_path / "record").last
    assert kept is not None and kept.passed and kept.bundle == "custom_cnn-int8"


HANG = """
import edge.instrument.pipeline.pipeline, threading
from edge.inference.classifier import Classifier
real, calls = Classifier.classify_prepared, []
def hang(self, pixels):
    calls.append(1)
    if len(calls) > 20: threading.Event().wait()
    return real(self, pixels)
Classifier.classify_prepared = hang
"""


@pytest.mark.slow
def test_a_stage_that_hangs_lets_the_watchdog_bite(
    service: Callable[..., subprocess.Popen[str]], at_path: Manager, tmp_path: Path
) -> None:
    """Negative control of the signs of life: camera, record and main thread go on, and still none is sent."""
    running = service(at_path, watchdog_s=1.0, before=HANG)
    at_path.until("WATCHDOG=1")
    at_path.until("the classify stage hangs")
    assert running.poll() is None
    deadline = time.monotonic() + 2.0
    while (left := deadline - time.monotonic()) > 0:
        assert "WATCHDOG=1" not in (at_path.heard(left) or "")
    running.kill()  # as systemd does
    running.wait(20)
    kinds = [kind for kind, _ in events(tmp_path / "record")]
    assert "hang" in kinds and verify(tmp_path / "record").sound


@pytest.mark.slow
def test_a_camera_that_is_away_keeps_the_service_alive(
    service: Callable[..., subprocess.Popen[str]], at_path: Manager, tmp_path: Path
) -> None:
    """Unplugged for longer than the watchdog's time."""
    with (tmp_path / "edge.toml").open("a") as profile:
        profile.write("timeout_s = 0.3\n")
    running = service(at_path, "--camera", f"{CAMERA}&fail=unplug@20:600", watchdog_s=1.0)
    at_path.until("the camera is away")
    for _ in range(8):  # four a second: longer than the watchdog's time by far
        at_path.until("WATCHDOG=1", 2.0)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        at_path.until("WATCHDOG=1", 2.0)
    assert running.poll() is None
    running.terminate()
    assert running.wait(20) == 0
    assert "hang" not in [kind for kind, _ in events(tmp_path / "record")]


def test_a_camera_that_is_missing_is_not_ready_and_may_be_tried_again(
    service: Callable[..., subprocess.Popen[str]], at_path: Manager
) -> None:
    running = service(at_path, "--camera", "uvc:/dev/video97")
    assert running.wait(60) == 4, "neither 1 nor 2, which units do not start again"
    heard = []
    while (message := at_path.heard(0.2)) is not None:
        heard.append(message)
    assert not any("READY" in message for message in heard) and any("/dev/video97" in message for message in heard)


# --- self-tests


def tiny(parts: dict[str, Any], path: Path, outputs: Any = None) -> Path:
    golden = parts["golden"]
    kept = Golden(golden.inputs, golden.outputs if outputs is None else outputs)
    return bundles.write(path, **certified({**parts, "golden": kept}, interpreter={"kind": "xnnpack"})).path


def test_a_replay_that_fails_at_the_start_is_said_everywhere(
    bundle_parts: dict[str, Any], tmp_path: Path, at_path: Manager, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Exit code 1, one line, an event in a record where no run began, what the doctor shows, the manager."""
    wrong = bundle_parts["golden"].outputs.copy()
    wrong[0, 0] ^= 1
    path, record = tiny(bundle_parts, tmp_path / "wrong-int8", wrong), tmp_path / "record"
    monkeypatch.setenv("NOTIFY_SOCKET", at_path.address)
    words = ["run", "--bundle", path, "--store", record, "--allow-unsigned", "--frames", 1, "--camera", CAMERA]
    assert main("edge", COMMANDS, [str(word) for word in words]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.splitlines()[-1].startswith("error: ") and "golden images differ" in said.err
    [(kind, detail)] = events(record)
    assert kind == "selftest_failed" and "1 of 6 golden images differ" in detail
    report = verify(record)
    assert report.sound and (report.verdicts, report.runs) == (0, 0)
    kept = read_state(record).last
    assert kept is not None and not kept.passed
    [*_, last] = at_path.until("STOPPING=1")
    assert "self-test failed" in last and "READY" not in last


def test_where_the_record_is_held_the_failure_is_still_one_line(
    bundle_parts: dict[str, Any], tmp_path: Path, capsys: Any
) -> None:
    wrong = np.roll(bundle_parts["golden"].outputs, 1, axis=1)
    path, record = tiny(bundle_parts, tmp_path / "wrong-int8", wrong), tmp_path / "record"
    with Store.open(record):
        words = ["run", "--bundle", path, "--store", record, "--allow-unsigned", "--frames", 1, "--camera", CAMERA]
        assert main("edge", COMMANDS, [str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert "warning: the failed self-test is not in the record" in said
    assert said.splitlines()[-1].startswith("error: ") and "golden images differ" in said.splitlines()[-1]


class Flipping:
    """An interpreter whose model loses a bit after so many inferences."""

    def __init__(self, interpreter: Any, after: int) -> None:
        self._interpreter, self._left = interpreter, after
        self.threads_seen: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._interpreter, name)

    def invoke(self, tensor: Any) -> Any:
        self.threads_seen.add(threading.get_ident())
        self._left -= 1
        raw = self._interpreter.invoke(tensor)
        if self._left < 0:
            raw = raw.copy()
            raw[0] ^= 4
        return raw


SMALL = "[camera]\nsize = [320, 240]\n"


def test_a_bit_that_flips_while_it_runs_ends_the_run(
    bundle_parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Negative control of the daily self-test: the answers change after 200 inferences, the test comes every 0.3 s."""
    path, record, profile = tiny(bundle_parts, tmp_path / "tiny-int8"), tmp_path / "record", tmp_path / "edge.toml"
    profile.write_text(SMALL)
    monkeypatch.setattr("edge.serving.serve.open_interpreter", lambda *a, **k: Flipping(open_interpreter(*a, **k), 200))
    monkeypatch.setattr("edge.instrument.session.DailySelfTest", lambda *a, every_s: DailySelfTest(*a, every_s=0.3))
    words = ["run", "--bundle", path, "--store", record, "--config", profile, "--camera", CAMERA]
    words += ["--allow-unsigned", "--json", "--keep", "none"]
    assert main("edge", COMMANDS, [str(word) for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("error: the self-test failed: ")
    told = events(record)
    assert told[-1][0] == "selftest_failed" and "are in doubt" in told[-1][1]
    assert [kind for kind, _ in told].count("selftest_passed") >= 1
    report = verify(record)
    assert report.sound and report.not_ended == 0 and report.verdicts == len(captured.out.splitlines()) > 0
    with Store.open(record, read_only=True) as store:
        end = [json.loads(row.body) for row in store.entries(through=store.head().id)][-1]
    assert end["type"] == "end" and end["why"].startswith("the self-test failed")
    assert Counts(**end["counters"]).add_up()
    kept = read_state(record).last
    assert kept is not None and not kept.passed


def test_a_sound_run_tests_itself_between_frames_and_loses_none(
    bundle_parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path, record, profile = tiny(bundle_parts, tmp_path / "tiny-int8"), tmp_path / "record", tmp_path / "edge.toml"
    profile.write_text(SMALL)
    opened: list[Flipping] = []

    def open_once(*words: Any, **more: Any) -> Flipping:
        opened.append(Flipping(open_interpreter(*words, **more), 10**9))
        return opened[-1]

    monkeypatch.setattr("edge.serving.serve.open_interpreter", open_once)
    monkeypatch.setattr("edge.instrument.session.DailySelfTest", lambda *a, every_s: DailySelfTest(*a, every_s=1e-9))
    words = ["run", "--bundle", path, "--store", record, "--config", profile, "--camera", CAMERA, "--every"]
    words += ["--allow-unsigned", "--json", "--keep", "none", "--frames", 40]
    assert main("edge", COMMANDS, [str(word) for word in words]) == 0
    assert [json.loads(line)["field"] for line in capsys.readouterr().out.splitlines()] == list(range(1, 41))
    assert [kind for kind, _ in events(record)].count("selftest_passed") >= 40
    assert len(opened) == 1 and len(opened[0].threads_seen) == 2, "the start's thread, then the classify stage's alone"


def test_the_test_comes_when_it_is_due_and_in_an_idle_run_too(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    bundle = bundles.load(tiny(bundle_parts, tmp_path / "tiny-int8"), trust=machine_keys(), allow_unsigned=True)
    interpreter = Flipping(open_interpreter(bundle.model), 10**9)
    classifier = Classifier(bundle.contract, interpreter)
    served = Served(bundle, classifier, no_gates(), bundles.judge_golden(bundle, interpreter))
    now, seen = [0.0], []
    daily = DailySelfTest(
        SelfTester(tmp_path), served, lambda kind, _: seen.append(kind), every_s=86400.0, now=lambda: now[0]
    )
    daily.at_start()
    assert seen == ["selftest_passed"]
    for hours in (1, 23, 23.99):
        now[0] = hours * 3600.0
        daily()
    assert seen == ["selftest_passed"]
    now[0] = 24.1 * 3600
    daily()
    daily()
    assert seen == ["selftest_passed"] * 2
    interpreter._left = 0
    now[0] = 48.2 * 3600
    with pytest.raises(GoldenMismatchError, match=r"the self-test failed.*verdicts since .* are in doubt"):
        daily()
    assert seen[-1] == "selftest_failed"


@pytest.mark.parametrize("hours", ["0", "-1", "1000", "'daily'", "true"])
def test_it_cannot_be_turned_off(hours: str) -> None:
    import tomllib

    assert parse(tomllib.loads("[selftest]\nevery_hours = 12\n")).selftest.every_hours == 12
    assert parse({}).selftest.every_hours == 24
    with pytest.raises(SettingsError, match=r"selftest\.every_hours must be a number 0\.001\.\.720"):
        parse(tomllib.loads(f"[selftest]\nevery_hours = {hours}\n"))


def test_what_ends_the_hook_ends_the_pipeline_with_all_that_was_judged_stored() -> None:
    store, judge = ListStore(), NumberJudge()

    def between() -> None:
        if len(judge.seen) == 5:
            raise GoldenMismatchError("no")

    recorder = Recorder(store, 1, clock=Clock(), on_stored=lambda _: None, on_state=lambda _: None)
    pipeline = Pipeline(
        CountingCamera(100),
        no_gates(),
        judge,
        recorder,
        sampler=ImageSampler("none"),
        clock=Clock(),
        every=True,
        between=between,
    )
    pipeline.start()
    with pytest.raises(GoldenMismatchError):
        while not pipeline.join(0.1):
            pass
    assert len(judge.seen) == 5 == len(store.stored)
    assert pipeline.counts.add_up()
