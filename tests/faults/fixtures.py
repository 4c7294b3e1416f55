"""The faults as fixtures, for tests of every room (`tests/conftest.py` takes them in)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.tools import Faults, NotHere, Stick, compiled


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload that makes syncs and clock go by `Faults`."""
    try:
        return compiled("shim", tmp_path_factory.mktemp("shim"))
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """The switches of `shim`: `start(..., env=faults.environment(shim))`."""
    return Faults(tmp_path / "faults")


@pytest.fixture(scope="session")
def stick_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system of `stick`."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounting a stick needs root and /dev/fuse")
    try:
        return compiled("stick", tmp_path_factory.mktemp("stick"))
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def stick(stick_program: Path, tmp_path: Path) -> Iterator[Stick]:
    """A stick, plugged in."""
    try:
        made = Stick(stick_program, tmp_path / "stick")
    except NotHere as why:
        pytest.skip(str(why))
    yield made
    made.remove()
