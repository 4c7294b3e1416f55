"""What labelled images say about a contract that nobody gave: which values, in which channel order, a network wants.

Another range or order that is right on far more images is taken. The images are none that judge the int8 model.
Labels in another order than the outputs would speak for a wrong range, so that is looked for first, and refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from convert.errors import PreprocessingError, TooFewImagesError
from convert.quantization.contract_inference import RANGES, Inferred
from convert.quantization.float_model import FloatModel
from convert.quantization.predictions import Floats, float_probabilities
from convert.quantization.preprocessing_check import (
    CHANCE,
    IMAGES_A_CLASS,
    LEAST_GAIN,
    SURE_ENOUGH,
    best_order,
    with_range,
)
from edge.inference.contract import ChannelOrder, InputContract, Pixels
from models.statistics.intervals import mcnemar_exact
from models.statistics.validation import Indices

CLEAR_LIKELIHOOD = 3.0  # standard errors of the mean difference of log-likelihoods
BEYOND_DOUBT = 0.97  # accuracy from which on nothing else is tried; trying costs up to five times as much again
FEWEST = 8  # images, below which nothing is concluded from likelihoods
_LEAST_PROBABILITY = 1e-6


class InferredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """How a contract that nobody gave was found, for the certificate.

    Attributes:
        values, channel_order: the ones taken.
        by: "network": its first layers say the values; "images": the shares of `tried` do; "assumed": neither.
        images: labelled images asked, none of which judges; 0 without any.
        tried: share of them that is named rightly, by values and order.

    >>> InferredEntry(values="0..255", channel_order="RGB", by="network", images=0, tried={}).by
    'network'
    """

    values: str
    channel_order: str
    by: str
    images: int
    tried: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Tried:
    """A contract, and per image whether it was named rightly, bool (N,), and the true class's log-likelihood.

    Attributes:
        probabilities: of the outputs, float (N, classes).
    """

    contract: InputContract
    probabilities: Floats
    right: npt.NDArray[np.bool_]
    likelihood: npt.NDArray[np.float64]

    @property
    def name(self) -> str:
        return f"{values_of(self.contract)} {self.contract.channel_order}"

    @property
    def rank(self) -> tuple[float, float]:
        return float(self.right.mean()), float(self.likelihood.mean())


def settle(
    model: FloatModel, inferred: Inferred, pixels: Pixels, truth: Indices
) -> tuple[Inferred, InferredEntry | None]:
    """`inferred` with the values and channel order that labelled images speak for, and how that was found.

    Args:
        model: the float classifier.
        inferred: its contract; one that was given comes back as it is, with None.
        pixels, truth: prepared images uint8 (N, H, W, 3) RGB and their classes int (N,); N may be 0.

    Raises:
        TooFewImagesError: another contract looks far better, on too few images to be sure.
        PreprocessingError: "label-order": the outputs are in another order than the labels.
    """
    if inferred.given:
        return inferred, None
    if not len(truth):
        by = "network" if inferred.certain else "assumed"
        warning = () if inferred.certain else (_unproved(inferred.contract),)
        return replace(inferred, notes=inferred.notes + warning), _entry(inferred.contract, by, 0, ())
    tried, count = [], len(truth)
    for contract in _candidates(inferred):
        tried.append(_try(model, contract, pixels, truth))
        if len(tried) == 1 and tried[0].right.mean() >= BEYOND_DOUBT:
            break
    _require_label_order(tried, truth)
    first, best = tried[0], _best(tried)
    if best is first or not _speaks_against(first, best, count):
        by = "network" if inferred.certain else "images" if _shown(first, tried) else "assumed"
        warning = (_unproved(first.contract, first.right.mean(), count),) if by == "assumed" else ()
        return replace(inferred, notes=inferred.notes + warning), _entry(first.contract, by, count, tried)
    _require_apart(best, tried, count)
    said = (
        f"values: {best.name} instead, since the network names {100 * best.right.mean():.1f} % of {count} images"
        f" rightly with them and {100 * first.right.mean():.1f} % with {first.name}; give a contract to say otherwise"
    )
    settled = replace(inferred, contract=best.contract, notes=(*inferred.notes, said))
    return settled, _entry(best.contract, "images", count, tried)


def values_of(contract: InputContract) -> str:
    """The contract's values by name, such as "0..255"."""
    return next(
        (name for name, (s, o) in RANGES.items() if set(contract.scale) == {s} and set(contract.offset) == {o}), "own"
    )


def _candidates(inferred: Inferred) -> Iterator[InputContract]:
    """The one inferred first; values are not doubted where the network's layers say them."""
    contract = inferred.contract
    orders: tuple[ChannelOrder, ...] = ("RGB", "BGR") if contract.channels == 3 else ("GRAY",)
    yield contract
    for values, (scale, offset) in RANGES.items():
        if inferred.certain and values != values_of(contract):
            continue
        for order in orders:
            other = replace(with_range(contract, scale, offset), channel_order=order)
            if other != contract:
                yield other


def _try(model: FloatModel, contract: InputContract, pixels: Pixels, truth: Indices) -> _Tried:
    return _judged(contract, float_probabilities(model, contract, pixels), truth)


