"""Every script of firmware_scripts/: clean, explains itself, refuses what it does not know, writes no host down."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.firmware import paper_roots as firmware
from tests.firmware.paper_roots import SCRIPTS, run

FILES = sorted(SCRIPTS.rglob("*.sh"))
PROGRAMS = sorted(
    path.relative_to(SCRIPTS).as_posix() for path in FILES if path.read_text().startswith("#!/usr/bin/env")
)
NEED_ROOT = {"install.sh": ["--steps", "system"], "uninstall.sh": [], "read-only-root.sh": ["disable"]}


def test_the_programs_are_those_that_are_documented() -> None:
    readme = (SCRIPTS / "README.md").read_text(encoding="utf-8")
    assert {"install.sh", "uninstall.sh", "offline/collect.sh", "camera/set-camera.sh", "image/build.sh"} <= set(
        PROGRAMS
    )
    assert not [program for program in PROGRAMS if program not in readme]


def test_bash_and_shellcheck_find_nothing() -> None:
    for path in FILES:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), path
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (apt install shellcheck)")
    done = subprocess.run(["shellcheck", *FILES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_would_find_something(tmp_path: Path) -> None:
    """Negative control: the folder's settings leave the checks on."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (apt install shellcheck)")
    shutil.copy(SCRIPTS / ".shellcheckrc", tmp_path)
    (tmp_path / "bad.sh").write_text("#!/usr/bin/env bash\nrm -rf $1/*\n")
    done = subprocess.run(["shellcheck", tmp_path / "bad.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SC2086" in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_stops_at_errors_and_can_be_run(program: str) -> None:
    path = SCRIPTS / program
    text = path.read_text(encoding="utf-8")
    assert "\nset -euo pipefail\n" in text
    assert "\nwatch_for_errors\n" in text
    assert path.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_names_every_word(program: str) -> None:
    told = run(program, "--help")
    assert (told.code, told.err) == (0, "")
    source = (SCRIPTS / program).read_text(encoding="utf-8")
    known = {
        word
        for line in re.findall(r"^ +(--[^)\n]*)\)", source, re.MULTILINE)
        for word in re.findall(r"--[a-z-]+", line)
    }
    assert known
    assert not [word for word in known if word not in told.out]
    assert "Exit codes: 0 " in told.out


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_word_is_refused_in_one_line(program: str) -> None:
    told = run(program, "--dry-runn")
    assert told.code == 2
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "--dry-runn" in told.err


@pytest.mark.parametrize(("program", "words"), NEED_ROOT.items())
def test_without_rights_it_is_refused(program: str, words: list[str]) -> None:
    told = firmware.as_nobody(program, *words)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert "must run as root" in told.err


def test_a_rehearsal_needs_no_rights(tmp_path: Path) -> None:
    config = Path("/var/tmp") / f"{tmp_path.name}-config.txt"
    config.write_text("camera_auto_detect=1\n")
    config.chmod(0o644)
    try:
        told = firmware.as_nobody("camera/set-camera.sh", "hq", "--config", config)
        assert (told.code, told.out) == (2, "")
        assert "must run as root" in told.err
        assert config.read_text() == "camera_auto_detect=1\n"
        assert firmware.as_nobody("camera/set-camera.sh", "hq", "--config", config, "--dry-run").code == 0
    finally:
        config.unlink()


def test_no_host_is_written_down() -> None:
    """Archives and registries are the machine's own: where packages come from is not for a script to say."""
    for path in (path for path in SCRIPTS.rglob("*") if path.is_file()):
        for host in re.findall(r"https?://([^\s/\"']+)", path.read_text(encoding="utf-8")):
            assert host.endswith("example.org") or host in "*|", f"{path}: {host}"
