"""TensorFlow's quantizer and litert-quantizer on the same float file and the same calibration images.

    python3 -m venv ENV; ENV/bin/pip install litert-quantizer
    python -m docs.studies.engine.comparison run MODEL --data IMAGES --python ENV/bin/python --out FILE

What each writes, what that costs, what `convert.quantization.postcheck` and the Edge TPU preflight say of it, how it
decides on the validation and the test part, how far its ranges lie from those the images reach, and its biases from the
network's.
With `--blow-up` the network is first made hard on purpose: one channel's range far beyond the others', the function
kept.
"""

import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration.calibration_set import choose
from convert.calibration.evaluation_data import Source
from convert.errors import FloatModelError
from convert.parity.latency import latency_ratio
from convert.quantization.contract_inference import infer_contract
from convert.quantization.float_model import FloatModel, load_float
from convert.quantization.predictions import Floats, float_probabilities
from convert.quantization.quantize import float_tflite, quantize, reach_both_ends
from docs.studies.command import Study, output, run
from docs.studies.engine.facts import decisions, file_facts, reached_ranges, unlike
from docs.studies.engine.runs import ROWS, Inputs, Made, check_engine, run_engine
from edge.commands.command_line import Outcome
from edge.errors import UsageError
from edge.inference.contract import InputContract, Pixels
from edge.inference.runtime.interpreters import open_interpreter
from edge.system.option_values import whole_number
from models.data.parts import Part, load_part

_log = logging.getLogger(__name__)

Record = dict[str, Any]
PARTS = ("validation", "test")
SEED, IMAGES = 0, 200
REPEATS, FRAMES = 100, 4  # of timed inferences


@dataclass(frozen=True)
class BlowUp:
    """Channel `channel` of the batch norm `norm` times `by`, what layer `reader` reads of it divided by as much."""

    norm: str
    reader: str
    channel: int
    by: int


@dataclass(frozen=True)
class EngineStudy(Study):
    """Convert one network with every engine."""

    model: Path
    data: Path
    python: Path
    rows: tuple[str, ...]
    images: int
    rounds: int
    blow_up: BlowUp | None

    def execute(self) -> Outcome:
        """A record an engine; nothing is judged."""
        check_engine(self.python)
        model = load_float(self.model)
        contract = infer_contract(model).contract
        source = Source.open(self.data, contract.labels, None)
        parts = {part: load_part(source.image_set, source.split, part, contract) for part in PARTS}
        before = {part: float_probabilities(model, contract, judged.pixels) for part, judged in parts.items()}
        if self.blow_up is not None:
            model = blown_up(model, self.blow_up)
        pixels = self._calibration(source, contract, parts)
        began = time.perf_counter()
        plain_model = float_tflite(model)
        float_seconds = time.perf_counter() - began
        made = self._make(plain_model, pixels, contract)
        reached = reached_ranges(plain_model, pixels, contract)
        rows = []
        for row in self.rows:
            _log.info(f"{row}: looked at")
            facts = file_facts(made[row][0].model, plain_model, reached, contract)
            decided = {part: decisions(made[row][0].model, contract, parts[part], before[part]) for part in PARTS}
            rows.append({"row": row, **_cost(made[row]), **facts, **decided})
        _beside(rows, made, contract, parts["validation"].pixels)
        if "tf" in made:
            rows[0]["unlike_convert_quantize"] = unlike(made["tf"][0].model, quantize(model, contract, pixels))
        record = self._record(model, before, parts, contract)
        record |= {"calibration_images": len(pixels), "float_tflite_seconds": round(float_seconds, 2), "rows": rows}
        return self.finished(record, _table(rows))

    def _calibration(self, source: Source, contract: InputContract, parts: dict[str, Part]) -> Pixels:
        """As `convert quantize` does it, with the two values that make the range whole."""
        chosen = choose(
            source.split.samples(source.image_set, "train"),
            contract,
            count=self.images,
            seed=SEED,
            groups=source.split.groups(),
            evaluation=parts["test"].samples,
        )
        pixels = chosen.pixels.copy()
        for index, image in reach_both_ends(pixels, contract).items():
            pixels[index] = image
        return pixels

    def _make(self, plain_model: bytes, pixels: Pixels, contract: InputContract) -> dict[str, list[Made]]:
        """Every round of every row, the engines by turns, so that a busy moment does not fall on one of them."""
        made: dict[str, list[Made]] = {row: [] for row in self.rows}
        with tempfile.TemporaryDirectory() as folder:
            inputs = Inputs.write(Path(folder), plain_model, pixels, contract)
            for number in range(self.rounds):
                for row in self.rows:
                    _log.info(f"{row}, round {number + 1} of {self.rounds}")
                    made[row].append(run_engine(row, self.python, inputs))
        return made

    def _record(
        self,
        model: FloatModel,
        before: dict[str, Floats],
        parts: dict[str, Part],
        contract: InputContract,
    ) -> Record:
        record: Record = {"model": model.name, "sha256": model.sha256}
        if self.blow_up is not None:
            after = {part: float_probabilities(model, contract, judged.pixels) for part, judged in parts.items()}
            worst = max(float(np.abs(after[part] - before[part]).max()) for part in PARTS)
            record["blow_up"] = {**vars(self.blow_up), "float_changed_by": float(f"{worst:.2g}")}
        return {
            **record,
            "rounds": self.rounds,
            "correct_float": {p: int((before[p].argmax(1) == parts[p].truth).sum()) for p in PARTS},
            "images": {p: len(before[p]) for p in PARTS},
        }


