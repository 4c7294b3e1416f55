"""The gain of the fine-tune alone: on rounding, and where one channel's range was blown up.

    python -m docs.studies.conversion.fine_tune run MODEL --data IMAGES --out FILE

Trained on the training part, judged on the validation part and on drawn fields, by the float file's answers. The test
part is not looked at.
"""

import logging
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration.calibration_set import choose
from convert.calibration.evaluation_data import Source
from convert.errors import RecoveryError
from convert.quantization.contract_inference import infer_contract
from convert.quantization.float_model import load_float
from convert.quantization.predictions import Floats, device_probabilities, float_probabilities
from convert.quantization.quantize import calibrated, quantized
from convert.recovery.fine_tune import FineTuneSettings, fine_tune
from convert.tflite.float_file import BIAS, WEIGHTS, FloatFile
from docs.studies.command import Study, output, run
from edge.cameras.synthetic.smear import synthetic_fields
from edge.commands.command_line import Outcome
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract, Pixels
from edge.inference.runtime.interpreters import open_interpreter
from edge.system.option_values import whole_number
from models.data.parts import load_part

_log = logging.getLogger(__name__)

CALIBRATION, DRAWN, DRAWN_SEED = 100, 200, 1_000_000
CHANNEL = 3  # the one that is blown up


@dataclass(frozen=True)
class FineTuneStudy(Study):
    """Fine-tune one model once for each factor by which a channel is blown up; 1 leaves it as it is."""

    model: Path
    data: Path
    factors: tuple[int, ...]
    settings: FineTuneSettings

    def execute(self) -> Outcome:
        """A record a candidate; nothing is judged."""
        model = load_float(self.model)
        contract = infer_contract(model).contract.undecided()
        source = Source.open(self.data, contract.labels, None)
        part = load_part(source.image_set, source.split, "validation", contract)
        training = load_part(source.image_set, source.split, "train", contract)
        chosen = choose(training.samples, contract, count=CALIBRATION, groups=source.split.groups())
        plain = calibrated(model, contract, chosen.pixels)
        drawn = np.stack([contract.prepare(f) for _, f in synthetic_fields(DRAWN, DRAWN_SEED)])
        sets = {"validation": part.pixels, "drawn": drawn}
        wanted = {name: float_probabilities(model, contract, pixels) for name, pixels in sets.items()}
        rows: list[dict[str, Any]] = []
        for factor in self.factors:
            start = plain if factor == 1 else blown_up(plain, factor)
            rows.append({"factor": factor, "step": 0, **_judged(quantized(start), contract, sets, wanted, part.truth)})
            _log.info(_line(rows[-1]))
            began, spent = time.monotonic(), 0.0
            candidates = fine_tune(start, quantized(start), training.pixels, contract, self.settings, teacher=plain)
            for candidate in candidates:
                spent += time.monotonic() - began
                found = _judged(quantized(candidate.plain), contract, sets, wanted, part.truth)
                seconds = round(spent / candidate.step, 2)
                rows.append({"factor": factor, "step": candidate.step, "seconds_a_step": seconds, **found})
                _log.info(_line(rows[-1]))
                began = time.monotonic()
        record = {
            "model": model.name,
            "sha256": model.sha256,
            "settings": vars(self.settings),
            "training_images": len(training.pixels),
            "images": {name: len(pixels) for name, pixels in sets.items()},
            "validation_correct_float": int((wanted["validation"].argmax(1) == part.truth).sum()),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "rows": rows,
        }
        return self.finished(record, "\n".join(_line(row) for row in rows))


def blown_up(plain: bytes, factor: int) -> bytes:
    """The same function with one channel of a linear convolution `factor` times as large, and the weights of the only
    convolution that reads it as much smaller: the scale of that tensor is then too coarse for its other channels.

    Raises:
        RecoveryError: no such pair of convolutions.
    """
    file = FloatFile(plain)
    for first in (op for op in file.operators if op.kind == "CONV_2D" and op.activation == "NONE"):
        output = first.outputs[0]
        readers = [op for op in file.operators if output in op.inputs]
        kernel, bias, found = (
            file.constant(first.inputs[WEIGHTS]),
            file.constant(first.inputs[BIAS]),
            file.range(output),
        )
        if [op.kind for op in readers] != ["CONV_2D"] or kernel is None or bias is None or found is None:
            continue
        kernel[CHANNEL] *= factor
        bias[CHANNEL] *= factor
        reading = file.constant(readers[0].inputs[WEIGHTS])
        assert reading is not None
        reading[..., CHANNEL] /= factor
        file.set_input(first, WEIGHTS, kernel)
        file.set_input(first, BIAS, bias)
        file.set_input(readers[0], WEIGHTS, reading)
        file.set_range(output, found[0] * factor, found[1] * factor)
        return file.pack()
    raise RecoveryError("no linear convolution that a single convolution reads")


def _judged(
    int8: bytes, contract: InputContract, sets: dict[str, Pixels], wanted: dict[str, Floats], truth: Any
) -> dict[str, Any]:
    """Labels kept and mean change of a probability on each set, and images of the validation part named rightly."""
    classifier = Classifier(contract, open_interpreter(int8))
    found = {name: device_probabilities(classifier, pixels) for name, pixels in sets.items()}
    record: dict[str, Any] = {"validation_correct": int((found["validation"].argmax(1) == truth).sum())}
    for name, probabilities in found.items():
        record[f"{name}_kept"] = int((probabilities.argmax(1) == wanted[name].argmax(1)).sum())
        record[f"{name}_drift_mean"] = round(float(np.abs(probabilities - wanted[name]).mean()), 5)
    return record


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in row.items())


def study(
    model: str,
    data: str,
    factors: str = "1,64",
    steps: str = "150",
    every: str = "50",
    out: str = "",
    json: bool = False,
) -> FineTuneStudy:
    """Fine-tune one model as it is and with a channel blown up, and judge what comes back.

    Args:
        model: the float model, its contract beside it.
        data: folder with one sub-folder of images a class.
        factors: by which one channel is blown up, separated by commas; 1 leaves it.
        steps: of each fine-tune.
        every: judged after so many.
        out: JSON to write.
        json: print the record as JSON.
    """
    numbers = tuple(whole_number(word, "--factors", at_least=1) for word in factors.split(","))
    settings = FineTuneSettings(
        steps=whole_number(steps, "--steps", at_least=1), every=whole_number(every, "--every", at_least=1)
    )
    return FineTuneStudy(Path(model), Path(data), numbers, settings, **output(out, json))


if __name__ == "__main__":
    run({"run": study})
