"""The gates that go into a bundle: given, those beside the model, or fitted to the images of the conversion."""

import logging
from pathlib import Path

from convert.calibration.evaluation_data import Source
from convert.quantization.contract_inference import beside
from edge.bundle.files import GATES
from edge.errors import GatesError
from edge.inference.contract import InputContract
from edge.inference.domain import ANY, Domain
from edge.inference.gates.gates_file import GatesFile
from models.decision.gates_fit import fit_gates, gate_parts, judged_text, refuses_too_many
from models.errors import DatasetError

_log = logging.getLogger(__name__)

_MUTE = "says nowhere when it must not be asked and runs only with --ungated"


def choose_gates(model: Path, contract: InputContract, given: Path | None, source: Source | None) -> bytes | None:
    """The bytes of `gates.json` for a bundle of `model`.

    That of `given`; else of the file beside the model; else fitted to the images of `source`; else None, with a
    warning, where there are no images or too few.

    Raises:
        GatesError: the file is none, or its limits are for frames of another size.
    """
    path = given or beside(model, GATES)
    if path is not None:
        _log.info(f"  gates: {path}")
        return given_gates(path, contract).to_bytes()
    if source is None:
        _log.warning(
            f"no gates.json beside the model and no --data to fit it to, so the bundle {_MUTE}; "
            "`convert gates BUNDLE --data DIR` mends that"
        )
        return None
    try:
        file = fit_to(source, contract, f"convert quantize --int8 {model.name} --data {source.root.name}")
    except DatasetError as error:
        _log.warning(f"{error}: the bundle {_MUTE}")
        return None
    for line in (*file.source.notes, f"gates: {judged_text(file)}"):
        _log.info(f"  {line}")
    if refuses_too_many(file):
        _log.warning(
            "the gates refuse more of the images held back than they should: are these of another day or camera?"
        )
    return file.to_bytes()


def given_gates(path: Path, contract: InputContract) -> GatesFile:
    """The file at `path`; GatesError that names it where it is none, or is for frames of another size."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GatesError(f"{path}: {error.strerror}") from error
    file = GatesFile.from_bytes(data, str(path))
    require_size(file, contract, str(path))
    return file


def require_size(file: GatesFile, contract: InputContract, shown: str) -> None:
    """GatesError that begins with `shown` unless the gates are for frames of the contract's size."""
    if file.size != contract.size:
        needed, found = ("x".join(map(str, size)) for size in (contract.size, file.size))
        raise GatesError(f"{shown}: size must be the contract's {needed}; got {found}")


def fit_to(source: Source, contract: InputContract, command: str, domain: Domain | None = None) -> GatesFile:
    """Gates fitted to training and validation images, judged by test images (`models.decision.gates_fit`).

    Args:
        command: for the file. domain: what the images show; None takes the contract's, else "any".

    Raises:
        DatasetError: too few images.
    """
    parts = gate_parts(source.image_set, source.split, contract)
    return fit_gates(domain or contract.domain or ANY, *parts, command)


def gates_text(data: bytes) -> str:
    """What a page says of gates: which, for what, and what they refused of images held back."""
    file = GatesFile.from_bytes(data)
    names = ", ".join(file.gates().names)
    return f"{names}; {file.domain}, {file.size[0]}x{file.size[1]}; {judged_text(file)}"