def blown_up(model: FloatModel, change: BlowUp) -> FloatModel:
    """The same function with one channel out of proportion. Powers of two change no digit of it.

    Raises:
        FloatModelError: no such layers or channel.
    """
    norm, reader = (_layer(model.network, name, model.path) for name in (change.norm, change.reader))
    values, kernel = norm.get_weights(), reader.get_weights()
    if len(values) != 4 or kernel[0].ndim not in (2, 4) or kernel[0].shape[-2] != len(values[0]):
        raise FloatModelError(f"{model.path}: {change.reader} does not read what the batch norm {change.norm} gives")
    if change.channel >= len(values[0]):
        raise FloatModelError(f"{model.path}: {change.norm} has {len(values[0])} channels; got {change.channel}")
    for value in values[:2]:  # gamma and beta
        value[change.channel] *= change.by
    kernel[0][..., change.channel, :] /= change.by
    norm.set_weights(values)
    reader.set_weights(kernel)
    return FloatModel(model.network, model.path, model.sha256, model.name, model.size, model.classes)


def _layer(network: Any, name: str, path: Path) -> Any:
    """By its name, in networks within the network too."""
    for layer in getattr(network, "layers", ()):
        if layer.name == name:
            return layer
        if getattr(layer, "layers", None):
            try:
                return _layer(layer, name, path)
            except FloatModelError:
                continue
    raise FloatModelError(f"{path}: has no layer {name!r}")


def _cost(rounds: Sequence[Made]) -> Record:
    """Medians over the rounds, and whether every round wrote the same bytes."""
    phases = rounds[0].seconds
    return {
        "version": rounds[0].version,
        "seconds": {phase: round(statistics.median(made.seconds[phase] for made in rounds), 2) for phase in phases},
        "peak_mb": round(statistics.median(made.peak_mb for made in rounds)),
        "repeatable": len({made.model for made in rounds}) == 1,
    }


def _beside(rows: list[Record], made: dict[str, list[Made]], contract: InputContract, pixels: Pixels) -> None:
    """Each file held against TensorFlow's: where it differs; inference by turns, times as fast by the minima."""
    if "tf" not in made:
        return
    for row in rows[1:]:
        ours, other = (open_interpreter(made[name][0].model) for name in ("tf", row["row"]))
        pairs = [tuple(contract.encode(p, i.input.quantization) for i in (ours, other)) for p in pixels[:FRAMES]]
        row["unlike_tf"] = unlike(made[row["row"]][0].model, made["tf"][0].model)
        row["inference_as_fast"] = round(latency_ratio(ours, other, pairs, REPEATS).ratio_min, 3)  # type: ignore[arg-type]


def _table(rows: list[Record]) -> str:
    """A line a row."""
    lines = [f"{'row':16} {'whole s':>8} {'MB':>6} {'agreed':>12} {'correct':>12} {'mean drift':>20}  verify, Edge TPU"]
    for row in rows:
        agreed, correct = (f"{row['validation'][k]}, {row['test'][k]}" for k in ("agreed", "correct"))
        drift = f"{row['validation']['drift_mean']:.5f}, {row['test']['drift_mean']:.5f}"
        cost = f"{row['seconds']['whole']:8.1f} {row['peak_mb']:6d}"
        said = f"{row['verify'].split(':')[0]}, {row['edgetpu']['verdict']}"
        lines.append(f"{row['row']:16} {cost} {agreed:>12} {correct:>12} {drift:>20}  {said}")
    return "\n".join(lines)


def study(
    model: str,
    data: str,
    python: str,
    rows: str = ",".join(ROWS),
    images: str = str(IMAGES),
    rounds: str = "2",
    blow_up: str = "",
    out: str = "",
    json: bool = False,
) -> EngineStudy:
    """Weigh litert-quantizer against TensorFlow's quantizer on one network.

    Args:
        model: the float model, its contract beside it.
        data: folder with one sub-folder of images a class.
        python: a Python that has litert-quantizer, in an environment of its own.
        rows: of tf, tf-measured, litert, litert-default, litert-profiler, litert-octav, litert-mse, by commas; tf
            first.
        images: of the calibration set.
        rounds: runs of each engine; medians are reported.
        blow_up: NORM:READER:CHANNEL:BY, to make the network hard first: that batch norm's channel times BY, what the
            layer READER reads of it divided by BY.
        out: JSON to write.
        json: print the record as JSON.
    """
    wanted = tuple(rows.split(","))
    for row in wanted:
        if row not in ROWS:
            raise UsageError(f"--rows must be of {', '.join(ROWS)}; got {row!r}")
    if len(set(wanted)) < len(wanted) or "tf" in wanted[1:]:
        raise UsageError(f"--rows must name each once, tf first; got {rows}")
    return EngineStudy(
        Path(model),
        Path(data),
        Path(python),
        wanted,
        whole_number(images, "--images", at_least=1),
        whole_number(rounds, "--rounds", at_least=1),
        _blow_up(blow_up) if blow_up else None,
        **output(out, json),
    )


def _blow_up(words: str) -> BlowUp:
    parts = words.split(":")
    if len(parts) != 4 or not all(parts):
        raise UsageError(f"--blow-up must be NORM:READER:CHANNEL:BY; got {words!r}")
    channel, by = (whole_number(word, "--blow-up", at_least=low) for word, low in ((parts[2], 0), (parts[3], 2)))
    return BlowUp(parts[0], parts[1], channel, by)


if __name__ == "__main__":
    run({"run": study})
