"""Slide-disjoint folds: which slides of a site are held out together, a class spread evenly over the folds.

Fields of one slide share stain, focus and patient; fields of one session share lamp and camera. A figure whose folds
divide them says how well slides are recognized, not what a new slide would do.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Literal

import numpy as np

from models.data.folds import FoldError
from models.site.fields import SiteFields

Hold = Literal["slide", "session"]  # what is held out whole


def slide_folds(site: SiteFields, folds: int, seed: int = 0, *, hold: Hold = "slide") -> Mapping[str, int]:
    """Which fold every slide is held out in.

    Args:
        site: from `load_site`.
        folds: >= 2, at most `most_folds(site, hold)`.
        seed: of the shuffle; equal seeds give equal folds, whatever the order of the fields.
        hold: "session" keeps slides together that share a session, so that a held-out slide's session is unseen;
            `SiteAudit.hold` says which of the two a site needs and allows.

    Returns:
        slide to fold, 0..folds - 1, slides sorted by name. Every class is in at least two folds, so that none is
        unseen in training; with "slide" it is in every fold.

    Raises:
        FoldError: more folds than slides (or sessions) of the smallest class, a slide under two labels, or slides
            whose session is not known where sessions are to be held out.
    """
    if folds < 2:
        raise FoldError(f"folds must be at least 2; got {folds}")
    labels = slide_labels(site)
    most = most_folds(site, hold)
    if folds > most:
        raise FoldError(f"folds must be at most {most}, the {hold}s of the smallest class; got {folds}")
    if hold == "slide":
        return dict(sorted(_by_slide(labels, folds, seed).items()))
    units = held_together(site)
    held = [Counter[str]() for _ in range(folds)]
    found: dict[str, int] = {}
    for unit in _large_first(units, seed):
        own = Counter(labels[slide] for slide in unit)
        fold = min(range(folds), key=lambda k: (sum(held[k][label] * own[label] for label in own), held[k].total(), k))
        held[fold].update(own)
        found.update(dict.fromkeys(unit, fold))
    if not all(sum(label in each for each in held) >= 2 for label in site.labels):
        raise FoldError(f"{folds} folds by session leave a class in one of them; hold slides out instead")
    return dict(sorted(found.items()))


def most_folds(site: SiteFields, hold: Hold = "slide") -> int:
    """How many folds `slide_folds` can make: slides, or sets of slides that share sessions, of the smallest class."""
    labels = slide_labels(site)
    if hold == "slide":
        return min(Counter(labels.values()).values())
    counts = Counter(label for unit in held_together(site) for label in {labels[slide] for slide in unit})
    return min(counts[label] for label in site.labels)


def held_together(site: SiteFields) -> tuple[tuple[str, ...], ...]:
    """Sets of slides that share sessions, directly or by way of other slides; sorted.

    Raises:
        FoldError: a field whose session is not known.
    """
    unit = {slide: {slide} for slide in site.slides}
    first: dict[str, str] = {}
    for field in site.fields:
        if not field.row.session:
            raise FoldError(f"sessions are held out only where all are known; {field.sample.name} has none")
        other = first.setdefault(field.row.session, field.slide)
        if unit[other] is not unit[field.slide]:
            unit[other] |= unit[field.slide]
            unit.update(dict.fromkeys(unit[other], unit[other]))
    return tuple(sorted({tuple(sorted(members)) for members in unit.values()}))


def slide_labels(site: SiteFields) -> Mapping[str, str]:
    """Slide to class.

    Raises:
        FoldError: a slide whose fields carry two labels.
    """
    found: dict[str, str] = {}
    for field in site.fields:
        if found.setdefault(field.slide, field.label) != field.label:
            raise FoldError(f"a slide must have one label; {field.slide} has {found[field.slide]} and {field.label}")
    return found


def _by_slide(labels: Mapping[str, str], folds: int, seed: int) -> dict[str, int]:
    """Each class shuffled and dealt out; the next class begins where the last one ended, so that folds are even."""
    own: dict[str, list[str]] = defaultdict(list)
    for slide in sorted(labels):
        own[labels[slide]].append(slide)
    found, place = {}, 0
    for label in sorted(own):
        order = np.random.default_rng([seed, zlib.crc32(label.encode())]).permutation(len(own[label]))
        for index in order:
            found[own[label][index]] = place % folds
            place += 1
    return found


def _large_first(units: tuple[tuple[str, ...], ...], seed: int) -> list[tuple[str, ...]]:
    order = np.random.default_rng(seed).permutation(len(units))
    return sorted((units[index] for index in order), key=len, reverse=True)
