"""The `gates.json` of a network: beside its weights, where the fit writes it and evaluation and conversion read it."""

import logging
from pathlib import Path

from edge.errors import GatesError
from edge.inference.contract import InputContract
from edge.inference.gates.base import Gates
from edge.inference.gates.gates_file import GatesFile
from models.data.published import trained
from models.errors import EvaluationError

_log = logging.getLogger(__name__)

FILE = "gates.json"


def read_gates(path: Path) -> GatesFile:
    """A `gates.json`; GatesError that names it where it cannot be read or is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GatesError(f"{path}: {error.strerror}") from error
    return GatesFile.from_bytes(data, str(path))


def published_gates() -> GatesFile:
    """The gates of the shipped networks, which are the same for both: they were fitted to the same images."""
    return read_gates(trained("mobilenet_v2") / FILE)


def gates_path(network: Path, given: Path | None = None) -> Path | None:
    """`given`; else the file beside the network (a folder, or a model file in one) where there is one; else None."""
    if given is not None:
        return given
    beside = (network if network.is_dir() and (network / "model.keras").is_file() else network.parent) / FILE
    return beside if beside.is_file() else None


def gates_of(network: Path, contract: InputContract, given: Path | None = None) -> Gates:
    """The gates that a network is judged behind: of `given`, else of the file beside it; none, which is said, else.

    Raises:
        GatesError: the file is none. EvaluationError: its limits are for frames of another size.
    """
    path = gates_path(network, given)
    if path is None:
        _log.info(f"note: {network} has no {FILE}, so that no gate is asked; `models gates` fits one to its images")
        return Gates(())
    file = read_gates(path)
    if file.size != contract.size:
        needed, found = ("x".join(map(str, size)) for size in (contract.size, file.size))
        raise EvaluationError(f"{path}: size must be the contract's {needed}; got {found}")
    return file.gates()
