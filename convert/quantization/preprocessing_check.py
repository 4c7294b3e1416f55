"""Check of a contract against labelled images: is the float model's preprocessing the one it was trained with?

A wrong contract makes float and int8 model wrong alike, so parity cannot see it. Labels can: the same network is right
on many more images with other preprocessing (red and blue exchanged, another range of values) or other label order.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from convert.errors import PreprocessingError
from convert.quantization.contract_inference import RANGES
from convert.quantization.float_model import FloatModel
from convert.quantization.predictions import Floats, float_probabilities
from edge.inference.contract import InputContract, Pixels
from models.statistics.intervals import mcnemar_exact
from models.statistics.validation import Indices, confusion_matrix

_log = logging.getLogger(__name__)

SURE_ENOUGH = 0.9  # accuracy from which on nothing else is tried: another contract could hardly do better by chance
LEAST_GAIN = 0.1  # of accuracy
CHANCE = 1e-3  # exact McNemar; strict, since several contracts are tried
DOUBT = 0.05  # below it a warning
MOST_IMAGES = 200  # on which other contracts are tried
IMAGES_A_CLASS = 5  # below it the best order of many labels fits noise


def check_preprocessing(
    model: FloatModel, contract: InputContract, pixels: Pixels, truth: Indices, probabilities: Floats
) -> None:
    """Refuse a contract under which the network does far worse than under one that differs in a single point.

    Args:
        model: the float classifier.
        contract: said to be the model's.
        pixels, truth: prepared images uint8 (N, H, W, 3) RGB, and their classes int (N,).
        probabilities: of the float model for them, float (N, classes).

    Where too few images tell, a difference that chance seldom makes is a warning.

    Raises:
        PreprocessingError: by the rule's name: "label-order", "channel-order" or "value-range".
    """
    some = np.linspace(0, len(truth) - 1, min(len(truth), MOST_IMAGES)).astype(np.int64)
    called = probabilities.argmax(axis=1)[some]
    right = called == truth[some]
    if right.mean() >= SURE_ENOUGH:
        return
    tried: list[tuple[float, str, str]] = []  # accuracy, rule, how
    doubtful: list[tuple[float, str, str]] = []
    for rule, how, other in _others(contract):
        found = float_probabilities(model, other, pixels[some]).argmax(axis=1) == truth[some]
        for chance, kept in ((CHANCE, tried), (DOUBT, doubtful)):
            if _better(right, found, chance):
                kept.append((float(found.mean()), rule, f"when it is fed {how}"))
    if len(some) >= IMAGES_A_CLASS * len(contract.labels):
        order = best_order(called, truth[some], len(contract.labels))
        found = order[called] == truth[some]
        if _better(right, found, CHANCE):
            labels = ", ".join(contract.labels[k] for k in order)
            tried.append((float(found.mean()), "label-order", f"if its outputs are called {labels}"))
    if tried:
        accuracy, rule, how = max(tried, key=lambda one: one[0])
        raise PreprocessingError(
            rule,
            f"as the contract says, the float model names {100 * right.mean():.1f} % of {len(some)} images rightly;"
            f" {100 * accuracy:.1f} % {how}",
        )
    if doubtful:
        accuracy, rule, how = max(doubtful, key=lambda one: one[0])
        _log.warning(
            f"{rule}: as the contract says, the float model names {100 * right.mean():.1f} % of {len(some)} images "
            f"rightly; {100 * accuracy:.1f} % {how}. Too few images to be sure: look how the network was trained"
        )


def _others(contract: InputContract) -> Iterator[tuple[str, str, InputContract]]:
    """(rule, what is said of it, contract) of the likeliest mistakes."""
    if contract.channel_order != "GRAY":
        exchanged = replace(contract, channel_order="BGR" if contract.channel_order == "RGB" else "RGB")
        yield "channel-order", exchanged.channel_order, exchanged
    for said, (scale, offset) in RANGES.items():
        if not np.allclose(_ends(contract.scale, contract.offset), _ends(scale, offset), atol=0.02):
            yield "value-range", said, with_range(contract, scale, offset)


def with_range(contract: InputContract, scale: float, offset: float) -> InputContract:
    """`contract` with `pixel * scale + offset` in every channel."""
    return replace(contract, scale=(scale,) * contract.channels, offset=(offset,) * contract.channels)


def _ends(scale: npt.ArrayLike, offset: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What pixels 0 and 255 become, (2, 3)."""
    low = np.broadcast_to(np.asarray(offset, np.float64), 3)  # one channel stands for three alike
    return np.stack([low, low + 255 * np.asarray(scale, np.float64)])


def best_order(called: npt.NDArray[np.int64], truth: Indices, classes: int) -> npt.NDArray[np.int64]:
    """For each output the label under which most images are right, each label used once; int64 (classes,).

    An output keeps its label where another one would be no better.

    Args:
        called, truth: per image the output that is largest and the class, int (N,).
        classes: how many.

    >>> best_order(np.array([1, 1, 0, 2]), np.array([0, 0, 1, 2]), 4).tolist()
    [1, 0, 2, 3]
    """
    from scipy.optimize import linear_sum_assignment

    worth = (classes + 1) * confusion_matrix(called, truth, classes) + np.eye(classes, dtype=np.int64)
    outputs, labels = linear_sum_assignment(worth, maximize=True)
    order = np.empty(classes, np.int64)
    order[outputs] = labels
    return order


def _better(right: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_], chance: float) -> bool:
    gained, lost = int((found & ~right).sum()), int((right & ~found).sum())
    # The difference of two shares would lose a gain of exactly LEAST_GAIN to rounding: 0.9 - 0.8 is less than 0.1.
    return (gained - lost) / len(right) >= LEAST_GAIN and mcnemar_exact(lost, gained) < chance
