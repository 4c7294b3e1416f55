"""A contract and an interpreter: frame in, verdict out. Research use only; a verdict is no diagnosis."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edge.errors import ContractError, ModelFileError
from edge.inference.contract import InputContract, Pixels, Quantization
from edge.inference.decision import LEAST_PROBABILITY
from edge.inference.runtime.interpreters import Interpreter
from edge.inference.shrinking import Scratch
from edge.inference.tiles import pool_contract, prepare_tiles, require_views

# An int8 softmax has scale 1/256, so its reals are 0..255/256; the slack allows calibrated ranges a little
# wider.
_PROBABILITY_SLACK = 0.02


@dataclass(frozen=True)
class Verdict:
    """What the model says of one frame.

    Attributes:
        label, index: the class with the highest probability; the first of equals.
        probabilities: one a label, in the contract's order, 0..1: calibrated by the contract's decision. Without one
            they are the model's own; from an int8 model those come in steps of 1/256 and add up to 1 only within that.
        margin: highest probability less the second highest, 0..1.
        latency_ms: wall-clock time of the call that made it, milliseconds (`classify` counts resizing,
            `classify_prepared` does not).
        detail: why `label` is not to be answered: "not sure enough: Benign 0.7100, at least 0.93"; None when it is.
        tiles: the network's own outputs of each tile, not calibrated, row by row from the top left, one number a
            label; None without tiles. Pooled and then calibrated they are `probabilities`.

    >>> Verdict("Pre", 2, (0.0, 0.2, 0.8, 0.0), margin=0.6, latency_ms=4.0, detail="not sure enough").abstains
    True
    """

    label: str
    index: int
    probabilities: tuple[float, ...]
    margin: float
    latency_ms: float
    detail: str | None = None
    tiles: tuple[tuple[float, ...], ...] | None = None

    @property
    def abstains(self) -> bool:
        """Whether the frame gets no class, with LOW_CONFIDENCE as the reason."""
        return self.detail is not None


class Classifier:
    """Classifies frames with one interpreter, built once. Use one a thread.

    Args:
        contract: how frames become the model's input and what its outputs are called.
        interpreter: from `edge.inference.runtime.interpreters.open_interpreter`.

    Raises:
        ContractError: model and contract do not fit: input size, number of labels, or an output that is no
            probability.
    """

    def __init__(self, contract: InputContract, interpreter: Interpreter) -> None:
        _check_fit(contract, interpreter)
        self.contract, self.interpreter = contract, interpreter
        self._encode = contract.encoder(interpreter.input.quantization)
        self._output = _real_values(interpreter.output.quantization)
        self._least = zero_counts_as(interpreter.output.quantization)
        self._scratch, self._tensor = Scratch(), np.empty(interpreter.input.shape, interpreter.input.quantization.dtype)

    def classify(self, frame: Pixels) -> Verdict:
        """The verdict on a frame: uint8 (H, W, 3) RGB, sides >= 16; FrameError otherwise."""
        start = perf_counter()
        return self._verdict(prepare_tiles(self.contract, frame, self._scratch), start)

    def classify_prepared(self, pixels: Pixels) -> Verdict:
        """The verdict on prepared pixels: uint8 (height, width, 3) RGB from `InputContract.prepare`; where the contract
        has tiles, (n, height, width, 3) from `edge.inference.tiles.prepare_tiles`, and FrameError for a whole frame."""
        return self._verdict(pixels, perf_counter())

    def probabilities(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """float32 (classes,), 0..1, of prepared pixels as `classify_prepared` takes them: the model's own outputs, of
        tiles pooled, not calibrated, by the device's own path; for parity and evaluation."""
        return np.array(self._pooled(pixels)[0], np.float32)

    def _pooled(self, pixels: Pixels) -> tuple[list[float], tuple[tuple[float, ...], ...] | None]:
        """The field's probabilities, and those of its tiles where the contract has any."""
        if self.contract.tiles is None and pixels.ndim == 3:
            return self._values(pixels), None
        tiles = [self._values(view) for view in require_views(self.contract, pixels)]
        if self.contract.tiles is None:
            return tiles[0], None
        return pool_contract(self.contract, np.array(tiles)).tolist(), tuple(map(tuple, tiles))

    def _values(self, pixels: Pixels) -> list[float]:
        """The probabilities of one view as Python floats: after an inference has emptied the caches, each NumPy call on
        four numbers costs some 15 us, and there would be six."""
        raw = self.interpreter.invoke(self._encode(pixels, self._tensor))
        if self._output is not None:
            real = self._output
            return self._classes([real[byte] for byte in raw.tobytes()])
        if not (np.isfinite(raw).all() and raw.min() >= -_PROBABILITY_SLACK and raw.max() <= 1 + _PROBABILITY_SLACK):
            raise ModelFileError(
                f"model output must be probabilities 0..1 (end the network in softmax); got {raw[:4].tolist()}"
            )
        return self._classes(np.asarray(raw, np.float32).tolist())

    def _classes(self, values: list[float]) -> list[float]:
        """Probabilities of all classes: a sigmoid's output is the second one's."""
        return values if len(values) > 1 else [1 - values[0], values[0]]

    def _verdict(self, pixels: Pixels, start: float) -> Verdict:
        values, tiles = self._pooled(pixels)
        index = values.index(max(values))  # of the model's own outputs: rounding must not change the class
        label, detail, decision = self.contract.labels[index], None, self.contract.decision
        if decision is not None:
            values = decision.calibrated(values, self._least)
            detail = decision.abstention(label, index, values[index])
        second, highest = sorted(values)[-2:]
        return Verdict(label, index, tuple(values), highest - second, (perf_counter() - start) * 1e3, detail, tiles)


def zero_counts_as(output: Quantization) -> float:
    """What a probability of 0 counts as when it is calibrated: half a step of an integer output."""
    return LEAST_PROBABILITY if output.dtype == "float32" else output.scale / 2


def _check_fit(contract: InputContract, interpreter: Interpreter) -> None:
    width, height = contract.size
    if interpreter.input.shape != (1, *contract.input_shape):
        raise ContractError(
            f"contract size {width}x{height} and channel_order {contract.channel_order} need a model input "
            f"{(1, *contract.input_shape)}; got {interpreter.input.shape}"
        )
    outputs = interpreter.output.shape[-1]
    if outputs != contract.outputs:
        wanted = "a sigmoid has one output" if contract.output == "sigmoid" else "labels must be one a model output"
        raise ContractError(f"{wanted}: {len(contract.labels)} labels, {outputs} outputs")
    output = interpreter.output.quantization
    if output.dtype != "float32":
        real = _dequantized(np.array([np.iinfo(output.dtype).min, np.iinfo(output.dtype).max]), output)
        if real[0] < -_PROBABILITY_SLACK or not 0.5 <= real[1] <= 1 + _PROBABILITY_SLACK:
            raise ContractError(
                "model output must be probabilities 0..1 (end the network in softmax); "
                f"scale {output.scale:g} and zero point {output.zero_point} mean {real[0]:.3g}..{real[1]:.3g}"
            )


def _real_values(output: Quantization) -> list[float] | None:
    """The real value of each output byte, indexed by the byte as uint8, float32 precision; None for float32."""
    if output.dtype == "float32":
        return None
    raw = np.arange(256, dtype=np.uint8).view(output.dtype).astype(np.int64)
    return cast(list[float], np.clip(_dequantized(raw, output), 0, 1).astype(np.float32).tolist())


def _dequantized(raw: npt.NDArray[Any], output: Quantization) -> npt.NDArray[np.float64]:
    return (raw.astype(np.float64) - output.zero_point) * output.scale
