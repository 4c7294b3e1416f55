"""What tests of signatures share: three key pairs, and a bundle that one of them signed."""

import shutil
from pathlib import Path

import pytest

from convert.signing.keys import PrivateKey, load_private
from tests.signing import make_key, signed_copy


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("officer", "successor", "stranger"):
        make_key(folder, name)
    return folder


@pytest.fixture(scope="module")
def officer(keys: Path) -> PrivateKey:
    return load_private(keys / "officer.key", None)


@pytest.fixture(scope="module")
def successor(keys: Path) -> PrivateKey:
    return load_private(keys / "successor.key", None)


@pytest.fixture(scope="module")
def stranger(keys: Path) -> PrivateKey:
    return load_private(keys / "stranger.key", None)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, officer: PrivateKey) -> Path:
    return signed_copy(tmp_path_factory.mktemp("signed"), officer)


@pytest.fixture
def signed(original: Path, tmp_path: Path) -> Path:
    """A bundle that the officer signed, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / original.name))
