"""Shipped artifacts: the two trained networks, their bundles, and the facts of the published image set."""

from pathlib import Path

from models.errors import ModelsError

_HERE = Path(__file__).resolve().parents[1]
TRAINED = ("mobilenet_v2", "custom_cnn")
PUBLISHED_FILES = _HERE / "data" / "manifests" / "published_files.csv"
PUBLISHED_SPLIT = _HERE / "data" / "manifests" / "split_field_disjoint.csv"
RANDOM_SPLIT = _HERE / "data" / "manifests" / "split_random.csv"
LABELS = ("Benign", "Early", "Pre", "Pro")


class UnknownNetworkError(ModelsError, KeyError):
    """No shipped network of that name. Cure: one of those the message lists, or a path."""

    def __str__(self) -> str:
        return str(self.args[0])


def trained(name: str) -> Path:
    """Folder of a shipped network: `model.keras`, `contract.json`, `training.json`, `evaluation.json`, `CARD.md`."""
    if name not in TRAINED:
        raise UnknownNetworkError(f"network must be one of {', '.join(TRAINED)}; got {name!r}")
    return _HERE / "trained" / name


def bundles() -> Path:
    """Folder of the certified bundles that ship, `NAME-int8` each."""
    return _HERE / "bundles"
