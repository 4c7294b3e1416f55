"""A trained network and the int8 bundle made of it, asked the same questions: every evaluation shows both."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.decision import LEAST_PROBABILITY, Decision
from models.errors import NetworkError
from models.networks.prediction import Predict, predictor

FLOAT, INT8 = "float", "int8"


@dataclass(frozen=True)
class SideBySide:
    """Networks by name, each from prepared uint8 (N, H, W, 3) RGB to probabilities float32 (N, classes).

    Attributes:
        contract: the network's, with its decision where there is one.
        networks: "float", and "int8" where there is a bundle.
        least: by network, what a probability of 0 counts as when it is calibrated.
        bundle_decision: the decision that the bundle carries; None without one or without a bundle.
        provenance: for records: hashes, digest, the interpreter's runtime and kind.
    """

    contract: InputContract
    networks: Mapping[str, Predict]
    provenance: Mapping[str, Any]
    least: Mapping[str, float]
    bundle_decision: Decision | None = None


def side_by_side(folder: Path, bundle: Path | None) -> SideBySide:
    """Load both; int8 runs as on the device, by `edge.inference.classifier`.

    Args:
        folder: with model.keras and contract.json.
        bundle: made of it by `convert quantize`, certified or not; None for the float network alone.

    Raises:
        NetworkError: the bundle was made of another network, or has another contract; its decision may differ, since
            the probabilities here are not calibrated.
        BundleError: the bundle is damaged.
    """
    from models.networks.loading import load_network

    network, contract = load_network(folder)
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    networks, least = {FLOAT: predictor(network, contract)}, {FLOAT: LEAST_PROBABILITY}
    provenance: dict[str, Any] = {"model_sha256": digest, "bundle": None}
    decision = None
    if bundle is not None:
        int8 = _load_int8(bundle, contract, digest)
        networks[INT8], least[INT8], decision = int8.predict, int8.least, int8.decision
        provenance["bundle"] = int8.provenance
    return SideBySide(contract, networks, provenance, least, decision)


@dataclass(frozen=True)
class _Int8:
    predict: Predict
    least: float
    decision: Decision | None
    provenance: dict[str, Any]


def _load_int8(path: Path, contract: InputContract, float_sha256: str) -> _Int8:
    from edge.bundle.bundle import load
    from edge.inference.classifier import Classifier, zero_counts_as
    from edge.inference.interpreters import open_interpreter
    from edge.settings.trusted_keys import machine_keys

    bundle = load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
    try:
        made_of = str(bundle.certificate["float_model"]["sha256"])
    except (KeyError, TypeError):
        raise NetworkError(f"{path}: its certificate does not name the float model, float_model.sha256") from None
    if made_of != float_sha256:
        raise NetworkError(
            f"--bundle must be made of the network that is judged, sha256 {float_sha256[:12]}...; {path} was made of "
            f"{made_of[:12]}..."
        )
    if bundle.contract.undecided() != contract.undecided():
        raise NetworkError(f"--bundle must have the network's contract; {path / 'contract.json'} differs")
    interpreter = open_interpreter(bundle.model)
    classifier = Classifier(bundle.contract, interpreter)

    def predict(pixels: Pixels) -> npt.NDArray[np.float32]:
        return np.stack([classifier.probabilities(image) for image in pixels])

    record = {
        "name": bundle.name,
        "digest": bundle.digest,
        "model_sha256": hashlib.sha256(bundle.model).hexdigest(),
        "runtime": interpreter.runtime,
        "kind": interpreter.kind,
    }
    return _Int8(predict, zero_counts_as(interpreter.output.quantization), bundle.contract.decision, record)
