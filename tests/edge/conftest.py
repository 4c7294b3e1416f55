"""What tests of the device share: drawn slides for the virtual microscope, and small disks."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.cameras.simulation.settings import SimSettings
from edge.cameras.simulation.view import Specimen, draw_specimen


@pytest.fixture(scope="session")
def specimens() -> Callable[[SimSettings, tuple[int, int]], Specimen]:
    """`draw_specimen`, which draws each slide once a session."""
    drawn: dict[tuple[object, ...], Specimen] = {}

    def draw(settings: SimSettings, size: tuple[int, int]) -> Specimen:
        key = (settings.recipe, settings.seed, settings.debris, settings.empty > 0, size)
        if key not in drawn:
            drawn[key] = draw_specimen(settings, size)
        return drawn[key]

    return draw


@pytest.fixture(scope="module")
def drawn_once(specimens: Callable[[SimSettings, tuple[int, int]], Specimen]) -> Iterator[None]:
    """Slides that tests look at through `sim:` are drawn once; drawing takes most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.cameras.simulation.simulated.draw_specimen", specimens)
        yield


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk in memory of a given size ("2m"); skips where nothing may be mounted."""
    disk = tmp_path / "disk"

    def mount(size: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        disk.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
        mounted = subprocess.run(words, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", "-l", disk], check=True)
