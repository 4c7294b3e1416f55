"""What the tests of updates share: signed bundles in three versions, and a field to ask a device about."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from edge.cameras.synthetic.smear import synthetic_fields
from tests.edge.serving.update.world import World, world_of


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with world_of(1, 2, 3) as made:
        yield made


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One drawn field."""
    path = tmp_path_factory.mktemp("image") / "field.png"
    cv2.imwrite(str(path), cv2.cvtColor(synthetic_fields(1, seed=3)[0][1], cv2.COLOR_RGB2BGR))
    return path
