"""`pip install leukoscope[device]`: no TensorFlow, small, for every Python and machine it is meant for."""

import json
import re
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from edge.cameras.synthetic.smear import synthetic_fields
from tests.install.device_lock import ROOT, build_wheel, install_into, locked

pytestmark = pytest.mark.slow
MOST_MB = 450
PYTHONS, MACHINES = ("3.11", "3.13"), ("x86_64", "aarch64")


def megabytes(folder: Path) -> float:
    """What is on disk, 10^6 bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6


def metadata(folder: Path) -> dict[str, dict[str, str]]:
    """Name -> Version and Requires-Python of what was installed."""
    found = {}
    for path in folder.glob("*.dist-info/METADATA"):
        head = path.read_text(encoding="utf-8").partition("\n\n")[0]
        fields = dict(re.findall(r"^(Name|Version|Requires-Python): (.+)$", head, flags=re.MULTILINE))
        found[fields["Name"].lower().replace("_", "-")] = fields
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel") / "built")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_installs_small_and_without_tensorflow(
    python: str, machine: str, tmp_path: Path, wheel: Path, record_property: Callable[[str, object], None]
) -> None:
    lines = tmp_path / "device.txt"
    lines.write_text(locked(python, machine))
    target = tmp_path / "site"
    try:
        install_into(target, lines, python, machine, "--require-hashes")
    except RuntimeError as error:
        if "Could not fetch URL" in str(error) or "Connection" in str(error):
            pytest.skip(f"no package registry answers: {str(error).splitlines()[-1]}")
        raise
    (tmp_path / "wheel.txt").write_text(f"{wheel}\n")
    install_into(target, tmp_path / "wheel.txt", python, machine, "--upgrade")
    found = metadata(target)
    assert {"leukoscope", "ai-edge-litert", "numpy", "opencv-python-headless", "fire"} <= set(found)
    assert not [name for name in found if name.startswith(("tensorflow", "keras"))]
    for fields in found.values():
        assert SpecifierSet(fields.get("Requires-Python", "")).contains(f"{python}.0"), fields
    size = megabytes(target)
    record_property("megabytes", round(size, 1))
    print(f"{python} {machine}: {size:.0f} MB, {len(found)} packages")
    assert size <= MOST_MB


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_holds_all_that_the_extra_asks_for(python: str, machine: str) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = default_environment() | {"python_version": python, "platform_machine": machine}
    asked = [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["device"]]]
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked(python, machine), flags=re.MULTILINE))
    for requirement in asked:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.specifier.contains(pinned[requirement.name]), requirement
    assert not [name for name in pinned if name.startswith(("tensorflow", "keras"))]


def test_a_fresh_environment_runs_the_command(tmp_path: Path, wheel: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    programs = tmp_path / "venv" / "bin"
    done = subprocess.run(
        [programs / "python", "-m", "pip", "install", "--quiet", f"leukoscope[device] @ {wheel.as_uri()}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Connection" in done.stderr or "No matching distribution found for pip" in done.stderr:
        pytest.skip(f"no package registry answers: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-2000:]
    shown = subprocess.run([programs / "edge", "classify", "--help"], capture_output=True, text=True, check=False)
    assert (shown.returncode, "edge classify" in shown.stdout) == (0, True), shown.stderr
    [(_, field)] = synthetic_fields(1, seed=1)
    assert cv2.imwrite(str(tmp_path / "field.png"), cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    words = [programs / "edge", "classify", tmp_path / "field.png", "--json"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr  # bundle, gates' limits and everything else that ships was found
    record = json.loads(told.stdout)
    assert record["label"] in ("Benign", "Early", "Pre", "Pro") or record["reason"] == "low_confidence", record
    listed = subprocess.run([programs / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True)
    assert "ai-edge-litert" in listed.stdout
    assert not re.search(r"^(tensorflow|keras)", listed.stdout, flags=re.MULTILINE)
    assert megabytes(tmp_path / "venv") <= MOST_MB
