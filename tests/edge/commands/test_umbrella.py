"""`leukoscope`: the three commands under one name."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge.commands import umbrella
from tests.paths import ROOT


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["leukoscope", *words])
    monkeypatch.setattr(os, "_exit", sys.exit)  # a thread that another test left would end the tests
    with pytest.raises(SystemExit) as ended:
        umbrella.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_alone_it_lists_the_three(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert all(f"    {floor} " in said for floor in ("edge", "models", "convert"))


@pytest.mark.parametrize("floor", ["edge", "models", "convert"])
def test_the_words_go_to_the_command(
    floor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(floor, monkeypatch=monkeypatch) == 2
    assert f"error: {floor} needs a command" in capsys.readouterr().err


def test_the_exit_code_is_the_command_s(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "edge.commands.umbrella", "edge", "verify", "--store", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "no record here" in done.stderr and done.stdout == ""


def test_a_mistyped_command_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convrt", monkeypatch=monkeypatch) == 2
    assert "leukoscope has no command convrt; did you mean convert?" in capsys.readouterr().err


@pytest.mark.parametrize(("floor", "extra"), [("edge", "device"), ("models", "models"), ("convert", "convert")])
def test_what_is_not_installed_is_named(
    floor: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="scipy")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert run(floor, monkeypatch=monkeypatch) == 4
    said = capsys.readouterr().err
    cure = f"pip install '.[{extra}]' in a clone of Leukoscope"  # no package index has it
    assert said == f"error: leukoscope {floor} needs scipy, which is not installed: {cure}\n"


def test_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["leukoscope"] == "edge.commands.umbrella:main"
