"""Cohen's kappa of findings with the reference, and an interval that few slides, and agreement of all, allow."""

import math
from collections.abc import Callable, Sequence

from edge.bundle.acceptance import AcceptedSlide, Kappa

_CHI2_95 = 3.841458820694124  # 95 % quantile of chi-squared with one degree of freedom
_STEPS = 60  # halvings


def kappa_of(slides: Sequence[AcceptedSlide], benign: Sequence[str]) -> Kappa | None:
    """Over the slides found suspicious or benign; None where there is none, or both sides say the same of all.

    The interval is Donner and Eliasziw's (1992, Statistics in Medicine 11:1511) of the intraclass kappa: the values
    that a chi-squared goodness-of-fit test does not reject. Unlike the usual normal one it has a width where all agree.
    """
    pairs = [
        (slide.label in benign, slide.finding == "benign")
        for slide in slides
        if slide.finding in ("suspicious", "benign")
    ]
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    apart = len(pairs) - both - neither
    total = len(pairs)
    by_reference, by_finding = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    if total == 0 or by_reference + by_finding in (0, 2 * total):
        return None
    chance = (by_reference * by_finding + (total - by_reference) * (total - by_finding)) / total**2
    value = ((both + neither) / total - chance) / (1 - chance)
    low, high = intraclass_interval(both, apart, neither)
    return Kappa(value, min(low, value), max(high, value), total)


def intraclass_interval(both: int, apart: int, neither: int) -> tuple[float, float]:
    """95 % interval of the intraclass kappa of two raters: `both` say yes, `neither` does, or they are `apart`.

    >>> low, high = intraclass_interval(10, 0, 10)
    >>> (round(low, 2), high)
    (0.68, 1.0)
    """
    total = both + apart + neither
    share = (2 * both + apart) / (2 * total)
    spread = share * (1 - share)
    estimate = 1 - apart / (2 * total * spread)
    least = max(-share / (1 - share), -(1 - share) / share)

    def misfit(kappa: float) -> float:
        found = 0.0
        for count, expected in (
            (both, share**2 + spread * kappa),
            (apart, 2 * spread * (1 - kappa)),
            (neither, (1 - share) ** 2 + spread * kappa),
        ):
            if expected > 1e-15:
                found += (count - total * expected) ** 2 / (total * expected)
            elif count > 0:
                return math.inf
        return found

    return _edge(misfit, estimate, least), _edge(misfit, estimate, 1.0)


def _edge(misfit: Callable[[float], float], inside: float, end: float) -> float:
    """The value furthest from `inside` towards `end` that fits."""
    if misfit(end) <= _CHI2_95:
        return end
    outside = end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if misfit(middle) <= _CHI2_95 else (inside, middle)
    return inside
