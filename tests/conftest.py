"""Where tests find what cannot be in the repo: images of data sets, and models published by others."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The ALL images, a folder a class; skips where nobody has them."""
    folder = Path(os.environ.get("LEUKOSCOPE_DATA", SHARED / "data" / "all"))
    if not (folder / "Benign").is_dir():
        pytest.skip("the ALL images are not here (set LEUKOSCOPE_DATA to the folder that holds Benign, Early, Pre, Pro)")
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder beside the checkout with weights, fixtures and images."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder beside the checkout")
    return SHARED
