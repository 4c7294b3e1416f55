"""Ways of choosing calibration images, by how close the int8 model stays to its float original.

    python -m docs.studies.conversion.calibration run MODEL --data IMAGES --out FILE

Every method, several seeds and sizes, each converted and compared on the validation part: the choice must not be made
on the images that later judge it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration.calibration_set import Calibration, choose, synthetic
from convert.calibration.evaluation_data import SYNTHETIC_CALIBRATION, Source
from convert.calibration.selection import METHODS, penultimate_features
from convert.parity.comparison import compare
from convert.quantization.contract_inference import infer_contract
from convert.quantization.float_model import load_float
from convert.quantization.predictions import device_probabilities, float_probabilities
from convert.quantization.quantize import quantize
from docs.studies.command import Study, output, run
from edge.cameras.synthetic.smear import synthetic_fields
from edge.commands.command_line import Outcome
from edge.errors import UsageError
from edge.inference.classifier import Classifier
from edge.inference.runtime.interpreters import open_interpreter
from edge.system.option_values import whole_number
from models.data.parts import load_part

_log = logging.getLogger(__name__)

SYNTHETIC = "synthetic"  # drawn fields, what a clone without images calibrates on


@dataclass(frozen=True)
class CalibrationStudy(Study):
    """Convert one model with every choice of calibration images."""

    model: Path
    data: Path
    seeds: int
    counts: tuple[int, ...]
    methods: tuple[str, ...]
    part: str

    def execute(self) -> Outcome:
        """A record a conversion; nothing is judged."""
        model = load_float(self.model)
        contract = infer_contract(model).contract
        source = Source.open(self.data, contract.labels, None)
        candidates = source.split.samples(source.image_set, "train")
        judged = load_part(source.image_set, source.split, self.part, contract)
        before = float_probabilities(model, contract, judged.pixels)
        features = penultimate_features(model, contract)

        def measured(name: str, calibration: Calibration) -> dict[str, Any]:
            _log.info(f"{name}, seed {calibration.seed}, {len(calibration.names)} images")
            int8 = open_interpreter(quantize(model, contract, calibration.pixels))
            after = device_probabilities(Classifier(contract, int8), judged.pixels)
            found = compare(contract.labels, before, after, judged.truth, benign=contract.benign_labels)
            return {
                "method": name,
                "seed": calibration.seed,
                "calibration_images": len(calibration.names),
                "agreed": found.agreed,
                "correct_float": int((before.argmax(1) == judged.truth).sum()),
                "correct_int8": int((after.argmax(1) == judged.truth).sum()),
                "drift_mean": round(found.drift_mean, 5),
                "drift_worst": round(found.drift_worst, 5),
                "malignant_to_benign": found.malignant_to_benign,
            }

        rows = []
        for count in self.counts:
            for method in (m for m in self.methods if m != SYNTHETIC):
                for seed in range(self.seeds):
                    chosen = choose(
                        candidates,
                        contract,
                        count=count,
                        seed=seed,
                        method=method,
                        groups=source.split.groups(),
                        evaluation=judged.samples,
                        features=features,
                    )
                    rows.append(measured(method, chosen))
        if SYNTHETIC in self.methods:
            drawn = synthetic(synthetic_fields(SYNTHETIC_CALIBRATION, 0), contract, 0)
            rows.append(measured(SYNTHETIC, drawn))
        record = {"model": model.name, "sha256": model.sha256, "part": self.part, "images": len(before), "rows": rows}
        return self.finished(record, _table(rows, len(before)))


def _table(rows: list[dict[str, Any]], images: int) -> str:
    """A line a method and size: agreement over seeds, drift."""
    lines = [f"{'method':18} {'images':>6} {'agreed of ' + str(images):>16} {'mean drift':>20}"]
    groups = dict.fromkeys((row["method"], row["calibration_images"]) for row in rows)
    for method, count in groups:
        mine = [r for r in rows if (r["method"], r["calibration_images"]) == (method, count)]
        agreed = f"{min(r['agreed'] for r in mine)}..{max(r['agreed'] for r in mine)}"
        drift = [r["drift_mean"] for r in mine]
        lines.append(f"{method:18} {count:6d} {agreed:>16} {np.mean(drift):10.5f} +- {np.ptp(drift) / 2:.5f}")
    return "\n".join(lines)


def study(
    model: str,
    data: str,
    seeds: str = "2",
    counts: str = "200",
    methods: str = ",".join((*METHODS, SYNTHETIC)),
    part: str = "validation",
    out: str = "",
    json: bool = False,
) -> CalibrationStudy:
    """Compare ways of choosing calibration images on one model.

    Args:
        model: the float model, its contract beside it.
        data: folder with one sub-folder of images a class.
        seeds: how many draws of each method.
        counts: sizes of the calibration set, separated by commas.
        methods: of random, k-center, herding and synthetic, separated by commas.
        part: the images that are compared on; validation, unless the figure itself is to be reported.
        out: JSON to write.
        json: print the record as JSON.
    """
    sizes = tuple(whole_number(word, "--counts", at_least=1) for word in counts.split(","))
    ways = tuple(methods.split(","))
    for way in ways:
        if way not in (*METHODS, SYNTHETIC):
            raise UsageError(f"--methods must be of {', '.join((*METHODS, SYNTHETIC))}; got {way!r}")
    draws = whole_number(seeds, "--seeds", at_least=1)
    return CalibrationStudy(Path(model), Path(data), draws, sizes, ways, part, **output(out, json))


if __name__ == "__main__":
    run({"run": study})
