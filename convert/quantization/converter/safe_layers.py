"""Keras layers and activations for which TFLite has no int8 kernel, or one that answers wrongly, in another form.

Each form is the same function, put together from operators that TensorFlow 2.21 quantizes well. Measured on noise of
deviation 3, int8 against float: 37 to 40 dB for every form here. As Keras writes them, normalizations, ELU, log_sigmoid
and squareplus leave NEG, SQUARE or ELU in float32, and SELU (8 dB), CELU (0.3 dB), Mish (5 dB) and softplus (4 dB) are
quantized to something else (`docs/how-to/convert-your-own-model.md`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[Any], Any]
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # as keras.ops.selu
_NEXT_TO_NOTHING = 1e-12  # that keras.layers.UnitNormalization adds


def form_of(layer: Any) -> Any:
    """A layer of the same name and function in its safe form, not called yet; None where it needs none."""
    import keras

    function = _function(layer)
    if function is not None:
        return keras.layers.Lambda(function, output_shape=lambda shape: shape, name=layer.name)
    activation = _activation(getattr(layer, "activation", None))
    if activation is None or isinstance(layer, keras.layers.RNN | keras.layers.Wrapper):
        return None
    if isinstance(layer, keras.layers.Activation):
        return keras.layers.Lambda(activation, output_shape=lambda shape: shape, name=layer.name)
    clone = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    clone.activation = activation
    return clone


def _function(layer: Any) -> Function | None:
    """The whole layer as a function of its input."""
    import keras

    known = keras.layers
    if isinstance(layer, known.ELU):
        return lambda x: _elu(x, float(layer.alpha))
    if isinstance(layer, known.LayerNormalization) and not getattr(layer, "rms_scaling", False):
        return _layer_normalization(layer, layer.gamma, layer.beta, centred=True)
    if hasattr(known, "RMSNormalization") and isinstance(layer, known.RMSNormalization):
        return _layer_normalization(layer, layer.scale, None, centred=False)
    if isinstance(layer, known.GroupNormalization) and layer.axis in (-1, len(layer.input.shape) - 1):
        return _group_normalization(layer)
    if isinstance(layer, known.UnitNormalization):
        return lambda x: _unit(x, layer.axis)
    return None


def _activation(activation: Any) -> Function | None:
    """The safe form of one of Keras's own activation functions."""
    import keras

    own = keras.activations
    forms: dict[str, Function] = {
        "elu": _elu,
        "celu": _elu,
        "selu": lambda x: _elu(x, _SELU_ALPHA, _SELU_SCALE),
        "softplus": _softplus,
        "log_sigmoid": _log_sigmoid,
        "mish": _mish,
        "squareplus": _squareplus,
    }
    return next((form for name, form in forms.items() if activation is getattr(own, name, forms)), None)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0) -> Any:
    """scale * (x above 0, else alpha * (exp(x) - 1)): MINIMUM is quantized wrongly here, x - relu(x) is not."""
    from keras import ops

    above = ops.relu(x)
    return scale * above + (scale * alpha) * (ops.exp(x - above) - 1.0)


def _softplus(x: Any) -> Any:
    """log(1 + exp(x)), with an exponential that stays within 0..1."""
    from keras import ops

    return ops.relu(x) + ops.log(1.0 + ops.exp(-1.0 * ops.abs(x)))


def _log_sigmoid(x: Any) -> Any:
    from keras import ops

    return (x - ops.relu(x)) - ops.log(1.0 + ops.exp(-1.0 * ops.abs(x)))


def _mish(x: Any) -> Any:
    """x * tanh(softplus(x)) is x * (1 - t) / (1 + t) with t = (1 - sigmoid(x))^2."""
    from keras import ops

    rest = 1.0 - ops.sigmoid(x)
    square = rest * rest
    return x * ((1.0 - square) / (1.0 + square))


def _squareplus(x: Any) -> Any:
    from keras import ops

    return 0.5 * (x + ops.sqrt(x * x + 4.0))


def _normalized(x: Any, axes: tuple[int, ...], epsilon: float, centred: bool = True) -> Any:
    """Deviation from the mean over `axes` (or the values themselves), divided by its root mean square."""
    from keras import ops

    deviation = x - ops.mean(x, axes, keepdims=True) if centred else x
    return deviation * ops.rsqrt(ops.mean(deviation * deviation, axes, keepdims=True) + epsilon)


def _layer_normalization(layer: Any, gamma: Any, beta: Any, centred: bool) -> Function:
    rank = len(layer.input.shape)
    axes = tuple(sorted(axis % rank for axis in np.atleast_1d(np.array(layer.axis)).tolist()))
    sides = [layer.input.shape[axis] if axis in axes else 1 for axis in range(rank)]
    factor = None if gamma is None else np.asarray(gamma, np.float32).reshape(sides)
    term = None if beta is None else np.asarray(beta, np.float32).reshape(sides)

    def function(x: Any) -> Any:
        answer = _normalized(x, axes, float(layer.epsilon), centred)
        answer = answer if factor is None else answer * factor
        return answer if term is None else answer + term

    return function


def _group_normalization(layer: Any) -> Function:
    """Over (positions, groups, channels of a group), so that no tensor has more than four axes."""
    groups = layer.groups if layer.groups != -1 else layer.input.shape[-1]
    factor = np.asarray(layer.gamma, np.float32) if layer.scale else None
    term = np.asarray(layer.beta, np.float32) if layer.center else None

    def function(x: Any) -> Any:
        from keras import ops

        shape = tuple(x.shape)  # of one image
        split = (1, int(np.prod(shape[1:-1])), groups, shape[-1] // groups)
        answer = ops.reshape(_normalized(ops.reshape(x, split), (1, 3), float(layer.epsilon)), (1, *shape[1:]))
        answer = answer if factor is None else answer * factor
        return answer if term is None else answer + term

    return function


def _unit(x: Any, axis: int | list[int]) -> Any:

    axes = tuple(np.atleast_1d(np.array(axis)).tolist())
    count = float(np.prod([x.shape[a] for a in axes]))
    return _normalized(x, axes, _NEXT_TO_NOTHING / count, centred=False) * np.float32(count**-0.5)
