"""The contract of a float model: given, beside it, or inferred from its first layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.quantization.float_model import FloatModel, check_fits, size_text
from edge.errors import ContractError
from edge.inference.benign import in_words
from edge.inference.contract import InputContract

LARGEST_NORMALIZED = 8.0  # an image's values after normalization; ImageNet's mean and deviation reach about 2.7


CONTRACT_FILE, LABELS_FILE = "contract.json", "labels.txt"


# Layers, and the arithmetic that `keras.applications.*.preprocess_input` leaves in a graph.
NORMALIZERS = frozenset({"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add"})


@dataclass(frozen=True)
class Inferred:
    """A contract, and where each part of it comes from, one sentence each, to be said aloud."""

    contract: InputContract
    notes: tuple[str, ...]


def infer_contract(
    model: FloatModel, given: Path | None = None, benign: Sequence[str] = (), *, folders: Sequence[str] = ()
) -> Inferred:
    """The contract of a model: the one given, else `contract.json` beside it, else put together.

    Put together: size from the model; labels from `labels.txt` beside it, else the sorted names of the class folders,
    as Keras numbers them, else class_0, class_1, ...; value range 0..255 or 0..1 when the network begins with a
    Rescaling or Normalization layer, else this project's -1..1.

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
        return Inferred(contract, (f"contract: {found}", said))
    labels, said_labels = _labels(model, folders)
    scale, offset, said_range = _value_range(model)
    contract = InputContract(model.size, labels, scale=(scale,) * 3, offset=(offset,) * 3)
    check_fits(model, contract)
    contract, said = named_benign(contract, benign)
    assumed = "channel order RGB and the whole frame squeezed to size are assumed; give a contract to say otherwise"
    return Inferred(
        contract, (f"size: {size_text(model.size)} pixels, from the model", said_labels, said, said_range, assumed)
    )


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


def _value_range(model: FloatModel) -> tuple[float, float, str]:
    """(scale, offset, sentence): the pixel values the network wants, read off its first layers."""
    front = _front_layer(model.network)
    if front is None:
        return (
            1 / 128,
            -1.0,
            "values: pixel / 128 - 1 (-1..1), assumed: nothing in the network says otherwise",
        )
    kind, at_255 = front
    if at_255 <= LARGEST_NORMALIZED:
        return 1.0, 0.0, f"values: pixels 0..255 as they are, since the network begins with a {kind} layer"
    return (
        1 / 255,
        0.0,
        f"values: pixel / 255 (0..1), since the network begins with a {kind} layer for that range",
    )


def _front_layer(network: Any) -> tuple[str, float] | None:
    """(kind, largest magnitude pixels 0 and 255 reach behind it) of the normalizing layers in front."""
    import keras

    every = getattr(network, "operations", None) or getattr(network, "layers", [])
    steps = [step for step in every if not isinstance(step, keras.layers.InputLayer)]
    if steps and getattr(steps[0], "layers", None):  # a model within the model
        return _front_layer(steps[0])
    front: list[Any] = []
    for step in steps:
        if type(step).__name__ not in NORMALIZERS:
            break
        front.append(step)
    if not front:
        return None
    try:
        part = keras.Model(network.inputs[0], front[-1].output)
        shape = network.inputs[0].shape[1:]
        ends = np.stack([np.zeros(shape, np.float32), np.full(shape, 255, np.float32)])
        return type(front[0]).__name__, float(np.abs(np.asarray(part(ends))).max())
    except (AttributeError, ValueError, TypeError):  # a layer used twice has no single output
        return None


def _labels(model: FloatModel, folders: Sequence[str]) -> tuple[tuple[str, ...], str]:
    found = beside(model.path, LABELS_FILE)
    if not found and folders:
        if len(folders) != model.classes:
            raise ContractError(
                f"{model.path}: has {model.classes} outputs, and the images lie in {len(folders)} class folders: "
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


def beside(path: Path, name: str) -> Path | None:
    """A file in the model's folder; for a SavedModel inside it, then beside it."""
    folders = (path, path.parent) if path.is_dir() else (path.parent,)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
