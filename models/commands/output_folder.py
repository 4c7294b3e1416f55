"""The folder that records about a network are written to: never the evidence that ships, unless asked for."""

from pathlib import Path

from models.data.published import TRAINED, trained

SHIPPED_OUT = Path("build/shipped")


def output_folder(model: Path, *, overwrite_shipped: bool) -> Path:
    """The network's own folder; for a shipped network `build/shipped/NAME`, unless its evidence may be overwritten.

    >>> output_folder(trained("custom_cnn"), overwrite_shipped=False).as_posix()
    'build/shipped/custom_cnn'
    >>> output_folder(Path("build/trained/mine"), overwrite_shipped=False).as_posix()
    'build/trained/mine'
    """
    shipped = model.resolve() in [trained(name).resolve() for name in TRAINED]
    return SHIPPED_OUT / model.resolve().name if shipped and not overwrite_shipped else model