def _judged(contract: InputContract, found: Floats, truth: Indices) -> _Tried:
    own = found[np.arange(len(truth)), truth].astype(np.float64)
    return _Tried(contract, found, found.argmax(axis=1) == truth, np.log(np.clip(own, _LEAST_PROBABILITY, 1)))


def _require_label_order(tried: list[_Tried], truth: Indices) -> None:
    """Each contract is judged once more under the order of labels that suits it best.

    Raises:
        PreprocessingError: one then names far more images rightly than any does with the labels as they are, and not
            by chance (exact McNemar).
    """
    labels, count = tried[0].contract.labels, len(truth)
    if count < IMAGES_A_CLASS * len(labels):
        return  # the best of many orders fits noise
    orders = [best_order(each.probabilities.argmax(axis=1), truth, len(labels)) for each in tried]
    renamed = [
        _judged(each.contract, each.probabilities[:, np.argsort(order)], truth)
        for each, order in zip(tried, orders, strict=True)
    ]
    named, best = max(tried, key=lambda one: one.rank), _best(renamed)
    if not _clearly_better(best, renamed[0]):
        best = renamed[0]
    gained, lost = int((best.right & ~named.right).sum()), int((named.right & ~best.right).sum())
    lead = best.right.mean() - max(named.right.mean(), 1 / len(labels))
    if lead < LEAST_GAIN or mcnemar_exact(lost, gained) >= CHANCE:
        return
    order = orders[next(place for place, each in enumerate(renamed) if each is best)]
    raise PreprocessingError(
        "label-order",
        f"with labels {', '.join(labels)} the network names {100 * named.right.mean():.1f} % of {count} images rightly"
        f" at most; {100 * best.right.mean():.1f} % with {best.name} if its outputs are called"
        f" {', '.join(labels[k] for k in order)}: labels.txt beside the model says so, a name a line in that order",
    )


def _best(tried: list[_Tried]) -> _Tried:
    """The first of `tried` in rank; in the order that was inferred where the other one is not clearly better."""
    best = max(tried, key=lambda one: one.rank)
    wanted = replace(best.contract, channel_order=tried[0].contract.channel_order)
    usual = next((each for each in tried if each.contract == wanted), best)
    return best if _clearly_better(best, usual) else usual


def _require_apart(best: _Tried, tried: list[_Tried], count: int) -> None:
    """A network without biases answers alike to two ranges of values, and only the wrong one makes it undecided.

    Raises:
        TooFewImagesError: another range than the best one is not clearly worse.
    """
    if values_of(best.contract) == values_of(tried[0].contract):
        return  # what was inferred of the values stays
    for each in tried:
        if values_of(each.contract) != values_of(best.contract) and not _clearly_better(best, each):
            raise _undecided(best, each, count)


def _undecided(one: _Tried, other: _Tried, count: int) -> TooFewImagesError:
    return TooFewImagesError(
        f"{count} images cannot tell whether the network wants {one.name} ({100 * one.right.mean():.1f} % named"
        f" rightly) or {other.name} ({100 * other.right.mean():.1f} %): give more, or a contract that says it"
    )


def _shown(first: _Tried, tried: list[_Tried]) -> bool:
    """Whether the images speak for `first`: it is nearly always right, or all other ranges do far worse."""
    if first.right.mean() >= SURE_ENOUGH:
        return True
    others = [each for each in tried if values_of(each.contract) != values_of(first.contract)]
    return all(_clearly_better(first, each) for each in others)


def _clearly_better(one: _Tried, other: _Tried) -> bool:
    """By names (exact McNemar), or by the likelihood of the true classes."""
    count = len(one.right)
    gained, lost = int((one.right & ~other.right).sum()), int((other.right & ~one.right).sum())
    if (gained - lost) / count >= LEAST_GAIN and mcnemar_exact(lost, gained) < CHANCE:
        return True
    apart = one.likelihood - other.likelihood
    error = float(apart.std(ddof=1)) / np.sqrt(count) if count > 1 else np.inf
    return bool(count >= FEWEST and apart.mean() > CLEAR_LIKELIHOOD * error)


def _speaks_against(first: _Tried, best: _Tried, count: int) -> bool:
    """Whether the images are enough to take `best` instead of what was inferred.

    Raises:
        TooFewImagesError: they name a far larger share rightly, and are too few.
    """
    if best.right.mean() < 1 / len(best.contract.labels) + LEAST_GAIN:
        return False  # a network that names next to nothing says nothing about its contract
    if _clearly_better(best, first):
        return True
    if (int(best.right.sum()) - int(first.right.sum())) / len(best.right) >= LEAST_GAIN:
        raise _undecided(first, best, count)
    return False


def _unproved(contract: InputContract, right: float | None = None, count: int = 0) -> str:
    shown = "no labelled image shows it" if right is None else f"{100 * right:.1f} % of {count} images named rightly"
    return (
        f"warning: values {values_of(contract)} are assumed, not known ({shown}); if the network was trained with"
        " others, the bundle is wrong: a contract.json beside the model says which"
    )


def _entry(contract: InputContract, by: str, images: int, tried: "list[_Tried] | tuple[()]") -> InferredEntry:
    return InferredEntry(
        values=values_of(contract),
        channel_order=contract.channel_order,
        by=by,
        images=images,
        tried={one.name: round(float(one.right.mean()), 4) for one in tried},
    )
