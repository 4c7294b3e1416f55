"""A differentiable twin of an int8 file: its arithmetic in TensorFlow, with the float file's weights as variables.

Everything between the operators goes through the scale and zero point that the int8 file has for it, so that what is
trained through the twin is trained through the int8 model. Rounding passes the gradient on as if it were not there and
stops it where a value is clipped (the straight-through estimator: Bengio et al. 2013, arXiv 1308.3432; Jacob et al.
2018, arXiv 1712.05877, for networks). Of libraries, `tensorflow-model-optimization` 0.8.1 wraps layers of Keras 2
(it requires tf-keras; https://github.com/tensorflow/model-optimization/issues/1119) and learns ranges of its own, and
qkeras-v3 and HGQ2 want the network written anew in their layers; none reads a file that has its quantizers already.

Weights and biases are held in steps of the int8 format (a weight's step is 1/127 of its channel's largest, a bias's
that of the operator's output), since batch norms folded into convolutions leave channels of very different size: one
learning rate then means the same for all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.errors import DiagnoseError, FineTuneError, RecoveryError
from convert.recovery.fake_quant_operators import BUILDERS, Form, to_file, to_tensorflow
from convert.tflite.float_file import BIAS, WEIGHTED, WEIGHTS, FloatFile, Operator
from convert.tflite.inspection import TensorInfo
from convert.tflite.matching import Floats, Pair, constants, match

SAME_SCALE = frozenset({"MAX_POOL_2D", "RESHAPE", "PAD"})  # they choose among codes, and round nothing
WEIGHT_CODES = 127  # symmetric and narrow: -127..127
_LEAST = 1e-12  # a channel of zeros has a step, too


@dataclass(frozen=True)
class Quantizer:
    """Real numbers to the nearest that an int8 tensor can hold: `scale * (code - zero_point)`, code -128..127."""

    scale: float
    zero_point: int

    def __call__(self, x: Any) -> Any:
        """Same shape and dtype (float32); gradient 1 within the range, 0 beyond."""
        import tensorflow as tf

        low, high = self.scale * (-128 - self.zero_point), self.scale * (127 - self.zero_point)
        return tf.quantization.fake_quant_with_min_max_args(x, low, high)

    @classmethod
    def of(cls, tensor: TensorInfo) -> "Quantizer | None":
        """That of a per-tensor int8 (or uint8) activation; None for one that is no such thing."""
        if tensor.dtype not in ("int8", "uint8") or len(tensor.scales) != 1:
            return None
        zero_point = int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
        return cls(float(tensor.scales[0]), zero_point - (128 if tensor.dtype == "uint8" else 0))


class Learned:
    """A weight or bias of the float file: `start + unit * steps`, where `steps` is what is learned.

    Args:
        start: float32, in TensorFlow's layout.
        unit: float32, broadcastable to it: the size of one int8 step.
    """

    def __init__(self, start: Floats, unit: Floats) -> None:
        import tensorflow as tf

        self._start, self._unit = tf.constant(start, tf.float32), tf.constant(unit, tf.float32)
        self.steps = tf.Variable(tf.zeros_like(self._start))

    def value(self) -> Any:
        """The tensor as it stands now."""
        return self._start + self._unit * self.steps


@dataclass(frozen=True, eq=False)
class _Operand:
    """What an operator reads: a tensor computed before, through `quantizer`, or a constant in both its forms."""

    index: int
    quantizer: Quantizer | None = None
    constant: Floats | None = None
    quantized_constant: Floats | None = None


@dataclass(frozen=True, eq=False)
class _Step:
    operator: str
    operands: tuple[_Operand, ...]
    output: int
    quantizer: Quantizer | None
    compute: Callable[..., Any]
    weights: Learned | None = None
    bias: Learned | None = None
    weight_axes: tuple[int, ...] = ()  # over which the largest weight is taken: all but the output channels

    def kernel(self, quantized: bool) -> tuple[Any, ...]:
        """Weights and bias, None where there is no bias; () for an operator without weights."""
        import tensorflow as tf

        if self.weights is None:
            return ()
        weights = self.weights.value()
        if quantized:
            largest = tf.reduce_max(tf.abs(tf.stop_gradient(weights)), self.weight_axes, keepdims=True)
            scale = tf.maximum(largest, _LEAST) / WEIGHT_CODES
            weights += tf.stop_gradient(scale * tf.round(weights / scale) - weights)
        return weights, None if self.bias is None else self.bias.value()


class _Flow:
    """The tensors of one pass. `values`: by index, each through the quantizer of the operator that computed it."""

    def __init__(self, source: int, inputs: Any, quantized: bool) -> None:
        self.values, self._quantized = {source: inputs}, quantized
        self._at: dict[int, Quantizer | None] = {source: None}
        self._anew: dict[tuple[int, Quantizer], Any] = {}

    def read(self, operand: _Operand) -> Any:
        """As its reader takes it: through a scale of its own where the int8 file quantizes anew for it."""
        if operand.constant is not None:
            return operand.quantized_constant if self._quantized else operand.constant
        quantizer, value = operand.quantizer, self.values[operand.index]
        if not self._quantized or quantizer is None or quantizer == self._at[operand.index]:
            return value
        key = (operand.index, quantizer)
        if key not in self._anew:
            self._anew[key] = quantizer(value)
        return self._anew[key]

    def write(self, step: _Step, result: Any) -> None:
        quantizer = step.quantizer if self._quantized else None
        as_it_came = step.operator in SAME_SCALE and self._at[step.operands[0].index] == quantizer
        self.values[step.output] = result if quantizer is None or as_it_came else quantizer(result)
        self._at[step.output] = quantizer


class Twin:
    """One network as its float file says it, or as the int8 file computes it.

    Attributes:
        source: index of the input tensor, float32 (N, H, W, 3).
        logits: index of the tensor that the softmax or sigmoid takes.
        features: index of the tensor that the last layer with weights takes.
        learned: weights and biases, in the order of the operators.
    """

    def __init__(self, plain: bytes, int8: bytes) -> None:
        """Build it.

        Args:
            plain: the float TFLite file, batch 1.
            int8: the file quantized from it.

        Raises:
            FineTuneError: an operator or a form of one that the twin does not know, or files that do not belong
                together.
            BrokenModelError: a file that is no TFLite file.
        """
        try:
            matched, file = match(plain, int8), FloatFile(plain)
        except (DiagnoseError, RecoveryError) as error:
            raise FineTuneError(str(error)) from error
        operators = file.operators
        if matched.unmatched or len(matched.pairs) != len(operators):
            raise FineTuneError("the int8 file has other operators than the float file")
        self._plain, self._file, self._int8 = plain, file, matched.int8
        self._codes = constants(int8, [t.index for t in matched.int8.tensors if t.constant_bytes and not t.subgraph])
        self._shared: dict[int, Learned] = {}
        self._steps = tuple(self._step(p, op) for p, op in zip(matched.pairs, operators, strict=True))
        last = self._steps[-1]
        self.source, self.output = file.inputs[0], last.output
        if last.operator not in ("SOFTMAX", "LOGISTIC"):
            raise FineTuneError(
                f"the network ends in {last.operator}; only one that ends in SOFTMAX or LOGISTIC can be fine-tuned"
            )
        self.logits = last.operands[0].index
        weighted = [step for step in self._steps if step.weights is not None]
        if not weighted:
            raise FineTuneError("the network has no convolution and no dense layer: nothing to fine-tune")
        self.features = weighted[-1].operands[0].index
        self.learned = tuple(self._shared.values())

    @property
    def variables(self) -> list[Any]:
        """What an optimizer changes, in int8 steps."""
        return [one.steps for one in self.learned]

    def run(self, inputs: Any, quantized: bool) -> dict[int, Any]:
        """Every tensor the network computes, by its index in the float file.

        Args:
            inputs: float32 (N, H, W, 3), N as you like.
            quantized: through the int8 file's quantizers, or as the float file computes.
        """
        flow = _Flow(self.source, inputs, quantized)
        for step in self._steps:
            operands = [flow.read(operand) for operand in step.operands]
            flow.write(step, step.compute(*operands, *step.kernel(quantized)))
        return flow.values

    def written(self) -> bytes:
        """The float TFLite file with the weights and biases as they stand now; ranges and all else untouched.

        Raises:
            FineTuneError: a weight is not a number any more.
        """
        file = FloatFile(self._plain)
        for operator, step in zip(file.operators, self._steps, strict=True):
            for slot, learned in ((WEIGHTS, step.weights), (BIAS, step.bias)):
                if learned is None:
                    continue
                values = np.asarray(learned.value())
                if not np.isfinite(values).all():
                    raise FineTuneError("a weight is not a number any more: lower the learning rate")
                file.set_input(operator, slot, to_file(operator.kind, values) if slot == WEIGHTS else values)
        return file.pack()

    def _step(self, pair: Pair, operator: Operator) -> _Step:
        build = BUILDERS.get(operator.kind)
        if build is None:
            raise FineTuneError(f"{pair.name}: the fine-tune does not know the operator {operator.kind}")
        file = self._file
        form = Form(
            pair.name,
            operator.kind,
            operator.options,
            tuple(() if i < 0 else file.shape(i) for i in operator.inputs),
            file.shape(operator.outputs[0]),
            tuple(file.constant(i) for i in operator.inputs),
        )
        compute, reads = build(form)
        operands = tuple(self._operand(pair, form, slot, operator.inputs[slot]) for slot in range(reads))
        weights = self._weighted(pair, form, operator) if operator.kind in WEIGHTED else {}
        quantizer = Quantizer.of(pair.quantized)
        return _Step(operator.kind, operands, operator.outputs[0], quantizer, compute, **weights)

    def _operand(self, pair: Pair, form: Form, slot: int, index: int) -> _Operand:
        twin = self._int8.tensor(pair.twin.inputs[slot])
        quantizer, constant = Quantizer.of(twin), form.constants[slot]
        if constant is None:
            return _Operand(index, quantizer)
        codes = self._codes.get(twin.index)
        if codes is None or quantizer is None:
            raise FineTuneError(f"{pair.name}: the constant it reads is not int8 in the int8 file")
        real = (codes.astype(np.float32) - quantizer.zero_point) * np.float32(quantizer.scale)
        return _Operand(index, None, constant.astype(np.float32), real.astype(np.float32))

    def _weighted(self, pair: Pair, form: Form, operator: Operator) -> dict[str, Any]:
        """The step's weights, their quantizer's axes and its bias."""
        given = form.constants[WEIGHTS]
        if given is None:
            raise form.refuse("with computed weights")
        weights = to_tensorflow(operator.kind, given)
        per_channel = len(self._int8.tensor(pair.twin.inputs[WEIGHTS]).scales) > 1
        axes = tuple(range(weights.ndim - 1 if per_channel else weights.ndim))
        unit = np.maximum(np.abs(weights).max(axes, keepdims=True), _LEAST) / WEIGHT_CODES
        found = {"weights": self._learn(operator.inputs[WEIGHTS], weights, unit), "weight_axes": axes}
        if len(operator.inputs) > BIAS and operator.inputs[BIAS] >= 0:
            bias, output = form.constants[BIAS], Quantizer.of(pair.quantized)
            if bias is None or output is None:
                raise form.refuse("with a computed bias, or an output that is not int8")
            found["bias"] = self._learn(operator.inputs[BIAS], bias, np.full(1, output.scale))
        return found

    def _learn(self, index: int, start: Floats, unit: Floats) -> Learned:
        """One variable for a tensor, however many operators share it."""
        if index not in self._shared:
            self._shared[index] = Learned(start, unit)
        return self._shared[index]
