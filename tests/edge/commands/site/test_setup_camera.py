"""`edge setup-camera` as a user runs it: what it locks, what it refuses, and what stands when it fails."""

import json
import os
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE
from edge.cameras.setup.flat_field import read_flat_field
from edge.cameras.setup.set_up_camera import open_set_up, read_setup
from edge.cli import COMMANDS
from edge.commands.doctor import doctor
from edge.commissioning.camera.folder import write_setup
from edge.diagnostics.camera_setup import setup_and_trend
from edge.settings.profile import load
from edge.system.durable import Durable
from tests.commands import in_this_process, is_one_line, shell, started
from tests.edge.cameras.setup.test_set_up_camera import FLAT, SETUP

EMPTY = "sim:Pro?seed=2&empty=1&vignetting=0.3&dirt=12&lamp=0.7&lamp_white=5"
CELLS = "sim:Pro?seed=2&vignetting=0.3&dirt=12&lamp=0.7&lamp_white=5"
PROFILE = f"""# our microscope
[camera]
uri = "{CELLS}&empty=0&motion=0&focus_drift=0&fps=30"   # drawn
size = [320, 240]

[record]
folder = "RECORD"   # on the stick
"""


def profile(folder: Path) -> Path:
    path = folder / "edge.toml"
    path.write_text(PROFILE.replace("RECORD", str(folder / "record")))
    return path


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """(a profile that was set up, what the command printed)."""
    path = profile(tmp_path_factory.mktemp("device"))
    done = shell("edge", "setup-camera", "--config", path, "--camera", EMPTY, "--cells", CELLS, "--json")
    assert done.returncode == 0, done.stderr
    return path, json.loads(done.stdout)


def test_it_locks_records_and_measures(set_up: tuple[Path, dict[str, object]]) -> None:
    path, record = set_up
    text = path.read_text()
    table = tomllib.loads(text)["camera"]
    assert "# our microscope" in text and "# drawn" in text and "# on the stick" in text
    setup = read_setup(Path(table["setup"]))
    assert record["digest"] == setup.digest
    assert (table["exposure_us"], table["gain"]) == (setup.exposure_us, setup.gain)
    assert setup.reference.brightness == pytest.approx(230, abs=3)
    assert setup.reference.white == pytest.approx((1.0, 1.0), abs=0.01)
    assert setup.flat_field.darkest < 0.8
    # a red cell of this drawn slide is about 6.4 um across, a pixel 80.64 / 240 um
    assert setup.scale.pixels == pytest.approx(6.4 / (80.64 / 240), rel=0.06)
    assert record["magnification"]["fits"] is True
    load(path)


def test_a_run_sees_an_even_white_field_and_says_the_digest(set_up: tuple[Path, dict[str, object]]) -> None:
    path, record = set_up
    settings = load(path)
    frames = {}
    for folder in (None, settings.camera_setup):
        camera = open_set_up(EMPTY, folder)
        camera.open()
        camera.configure(settings.camera)
        frames[folder] = np.mean([camera.capture(2.0).pixels.astype(float) for _ in range(16)], axis=0)
        camera.close()
    before, after = frames[None], frames[settings.camera_setup]
    assert after.std() < 2.0 and before.std() > 5.0
    done = shell(
        "edge", "run", "--config", path, "--frames", 30, "--json", "--allow-unsigned", "--camera", CELLS + "&fps=60"
    )
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {verdict["camera_setup"] for verdict in verdicts} == {record["digest"]}


@pytest.mark.slow
def test_doctor_shows_the_trend_and_warns_before_the_limit(set_up: tuple[Path, dict[str, object]]) -> None:
    """A lamp at 99 % is told, one at 94 % warned of; below 90 % the run says so itself."""
    path, _ = set_up
    found = {}
    for lamp in (0.99, 0.94, 0.87):
        camera = CELLS.replace("lamp=0.7", f"lamp={0.7 * lamp:.4f}") + "&empty=0&fps=30&motion=0&focus_drift=0"
        done = shell("edge", "run", "--config", path, "--frames", 30, "--allow-unsigned", "--camera", camera)
        assert done.returncode == 0, done.stderr
        assert ("beyond the 10% it may differ by" in done.stderr) == (lamp == 0.87)
        setup, found[lamp] = setup_and_trend(doctor(config=str(path)).machine)
        assert (setup.name, setup.state) == ("camera set-up", "ok")
    assert [finding.state for finding in found.values()] == ["ok", "warning", "warning"]
    assert "light 9" in found[0.94].found and "setup-camera" in found[0.94].cure


def test_a_camera_that_ignores_what_was_locked_does_not_run(set_up: tuple[Path, dict[str, object]]) -> None:
    path, _ = set_up
    done = shell(
        "edge", "run", "--config", path, "--frames", 3, "--allow-unsigned", "--camera", CELLS + "&ignore=exposure"
    )
    assert done.returncode == 4 and is_one_line(done.stderr)
    assert "does not confirm its set-up: ExposureTime must be" in done.stderr


