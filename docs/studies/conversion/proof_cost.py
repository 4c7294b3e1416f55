"""The cost of the proof: `convert quantize` beside the bare TensorFlow converter, alternately, in one run.

    python -m docs.studies.conversion.proof_cost quantize MODEL --data IMAGES --out FILE

Both calibrate on the same number of images and start as fresh processes. Overhead is what `convert quantize` spends
beyond the work that any proven conversion must do: the bare conversion with its calibration, and the inference of
parity (both models over the evaluation images, and the float TFLite that int8 is timed against).
"""

import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.system.option_values import whole_number

_log = logging.getLogger(__name__)

# What a user would write instead: the converter's documented post-training full-integer quantization.
_BARE = """
import json, sys
import cv2, keras, numpy as np, tensorflow as tf
model = keras.saving.load_model(sys.argv[1], compile=False)
files = json.load(open(sys.argv[2]))
def images():
    for name in files:
        yield [(cv2.imread(name)[None, ..., ::-1].astype("float32") / 128 - 1)]
converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = images
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
open(sys.argv[3], "wb").write(converter.convert())
"""
_PROOF = ("compare", "latency")  # phases of the job that are parity inference


@dataclass(frozen=True)
class ProofCostStudy(Study):
    """Time one model's conversion both ways."""

    model: Path
    data: Path
    rounds: int

    def execute(self) -> Outcome:
        """Medians over the rounds."""
        with tempfile.TemporaryDirectory() as folder:
            rounds = [self._round(Path(folder), number) for number in range(self.rounds)]
        median = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        proof = median["compare_s"] + median["latency_s"]
        overhead = median["quantize_s"] - median["bare_s"] - proof
        record: dict[str, Any] = {
            "model": self.model.parent.name if self.model.name == "model.keras" else self.model.name,
            "rounds": self.rounds,
            **{key: round(value, 3) for key, value in median.items()},
            "overhead_s": round(overhead, 3),
            "overhead_share": round(overhead / (median["bare_s"] + proof), 4),
        }
        lines = [f"{key:16} {value}" for key, value in record.items()]
        return self.finished(record, "\n".join(lines))

    def _round(self, folder: Path, number: int) -> dict[str, float]:
        _log.info(f"round {number + 1} of {self.rounds}")
        bundle = folder / f"ours-{number}"
        words = [
            "quantize",
            "--int8",
            str(self.model),
            "--data",
            str(self.data),
            "--out",
            str(bundle),
            "--force",
        ]
        ours_s, ours_mb = _timed([sys.executable, "-m", "convert.cli", *words])
        [made] = bundle.iterdir()
        certificate = json.loads((made / "certificate.json").read_text())
        calibration = json.loads((made / "calibration.json").read_text())
        files = folder / "files.json"
        files.write_text(json.dumps([str(self.data / f["name"]) for f in calibration["files"]]))
        bare_s, bare_mb = _timed(
            [sys.executable, "-c", _BARE, str(self.model), str(files), str(folder / "bare.tflite")]
        )
        phases = {f"{phase}_s": certificate["seconds"].get(phase, 0.0) for phase in _PROOF}
        return {
            "quantize_s": ours_s,
            "bare_s": bare_s,
            "quantize_peak_mb": ours_mb,
            "bare_peak_mb": bare_mb,
            **phases,
        }


def _timed(command: list[str]) -> tuple[float, float]:
    """(seconds, peak resident megabytes) of a child process; exit codes 1 and 3 are answers, not failures."""
    wrapper = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", wrapper, *command], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return seconds, int(done.stdout) / 1024


def benchmark(model: str, data: str, rounds: str = "2", out: str = "", json: bool = False) -> ProofCostStudy:
    """Time `convert quantize` beside the bare converter on the same model and images.

    Args:
        model: the float model.
        data: folder with one sub-folder of images a class.
        rounds: repetitions; medians are reported.
        out: JSON to write.
        json: print the record as JSON.
    """
    return ProofCostStudy(
        Path(model),
        Path(data),
        whole_number(rounds, "--rounds", at_least=1),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"quantize": benchmark})
