"""Which slides of a site make a network, and which are held back to compare float with int8."""

import numpy as np
import numpy.typing as npt

from models.adaptation.judging.selection import Labelled
from models.data.split import Split, SplitItem
from models.errors import AdaptationError
from models.site.fields import SiteFields

FEWEST_LEFT = 48  # fields to calibrate with, beside those of a fold for `--search`: three times what the lint demands


def parity_fold(data: Labelled) -> int:
    """The fold that is held back: of those with a slide of every class the one with most fields, first of equals.

    Raises:
        AdaptationError: no fold has a slide of every class.
    """
    every = set(range(len(data.labels)))
    whole = [k for k in sorted(set(data.folds.tolist())) if set(data.truth[data.folds == k].tolist()) == every]
    if not whole:
        raise AdaptationError("no fold has slides of every class: collect classes in turn within each session")
    chosen: int = max(whole, key=lambda fold: (int((data.folds == fold).sum()), -fold))
    return chosen


def split_of(site: SiteFields, folds: npt.NDArray[np.intp], held: int) -> Split:
    """The division for `convert quantize`, by slides: the held fold judges, the others calibrate.

    Where enough fields are left, one more fold is the validation part, which `--search` judges by.
    """
    numbers = sorted(set(folds.tolist()))
    following = numbers[(numbers.index(held) + 1) % len(numbers)]
    left = int((~np.isin(folds, (held, following))).sum())
    parts = dict.fromkeys(numbers, "train") | {held: "test"}
    if left >= FEWEST_LEFT:
        parts[following] = "validation"
    return Split(
        tuple(
            SplitItem(parts[fold], field.label, field.sample.name, field.sample.sha256, field.slide)
            for field, fold in zip(site.fields, folds.tolist(), strict=True)
        )
    )
