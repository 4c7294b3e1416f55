"""`[model]` of the profile and the words that come before it: one reading, in every command that opens a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.commands.bench import bench_request
from edge.commands.classify import classify_request
from edge.commands.run import run_request
from edge.commands.selftest import selftest_request
from edge.errors import SettingsError, UsageError
from edge.settings.model import ModelSettings

NOTHING = {"bundle": "", "runtime": "", "threads": "", "edgetpu": ""}
PROFILE = ModelSettings(Path("/profile"), "litert", 3, "usb:0", True)
SWITCHES = {"json": False, "allow_unsigned": False}
UNCERTIFIED = {**SWITCHES, "allow_uncertified": False}
RUN = {"camera": "", "slide": "unnamed", "frames": "", "every": False, "keep": "", "store": ""}


def run(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return run_request(**words, **UNCERTIFIED, **RUN, config=config).settings.model


def selftest(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return selftest_request(**words, **UNCERTIFIED, store=str(folder), trusted="", config=config).settings.model


def classify(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return classify_request(["x.png"], **words, **UNCERTIFIED, ungated=False, config=config).model


def bench(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    made = bench_request(**words, **SWITCHES, frames="10", mediapipe="", figure="", config=config)
    return ModelSettings(made.bundle, made.runtime, made.threads, made.edgetpu, made.fallback)


def test_what_is_left_out_is_the_profile_s() -> None:
    assert PROFILE.with_words(**NOTHING) == PROFILE


@pytest.mark.parametrize(
    ("word", "given", "taken"),
    [
        ("bundle", "/other", Path("/other")),
        ("runtime", "tf_lite", "tf_lite"),
        ("threads", "2", 2),
        ("edgetpu", "pci:1", "pci:1"),
    ],
)
def test_a_word_comes_before_the_profile(word: str, given: str, taken: Any) -> None:
    assert PROFILE.with_words(**{**NOTHING, word: given}) == replace(PROFILE, **{word: taken})


@pytest.mark.parametrize(
    ("word", "given", "error", "said"),
    [
        ("runtime", "onnx", UsageError, "--runtime must be one of litert"),
        ("threads", "0", UsageError, "--threads must be at least 1"),
        ("threads", "9999", UsageError, "--threads must be at most"),
        ("edgetpu", "tpu", SettingsError, "--edgetpu must be usb"),
    ],
)
def test_wrong_words(word: str, given: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        PROFILE.with_words(**{**NOTHING, word: given})


@pytest.mark.parametrize("command", [run, selftest, classify, bench])
def test_every_command_reads_the_whole_section(command: Any, tmp_path: Path) -> None:
    """Also `edge classify`, and the CPU in place of the Edge TPU also in `edge bench`."""
    config = tmp_path / "edge.toml"
    config.write_text(
        '[model]\nbundle = "/profile"\nruntime = "litert"\nthreads = 3\nedgetpu = "usb:0"\nfallback = true\n'
        f'[record]\nfolder = "{tmp_path}"\n'
    )
    assert command(str(config), tmp_path, NOTHING) == PROFILE
    words = {"bundle": "/other", "runtime": "tf_lite", "threads": "1", "edgetpu": "pci"}
    assert command(str(config), tmp_path, words) == ModelSettings(Path("/other"), "tf_lite", 1, "pci", True)


@pytest.mark.parametrize("command", [run, selftest, classify, bench])
def test_without_a_profile_the_cpu_works(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("edge.settings.trusted_keys", "edge.settings.profile"):
        monkeypatch.setattr(f"{module}.DEFAULT_PROFILE", tmp_path / "none.toml")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert command("", tmp_path, NOTHING) == ModelSettings()
