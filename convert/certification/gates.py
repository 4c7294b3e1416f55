"""The gates that go into a bundle: given, or those beside the model."""

import logging
from pathlib import Path

from convert.quantization.contract_inference import beside
from edge.bundle.files import GATES
from edge.errors import GatesError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile

_log = logging.getLogger(__name__)


def choose_gates(model: Path, contract: InputContract, given: Path | None) -> bytes | None:
    """The bytes of `gates.json` for a bundle of `model`: of `given`, else of the file beside the model, else None.

    Raises:
        GatesError: the file is none, or its limits are for frames of another size.
    """
    path = given or beside(model, GATES)
    if path is None:
        _log.warning(
            "no gates.json beside the model, so the bundle says nowhere when it must not be asked and runs only "
            "with --ungated; `convert gates BUNDLE --data DIR` fits one to its images"
        )
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GatesError(f"{path}: {error.strerror}") from error
    file = GatesFile.from_bytes(data, str(path))
    if file.size != contract.size:
        needed, found = ("x".join(map(str, size)) for size in (contract.size, file.size))
        raise GatesError(f"{path}: size must be the contract's {needed}; got {found}")
    _log.info(f"  gates: {path}")
    return data


def gates_text(data: bytes) -> str:
    """What a page says of gates: which, for what, and what they refused of images held back."""
    file = GatesFile.from_bytes(data)
    text = f"{', '.join(file.gates().names)}; {file.domain}, {file.size[0]}x{file.size[1]}"
    if file.judged is None:
        return f"{text}; no image was held back to judge them"
    low, high = (100 * bound for bound in file.judged.interval)
    return f"{text}; {file.judged.refused} of {file.judged.images} held-back images refused ({low:.1f} to {high:.1f} %)"
