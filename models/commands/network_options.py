"""Options that commands share: which network, which bundle, which images, and where what is found out is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import UsageError
from models.data.published import TRAINED, bundles, trained
from models.networks.custom_code import NO_CODE, CustomCode

if TYPE_CHECKING:
    from edge.inference.contract import InputContract
    from models.data.parts import Part
    from models.support.provenance import SplitUsed

SHIPPED_OUT = Path("build/shipped")


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What every evaluation of a network is asked with.

    Attributes:
        model: folder with model.keras and contract.json. data: folder with one sub-folder of images a class.
        split: CSV, None for the shipped one or a new one. part: of it.
        out: JSON to write; figures go beside it.
        code: what may be run to load the network.
    """

    model: Path
    data: Path
    split: Path | None
    part: str
    out: Path
    json: bool
    code: CustomCode = NO_CODE

    def load_part(self, contract: "InputContract") -> "tuple[Part, SplitUsed]":
        """The images of the part, and where they come from."""
        from models.data.parts import part_of

        return part_of(self.data, contract, self.split, self.part)


def check_network(name: str) -> str:
    """`name` if it is one of the two networks."""
    if name not in TRAINED:
        raise UsageError(f"network must be one of {', '.join(TRAINED)}; got {name!r}")
    return name


def model_folder(path: Path) -> Path:
    """`path` if it is a folder with `model.keras` and `contract.json`, or a shipped network's name."""
    folder = trained(str(path)) if str(path) in TRAINED else path
    for name in ("model.keras", "contract.json"):
        if not (folder / name).is_file():
            raise UsageError(f"MODEL must be a folder with model.keras and contract.json; {folder} has no {name}")
    return folder


def model_folders(folders: tuple[str, ...]) -> tuple[Path, ...]:
    """`model_folder` of each; the shipped ones when none is given."""
    return tuple(model_folder(Path(folder)) for folder in folders or TRAINED)


def bundle_of(model: Path, bundle: Path | None) -> Path | None:
    """`bundle`; else the shipped one when `model` is a shipped network's folder; else None."""
    if bundle is None and model in [trained(name) for name in TRAINED]:
        return bundles() / f"{model.name}-int8"
    return bundle


def check_weights(network: str, weights: str) -> None:
    """Refuse backbone weights for a network that has no backbone."""
    if network == "custom_cnn" and weights:
        raise UsageError("--weights belongs to mobilenet_v2; custom_cnn is trained from scratch")


def output_folder(model: Path, *, overwrite_shipped: bool) -> Path:
    """The network's own folder; for a shipped network `build/shipped/NAME`, unless its evidence may be overwritten.

    >>> output_folder(trained("custom_cnn"), overwrite_shipped=False).as_posix()
    'build/shipped/custom_cnn'
    >>> output_folder(Path("build/trained/mine"), overwrite_shipped=False).as_posix()
    'build/trained/mine'
    """
    shipped = model.resolve() in [trained(name).resolve() for name in TRAINED]
    return SHIPPED_OUT / model.resolve().name if shipped and not overwrite_shipped else model
