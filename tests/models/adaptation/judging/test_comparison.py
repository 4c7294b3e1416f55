"""Two ways of making a network, paired by slide: the sign test by hand, and what is taken of what wins."""

from itertools import product

import numpy as np
import pytest

from models.adaptation.judging.baselines import stain_normalized
from models.adaptation.judging.comparison import beyond_chance, compared, sign_test
from models.adaptation.judging.counting import Judged
from models.adaptation.judging.selection import START, Labelled, Setting, nested
from models.adaptation.network.features import SiteFeatures


def _judged(sick: np.ndarray) -> Judged:
    truth = np.arange(len(sick)) % 2
    names = tuple(f"S-{k:02d}" for k in range(len(sick)))
    return Judged(("healthy", "sick"), ("healthy",), np.stack([1 - sick, sick], axis=1), truth, names)


def test_the_sign_test_by_hand() -> None:
    gains = np.array([0.3, -0.1, 0.4, 0.2])
    as_large = [
        sum(s * g for s, g in zip(signs, gains, strict=True)) >= 0.8 - 1e-9 for signs in product((1, -1), repeat=4)
    ]
    assert sign_test(gains) == sum(as_large) / 16
    assert sign_test(np.zeros(5)) == 1.0
    many = np.concatenate([np.ones(14), -np.ones(6)])
    assert sign_test(many) == pytest.approx(0.0577, abs=0.012)  # binomial: 14 or more of 20


def test_better_is_what_wins_by_more_than_chance() -> None:
    """Six of ten slides named rightly that were not; negative controls: the other way round, one lucky slide, and the
    same answers, merely surer."""
    truth = np.arange(10) % 2
    right = np.where(truth == 1, 0.8, 0.2)
    plain = np.where(np.arange(10) < 6, 1 - right, right)
    won = compared(_judged(right), _judged(plain), "plain")
    assert beyond_chance(won) and not won.taken and won.p <= 1 / 64
    assert not beyond_chance(compared(_judged(plain), _judged(right), "plain"))
    lucky = plain.copy()
    lucky[1] = 0.8
    assert not beyond_chance(compared(_judged(lucky), _judged(plain), "plain"))
    unsure = np.where(truth == 1, 0.6, 0.4)
    surer = compared(_judged(right), _judged(unsure), "plain")
    assert not beyond_chance(surer) and surer.gain == pytest.approx(0, abs=0.02)


def test_a_normalizer_that_wins_is_said_and_not_taken() -> None:
    """Slides whose stain hides the class in the plain features; negative control: normalized features of noise."""
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(20), 3)
    truth = number % 2
    clear = rng.normal(0, 0.3, (60, 1, 6)).astype(np.float32)
    clear[:, 0, 0] += 2 * truth - 1
    stained = clear + rng.normal(0, 3, (20, 1, 6)).astype(np.float32)[number]
    names = tuple(f"S-{k}" for k in number)
    data = Labelled(("healthy", "sick"), ("healthy",), stained[:, None], truth, names, number // 2 % 5)
    tried = nested(data, [Setting(START, False)], Setting(START, False))

    def row(normalized: np.ndarray) -> object:
        return stain_normalized(
            data, SiteFeatures(stained[:, None], normalized, stained[:, 0], np.zeros((60, 6))), tried
        )

    won, noise = row(clear), row(rng.normal(0, 1, clear.shape).astype(np.float32))
    assert won.slides.right.count == 20 and won.compared.p < 0.01 and not won.compared.taken  # type: ignore[attr-defined]
    assert noise.compared.p > 0.05  # type: ignore[attr-defined]
