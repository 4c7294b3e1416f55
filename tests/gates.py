"""Gates for tests: those of the shipped networks, and some that let everything through."""

from functools import cache

from edge.bundle.policy import shipped_bundles
from edge.inference.domain import ANY
from edge.inference.gates.base import Gates
from edge.inference.gates.gates_file import GatesFile, GatesSource, QualityLimit
from edge.inference.gates.novelty import Novelty


@cache
def shipped_gates_file() -> GatesFile:
    """`gates.json` of the shipped MobileNetV2; the custom CNN's is the same."""
    shipped = shipped_bundles()
    assert shipped is not None
    return GatesFile.from_bytes((shipped / "mobilenet_v2-int8" / "gates.json").read_bytes())


@cache
def shipped_gates() -> Gates:
    """The gates of the shipped networks, for frames of 224x224."""
    return shipped_gates_file().gates()


def shipped_novelty() -> Novelty:
    """Their last gate."""
    gate = shipped_gates().gates[-1]
    assert isinstance(gate, Novelty)
    return gate


def open_gates(size: tuple[int, int]) -> bytes:
    """A `gates.json` with one gate, `under_exposed`, that no frame is too dark for."""
    source = GatesSource("tests", {"fitted": 0}, "parts", {})
    return GatesFile(1, ANY, size, {"under_exposed": QualityLimit(0.0, 0, 0.0, 1.0, 0)}, {}, source, None).to_bytes()
