"""Activations layer by layer: float against dequantized int8, and the part of the error that a layer adds itself.

For the output q of a layer in int8, its float value f, and the layer's float operator F applied to the input that the
layer really gets in int8, x:

    q - f  =  (q - F(x))  +  (F(x) - f)
    total  =   added      +   inherited

exactly. The layer with the worst total is often only downstream of the one to blame; the one to blame adds. Everything
is summed image by image, so that memory does not grow with their number. Signal-to-quantization-noise ratio as usual,
10 log10(sum f^2 / sum error^2), in dB.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from convert.diagnosis.record import LayerRecord
from convert.tflite.inspection import TensorInfo
from convert.tflite.matching import Array, Floats, Matched, Pair, Part, Parts, Runner, dequantized, held_range

BEST_DB = 100.0  # where there is no error at all
Doubles = npt.NDArray[np.float64]
INPUT = "input"
FIXED_RANGE = frozenset({"SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "L2_NORMALIZATION"})  # TFLite's own scale
HALF_STEP = 0.5001  # of a scale: what rounding explains is no clipping


@dataclass(eq=False)
class _Sums:
    """Running sums of one tensor, by channel (its last axis) where an array."""

    signal: Doubles
    total: Doubles
    added: Doubles
    inherited: Doubles
    clipped_error: float = 0.0
    product: float = 0.0
    power: float = 0.0
    values: int = 0
    below: int = 0
    above: int = 0
    at_low: int = 0
    at_high: int = 0
    codes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    low: Doubles = field(default_factory=lambda: np.empty(0))
    high: Doubles = field(default_factory=lambda: np.empty(0))
    code_low: Doubles = field(default_factory=lambda: np.empty(0))
    code_high: Doubles = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, eq=False)
class Layer:
    """What was found out about one layer's output.

    Attributes:
        name, operator: as in `Pair`; the model's input is the layer "input".
        sqnr_db, added_db: of the whole error, and of the part the layer adds itself.
        channel_db: median over channels of a channel's own sqnr_db from added error: what a blown-up channel hides.
        inherited_db: of what came with its inputs.
        cosine: between float and int8 values, 1 for the same direction.
        used: part of the 256 codes between the least and the greatest that occur.
        clipped: part of the float values that the int8 tensor cannot hold, at its low and its high end. A ReLU or
            ReLU6 clamps float values alike, so that it never counts.
        clipped_db: of the error from clipping alone.
        at_low, at_high: part of the int8 values at the ends, intended clamps included.
        channels: of the last axis. dead: with a single float value on all images. lost: alive in float,
            one code in int8.
        channel_codes: median over living channels of the codes between a channel's least and greatest.
        spread: greatest magnitude of a channel over the median one's; 1 where all are alike.
        loudest: the channel with that magnitude.
        held: least and greatest real value the int8 tensor holds. lows, highs: float extremes, one an image.
        own_range: whether its scale is its own, not its input's (pooling, reshape) and not fixed (softmax).
    """

    name: str
    operator: str
    tensor: TensorInfo
    sqnr_db: float
    added_db: float
    inherited_db: float
    channel_db: float
    cosine: float
    used: float
    clipped: tuple[float, float]
    clipped_db: float
    at_low: float
    at_high: float
    channels: int
    dead: int
    lost: int
    channel_codes: float
    spread: float
    loudest: int
    held: tuple[float, float]
    lows: Doubles
    highs: Doubles
    own_range: bool

    def to_record(self) -> LayerRecord:
        """As `diagnosis.json` holds it."""
        return LayerRecord(
            name=self.name,
            operator=self.operator,
            sqnr_db=round(self.sqnr_db, 2),
            added_db=round(self.added_db, 2),
            inherited_db=round(self.inherited_db, 2),
            channel_db=round(self.channel_db, 2),
            clipped_db=round(self.clipped_db, 2),
            channel_codes=round(self.channel_codes, 2),
            spread=round(self.spread, 2),
            cosine=round(self.cosine, 5),
            range_used=round(self.used, 4),
            clipped_low=round(self.clipped[0], 6),
            clipped_high=round(self.clipped[1], 6),
            at_low=round(self.at_low, 4),
            at_high=round(self.at_high, 4),
            channels=self.channels,
            dead_channels=self.dead,
            lost_channels=self.lost,
            held=[float(f"{v:.5g}") for v in self.held],
            measured=[float(f"{v:.5g}") for v in (self.lows.min(), self.highs.max())],
        )


class Activations:
    """Feed it images one by one, then ask for `layers`."""

    def __init__(self, plain_model: bytes, int8_model: bytes, matched: Matched, threads: int = 1) -> None:
        parts = Parts(plain_model)
        self._matched = matched
        self._plain = Runner(plain_model, keep_all=True, threads=threads)
        self._int8 = Runner(int8_model, keep_all=True, threads=threads)
        self._ends = matched.plain.inputs[0], matched.int8.inputs[0]
        self._twins = {pair.output.index: pair.quantized for pair in matched.pairs} | {
            self._ends[0].index: self._ends[1]
        }
        self._alone: list[Part | None] = [self._part(parts, pair) for pair in matched.pairs]
        self._sums: dict[int, _Sums] = {}

    def see(self, real: Floats, quantized: Array) -> tuple[dict[int, Floats], dict[int, Floats]]:
        """Run both files on one image and add it to the sums.

        Args:
            real: float32 (1, height, width, 3), what the float network is fed.
            quantized: the same image as the int8 file's input tensor.

        Returns:
            By index in the float file: the float value of every matched tensor, and the error that it adds itself.
        """
        self._plain.run([real])
        self._int8.run([quantized])
        ours, theirs = self._ends
        given: dict[int, Floats] = {ours.index: dequantized(quantized, theirs)}
        values: dict[int, Floats] = {ours.index: real}
        added: dict[int, Floats] = {ours.index: given[ours.index] - real}
        self._add(-1, (real, quantized, theirs), added[ours.index], np.zeros_like(real))
        for pair, part in zip(self._matched.pairs, self._alone, strict=True):
            index = pair.output.index
            raw = self._int8.tensor(pair.quantized.index)
            given[index] = dequantized(raw, pair.quantized)
            values[index] = self._plain.tensor(index)
            if part is None:  # an input without a twin: all of the error is counted as inherited
                added[index] = np.zeros_like(values[index])
                passed = given[index] - values[index]
            else:
                alone = part.run(given)
                added[index], passed = given[index] - alone, alone - values[index]
            fixed = pair.operator in FIXED_RANGE
            self._add(pair.place, (values[index], raw, pair.quantized), added[index], passed, fixed)
        return values, added

    def answer(self) -> Array:
        """The int8 file's output for the image last seen, (classes,), not dequantized."""
        return self._int8.tensor(self._matched.int8.outputs[0].index).reshape(-1)

    def layers(self) -> tuple[Layer, ...]:
        """The input first, then every matched operator in the order in which they run."""
        input_layer = _layer(INPUT, "INPUT", self._ends[1], self._sums[-1], own_range=True)
        return (
            input_layer,
            *(
                _layer(p.name, p.operator, p.quantized, self._sums[p.place], self._own_range(p))
                for p in self._matched.pairs
            ),
        )

    def _part(self, parts: Parts, pair: Pair) -> Part | None:
        part = parts.cut(pair.place, pair.place)
        return part if all(index in self._twins for index in part.inputs) else None

    def _own_range(self, pair: Pair) -> bool:
        """Not where scale and zero point are those of an input, and not where TFLite fixes them."""
        if pair.operator in FIXED_RANGE:
            return False
        mine = _format(pair.quantized)
        return all(_format(self._twins[i]) != mine for i in pair.node.inputs if i in self._twins)

    def _add(
        self, place: int, tensors: tuple[Floats, Array, TensorInfo], added: Floats, passed: Floats, fixed: bool = False
    ) -> None:
        real, raw, tensor = tensors
        channels = real.shape[-1] if real.ndim else 1
        f, a, p = (v.reshape(-1, channels).astype(np.float64) for v in (real, added, passed))
        codes = raw.reshape(-1, channels).astype(np.int16)
        error = a + p
        s = self._sums.get(place)
        if s is None:
            s = self._sums[place] = _Sums(
                np.zeros(channels), np.zeros(channels), np.zeros(channels), np.zeros(channels)
            )
        s.signal += (f * f).sum(axis=0)
        s.total += (error * error).sum(axis=0)
        s.added += (a * a).sum(axis=0)
        s.inherited += (p * p).sum(axis=0)
        held = f + error
        s.product += float((f * held).sum())
        s.power += float((held * held).sum())
        s.values += f.size
        self._ends_of_range(s, f, codes, tensor, fixed)
        s.lows.append(float(f.min()))
        s.highs.append(float(f.max()))
        s.low, s.high = _extremes(s.low, s.high, f)
        s.code_low, s.code_high = _extremes(s.code_low, s.code_high, codes)

    @staticmethod
    def _ends_of_range(s: _Sums, f: Doubles, codes: npt.NDArray[np.int16], tensor: TensorInfo, fixed: bool) -> None:
        if tensor.dtype not in ("int8", "uint8") or len(tensor.scales) != 1:
            return
        limits = np.iinfo(tensor.dtype)
        low, high = held_range(tensor)
        slack = HALF_STEP * float(tensor.scales[0])
        if not fixed:  # a softmax's 1 is held as 255/256 on purpose
            s.below += int((f < low - slack).sum())
            s.above += int((f > high + slack).sum())
            over = f - np.clip(f, low, high)
            s.clipped_error += float((over * over).sum())
        s.at_low += int((codes == limits.min).sum())
        s.at_high += int((codes == limits.max).sum())
        s.codes += np.bincount((codes - limits.min).ravel(), minlength=256)[:256]


