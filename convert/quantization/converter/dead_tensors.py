"""Activations that were zero on every calibration image, such as those of a dead ReLU.

TensorFlow gives them the range -1e-6..1e-6, and a scale with which LiteRT's XNNPACK delegate refuses the whole file
("failed to prepare"). In any wider range zero stays zero.
"""

import numpy as np

from convert.errors import RecoveryError
from convert.tflite.float_file import FloatFile
from convert.tflite.inspection import inspect

NEXT_TO_ZERO = 1.001e-6  # the least range that TensorFlow's quantizer gives (kNearZeroTolerance)
GIVEN = (0.0, 1.0)


def has_dead_tensors(int8: bytes) -> bool:
    """Whether an int8 file has an activation of that least scale."""
    return any(
        len(tensor.scales) == 1 and not tensor.constant_bytes and tensor.scales[0] <= 2 * NEXT_TO_ZERO / 255
        for tensor in inspect(int8).tensors
    )


def with_wider_ranges(calibrated: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A calibrated float file in which such activations have the range 0..1, and their names.

    A file with control flow comes back as it is.
    """
    try:
        file = FloatFile(calibrated)
    except RecoveryError:
        return calibrated, ()
    ranges = {tensor: file.range(tensor) for tensor in file.activations}
    dead = [tensor for tensor, found in ranges.items() if found and np.abs(found).max() <= NEXT_TO_ZERO]
    for tensor in dead:
        file.set_range(tensor, *GIVEN)
    return (file.pack(), tuple(file.name(tensor) for tensor in dead)) if dead else (calibrated, ())
