"""Thresholds by fixed-sequence testing: the same slides choose a threshold and certify it, honestly.

The least probabilities of a benign answer are tested strictest first, in an order that was fixed before any slide was
looked at, and the first at which a leukemic slide is missed ends the test. A stricter one never misses a slide that a
looser one finds (`edge.inference.licence`), so the rate of missed slides rises along the sequence. Let u be the
exact upper bound of none missed of n. For a threshold whose true rate is above u to be kept, the first such one must
have missed none of n, which happens with probability below 5 %: whichever is kept last, its rate is below u with 95 %
confidence. Where the strictest one misses slides, nothing is chosen: it stays, with the exact bound of what it missed.

Source: fixed-sequence testing as in Angelopoulos et al. (2021), Learn then Test, arXiv 2110.01052.
"""

from collections.abc import Sequence

from convert.acceptance.judging import JudgedField, judged_slides
from edge.bundle.acceptance import TriedThreshold, tier_of


def sequence(grid: Sequence[float], own: float) -> tuple[float, ...]:
    """The thresholds to test: those of the grid that are stricter than the bundle's own, then its own. It is never
    loosened: float and int8 were compared with it.

    >>> sequence((0.99, 0.9, 0.5), 0.9)
    (0.99, 0.9)
    """
    return (*(value for value in sorted(grid, reverse=True) if value > own), own)


def choose(
    fields: Sequence[JudgedField], benign: Sequence[str], grid: Sequence[float], own: float
) -> tuple[float, tuple[TriedThreshold, ...]]:
    """The least probability of a benign answer that is kept, and all that were tested, in their order.

    Args:
        fields: answered under the bundle's own thresholds. benign: the benign labels.
        grid: fixed beforehand. own: of the bundle, the least of its benign labels'.
    """
    kept, tried = None, []
    for threshold in sequence(grid, own):
        slides = judged_slides(fields, benign, threshold)
        missed = tier_of(slide for slide in slides if slide.label not in benign).missed
        keep = missed == 0 or kept is None
        tried.append(TriedThreshold(threshold, missed, keep))
        kept = threshold if keep else kept
        if missed:
            break
    assert kept is not None
    return kept, tuple(tried)
