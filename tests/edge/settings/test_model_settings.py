"""`[model]` of the profile under the options of a command: one reading, in every command that opens a model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.commands import bench as bench_command
from edge.commands import classify as classify_command
from edge.commands import run as run_command
from edge.commands import selftest as selftest_command
from edge.errors import SettingsError, UsageError
from edge.settings.model import ModelSettings

NOTHING = {"bundle": "", "runtime": "", "threads": "", "edgetpu": ""}
PROFILE = ModelSettings(Path("/profile"), "litert", 3, "usb:0", True)


def run(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return run_command.run(**words, config=config).settings.model


def selftest(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return selftest_command.selftest(**words, store=str(folder), config=config).settings.model


def classify(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return classify_command.classify("x.png", **words, config=config).model


def bench(config: str, folder: Path, words: dict[str, str]) -> ModelSettings:
    return bench_command.bench(**words, frames="10", config=config).settings.model


def test_what_is_left_out_is_the_profile_s() -> None:
    assert PROFILE.with_options(**NOTHING) == PROFILE


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
    assert PROFILE.with_options(**{**NOTHING, word: given}) == replace(PROFILE, **{word: taken})


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
        PROFILE.with_options(**{**NOTHING, word: given})


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
