"""One point without its timing: converted, judged on the test part, and checked for the Edge TPU.

All of it follows from the network, the images and the code, so it is kept beside the file and found again by a repeat.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from convert.calibration.evaluation_data import ConversionImages, Source, from_images
from convert.edgetpu.preflight import preflight
from convert.errors import QuantizationError, VerificationError
from convert.pareto.formats import converted
from convert.pareto.record import Accuracy, EdgeTpu, JudgedPoint, Parity, Point
from convert.parity.comparison import compare
from convert.parity.policy import Policy
from convert.parity.verdict import judge
from convert.quantization.contract_inference import infer_contract
from convert.quantization.float_model import FloatModel
from convert.quantization.predictions import Floats, float_probabilities
from convert.quantization.preprocessing_check import check_preprocessing
from edge.errors import ContractError, ModelFileError
from edge.inference.benign import indices
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import Interpreter, open_interpreter
from edge.system.files import write_whole
from edge.system.progress import Progress
from models.statistics.intervals import wilson
from models.support.records import write_json
from models.support.versions import versions

CALIBRATION_IMAGES, SEED = 200, 0  # as `convert quantize` by default
RULES = 1  # raised when what is measured changes: what was kept by fewer is measured again


@dataclass(frozen=True, eq=False)
class Candidate:
    """A float network with the images it is calibrated and judged on, and what it answers itself.

    Attributes:
        probabilities: of the Keras network for the test images, float32 (N, classes).
    """

    name: str
    model: FloatModel
    contract: InputContract
    evidence: ConversionImages
    probabilities: Floats

    @property
    def truth(self) -> Any:
        """int64 (N,), the test images' classes."""
        assert self.evidence.truth is not None  # images, never drawn fields
        return self.evidence.truth


def candidate(name: str, model: FloatModel, source: Source, known: bool = False) -> Candidate:
    """A network ready to be converted; how it is fed is tried out unless that is `known`, since it was trained here.

    Raises:
        ContractError, CalibrationError, PreprocessingError: as `convert quantize` refuses it.
    """
    contract = infer_contract(model).contract.undecided()
    evidence = from_images(source, model, contract, count=CALIBRATION_IMAGES, seed=SEED, method="random")
    probabilities = float_probabilities(model, contract, evidence.pixels)
    assert evidence.truth is not None
    if not known:
        check_preprocessing(model, contract, evidence.pixels, evidence.truth, probabilities)
    return Candidate(name, model, contract, evidence, probabilities)


def measured(who: Candidate, form: str, folder: Path) -> Point:
    """One network in one format; from `folder` where it was measured before.

    Returns:
        A `JudgedPoint`, or a point whose `problem` says why there are no figures. The file itself is
        `folder/NAME-FORMAT.tflite`.
    """
    file, kept = folder / f"{who.name}-{form}.tflite", folder / f"{who.name}-{form}.json"
    key = _key(who, form)
    found = _kept(kept, file, key)
    if found is None:
        found = _measured(who, form, file)
        write_json(kept, {"key": key, "point": msgspec.to_builtins(found)})
    return found


def _measured(who: Candidate, form: str, file: Path) -> Point:
    point = Point(network=who.name, format=form, size=list(who.contract.size), file=file.name, problem=None)
    try:
        model = converted(who.model, who.contract, who.evidence.calibration.pixels, form)
        write_whole(file, model)
        interpreter = open_interpreter(model)
        answers = _answers(who, form, interpreter)
    except (QuantizationError, VerificationError, ModelFileError, ContractError) as error:
        return msgspec.structs.replace(point, problem=" ".join(str(error).split()))
    return JudgedPoint(
        **msgspec.structs.asdict(point),
        bytes=len(model),
        sha256=hashlib.sha256(model).hexdigest(),
        kind=interpreter.kind,
        **msgspec.structs.asdict(judged(who, form, answers)),
        edgetpu=edgetpu_record(model, file.name),
    )


def _answers(who: Candidate, form: str, interpreter: Interpreter) -> Floats:
    """float32 (N, classes), image by image, by the device's own path."""
    classifier, found = Classifier(who.contract, interpreter), []
    with Progress(f"{who.name} {form}", len(who.evidence.pixels)) as bar:
        for image in who.evidence.pixels:
            found.append(classifier.probabilities(image))
            bar.advance()
    return np.stack(found)


def judged(who: Candidate, form: str, answers: Floats) -> Accuracy:
    """Accuracy with its interval, malignant images called benign, agreement with the float network; of int8 what
    `convert parity` says by the default policy."""
    truth, called = who.truth, answers.argmax(axis=1)
    right, images = int((called == truth).sum()), len(truth)
    missed, benign = None, indices(who.contract.labels, who.contract.benign_labels)
    if benign:
        missed = int((np.isin(called, benign) & ~np.isin(truth, benign)).sum())
    interval = wilson(right, images)
    return Accuracy(
        images=images,
        right=right,
        accuracy=right / images,
        accuracy_interval=(float(interval.low), float(interval.high)),
        malignant_called_benign=missed,
        agreed_with_float=int((called == who.probabilities.argmax(axis=1)).sum()),
        parity=parity_record(who, answers) if form == "int8" else None,
    )


def parity_record(who: Candidate, answers: Floats) -> Parity:
    """Verdict and reasons of `convert.parity.verdict` with the default policy."""
    policy = Policy.default()
    found = compare(
        who.contract.labels,
        who.probabilities,
        answers,
        who.truth,
        benign=who.contract.benign_labels,
        names=who.evidence.names,
        decided_margin=policy.decided_margin,
    )
    judgement = judge(found, policy)
    return Parity(judgement.verdict, list(judgement.reasons))


def edgetpu_record(model: bytes, name: str) -> EdgeTpu:
    """What `convert inspect --edgetpu` predicts, without the list of operators."""
    found = preflight(model, name).to_record()
    return msgspec.convert({**found, **found["memory"], "rules": sorted(found["rules"])}, EdgeTpu)


def _key(who: Candidate, form: str) -> str:
    """Sha256 of all that a point follows from."""
    facts = {
        "rules": RULES,
        "network": who.model.sha256,
        "contract": who.contract.to_json(),
        "format": form,
        "calibration": who.evidence.calibration.digest(),
        "judged_on": [*who.evidence.sha256s, *map(int, who.truth)],
        "policy": Policy.default().to_record(),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _kept(path: Path, file: Path, key: str) -> Point | None:
    """What was measured before under the same key, if the file it is about is still the same."""
    try:
        stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] != key:
            return None
        if stored["point"]["problem"] is not None:
            return msgspec.convert(stored["point"], Point)
        point = msgspec.convert(stored["point"], JudgedPoint)
        return point if point.sha256 == hashlib.sha256(file.read_bytes()).hexdigest() else None
    except (OSError, ValueError, KeyError, TypeError):  # msgspec.ValidationError is a ValueError
        return None
