"""The learning curve: it falls where slides help, and says what so few cannot rule out."""

import numpy as np
import pytest

from models.adaptation.judging.learning_curve import learning_curve
from models.adaptation.judging.selection import Labelled, Setting, nested, settings_of

FIRST = Setting(0.05, False)


def _site(signal: float, slides: int = 10) -> Labelled:
    rng = np.random.default_rng(3)
    number = np.repeat(np.arange(2 * slides), 3)
    truth = number % 2
    features = rng.normal(0, 1, (len(number), 8)) + rng.normal(0, 1, (2 * slides, 8))[number]
    features[:, 0] += signal * (2 * truth - 1)
    names = tuple(f"S-{k}" for k in number)
    return Labelled(("healthy", "sick"), ("healthy",), features[:, None, None], truth, names, number // 2 % 5)


def test_more_slides_fewer_errors() -> None:
    data = _site(1.5)
    curve = learning_curve(data, FIRST, nested(data, settings_of((0.05,), varied=False), FIRST).judged())
    assert curve.points[0].slides == 2 and curve.points[-1].slides == 8
    assert curve.points[-1].error < curve.points[0].error
    assert all(point.interval.low <= point.error <= point.interval.high for point in curve.points)
    assert curve.forecast.error is not None and curve.forecast.interval is not None
    assert curve.forecast.interval.low <= curve.forecast.error <= curve.points[0].error


def test_without_an_error_it_says_what_cannot_be_ruled_out() -> None:
    data = _site(12)
    curve = learning_curve(data, FIRST, nested(data, settings_of((0.05,), varied=False), FIRST).judged())
    assert curve.points[-1].error == 0 and curve.points[-1].interval.high > 0.15
    assert curve.forecast.error is None and "only rule out more" in curve.forecast.text
    assert curve.forecast.bound_now == pytest.approx(1 - 0.05 ** (1 / 10))
    assert curve.forecast.bound_then == pytest.approx(1 - 0.05 ** (1 / 15))
