"""A newcomer's first hour: the commands of README and tutorial, in their order, in a fresh clone, each with its time.

What a test cannot do (download data sets, install packages, become root) is named beside the command, with the test
that does it instead. A command that a page gains, and this walk does not know, fails it.
"""

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest

from edge.cameras.synthetic.smear import synthetic_fields
from tests.paths import ROOT
from tests.project.pages.command_lines import fenced
from tests.small_world import trained_archive, write_images

LONGEST_S = 1200  # of one step, on a busy machine
ELSEWHERE = {  # what is not done here, and what does it
    "git clone https://example.org/leukoscope && cd leukoscope": "the clone of this test",
    "make test": "this is part of it",
    ".venv/bin/models fetch --from archive.zip --to path/to/images": "tests/models/data/test_fetch.py, on drawn images",
    "make quantize DATA=path/to/images": "tests/project/test_shipped.py, where the images are",
    "sudo firmware_scripts/install.sh --first-verdict": "tests/pi/test_provisioning.py",
    "python3 -m venv .venv": "tests/install/test_device_install.py",
    ".venv/bin/pip install '.[device]'": "tests/install/test_device_install.py",
}


@dataclass
class Clone:
    """A clone with an environment that stands in for the one that `make` installs, and what was done in it."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def build(cls, folder: Path) -> "Clone":
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(folder)], check=True, timeout=300)
        binaries = folder / ".venv" / "bin"
        binaries.mkdir(parents=True)
        starts = {name: f"-m {name}.cli" for name in ("convert", "edge", "models")}
        for name, start in {**starts, "leukoscope": "-m edge.commands.umbrella", "python": ""}.items():
            script = binaries / name
            script.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec {sys.executable} {start} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (folder / ".venv" / ".installed").touch()  # newer than the lock: nothing is to be installed
        return cls(folder)

    def run(self, line: str, *codes: int) -> subprocess.CompletedProcess[str]:
        """One line of a page as a shell gets it, which must end with one of the codes."""
        began = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env={**os.environ, "STATE_DIRECTORY": str(self.folder / "state")},
        )
        self.seconds[f"{len(self.seconds) + 1}. {line}"] = time.monotonic() - began
        assert done.returncode in (codes or (0,)), f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def report(self) -> str:
        rows = [f"{seconds:8.1f} s  {line}" for line, seconds in self.seconds.items()]
        return "\n".join([*rows, f"{sum(self.seconds.values()):8.1f} s  in all"])


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    if shutil.which("git") is None or shutil.which("make") is None:
        pytest.skip("git and make are not both installed")
    made = Clone.build(tmp_path_factory.mktemp("walk") / "leukoscope")
    (made.folder / "my_model.keras").write_bytes(trained_archive())
    write_images(made.folder / "my_images")
    drawn = cv2.cvtColor(synthetic_fields(1, seed=3)[0][1], cv2.COLOR_RGB2BGR)
    for name in ("FIELD.jpg", "path/to/field.jpg"):
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(made.folder / name), drawn, [cv2.IMWRITE_JPEG_QUALITY, 100])
    yield made


def quantized(clone: Clone, line: str) -> None:
    done = clone.run(line)
    assert "pass" in done.stdout and f"report: {Path('build/bundles/mobilenet_v2-int8/report.html')}" in done.stdout
    assert "agreement only, no accuracy" in done.stderr, "drawn evidence is said"


def quantized_again(clone: Clone, line: str) -> None:
    done = clone.run(line)
    assert done.stderr.count("nothing has changed") == 2 and "drawing fields" not in done.stderr
    assert list(clone.seconds.values())[-1] < 30


def converted(clone: Clone, line: str) -> None:
    done = clone.run(line, 3)
    assert "the sorted names of the class folders" in done.stderr and "about 1500 in all" in done.stdout


def inspected(clone: Clone, line: str) -> None:
    assert clone.run(line).stdout.splitlines()[0].endswith("full-int8")


def classified(clone: Clone, line: str) -> None:
    done = clone.run(line)
    assert "1 image" in done.stdout + done.stderr


def ran(clone: Clone, line: str) -> None:
    assert "200 stored of " in clone.run(line).stdout


def looked_at(clone: Clone, line: str) -> None:
    assert "ok" in clone.run(line, 0, 4).stdout


def opened(clone: Clone, line: str) -> None:
    """The bench in one command: its address is printed and answers; Ctrl-C ends it."""
    began = time.monotonic()
    environment = {**os.environ, "STATE_DIRECTORY": str(clone.folder / "state"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        shlex.split(line),
        cwd=clone.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        said = []
        for text in process.stdout:
            said.append(text)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", text):
                with urllib.request.urlopen(found[0], timeout=30) as answer:
                    assert b"Leukoscope" in answer.read()
                break
        else:
            raise AssertionError("".join(said))
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode in (0, 130)
    clone.seconds[f"{len(clone.seconds) + 1}. {line}"] = time.monotonic() - began


Step = Callable[[Clone, str], None]
README: dict[str, Step] = {
    "make quantize": quantized,
    ".venv/bin/edge page --demo": opened,
    ".venv/bin/convert quantize --int8 my_model.keras --data my_images": converted,
    ".venv/bin/convert inspect build/bundles/my_model-int8/model.tflite": inspected,
    ".venv/bin/edge doctor": looked_at,
    ".venv/bin/edge run --frames 200": ran,
    ".venv/bin/edge classify path/to/field.jpg": classified,
}
TUTORIAL: dict[str, Step] = {
    "make quantize": quantized_again,
    ".venv/bin/convert inspect build/bundles/mobilenet_v2-int8/model.tflite": inspected,
    ".venv/bin/edge classify FIELD.jpg": classified,
}


def commands_of(page: str) -> list[str]:
    """Of the README what its fenced blocks show; the tutorial has commands in its sentences too."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page == "README.md":
        return fenced(text.split("## The tree")[0])
    shown = re.findall(r"`((?:make|\.venv/bin/)[^`]*)`|^ *```\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for pair in shown for line in "".join(pair).splitlines() if line.strip()]


@pytest.mark.parametrize(("page", "steps"), [("README.md", README), ("docs/tutorial.md", TUTORIAL)])
def test_the_walk_knows_every_command_of_the_pages(page: str, steps: dict[str, Step]) -> None:
    shown = commands_of(page)
    assert set(shown) - set(ELSEWHERE) == set(steps)
    for line in shown:
        where = re.match(r"tests/\S+\.py", ELSEWHERE.get(line, ""))
        assert where is None or (ROOT / where[0]).is_file(), line


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("page", "steps"), [("README.md", README), ("docs/tutorial.md", TUTORIAL)])
def test_every_command_of_the_page_works(
    clone: Clone, page: str, steps: dict[str, Step], capsys: pytest.CaptureFixture[str]
) -> None:
    for line in commands_of(page):
        if line in steps:
            steps[line](clone, line)
    with capsys.disabled():
        print(f"\n{page}\n{clone.report()}")
    tracked = subprocess.run(
        ["git", "-C", clone.folder, "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert {line[3:] for line in tracked.stdout.splitlines()} == {
        "FIELD.jpg",
        "my_images/",
        "my_model.keras",
        "path/",
        "state/",
    }, "nothing else is left in the clone"
    bundle = json.loads((clone.folder / "build" / "bundles" / "mobilenet_v2-int8" / "certificate.json").read_text())
    assert bundle["synthetic"] is True
