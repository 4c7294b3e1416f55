"""A served instrument without camera and model, and raw connections to it."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.edge.instrument.socket.fake import FakeInstrument

Connect = Callable[[], socket.socket]


@pytest.fixture
def instrument(tmp_path: Path) -> Iterator[FakeInstrument]:
    with FakeInstrument(tmp_path / "s", fps=50) as served:
        yield served


@pytest.fixture
def connect(instrument: FakeInstrument) -> Iterator[Connect]:
    """Connects without a word; what is open at the end is closed."""
    made: list[socket.socket] = []

    def new() -> socket.socket:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.settimeout(5)
        made.append(raw)
        raw.connect(str(instrument.path))
        return raw

    yield new
    for raw in made:
        raw.close()
