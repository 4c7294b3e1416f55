"""The contract of a float model: given, beside it, or inferred from its layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.quantization.float_ends import size_text
from convert.quantization.float_model import FloatModel, Loading, check_fits
from convert.quantization.front import Values
from edge.errors import ContractError
from edge.inference.benign import in_words
from edge.inference.contract import InputContract

CONTRACT_FILE, LABELS_FILE = "contract.json", "labels.txt"
RANGES: dict[Values, tuple[float, float]] = {"-1..1": (1 / 128, -1.0), "0..1": (1 / 255, 0.0), "0..255": (1.0, 0.0)}
_SAID: dict[Values, str] = {
    "-1..1": "pixel / 128 - 1 (-1..1)",
    "0..1": "pixel / 255 (0..1)",
    "0..255": "pixels 0..255 as they are",
}


@dataclass(frozen=True)
class Inferred:
    """A contract, and where each part of it comes from.

    Attributes:
        notes: one sentence a part, to be said aloud.
        given: from a file, which is binding: nothing is found out about it.
        certain: the network's layers say which values it wants; else it is assumed.
    """

    contract: InputContract
    notes: tuple[str, ...]
    given: bool
    certain: bool


def infer_contract(
    model: FloatModel, given: Path | None = None, benign: Sequence[str] = (), *, folders: Sequence[str] = ()
) -> Inferred:
    """The contract of a model: the one given, else `contract.json` beside it, else put together.

    Put together: size and channels from the model; labels from `labels.txt` beside it, else the sorted names of the
    class folders, as Keras numbers them, else class_0, class_1, ...; the values from layers in front of the network
    that scale them, else this project's -1..1, which labelled images may correct
    (`convert.quantization.contract_evidence`).

    Args:
        model: as loaded.
        given: a contract file that the user named.
        benign: labels that the user named so; () for those of the contract, or spelt so.
        folders: names of the class folders of the user's images, sorted; empty without images.

    Raises:
        ContractError: the contract or the labels do not fit the model, its decision was made for another one, or the
            file cannot be read.
    """
    found = given or beside(model.path, CONTRACT_FILE)
    if found:
        contract = InputContract.load(found)
        check_fits(model, contract)
        _check_decision(model, contract, found)
        contract, said = named_benign(contract, benign)
        return Inferred(contract, (f"contract: {found}", said), given=True, certain=True)
    labels, said_labels = _labels(model, folders)
    values, said_values, certain = _values(model)
    scale, offset = RANGES[values]
    contract = InputContract(
        model.size,
        labels,
        "RGB" if model.channels == 3 else "GRAY",
        scale=(scale,) * model.channels,
        offset=(offset,) * model.channels,
        output=model.output,
    )
    check_fits(model, contract)
    contract, said = named_benign(contract, benign)
    order = "channel order RGB" if model.channels == 3 else "grey levels of RGB (ITU-R BT.601)"
    assumed = f"{order} and the whole frame squeezed to size are assumed; give a contract to say otherwise"
    size = f"size: {size_text(model.size)} pixels, from the model"
    return Inferred(contract, (size, said_labels, said, said_values, assumed), given=False, certain=certain)


def loading_with(loading: Loading, path: Path, given: Path | None) -> Loading:
    """`loading` with the size of the contract, given or beside the model, for a model whose size is not fixed."""
    found = given or beside(path, CONTRACT_FILE)
    return replace(loading, open_size=InputContract.load(found).size) if found and found.is_file() else loading


def beside(path: Path, name: str) -> Path | None:
    """A file in the model's folder; for a SavedModel inside it, then beside it."""
    folders = (path, path.parent) if path.is_dir() else (path.parent,)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def named_benign(contract: InputContract, benign: Sequence[str] = ()) -> tuple[InputContract, str]:
    """The contract with `benign` as its benign labels where any are given, and a sentence on where they come from.

    Raises:
        ContractError: one is no label, or the contract's thresholds were chosen with others.
    """
    if benign:
        named = replace(contract, benign=tuple(benign))
        if contract.decision is not None and named.benign_labels != contract.benign_labels:
            raise ContractError(
                f"--benign {in_words(benign)}: the contract's thresholds were chosen with "
                f"{in_words(contract.benign_labels)} as the benign label; make them anew with `models calibrate`"
            )
        return named, f"benign: {in_words(named.benign_labels)}, as --benign says"
    labels = contract.benign_labels
    if not labels:
        return contract, (
            "benign: no label is; malignant images called benign are not counted (--benign LABEL names a label whose "
            "wrong answer is the worst)"
        )
    origin = "by the contract" if contract.benign is not None else "by its spelling (--benign LABEL says otherwise)"
    return contract, f"benign: {in_words(labels)}, {origin}"


def _check_decision(model: FloatModel, contract: InputContract, path: Path) -> None:
    """Thresholds of one network say nothing about another's probabilities."""
    if contract.decision is None:
        return
    made_for = contract.decision.evidence["network_sha256"]
    if made_for != model.sha256:
        raise ContractError(
            f"{path}: its decision was made for a network with sha256 {made_for[:12]}...; {model.path} has "
            f"{model.sha256[:12]}...: make it anew with `models calibrate`, or remove it"
        )


def _values(model: FloatModel) -> tuple[Values, str, bool]:
    """(values, sentence, whether that is certain): what the network wants, read off its first layers."""
    front = model.front
    if front is not None:
        so = "since the network begins with" if front.certain else "as is likely for a network that begins with"
        return front.values, f"values: {_SAID[front.values]}, {so} {front.layer}", front.certain
    seen = hasattr(model.network, "layers")
    why = "no layer in front of the network scales them" if seen else "the layers of a SavedModel cannot be seen"
    return "-1..1", f"values: {_SAID['-1..1']}, assumed: {why}", False


def _labels(model: FloatModel, folders: Sequence[str]) -> tuple[tuple[str, ...], str]:
    found = beside(model.path, LABELS_FILE)
    if not found and folders:
        if len(folders) != model.classes:
            has = "one sigmoid output, for two classes" if model.output == "sigmoid" else f"{model.classes} outputs"
            raise ContractError(
                f"{model.path}: has {has}, and the images lie in {len(folders)} class folders: "
                f"{', '.join(folders)}; put {LABELS_FILE} beside the model, its class names one a line in output order"
            )
        return tuple(folders), (
            f"labels: {', '.join(folders)}: the sorted names of the class folders, the order in which Keras numbers "
            f"them; put {LABELS_FILE} beside the model if its outputs are in another order"
        )
    if not found:
        return tuple(f"class_{n}" for n in range(model.classes)), (
            f"labels: class_0..class_{model.classes - 1}, assumed: no {CONTRACT_FILE} or {LABELS_FILE} beside the model"
        )
    try:
        lines = found.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{found}: not a readable text file of labels") from error
    return tuple(line.strip() for line in lines if line.strip()), f"labels: {found}"
