"""Raw outputs as one score a class: a single sigmoid output p stands for the two classes 1 - p and p."""

from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.int16]
_ONE = {np.dtype(np.int8): 0, np.dtype(np.uint8): 256}  # the sum of both scores: zero points -128 and 0, scale 1/256


def class_scores(raw: npt.NDArray[Any]) -> Scores:
    """int16 (..., classes) of raw outputs int8 or uint8 (..., outputs), in steps of their own quantization.

    One output is a sigmoid, whose scale TFLite fixes at 1/256 with its zero at probability 0: the first class has 1 - p
    in the same steps, and of equals, at p = 0.5, the first one wins, as everywhere.

    >>> class_scores(np.array([[-128], [0], [1]], np.int8)).argmax(axis=-1).tolist()
    [0, 0, 1]
    """
    scores = raw.astype(np.int16)
    if raw.shape[-1] != 1:
        return scores
    return np.concatenate([_ONE[raw.dtype] - scores, scores], axis=-1)


def both_classes(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 (N, classes) of a network's probabilities (N, outputs): p becomes 1 - p and p.

    >>> both_classes(np.array([[0.25]], np.float32)).tolist()
    [[0.75, 0.25]]
    """
    if probabilities.shape[-1] != 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=-1)