def decibel(signal: float, noise: float) -> float:
    """10 log10(signal / noise), at most `BEST_DB`, at least -`BEST_DB`."""
    if noise <= 0:
        return BEST_DB
    if signal <= 0:
        return -BEST_DB
    return float(np.clip(10 * np.log10(signal / noise), -BEST_DB, BEST_DB))


def _layer(name: str, operator: str, tensor: TensorInfo, s: _Sums, own_range: bool) -> Layer:
    signal = float(s.signal.sum())
    alive = s.high > s.low
    magnitude = np.maximum(np.abs(s.low), np.abs(s.high))
    codes = (s.code_high - s.code_low + 1)[alive]
    occurring = np.flatnonzero(s.codes)
    each = [decibel(float(x), float(n)) for x, n in zip(s.signal[alive], s.added[alive], strict=True)]
    median = float(np.median(magnitude[alive])) if alive.any() else 0.0
    quantized = tensor.dtype in ("int8", "uint8") and len(tensor.scales) == 1
    return Layer(
        name=name,
        operator=operator,
        tensor=tensor,
        sqnr_db=decibel(signal, float(s.total.sum())),
        added_db=decibel(signal, float(s.added.sum())),
        inherited_db=decibel(signal, float(s.inherited.sum())),
        channel_db=float(np.median(each)) if each else BEST_DB,
        cosine=s.product / float(np.sqrt(signal * s.power)) if signal * s.power > 0 else 0.0,
        used=float(occurring[-1] - occurring[0] + 1) / 256 if len(occurring) else 0.0,
        clipped=(s.below / s.values, s.above / s.values),
        clipped_db=decibel(signal, s.clipped_error),
        at_low=s.at_low / s.values,
        at_high=s.at_high / s.values,
        channels=len(s.signal),
        dead=int((~alive).sum()),
        lost=int((codes <= 1).sum()),
        channel_codes=float(np.median(codes)) if len(codes) else 0.0,
        spread=float(magnitude.max()) / median if median > 0 else 1.0,
        loudest=int(magnitude.argmax()),
        held=held_range(tensor) if quantized else (float("-inf"), float("inf")),
        lows=np.array(s.lows),
        highs=np.array(s.highs),
        own_range=own_range and quantized,
    )


def _extremes(low: Doubles, high: Doubles, values: Array) -> tuple[Doubles, Doubles]:
    """Per channel, over what was seen before and `values` (n, channels)."""
    least, most = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    return (np.minimum(low, least), np.maximum(high, most)) if len(low) else (least, most)


def _format(tensor: TensorInfo) -> tuple[Sequence[float], Sequence[int]]:
    return tuple(map(float, tensor.scales)), tuple(map(int, tensor.zero_points))
