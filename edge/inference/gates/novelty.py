"""The gate against frames unlike the training images: another microscope, stain or magnification, or no smear at all.

A classifier answers with one of its classes whatever it is shown, and calls leukemia from another laboratory benign.
This gate measures what a laboratory's way of working leaves in a frame (`edge.inference.gates.novelty_features`),
and compares it with
prototypes of the training images: the distance to the nearest one, in units of how training images spread about theirs
(Mahalanobis 1936; one covariance for all prototypes of a family). The farthest of the families counts. Prototypes,
covariance and limits travel with the model (`edge.inference.gates.gates_file`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.errors import SettingsError
from edge.inference.domain import ANY, SMEAR, Domain
from edge.inference.gates.appearance import APPEARANCE, appearance
from edge.inference.gates.base import Reading
from edge.inference.gates.measures import View
from edge.inference.gates.novelty_features import STAIN, STRUCTURE, stain, structure

NAME = "unlike_training"
CLAIM = "unlike the training images"
FARTHEST = 1e6  # times the limit: what a larger distance, or one that is no number, is recorded as
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FamilyMeasure:
    """What a family of numbers is, without where the training images lie in it.

    Attributes:
        words: name of a number -> what it belongs to, in words for people; in the order in which `measure` gives them.
        measure: the numbers of a view, finite.
        domains: of the images that it can be measured on.
        compressed: whether scaled numbers are compressed, as `Family` says.
    """

    words: Mapping[str, str]
    measure: Callable[[View], Sequence[float]]
    domains: tuple[Domain, ...]
    compressed: bool = False


FAMILIES: Mapping[str, FamilyMeasure] = {
    "stain": FamilyMeasure(STAIN, stain, (SMEAR,)),
    "structure": FamilyMeasure(STRUCTURE, structure, (SMEAR,)),
    "appearance": FamilyMeasure(APPEARANCE, appearance, (SMEAR, ANY)),
    "appearance_compressed": FamilyMeasure(APPEARANCE, appearance, (SMEAR, ANY), compressed=True),
}


def family_names(domain: Domain) -> tuple[str, ...]:
    """The families that images of a domain admit.

    >>> family_names("blood smear")
    ('stain', 'structure', 'appearance', 'appearance_compressed')
    """
    return tuple(name for name, family in FAMILIES.items() if domain in family.domains)


@dataclass(frozen=True)
class Family:
    """Where the training images lie in one family of numbers.

    Attributes:
        centre, scale: (F,) of the F numbers: subtracted, then divided by; scale > 0.
        prototypes: (P, F), scaled. precision: (F, F), symmetric, positive definite: the inverse covariance of training
            images about their prototypes, scaled.
        limit: the largest distance that passes, > 0.
        compressed: a scaled number z counts as sign(z) log(1 + |z|): where images of a kind differ widely, a few far
            out would stretch the covariance over all that lies between.

    Raises:
        SettingsError: naming the attribute: another shape, a value that is not finite or out of range.
    """

    centre: Floats
    scale: Floats
    prototypes: Floats
    precision: Floats
    limit: float
    compressed: bool = False

    def __post_init__(self) -> None:
        count = self.centre.size
        shapes = {"centre": (count,), "scale": (count,), "precision": (count, count)}
        shapes["prototypes"] = (max(len(self.prototypes), 1), count)
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise SettingsError(f"{name} must be finite numbers of shape {shape}; got shape {values.shape}")
        if not (self.scale > 0).all():
            raise SettingsError("scale must be > 0")
        if not np.allclose(self.precision, self.precision.T) or np.linalg.eigvalsh(self.precision)[0] <= 0:
            raise SettingsError("precision must be symmetric and positive definite")
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise SettingsError(f"limit must be a number > 0; got {self.limit}")

    def scaled(self, values: Floats) -> Floats:
        """Numbers (..., F) as prototypes are given in."""
        return scaled(values, self.centre, self.scale, self.compressed)

    def distance(self, values: Sequence[float] | Floats) -> tuple[float, Floats]:
        """Distance to the nearest prototype, and what each number adds to its square (F,); they sum up to it.

        Where numbers hang together an addend can be negative: it speaks for the frame.
        """
        offsets = self.scaled(np.asarray(values, np.float64)) - self.prototypes
        addends = (offsets @ self.precision) * offsets
        squared = addends.sum(axis=1)
        nearest = int(squared.argmin())
        return math.sqrt(max(float(squared[nearest]), 0.0)), addends[nearest]


def scaled(values: Floats, centre: Floats, scale: Floats, compressed: bool) -> Floats:
    """Numbers (..., F) about a centre (F,), in units of `scale` (F,), and compressed where a family says so.

    >>> scaled(np.array([[3.0, 1.0]]), np.array([1.0, 1.0]), np.array([2.0, 1.0]), compressed=False).tolist()
    [[1.0, 0.0]]
    """
    plain = (values - centre) / scale
    return np.sign(plain) * np.log1p(np.abs(plain)) if compressed else plain


@dataclass(frozen=True)
class Novelty:
    """The gate. Its value is the distance as a part of the limit, of the family where that is larger; limit 1.

    Attributes:
        families: by name, some of `FAMILIES`, one at least; asked in the order of that registry.
    """

    families: Mapping[str, Family]
    name: str = NAME

    def __post_init__(self) -> None:
        if not self.families or not set(self.families) <= set(FAMILIES):
            raise SettingsError(f"families must be some of {', '.join(FAMILIES)}; got {', '.join(self.families)}")

    def read(self, view: View) -> Reading:
        """As `edge.inference.gates.base.Gate.read`; the detail names what is most unusual."""
        shares = self.shares(view)
        family = max(shares, key=lambda each: shares[each][0])
        value, reason = shares[family]
        refused = not value <= 1
        detail = f"distance {value:.2f}, at most 1; most unusual: {reason}"
        if refused:
            detail = f"{CLAIM}: {detail}"
        return Reading(self.name, value, 1.0, "of the limit", refused, detail)

    def shares(self, view: View) -> dict[str, tuple[float, str]]:
        """Family -> distance as a part of its limit, and what adds most to it, in words."""
        return self.shares_of({name: view.measured(FAMILIES[name].measure) for name in self.families})

    def shares_of(self, measured: Mapping[str, Sequence[float] | Floats]) -> dict[str, tuple[float, str]]:
        """As `shares`, of the families' numbers."""
        found = {}
        for name in FAMILIES:
            if name not in self.families:
                continue
            family = self.families[name]
            distance, addends = family.distance(measured[name])
            parts: dict[str, float] = {}
            for word, addend in zip(FAMILIES[name].words.values(), addends.tolist(), strict=True):
                parts[word] = parts.get(word, 0.0) + addend
            share = distance / family.limit
            # a distance that is no number must not lose against a family that lets the frame through
            found[name] = share if share < FARTHEST else FARTHEST, max(parts, key=parts.__getitem__)
        return found
