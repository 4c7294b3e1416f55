"""TFLite's operators in TensorFlow, for any number of images, for `convert.recovery.fake_quant`.

Rules of padding, strides and axes are the same in both; what differs is the layout of weights (OHWI, (out, in) and
1HWC in a file) and the batch, which is 1 in a file. An operator or a form of one that is not here is refused by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.errors import FineTuneError
from convert.tflite.matching import Array, Floats


@dataclass(frozen=True, eq=False)
class Form:
    """One operator as the float file gives it; `constants` are None where an input is computed."""

    name: str
    operator: str
    options: Any
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    constants: tuple[Array | None, ...]

    def refuse(self, what: str) -> FineTuneError:
        return FineTuneError(f"{self.name}: the fine-tune does not know {self.operator} {what}")


Built = tuple[Callable[..., Any], int]  # what computes it, and how many of the first inputs are operands


def _conv(form: Form) -> Built:
    import tensorflow as tf

    o, activate = form.options, _activation(form)
    if form.inputs[1][-1] != form.inputs[0][-1]:
        raise form.refuse("in groups")

    def compute(x: Any, weights: Any, bias: Any) -> Any:
        strides, dilations = [o.strideH, o.strideW], [o.dilationHFactor, o.dilationWFactor]
        y = tf.nn.conv2d(x, weights, strides, _padding(o), dilations=dilations)
        return activate(y if bias is None else tf.nn.bias_add(y, bias))

    return compute, 1


def _depthwise(form: Form) -> Built:
    import tensorflow as tf

    o, activate = form.options, _activation(form)
    channels = form.inputs[0][-1]
    _, rows, columns, outputs = form.inputs[1]
    if o.strideH != o.strideW:
        raise form.refuse(f"with strides {o.strideH} and {o.strideW}")

    def compute(x: Any, weights: Any, bias: Any) -> Any:
        kernel = tf.reshape(weights, [rows, columns, channels, outputs // channels])
        strides, dilations = [1, o.strideH, o.strideW, 1], [o.dilationHFactor, o.dilationWFactor]
        y = tf.nn.depthwise_conv2d(x, kernel, strides, _padding(o), dilations=dilations)
        return activate(y if bias is None else tf.nn.bias_add(y, bias))

    return compute, 1


def _dense(form: Form) -> Built:
    import tensorflow as tf

    activate, size = _activation(form), form.inputs[1][1]
    if form.options.weightsFormat:
        raise form.refuse("with shuffled weights")

    def compute(x: Any, weights: Any, bias: Any) -> Any:
        y = tf.matmul(tf.reshape(x, [-1, size]), weights)
        y = y if bias is None else tf.nn.bias_add(y, bias)
        return activate(tf.reshape(y, _batched(form)))

    return compute, 1


def _binary(name: str) -> Callable[[Form], Built]:
    def build(form: Form) -> Built:
        import tensorflow as tf

        function, activate = getattr(tf, name), _activation(form)
        return lambda a, b: activate(function(a, b)), 2

    return build


def _unary(function: Callable[[Any, Any], Any]) -> Callable[[Form], Built]:
    """Operators of one input and no shape to speak of; `function` takes TensorFlow and the tensor."""

    def build(form: Form) -> Built:
        import tensorflow as tf

        return lambda x: function(tf, x), 1

    return build


def _softmax(form: Form) -> Built:
    import tensorflow as tf

    return lambda x: tf.nn.softmax(form.options.beta * x), 1


def _pool(name: str) -> Callable[[Form], Built]:
    def build(form: Form) -> Built:
        import tensorflow as tf

        o, function, activate = form.options, getattr(tf.nn, name), _activation(form)
        window, strides = [o.filterHeight, o.filterWidth], [o.strideH, o.strideW]
        return lambda x: activate(function(x, window, strides, _padding(o))), 1

    return build


def _mean(form: Form) -> Built:
    import tensorflow as tf

    axes = [int(a) % len(form.inputs[0]) for a in np.ravel(_needed(form, 1))]
    if 0 in axes:
        raise form.refuse("over the batch")
    return lambda x: tf.reduce_mean(x, axes, keepdims=bool(form.options.keepDims)), 1


def _pad(form: Form) -> Built:
    import tensorflow as tf

    widths = _needed(form, 1)
    return lambda x: tf.pad(x, widths), 1


def _reshape(form: Form) -> Built:
    import tensorflow as tf

    if form.output[0] != 1:
        raise form.refuse(f"of the batch, to {list(form.output)}")
    return lambda x: tf.reshape(x, _batched(form)), 1


def _concatenation(form: Form) -> Built:
    import tensorflow as tf

    axis, activate = int(form.options.axis) % len(form.output), _activation(form)
    if axis == 0:
        raise form.refuse("along the batch")
    if any(c is not None for c in form.constants):
        raise form.refuse("with a constant")
    return lambda *parts: activate(tf.concat(parts, axis)), len(form.inputs)


BUILDERS: dict[str, Callable[[Form], Built]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "ADD": _binary("add"),
    "SUB": _binary("subtract"),
    "MUL": _binary("multiply"),
    "AVERAGE_POOL_2D": _pool("avg_pool2d"),
    "MAX_POOL_2D": _pool("max_pool2d"),
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenation,
    "SOFTMAX": _softmax,
    "RELU": _unary(lambda tf, x: tf.nn.relu(x)),
    "RELU6": _unary(lambda tf, x: tf.nn.relu6(x)),
    "RELU_N1_TO_1": _unary(lambda tf, x: tf.clip_by_value(x, -1.0, 1.0)),
    "LOGISTIC": _unary(lambda tf, x: tf.sigmoid(x)),
    "TANH": _unary(lambda tf, x: tf.tanh(x)),
    "HARD_SWISH": _unary(lambda tf, x: x * tf.nn.relu6(x + 3.0) / 6.0),
}


def _activation(form: Form) -> Callable[[Any], Any]:
    """The activation fused into an operator (schema: ActivationFunctionType)."""
    import tensorflow as tf

    known: dict[int, Callable[[Any], Any]] = {
        0: lambda x: x,
        1: tf.nn.relu,
        2: lambda x: tf.clip_by_value(x, -1.0, 1.0),
        3: tf.nn.relu6,
    }
    kind = 0 if form.options is None else int(form.options.fusedActivationFunction)
    if kind not in known:
        raise form.refuse(f"with the fused activation {kind}")
    return known[kind]


def _padding(options: Any) -> str:
    return "VALID" if options.padding else "SAME"


def _batched(form: Form) -> list[int]:
    """The output's shape for any number of images."""
    return [-1, *form.output[1:]]


def _needed(form: Form, slot: int) -> Array:
    values = form.constants[slot]
    if values is None:
        raise form.refuse(f"with a computed input {slot}")
    return values


def to_tensorflow(operator: str, weights: Array) -> Array:
    """Weights from a file's layout to TensorFlow's, output channels last."""
    if operator == "CONV_2D":
        return np.ascontiguousarray(weights.transpose(1, 2, 3, 0))
    return np.ascontiguousarray(weights.T) if operator == "FULLY_CONNECTED" else weights


def to_file(operator: str, weights: Floats) -> Floats:
    """The way back."""
    if operator == "CONV_2D":
        return np.ascontiguousarray(weights.transpose(3, 0, 1, 2))
    return np.ascontiguousarray(weights.T) if operator == "FULLY_CONNECTED" else weights
