"""Two ways of making a network, paired by slide: is one better by more than chance?

Each is judged at the temperature that suits it best, since the decision's temperature is fitted afterwards: a way that
is merely surer of the same answers, as a fine-tuned one is, gains nothing.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.adaptation.adaptation_record import Comparison
from models.adaptation.judging.counting import LEAST, Judged
from models.adaptation.network.backbone import softmax
from models.support.keyed_random import draw

LEAST_P = 0.05  # a way that asks for more is taken only where chance does as well no more often than this
LEAST_GAIN = 0.01  # nats: less is no difference to any slide, however alike in all of them
TEMPERATURES = np.geomspace(0.01, 10, 61)
EXACT = 12  # slides up to which every choice of signs is counted
DRAWS = 4095  # of signs beyond that


def compared(judged: Judged, than: Judged, name: str, *, taken: bool = False) -> Comparison:
    """The gain in loss by slide, and how often chance does as well.

    Args:
        judged, than: the same fields, each by networks made without its slide. name: of the other way.
        taken: for the record.
    """
    losses, weights = at_best(judged).slide_losses()
    gains = (at_best(than).slide_losses()[0] - losses) * weights
    return Comparison(against=name, gain=float(gains.sum()), p=sign_test(gains), taken=taken)


def beyond_chance(comparison: Comparison) -> bool:
    """Whether it is better by LEAST_GAIN, and chance does as well in LEAST_P of cases at most."""
    return comparison.gain >= LEAST_GAIN and comparison.p <= LEAST_P


def at_best(judged: Judged) -> Judged:
    """The same at the one of TEMPERATURES by which its loss by slide is least."""
    logits = np.log(np.maximum(judged.probabilities, LEAST))
    every = [replace(judged, probabilities=softmax(logits / each)) for each in TEMPERATURES]
    return min(every, key=Judged.log_loss)


def sign_test(gains: npt.NDArray[np.float64]) -> float:
    """How often the sum of (S,) differences is as large if each had either sign: one-sided, exact to EXACT slides.

    >>> sign_test(np.array([1.0, 2.0, 3.0]))
    0.125
    """
    count = len(gains)
    if count <= EXACT:
        signs = 1 - 2.0 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
    else:
        drawn = 1 - 2.0 * draw("sign-test", str(count)).integers(0, 2, (DRAWS, count))
        signs = np.concatenate([np.ones((1, count)), drawn])
    return float((signs @ gains >= gains.sum() - 1e-12).mean())
