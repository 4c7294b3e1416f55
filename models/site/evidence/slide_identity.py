"""The slide-identity control: are slides of one class told apart as well as slides of two?

Half of each slide's fields make a centre, the other half is held out, and the reverse. For two slides, accuracy is the
share of their held-out fields that lie nearer to their own slide's centre, by the distance that spread within slides
makes (linear discriminant). What a random split of fields shows is this, whatever the classes: where slides of one
class are told apart as well as slides of two, such a figure is about slides.
"""

import zlib
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from models.site.audit_record import SlideIdentity, Told
from models.site.evidence.giveaways import slide_means
from models.site.evidence.told_apart import COMPONENTS, principal_components, told_apart
from models.site.fields import SiteFields
from models.site.slide_folds import slide_labels
from models.statistics.intervals import Interval

Floats = npt.NDArray[np.float64]
RESAMPLES = 1000
LEAST_DIFFERENCE = 0.05  # of accuracies, below which same-class slides are told apart as well
LEVEL = 0.05
_SHRINK = 0.1


def slide_identity(
    site: SiteFields, features: npt.NDArray[np.floating[Any]], kind: str, *, seed: int = 0
) -> SlideIdentity | None:
    """The control.

    Args:
        site: its slides have one label each.
        features: (N, d), one row a field. kind: what they are, in words.
        seed: of halves, resamplings and shufflings.

    Returns:
        The record; None where fewer than two slides of a class, or of two classes, have two fields.
    """
    rng = np.random.default_rng([seed, zlib.crc32(b"slide identity")])
    names = [slide for slide, own in site.slides.items() if len(own) > 1]
    labels = np.array([slide_labels(site)[slide] for slide in names])
    pairs = _pairs(site, features, names, rng)
    same = labels[:, None] == labels[None, :]
    apart = ~np.eye(len(names), dtype=bool)
    if len(names) < 2 or not (same & apart).any() or same.all():
        return None
    first, second = _mean(pairs, same & apart), _mean(pairs, ~same)
    shuffled = []
    for _ in range(RESAMPLES):
        order = rng.permutation(len(names))
        mixed = same[np.ix_(order, order)]
        shuffled.append(_mean(pairs, ~mixed) - _mean(pairs, mixed & apart))
    p = (1 + sum(each >= second - first - 1e-9 for each in shuffled)) / (1 + RESAMPLES)
    inner, outer = _over_slides(pairs, same & apart, rng), _over_slides(pairs, ~same, rng)
    return SlideIdentity(
        features=kind,
        same_class=first,
        same_interval=_around(inner, first),
        other_class=second,
        other_interval=_around(outer, second),
        p=p,
        as_much=p > LEVEL or second - first < LEAST_DIFFERENCE,
        sessions=_sessions(site, features, seed),
    )


def _pairs(
    site: SiteFields, features: npt.NDArray[np.floating[Any]], names: list[str], rng: np.random.Generator
) -> Floats:
    """(S, S): accuracy at which held-out fields of slides i and j are told apart; 0.5 on the diagonal."""
    rows = principal_components(features, 2 * COMPONENTS)
    place = {slide: index for index, slide in enumerate(names)}
    which = np.array([place.get(field.slide, -1) for field in site.fields])
    half = np.full(len(which), -1)
    for index in range(len(names)):
        own = rng.permutation(np.flatnonzero(which == index))
        half[own] = np.arange(len(own)) % 2
    found = np.full((2, len(names), len(names)), 0.5)
    for side in (0, 1):
        fit, held = half == side, half == 1 - side
        centres = np.array([rows[fit & (which == index)].mean(axis=0) for index in range(len(names))])
        if not len(names) or not rows.shape[1]:
            continue
        within = rows[fit] - centres[which[fit]]
        spread = within.T @ within / max(1, len(within) - len(names))
        size = max(np.trace(spread), 1e-3 * np.trace(np.cov(rows.T, ddof=0).reshape(rows.shape[1], -1)))
        spread = (1 - _SHRINK) * spread + _SHRINK * size / rows.shape[1] * np.eye(rows.shape[1])
        white = np.linalg.inv(np.linalg.cholesky(spread)).T
        seen, centre = rows[held] @ white, centres @ white
        # Squared distances (held, S) but for the field's own square, which all of its row share.
        distance = np.square(centre).sum(axis=1) - 2 * seen @ centre.T
        for index in range(len(names)):
            own = distance[which[held] == index]
            nearer = (own[:, [index]] < own) + 0.5 * (own[:, [index]] == own)
            found[side, index] = nearer.mean(axis=0)
    mean = found.mean(axis=0)
    return np.asarray((mean + mean.T) / 2, np.float64)


def _mean(pairs: Floats, which: npt.NDArray[np.bool_]) -> float:
    return float(pairs[which].mean())


def _over_slides(pairs: Floats, which: npt.NDArray[np.bool_], rng: np.random.Generator) -> Interval:
    """Percentile interval of the mean over `which` pairs, slides drawn with replacement."""
    means = []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(pairs), len(pairs)), minlength=len(pairs))
        weight = np.outer(times, times) * which
        if weight.sum():
            means.append(float((weight * pairs).sum() / weight.sum()))
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def _around(interval: Interval, value: float) -> Interval:
    return Interval(min(interval.low, value), max(interval.high, value))


def _sessions(site: SiteFields, features: npt.NDArray[np.floating[Any]], seed: int) -> dict[str, Told]:
    """How well sessions of one class are told apart by slides held out; only sessions of two slides or more."""
    labels = slide_labels(site)
    rows = slide_means(site, features)
    session = [Counter(field.row.session for field in own).most_common(1)[0][0] for own in site.slides.values()]
    found = {}
    for label in site.labels:
        counts = Counter(s for slide, s in zip(site.slides, session, strict=True) if labels[slide] == label and s)
        own = [
            index for index, slide in enumerate(site.slides) if labels[slide] == label and counts[session[index]] > 1
        ]
        told = told_apart(f"sessions of {label}", rows[own], [session[index] for index in own], seed=seed)
        if told is not None:
            found[label] = told
    return found
