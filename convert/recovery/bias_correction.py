"""Bias correction: the mean shift that rounded weights cause, taken out of the biases.

Rounded weights W' = W + e answer an input x with e * x more, and on average over images with e * E[x]: a shift of each
output channel that int8 biases can take back (Nagel et al. 2019, arXiv 1906.04721, section 4.2), with E[x] measured,
channel by channel. Positions near a border, where padding counts less, are treated as the others.
"""

import numpy as np
import numpy.typing as npt

from convert.recovery.activation_statistics import Statistics
from convert.tflite.float_file import BIAS, WEIGHTED, WEIGHTS, FloatFile, Operator

Floats = npt.NDArray[np.float32]
LARGEST = 127  # int8 weights are symmetric, -127..127


def correct_biases(file: FloatFile, statistics: Statistics) -> int:
    """Correct the bias of every layer with weights, for weights as they stand; the number of layers changed.

    Args:
        file: equalized already where it is to be.
        statistics: of its activations as they are now.
    """
    changed = 0
    for operator in file.operators:
        if operator.kind not in WEIGHTED or len(operator.inputs) <= BIAS or operator.inputs[0] not in statistics:
            continue
        weights, bias = file.constant(operator.inputs[WEIGHTS]), file.constant(operator.inputs[BIAS])
        if weights is None or bias is None:
            continue
        error = rounded(operator, weights).astype(np.float64) - weights
        shift = _mean_output(operator, error, statistics[operator.inputs[0]].channel_mean)
        file.set_input(operator, BIAS, (bias - shift).astype(np.float32))
        changed += 1
    return changed


def rounded(operator: Operator, weights: Floats) -> Floats:
    """Weights as int8 holds them: one scale an output channel, one for all of a FULLY_CONNECTED; max |w| becomes 127.

    What TensorFlow's quantizer does, and `convert.quantization.quantize` asks it for
    (`tests/convert/recovery/test_measures.py`).
    """
    axes: tuple[int, ...] = tuple(range(weights.ndim))
    if operator.kind == "CONV_2D":
        axes = axes[1:]
    elif operator.kind == "DEPTHWISE_CONV_2D":
        axes = axes[:-1]
    scale = np.abs(weights).max(axis=axes, keepdims=True) / LARGEST
    scale = np.where(scale > 0, scale, 1)
    return np.asarray(np.clip(np.rint(weights / scale), -LARGEST, LARGEST) * scale, np.float32)


def _mean_output(
    operator: Operator, error: npt.NDArray[np.float64], mean: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The mean of what weights `error` add to each output channel, for inputs with channel means `mean`."""
    if operator.kind == "DEPTHWISE_CONV_2D":  # (1, H, W, channels * multiplier), a channel's outputs side by side
        return np.asarray(error.sum(axis=(0, 1, 2)) * np.repeat(mean, error.shape[-1] // len(mean)))
    if operator.kind == "CONV_2D" and error.shape[-1] != len(mean):  # groups: each output reads its own channels
        per_group = error.shape[-1]
        grouped = np.repeat(mean.reshape(-1, per_group), len(error) * per_group // len(mean), axis=0)
        return np.asarray(np.einsum("ohwi,oi->o", error, grouped))
    flat = error.reshape(len(error), -1, len(mean)).sum(axis=1)
    return np.asarray(flat @ mean)
