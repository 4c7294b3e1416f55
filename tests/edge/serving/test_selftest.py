"""`edge selftest`: what it says, keeps and warns of, as users type it; and `edge doctor`, which shows the last one."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.golden import Golden
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.diagnostics.selftest import last as probe
from edge.inference.runtime.interpreters import open_interpreter
from edge.serving import selftest
from edge.serving.selftest import FAR, SelfTester, examine, pace
from edge.serving.selftest_state import FILE, MOST_PACES, LastTest, read_state, write_state
from edge.settings.trusted_keys import machine_keys
from edge.system.machine import Machine
from tests.commands import is_one_line, shell
from tests.tiny_bundle import certified

SOME = LastTest(
    "2026-11-24T12:00:00Z", "passed", "as certified", "tiny-int8", "ab" * 32, "litert", "2.3.0", "xnnpack", 4.0
)


@pytest.fixture
def write(bundle_parts: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """A bundle certified for XNNPACK's arithmetic, with other golden outputs or more in its certificate."""

    def write(
        name: str = "tiny-int8", change: Callable[[Any], Any] = lambda outputs: outputs, **certificate: Any
    ) -> Path:
        golden = bundle_parts["golden"]
        parts = {**bundle_parts, "golden": Golden(golden.inputs, change(golden.outputs.copy()))}
        parts = certified(parts, **{"interpreter": {"kind": "xnnpack"}, **certificate})
        return bundles.write(tmp_path / name, **parts).path

    return write


def off_by_one(outputs: Any) -> Any:
    outputs[2, 0] ^= 1
    return outputs


def loaded(path: Path) -> Bundle:
    return bundles.load(path, trust=machine_keys(), allow_unsigned=True)


