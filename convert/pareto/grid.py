"""The networks of a comparison: those named, and other widths and sizes of the shipped MobileNetV2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.errors import ParetoError
from models.data.published import TRAINED, trained

SMALLEST_SIZE, LARGEST_SIZE = 32, 1024  # pixels a side; below it the backbone has no positions left
LEAST_WIDTH, MOST_WIDTH = 0.1, 2.0  # of the filters of each layer, against the published network's
VARIED = "mobilenet_v2"  # the one shipped network whose weights fit every input size
OWN_WIDTH, OWN_SIZE = 1.0, 224  # that it ships with
DEFAULT_SIZES = (224, 160, 96)


@dataclass(frozen=True)
class Variant:
    """One network of the comparison.

    Attributes:
        name: of its files and rows: mobilenet_v2-0.35-160, or the shipped network's or file's own.
        path: the trained network where it exists already; None where it is to be trained.
        width, size: of one that is to be trained; size in pixels a side.
        start: name of the variant whose weights it begins with; None with `path`, and where only a backbone is at hand.
        backbone: ImageNet weights that it begins with.

    >>> [variant.name for variant in variants_of_shipped([1.0], [224, 160], {})]
    ['mobilenet_v2', 'mobilenet_v2-1-160']
    """

    name: str
    path: Path | None = None
    width: float = OWN_WIDTH
    size: int = OWN_SIZE
    start: str | None = None
    backbone: Path | None = None


def variants_of_shipped(
    widths: Sequence[float], sizes: Sequence[int], backbones: dict[float, Path]
) -> tuple[Variant, ...]:
    """Every width at every size of the shipped MobileNetV2, in the order in which they can be trained.

    A fully convolutional network keeps its weights at another input size, and the nearer that is the more they are
    worth: a size begins with the next larger one of its width, the shipped network among them; sizes above the shipped
    one begin with that. At another width the largest size begins with a backbone.

    Raises:
        ParetoError: a width has no backbone.
    """
    found: list[Variant] = []
    for width in dict.fromkeys(widths):
        start = VARIED if width == OWN_WIDTH else None
        for size in sorted(set(sizes), reverse=True):
            name = f"{VARIED}-{width:g}-{size}"
            if width == OWN_WIDTH and size == OWN_SIZE:
                found.append(Variant(VARIED, trained(VARIED) / "model.keras"))
                continue
            if start is None and width not in backbones:
                raise ParetoError(
                    f"width {width:g} needs ImageNet weights of {VARIED}'s backbone at that width: give --weights"
                )
            found.append(Variant(name, None, width, size, start, None if start else backbones[width]))
            start = VARIED if width == OWN_WIDTH and size > OWN_SIZE else name
    return tuple(found)


def variants_of(words: Sequence[str]) -> tuple[Variant, ...]:
    """Shipped networks by name and others by path, as they are; two of one name are told apart by a number.

    Raises:
        ParetoError: the same network twice.
    """
    found: list[Variant] = []
    for word in words:
        path = trained(word) / "model.keras" if word in TRAINED else Path(word)
        if any(path == other.path for other in found):
            raise ParetoError(f"{word} is named twice")
        name = own_name(path)
        taken = sum(other.name.partition("#")[0] == name for other in found)
        found.append(Variant(f"{name}#{taken + 1}" if taken else name, path))
    return tuple(found)


def own_name(path: Path) -> str:
    """The folder's name for `NAME/model.keras`, else the file's."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.stem == "model" else resolved.stem