def test_a_value_put_back_by_hand_does_not_run(set_up: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    path, _ = set_up
    changed = tmp_path / "edge.toml"
    changed.write_text(path.read_text().replace("gain = 1.0", "gain = 1.5"))
    assert changed.read_text() != path.read_text()
    done = shell("edge", "run", "--config", changed, "--frames", 3, "--allow-unsigned")
    assert done.returncode == 2 and is_one_line(done.stderr)
    assert "gain of [camera] must be as in the camera's set-up, 1.0; got 1.5" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--camera", CELLS + "&empty=0", "--skip-scale"], 1, "not an empty field"),
        (["--camera", EMPTY.replace("0.3", "0.9"), "--skip-scale"], 1, "too uneven to be made up for"),
        (["--camera", EMPTY + "&lamp_drift=-90", "--skip-scale"], 1, "the light changed by"),
        (["--camera", EMPTY + "&ignore=exposure", "--skip-scale"], 4, "does not do what it is told"),
        (["--camera", EMPTY, "--cells", EMPTY], 1, "red cells lie alone"),
        (["--camera", EMPTY, "--cells", CELLS, "--micrometer", "10"], 1, "no lines of a stage micrometer"),
        (["--camera", "uvc:7", "--skip-scale"], 2, "camera must be the profile's"),
        (["--camera", EMPTY], 2, "give --cells URI"),
        (["--camera", EMPTY, "--skip-scale", "--level", "250"], 2, "--level must be a number in 120..245"),
        (["--camera", EMPTY, "--skip-scale", "--micrometer", "10"], 2, "--skip-scale leaves out"),
    ],
)
def test_what_cannot_be_set_up_is_one_line_and_changes_nothing(
    tmp_path: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = profile(tmp_path)
    in_this_process(capsys, "edge", COMMANDS, "setup-camera")("--config", path, *words).refused(code, said)
    assert path.read_text() == PROFILE.replace("RECORD", str(tmp_path / "record"))
    assert [each.name for each in tmp_path.iterdir()] == ["edge.toml"]


def test_no_camera_and_a_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = profile(tmp_path)
    run = in_this_process(capsys, "edge", COMMANDS, "setup-camera")
    for uri, code, said in (("uvc:77", 4, "No such file"), ("replay:/tmp", 2, "a replay cannot be set up")):
        path.write_text(f'[camera]\nuri = "{uri}"\n')
        run("--config", path, "--skip-scale").refused(code, said)


def test_a_profile_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a folder read-only needs root")
    folder = tmp_path / "etc"
    folder.mkdir()
    path = profile(folder)
    assert os.system(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}") == 0
    try:
        done = shell("edge", "setup-camera", "--config", path, "--camera", EMPTY, "--skip-scale")
    finally:
        os.system(f"umount {folder}")
    assert done.returncode == 4 and is_one_line(done.stderr)
    assert "Read-only file system" in done.stderr and "Step 1" not in done.stderr


class Killed(BaseException):
    pass


def test_a_set_up_killed_at_any_step_leaves_the_old_one(tmp_path: Path) -> None:
    path, root = profile(tmp_path), tmp_path / "camera"
    old = write_setup(root, SETUP, FLAT)
    steps: list[tuple[str, str]] = []
    later = replace(SETUP, gain=2.0)
    write_setup(tmp_path / "rehearsal", later, FLAT, Durable(lambda step, when: steps.append((step, when))))
    assert len(steps) > 8
    for at in range(len(steps) - 2):  # two of them make `root`, which is there
        left = iter(range(at))

        def die(step: str, when: str, left: "Iterator[int]" = left) -> None:
            if next(left, None) is None:
                raise Killed

        with pytest.raises(Killed):
            write_setup(root, later, FLAT, Durable(die))
        shown = [each for each in root.iterdir() if not each.name.startswith(".")]
        assert old in shown and read_setup(old) == SETUP
        for folder in shown:  # whole, or not there
            assert read_setup(folder) in (SETUP, later)
            read_flat_field(folder / FLAT_FIELD_FILE, 8, FLAT.digest)
    new = write_setup(root, later, FLAT)
    assert read_setup(new) == later and read_flat_field(new / FLAT_FIELD_FILE, 8, FLAT.digest).digest == FLAT.digest
    assert sorted(each.name for each in root.iterdir()) == sorted([old.name, new.name])
    assert "setup" not in tomllib.loads(path.read_text())["camera"]


def test_ctrl_c_changes_nothing(tmp_path: Path) -> None:
    path = profile(tmp_path)
    process = started("edge", "setup-camera", "--config", path, "--camera", EMPTY + "&fps=1", "--skip-scale")
    assert process.stderr is not None
    while "Step 1" not in process.stderr.readline():
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted; nothing half-written was left behind" in err
    assert [each.name for each in tmp_path.iterdir()] == ["edge.toml"]