def test_a_sound_machine_passes_and_the_outcome_is_kept(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    done = shell("edge", "selftest", "--bundle", path, "--store", tmp_path / "record", "--allow-unsigned", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["passed"] is said["intact"] is True
    assert (said["images"], said["differing"], said["max_difference"], said["allowed"]) == (6, [], 0, 0)
    assert said["kind"] == "xnnpack" and said["certified_kinds"] == ["xnnpack"] and said["invoke_ms"] > 0
    kept = read_state(tmp_path / "record").last
    assert kept is not None and kept.passed and kept.digest == said["digest"] and kept.kind == "xnnpack"
    age = kept.age_s()
    assert age is not None and -2 < age < 120


def test_one_step_of_one_output_fails_it(write: Callable[..., Path], tmp_path: Path) -> None:
    """Negative control, and what it says: the image, the difference, and one line of error."""
    words = ("--bundle", write(change=off_by_one), "--store", tmp_path / "record", "--allow-unsigned")
    done = shell("edge", "selftest", *words)
    assert done.returncode == 1 and is_one_line(done.stderr)
    assert "1 of 6 golden images differ" in done.stderr
    assert done.stdout.startswith("FAILED: ") and "image 2: 1 LSB" in done.stdout and "<- not allowed" in done.stdout
    kept = read_state(tmp_path / "record").last
    assert kept is not None and not kept.passed and kept.invoke_ms is None


def test_another_class_is_named(write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(change=lambda outputs: np.roll(outputs, 1, axis=1))
    words = ["selftest", "--bundle", str(path), "--store", str(tmp_path / "record"), "--allow-unsigned", "--json"]
    assert main("edge", COMMANDS, words) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] is False and len(said["differing"]) == 6
    assert all(not each["allowed"] and each["expected"] != each["answered"] for each in said["differing"])


def test_an_altered_bundle_is_refused_before_it_is_tested(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    (path / "golden.npz").write_bytes((path / "golden.npz").read_bytes()[:-1] + b"?")
    done = shell("edge", "selftest", "--bundle", path, "--store", tmp_path / "record", "--allow-unsigned")
    assert done.returncode == 2 and is_one_line(done.stderr) and "golden.npz: altered" in done.stderr
    kept = read_state(tmp_path / "record").last
    assert kept is not None and not kept.passed and "altered" in kept.detail


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--runtime", "onnx"], 2, "--runtime must be one of"),
        (["--threads", "0"], 2, "--threads must be at least 1"),
        (["--config", "/nowhere.toml"], 2, "/nowhere.toml"),
        (["--bundle", "/nowhere"], 2, "/nowhere"),
    ],
)
def test_wrong_words_are_one_line(
    more: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("edge", COMMANDS, ["selftest", "--store", str(tmp_path / "r"), *more]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err.splitlines()[-1]


def test_the_bytes_in_memory_are_looked_at_too(write: Callable[..., Path]) -> None:
    """Negative control: one bit of the model, flipped after it was loaded, whatever the interpreter still answers."""
    bundle = loaded(write())
    interpreter = open_interpreter(bundle.model)
    assert examine(bundle, interpreter, {}).passed
    model = bytearray(bundle.model)
    model[len(model) // 2] ^= 1
    found = examine(replace(bundle, model=bytes(model)), interpreter, {})
    assert found.replay.passed and not found.intact and not found.passed
    assert "bytes in memory are not those that were certified" in found.detail


# --- time


@pytest.mark.parametrize(("slower", "warns"), [(FAR / 2, False), (FAR * 2, True)])
def test_far_slower_than_this_device_was_is_a_warning(write: Callable[..., Path], slower: float, warns: bool) -> None:
    bundle = loaded(write())
    interpreter = open_interpreter(bundle.model)
    measured = examine(bundle, interpreter, {}).invoke_ms
    assert measured is not None
    steady = selftest._timed
    try:
        selftest._timed = lambda *_: measured * slower  # type: ignore[assignment]
        found = examine(bundle, interpreter, {pace(bundle, interpreter): measured})
    finally:
        selftest._timed = steady
    assert found.passed and found.expected_by == "this device's fastest self-test"
    assert bool(found.warnings) is warns


def test_the_certificate_counts_on_a_machine_like_its_own(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    latency = {"runtime": "litert", "kind": "xnnpack", "threads": 1, "int8_ms": 1e-6}
    bundle = loaded(write(latency=latency, machine={"architecture": "pdp11"}))
    interpreter = open_interpreter(bundle.model)
    assert examine(bundle, interpreter, {}).expected_ms is None  # another machine, and nothing known of this one
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    found = examine(bundle, interpreter, {pace(bundle, interpreter): 1e9})
    assert found.passed and found.expected_by == "the certificate" and len(found.warnings) == 1
    assert "times what the certificate says" in found.warnings[0]
    two_threads = open_interpreter(bundle.model, threads=2)
    assert examine(bundle, two_threads, {}).expected_ms is None, "it was measured with one thread"


# --- what is kept


def test_the_fastest_pace_is_kept_and_the_oldest_forgotten(tmp_path: Path) -> None:
    for number in range(MOST_PACES + 5):
        write_state(tmp_path, structs.replace(SOME, invoke_ms=5.0), f"bundle {number}", read_state(tmp_path).paces)
    assert len(read_state(tmp_path).paces) == MOST_PACES and "bundle 0" not in read_state(tmp_path).paces
    for milliseconds in (9.0, 3.0, 7.0, None):
        write_state(tmp_path, structs.replace(SOME, invoke_ms=milliseconds), "this", read_state(tmp_path).paces)
    assert read_state(tmp_path).paces["this"] == 3.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 9, "last": {}, "paces": {}}',
        '{"format": 1, "last": {"x": 1}, "paces": {}}',
    ],
)
def test_a_damaged_state_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_state(tmp_path).last is None and read_state(tmp_path).paces == {}
    write_state(tmp_path, SOME, "x", {})
    assert read_state(tmp_path).last == SOME


def test_a_place_that_cannot_be_written_is_a_warning(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = loaded(write())
    found = SelfTester(Path("/proc/self")).examine(bundle, open_interpreter(bundle.model))
    assert found.passed
    assert "warning: the self-test's outcome is not kept" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_root_makes_no_folder_where_the_service_is_to_record(write: Callable[..., Path], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 12345, 12345)
    bundle = loaded(write())
    assert SelfTester(state / "record").examine(bundle, open_interpreter(bundle.model)).passed
    assert not (state / "record").exists()


def test_the_file_is_whole_and_readable(tmp_path: Path) -> None:
    write_state(tmp_path / "record", SOME, "x", {})
    assert [each.name for each in (tmp_path / "record").iterdir()] == [FILE]
    assert stat.S_IMODE((tmp_path / "record" / FILE).stat().st_mode) & 0o400


# --- the doctor


def state_of(tmp_path: Path, **changes: Any) -> tuple[str, str, str]:
    write_state(tmp_path, structs.replace(SOME, **changes), "x", {})
    [finding] = probe(Machine(store=tmp_path))
    return finding.state, finding.found, finding.cure


def test_the_doctor_shows_the_last_one_and_its_age(tmp_path: Path) -> None:
    from edge.serving.selftest_state import utc_now

    [none] = probe(Machine(store=tmp_path))
    assert none.state == "unknown" and "edge selftest" in none.cure
    state, found, _ = state_of(tmp_path, utc=utc_now())
    assert state == "ok" and " s ago (" in found and "tiny-int8" in found
    state, found, cure = state_of(tmp_path, utc="2026-01-01T00:00:00Z")
    assert state == "warning" and "days ago" in found and "edge selftest" in cure
    state, found, cure = state_of(tmp_path, utc=utc_now(), outcome="failed", detail="2 of 12 differ")
    assert state == "missing" and "failed" in found and "2 of 12 differ" in found and "edge rollback" in cure
    state, found, _ = state_of(tmp_path, utc="2999-01-01T00:00:00Z")
    assert state == "ok" and "at 2999" in found  # the clock was set back since
    state, _, _ = state_of(tmp_path, utc="yesterday")
    assert state == "warning"
