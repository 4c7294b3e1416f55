"""What tests of every room share: images of data sets, models published by others, and the smallest bundle."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge.commands.terminal.log import show_log
from tests.faults.fixtures import faults, shim, stick, stick_program
from tests.gates import open_gates
from tests.paths import SHARED
from tests.project.command_log import pytest_configure
from tests.project.turns import pytest_runtest_protocol
from tests.project.workers import pytest_collection_modifyitems, pytest_sessionstart, pytest_xdist_make_scheduler
from tests.tiny_bundle import TinyModels, certified, converted

if TYPE_CHECKING:
    from tests.small_world import World

__all__ = [  # hooks, and fixtures
    "faults",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_sessionstart",
    "pytest_xdist_make_scheduler",
    "shim",
    "stick",
    "stick_program",
]

show_log()  # as the commands do, for tests that read standard error of a request they execute themselves


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The ALL images, a folder a class; skips where nobody has them."""
    folder = Path(os.environ.get("LEUKOSCOPE_DATA", SHARED / "data" / "all"))
    if not (folder / "Benign").is_dir():
        pytest.skip("the ALL images are not here (set LEUKOSCOPE_DATA to the folder of Benign, Early, Pre and Pro)")
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder beside the checkout with weights, fixtures and images."""
    if not SHARED.is_dir():
        pytest.skip("weights, fixtures and images of others are not here (a folder `shared` beside the checkout)")
    return SHARED


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "World":
    """What commands are given: a small network, drawn images, a policy for few of them."""
    from tests.small_world import World

    return World.build(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def tiny_models() -> TinyModels:
    """Converted once a session."""
    return converted()


@pytest.fixture
def bundle_parts(tiny_models: TinyModels) -> dict[str, Any]:
    """What `edge.bundle.bundle.write` takes, for the tiny network, with a certificate that says "pass"."""
    from edge.bundle.golden import Golden
    from edge.inference.runtime.interpreters import open_interpreter

    inputs = np.random.default_rng(21).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    interpreter = open_interpreter(tiny_models.int8)
    quantization = interpreter.input.quantization
    outputs = [interpreter.invoke(tiny_models.contract.encode(pixels, quantization)) for pixels in inputs]
    parts = {
        "model": tiny_models.int8,
        "contract": tiny_models.contract,
        "calibration": {"images": [], "synthetic": True},
        "golden": Golden(inputs, np.stack(outputs)),
        "gates": open_gates(tiny_models.contract.size),
    }
    return certified(parts, kind=interpreter.kind)


@pytest.fixture
def tiny_bundle(bundle_parts: dict[str, Any], tmp_path: Path) -> Path:
    """A certified bundle of the tiny network."""
    from edge.bundle import bundle

    return bundle.write(tmp_path / "bundles" / "tiny-int8", **bundle_parts).path
