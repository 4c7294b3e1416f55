"""Prototypes, covariance and limits of the novelty gate, from the numbers that training images give.

Of each class a few prototypes (k-means in whitened numbers), since stains differ by class and within it; about them
one covariance for all (shrunk after Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4), since a class's smaller
stains have too few images for one of their own. The limit is the validation images' quantile, moved outwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from edge.inference.gates.gates_file import FamilyNumbers
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, Family, Novelty
from models.decision.limits import LimitRule

PROTOTYPES = 8  # a class
FEWEST = 5  # images that a prototype must stand for
RIDGE = 0.02  # added to scaled variances: a number that hardly varies here must not decide alone
SEED = 0
_QUARTILES = 1.349  # standard deviations between the quartiles of a normal distribution
_LEAST_SCALE = 1e-3
_FAR = 30.0  # scales from the median: beyond it a training image's number counts as that far
Floats = npt.NDArray[np.float64]
Measured = dict[str, Floats]


# Together 1 % of the validation images, the larger part for stain, which tells more. The factors were set by
# cross-fitting on training images (`docs.studies.novelty.refusals`): all gates together should refuse well below 2 %.
# They were raised once from 1.1 and 1.0, when refusals with those for low confidence came out at 2.1 % of the
# validation fields, and at 2.2 and 2.6 % of the test fields (float, int8).
RULES = {"stain": LimitRule(True, 0.0065, 1.15), "structure": LimitRule(True, 0.0035, 1.1)}


def measure(fields: Iterable[Pixels]) -> Measured:
    """Family -> (N, F) numbers of prepared fields."""
    rows: dict[str, list[Any]] = {name: [] for name in RULES}
    for pixels in fields:
        view = View(pixels)
        for name, found in rows.items():
            found.append(FAMILIES[name].measure(view))
    return {name: np.array(values, np.float64) for name, values in rows.items()}


def taken(measured: Measured, which: npt.NDArray[Any]) -> Measured:
    """The rows that `which` (indices or flags) names."""
    return {name: values[which] for name, values in measured.items()}


def fit_family(values: Floats, labels: npt.NDArray[np.str_]) -> Family:
    """A family of (N, F) numbers of training images with their classes (N,); its limit is still 1."""
    from sklearn.cluster import KMeans

    centre, scale, scaled = scaled_about(values)
    classes = [scaled[labels == label] for label in np.unique(labels)]
    within = np.vstack([each - each.mean(axis=0) for each in classes])
    whitening = np.linalg.cholesky(shrunk_precision(within))
    prototypes, residuals = [], []
    for each in classes:
        count = max(1, min(PROTOTYPES, len(each) // FEWEST))
        nearest = KMeans(count, n_init=4, random_state=SEED).fit(each @ whitening).labels_
        for number in range(count):
            members = each[nearest == number]
            if len(members) >= FEWEST or count == 1:
                prototypes.append(members.mean(axis=0))
                residuals.append(members - prototypes[-1])
    precision = shrunk_precision(np.vstack(residuals))
    return Family(centre, scale, np.array(prototypes), precision, 1.0)


def scaled_about(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Median (F,), spread between the quartiles (F,) as of a normal distribution, and the values (N, F) in these."""
    centre = np.median(values, axis=0)
    scale = np.subtract(*np.percentile(values, (75, 25), axis=0)) / _QUARTILES + _LEAST_SCALE
    return centre, scale, np.clip((values - centre) / scale, -_FAR, _FAR)


def shrunk_precision(residuals: Floats, ridge: float = RIDGE) -> Floats:
    """(F, F): inverse of the shrunk covariance of (N, F) residuals about 0, `ridge` added to its variances."""
    from sklearn.covariance import LedoitWolf

    covariance = LedoitWolf(assume_centered=True).fit(residuals).covariance_
    precision = np.linalg.inv(covariance + ridge * np.eye(residuals.shape[1]))
    return np.asarray((precision + precision.T) / 2, np.float64)


def fit(measured: Measured, labels: npt.NDArray[np.str_]) -> Novelty:
    """The gate of training images' numbers; its limits are still 1."""
    return Novelty({name: fit_family(values, labels) for name, values in measured.items()})


def distances(novelty: Novelty, measured: Measured) -> Measured:
    """Family -> (N,) distances."""
    return {
        name: np.array([novelty.families[name].distance(row)[0] for row in values]) for name, values in measured.items()
    }


def with_limits(novelty: Novelty, far: Mapping[str, Floats]) -> Novelty:
    """The gate with the limits that `RULES` make of distances of other images than it was fitted to."""
    limits = {name: rule.limit(far[name]) for name, rule in RULES.items()}
    return Novelty({name: replace(family, limit=limits[name]) for name, family in novelty.families.items()})


def scores(novelty: Novelty, measured: Measured) -> Floats:
    """(N,) values of the gate: the larger of the families' parts of their limits."""
    far = distances(novelty, measured)
    return np.asarray(np.max([far[name] / novelty.families[name].limit for name in far], axis=0))


def to_numbers(novelty: Novelty, far: Mapping[str, Floats]) -> dict[str, FamilyNumbers]:
    """The families as `gates.json` holds them; `far`: the distances that gave the limits."""
    return {
        name: FamilyNumbers.of(
            name,
            family,
            images=len(far[name]),
            quantile=round(1 - RULES[name].share, 6),
            factor=RULES[name].factor,
            refused=int((far[name] > family.limit).sum()),
        )
        for name, family in novelty.families.items()
    }
