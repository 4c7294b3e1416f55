"""How well groups of slides are told apart, slides held out, and what shuffled groups would give.

A slide is one observation: its features are the mean over its fields. In each fold a regularized linear discriminant
is fitted to the other slides and names those held out. The test shuffles the slides' features over groups and folds,
so that every shuffling has folds just as even; it is exact where slides are exchangeable (Good 2005, Permutation,
Parametric and Bootstrap Tests of Hypotheses, chapter 3).
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.site.audit_record import Told
from models.statistics.intervals import Interval, wilson

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FOLDS = 5
SHUFFLINGS = 999  # the smallest p is 1 / 1000
COMPONENTS = 12  # of the slides' features, at most
RIDGE = 0.1  # of a component's mean variance
_CHUNK = 4_000_000  # numbers in memory at a time: 32 MB
_TIE = 1e-9


def told_apart(
    name: str,
    features: npt.NDArray[np.floating[Any]],
    groups: Sequence[str],
    folds: Sequence[int] | None = None,
    *,
    seed: int = 0,
    shufflings: int = SHUFFLINGS,
) -> Told | None:
    """How well `features` tell the groups of held-out slides.

    Args:
        name: of the record, and key of the shufflings.
        features: (S, d), one row a slide.
        groups: S names; every one at least twice.
        folds: S numbers; None deals each group out evenly.
        seed, shufflings: of the test.

    Returns:
        The record; None with one group, a group of one slide, or features that are the same everywhere.
    """
    names = sorted(set(groups))
    truth = np.array([names.index(group) for group in groups], np.int64)
    counts = np.bincount(truth)
    if len(names) < 2 or counts.min() < 2:
        return None
    components = principal_components(features)
    if components.shape[1] == 0:
        return None
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    held = dealt_out(truth, min(FOLDS, int(counts.min())), rng) if folds is None else np.asarray(folds, np.int64)
    right = _named_rightly(components, truth, held)
    accuracy = float(_mean_recall(right, truth))
    shuffled = np.empty(0)
    for orders in _orders(len(truth), components.shape[1], shufflings, rng):
        found = _mean_recall(_named_rightly(components[orders], truth, held), truth)
        shuffled = np.concatenate([shuffled, found])
    return Told(
        name=name,
        groups=len(names),
        slides=len(truth),
        folds=len(set(held.tolist())),
        accuracy=accuracy,
        interval=mean_of_shares([(int(right[truth == k].sum()), int(counts[k])) for k in range(len(names))]),
        chance=1 / len(names),
        shuffled=float(np.quantile(shuffled, 0.95, method="inverted_cdf")),
        p=float((1 + (shuffled >= accuracy - _TIE).sum()) / (1 + shufflings)),
    )


def principal_components(features: npt.NDArray[np.floating[Any]], most: int = COMPONENTS) -> Floats:
    """(S, r) of standardized columns (S, d), r <= `most`; a column that is the same everywhere is left out."""
    columns = np.asarray(features, np.float64)
    spread = columns.std(axis=0)
    columns = columns[:, spread > 1e-9 * (1 + np.abs(columns).max(axis=0, initial=0))]
    if not columns.size:
        return np.empty((len(columns), 0))
    standardized = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    squares, left = np.linalg.eigh(standardized @ standardized.T)  # as the SVD of (S, d), where d is thousands
    kept = (squares > 1e-9 * squares[-1])[::-1]
    found: Floats = (left * np.sqrt(np.maximum(squares, 0)))[:, ::-1][:, kept][:, :most]
    return found


def dealt_out(truth: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """(S,) folds 0..folds - 1, each group spread evenly, the next one beginning where the last one ended."""
    held, place = np.empty(len(truth), np.int64), 0
    for k in range(int(truth.max()) + 1):
        own = rng.permutation(np.flatnonzero(truth == k))
        held[own] = (place + np.arange(len(own))) % folds
        place += len(own)
    return held


def mean_of_shares(counts: Sequence[tuple[int, int]], confidence: float = 0.95) -> Interval:
    """Interval of the mean of independent shares from the interval of each (Zou and Donner 2008, doi 10.1002/sim.3095).

    >>> [round(side, 3) for side in mean_of_shares([(10, 10), (10, 10)])]
    [0.804, 1.0]
    """
    shares = np.array([count / of for count, of in counts])
    low, high = np.array([wilson(count, of, confidence).to_record() for count, of in counts]).T
    mean, weight = shares.mean(), 1 / len(shares)
    below = weight * np.sqrt(np.square(shares - low).sum())
    above = weight * np.sqrt(np.square(high - shares).sum())
    return Interval(max(0.0, float(mean - below)), min(1.0, float(mean + above)))


def _orders(slides: int, components: int, shufflings: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Orders of the slides, (n, S) at a time."""
    step = max(1, _CHUNK // (slides * components * components))
    for start in range(0, shufflings, step):
        count = min(step, shufflings - start)
        yield rng.permuted(np.tile(np.arange(slides), (count, 1)), axis=1)


def _named_rightly(rows: Floats, truth: Ints, held: Ints) -> npt.NDArray[np.bool_]:
    """(..., S) of rows (..., S, r): which slides the discriminant of the other folds names rightly."""
    right = np.empty(rows.shape[:-1], bool)
    classes = int(truth.max()) + 1
    for fold in np.unique(held):
        test, train = np.flatnonzero(held == fold), np.flatnonzero(held != fold)
        own = np.eye(classes)[truth[train]]
        weight = (own / np.maximum(1, own.sum(axis=0))).sum(axis=1) / classes  # each group counts alike
        seen = rows[..., train, :]
        centre = weight @ seen
        seen = seen - centre[..., None, :]
        weighted = np.swapaxes(seen * weight[:, None], -1, -2)
        spread = weighted @ seen
        size = np.trace(spread, axis1=-2, axis2=-1)[..., None, None] / rows.shape[-1]
        ridge = (RIDGE * size + _TIE) * np.eye(rows.shape[-1])
        target = weighted @ (own - 1 / classes)
        scores = (rows[..., test, :] - centre[..., None, :]) @ _solved(spread + ridge, target)
        right[..., test] = scores.argmax(axis=-1) == truth[test]
    return right


def _solved(matrices: Floats, targets: Floats) -> Floats:
    """Solutions (..., r, k) of positive definite (..., r, r), targets (..., r, k), by Gauss and Jordan.

    All of them a step at a time: LAPACK takes them one by one, and its threads wait longer than they work.
    """
    both = np.concatenate([matrices, targets], axis=-1)
    size = matrices.shape[-1]
    for k in range(size):
        both[..., k, :] /= both[..., k, k, None]
        others = both[..., k].copy()
        others[..., k] = 0
        both -= others[..., None] * both[..., None, k, :]
    return both[..., size:]


def _mean_recall(right: npt.NDArray[np.bool_], truth: Ints) -> Floats:
    classes = range(int(truth.max()) + 1)
    found: Floats = np.mean([right[..., truth == k].mean(axis=-1) for k in classes], axis=0)
    return found
