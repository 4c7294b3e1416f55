"""The float side of a parity check: what the float model answers, and every int8 file held against it."""

from dataclasses import dataclass

import numpy as np

from convert.calibration.evaluation_data import ConversionImages
from convert.parity.comparison import Parity, compare
from convert.parity.device import compare_devices
from convert.parity.policy import Policy
from convert.parity.verdict import Judgement, judge
from convert.quantization.float_model import FloatModel
from convert.quantization.predictions import Floats, device_probabilities, float_probabilities
from convert.quantization.preprocessing_check import check_preprocessing
from edge.inference.classifier import Classifier, zero_counts_as
from edge.inference.contract import InputContract
from edge.inference.gates.base import Gates
from edge.inference.runtime.interpreters import open_interpreter
from models.decision.device_decision import ask_gates


@dataclass(frozen=True, eq=False)
class Compared:
    """An int8 file's answers against the float model's.

    Attributes:
        float_probabilities, int8_probabilities: float32 (N, classes), row i of each for evaluation image i.
    """

    float_probabilities: Floats
    int8_probabilities: Floats
    parity: Parity
    judgement: Judgement


@dataclass(frozen=True, eq=False)
class FloatReference:
    """A float model with what judges its int8 files, and its own answers to the evaluation images.

    Attributes:
        probabilities: float32 (N, classes).
        gates: names of the device's gates. refused_by: the one that refuses image i, or None.
    """

    model: FloatModel
    contract: InputContract
    images: ConversionImages
    policy: Policy
    probabilities: Floats
    gates: tuple[str, ...]
    refused_by: tuple[str | None, ...]

    @classmethod
    def measure(
        cls,
        model: FloatModel,
        contract: InputContract,
        images: ConversionImages,
        policy: Policy,
        gates: Gates | None = None,
    ) -> "FloatReference":
        """Run the float model on the evaluation images, and ask the gates about them.

        Args:
            gates: the bundle's; None for a device without any.

        Raises:
            PreprocessingError: their labels show that the model was not trained with this contract.
        """
        probabilities = float_probabilities(model, contract, images.pixels)
        if images.truth is not None:
            check_preprocessing(model, contract, images.pixels, images.truth, probabilities)
        asked = gates or Gates(())
        refused_by = ask_gates(asked, images.for_gates).reasons
        return cls(model, contract, images, policy, probabilities, asked.names, refused_by)

    def compare(self, int8: bytes) -> Compared:
        """An int8 file on the device's own path, against the float model, judged by the policy."""
        interpreter = open_interpreter(int8)
        answers = device_probabilities(Classifier(self.contract, interpreter), self.images.pixels)
        truth = None if self.images.truth is None else np.asarray(self.images.truth, np.intp)
        device = compare_devices(
            self.contract,
            self.gates,
            self.refused_by,
            self.probabilities,
            answers,
            zero_counts_as(interpreter.output.quantization),
            truth,
            names=self.images.names,
            forbidden=self.policy.forbidden,
        )
        parity = compare(
            self.contract.labels,
            self.probabilities,
            answers,
            self.images.truth,
            benign=self.contract.benign_labels,
            names=self.images.names,
            kind=interpreter.kind,
            decided_margin=self.policy.decided_margin,
            forbidden=self.policy.forbidden,
            device=device,
        )
        return Compared(self.probabilities, answers, parity, judge(parity, self.policy))
