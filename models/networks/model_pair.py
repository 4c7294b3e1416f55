"""Pairs of a trained network and the int8 bundle made of it: every evaluation shows both."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from edge.inference.contract import InputContract, Pixels
from edge.inference.decision import LEAST_PROBABILITY, Decision
from models.errors import NetworkError
from models.networks.custom_code import NO_CODE, CustomCode
from models.networks.prediction import Predict, predictor
from models.support.provenance import BundleUsed, Provenance, SplitUsed
from models.support.versions import versions

FLOAT, INT8 = "float", "int8"


@dataclass(frozen=True)
class ModelPair:
    """Networks by name, each from prepared uint8 (N, H, W, 3) RGB to probabilities float32 (N, classes).

    Attributes:
        contract: the network's, with its decision where there is one.
        networks: "float", and "int8" where there is a bundle.
        least: by network, what a probability of 0 counts as when it is calibrated.
        bundle_decision: the decision that the bundle carries; None without one or without a bundle.
        model_sha256: of the network's file. bundle: how it was run, None without one.
    """

    contract: InputContract
    networks: Mapping[str, Predict]
    least: Mapping[str, float]
    model_sha256: str
    bundle: BundleUsed | None = None
    bundle_decision: Decision | None = None

    def provenance(self, split: SplitUsed, sample: int | UnsetType | None = UNSET) -> Provenance:
        """The head of a record about both."""
        return Provenance(
            model_sha256=self.model_sha256, bundle=self.bundle, split=split, versions=versions(), sample=sample
        )


def load_pair(folder: Path, bundle: Path | None, code: CustomCode = NO_CODE) -> ModelPair:
    """Load both; int8 runs as on the device, by `edge.inference.classifier`.

    Args:
        folder: with model.keras and contract.json.
        bundle: made of it by `convert quantize`, certified or not; None for the float network alone.
        code: what may be run to load the network.

    Raises:
        NetworkError: the bundle was made of another network, or has another contract; its decision may differ, since
            the probabilities here are not calibrated.
        BundleError: the bundle is damaged.
    """
    from models.networks.loading import load_network

    network, contract = load_network(folder, code)
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    networks, least = {FLOAT: predictor(network, contract)}, {FLOAT: LEAST_PROBABILITY}
    if bundle is None:
        return ModelPair(contract, networks, least, digest)
    int8 = _load_int8(bundle, contract, digest)
    networks[INT8], least[INT8] = int8.predict, int8.least
    return ModelPair(contract, networks, least, digest, int8.used, int8.decision)


@dataclass(frozen=True)
class _Int8:
    predict: Predict
    least: float
    decision: Decision | None
    used: BundleUsed


def _load_int8(path: Path, contract: InputContract, float_sha256: str) -> _Int8:
    from edge.bundle.bundle import load
    from edge.inference.classifier import Classifier, zero_counts_as
    from edge.inference.runtime.interpreters import open_interpreter
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
    if not bundle.contract.alike(contract):
        raise NetworkError(f"--bundle must have the network's contract; {path / 'contract.json'} differs")
    interpreter = open_interpreter(bundle.model)
    classifier = Classifier(bundle.contract, interpreter)

    def predict(pixels: Pixels) -> npt.NDArray[np.float32]:
        return np.stack([classifier.probabilities(image) for image in pixels])

    used = BundleUsed(
        name=bundle.name,
        digest=bundle.digest,
        model_sha256=hashlib.sha256(bundle.model).hexdigest(),
        runtime=interpreter.runtime,
        kind=interpreter.kind,
    )
    return _Int8(predict, zero_counts_as(interpreter.output.quantization), bundle.contract.decision, used)
