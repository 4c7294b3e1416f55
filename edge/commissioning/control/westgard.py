"""Westgard's rules: when a series of control measurements says that something has changed.

A series holds the measurements of one control slide in the order in which they were made, as z-scores: distances from
the target's mean in standard deviations. Each rule looks at the newest measurement and at those before it. "Exceeds" is
strict: a measurement at a limit does not trip it.

Sources: Westgard, Barry, Hunt and Groth (1981), "A multi-rule Shewhart chart for quality control in clinical
chemistry", Clin Chem 27:493-501, for all five rules and the warning; Westgard, "Multirule and Westgard rules: what are
they?" (westgard.com) for R-4s within a run. All rules are applied to every measurement, as computers do there; by hand
the warning 1-2s is looked at first.

R-4s is a rule within one run: it sees random error, which leaves the next run alone. A control run here has one
measurement a slide, so the pair is read in both ways that give one: the newest measurement against that of another
control slide in the same run (`within_run`), which is the literature's reading; and, since most laboratories have one
slide, against the one before it of the same slide. Without the second a laboratory with one slide would have no rule
for random error beside 1-3s; it adds 2 * 0.0228^2 = 0.1 % of false rejections.
"""

from collections.abc import Callable, Mapping, Sequence

Series = Sequence[float]  # z-scores, oldest first
WARNING = "1-2s"  # no rejection: the one that asks for a look at the others


def one_2s(z: Series) -> bool:
    """The newest exceeds 2 standard deviations, either way: a warning.

    >>> one_2s([2.0]), one_2s([-2.01])
    (False, True)
    """
    return len(z) >= 1 and abs(z[-1]) > 2


def one_3s(z: Series) -> bool:
    """1-3s: the newest exceeds 3 standard deviations, either way.

    >>> one_3s([3.0]), one_3s([3.01])
    (False, True)
    """
    return len(z) >= 1 and abs(z[-1]) > 3


def two_2s(z: Series) -> bool:
    """2-2s: the newest two exceed 2 standard deviations on the same side.

    >>> two_2s([2.1, 2.1]), two_2s([2.1, -2.1])
    (True, False)
    """
    return _same_side(z, count=2, limit=2)


def r_4s(z: Series, within_run: Series = ()) -> bool:
    """R-4s: the newest exceeds 2 standard deviations on one side, and the one before it, or one of the same run, on
    the other.

    Args:
        within_run: newest z-scores of the same measure on the other control slides of the same run.

    >>> r_4s([2.1, -2.1]), r_4s([-2.1], within_run=[2.1]), r_4s([2.1, 0.0, -2.1])
    (True, True, False)
    """
    if not z:
        return False
    pairs = [(z[-1], other) for other in (*z[-2:-1], *within_run)]
    return any((one > 2 and other < -2) or (one < -2 and other > 2) for one, other in pairs)


def four_1s(z: Series) -> bool:
    """4-1s: the newest four exceed 1 standard deviation on the same side.

    >>> four_1s([1.1] * 4), four_1s([1.0, 1.1, 1.1, 1.1])
    (True, False)
    """
    return _same_side(z, count=4, limit=1)


def ten_x(z: Series) -> bool:
    """10x: the newest ten are on the same side of the mean.

    >>> ten_x([0.1] * 10), ten_x([0.1] * 9)
    (True, False)
    """
    return _same_side(z, count=10, limit=0)


RULES: Mapping[str, Callable[[Series], bool]] = {
    "1-3s": one_3s,
    "2-2s": two_2s,
    "R-4s": r_4s,
    "4-1s": four_1s,
    "10x": ten_x,
}


def broken(z: Series, within_run: Series = ()) -> tuple[str, ...]:
    """The names of the rules that reject the newest measurement, in the order of `RULES`.

    >>> broken([0.5, 3.2])
    ('1-3s',)
    """
    return tuple(name for name, rule in RULES.items() if (r_4s(z, within_run) if rule is r_4s else rule(z)))


def one_more_breaks(z: Series) -> tuple[str, ...]:
    """The names of the rules that one or two more on the same side would break: a warning before they do.

    Whatever moves slowly is warned of here one control before 2-2s or 4-1s rejects it, and two before 10x. Of sound
    measurements 4.6, 0.8 and 0.8 % are warned of.

    >>> one_more_breaks([1.1] * 3), one_more_breaks([0.1] * 8), one_more_breaks([2.1])
    (('4-1s',), ('10x',), ('2-2s',))
    """
    near = {
        "2-2s": one_2s(z) and not two_2s(z),
        "4-1s": _same_side(z, count=3, limit=1) and not four_1s(z),
        "10x": _same_side(z, count=8, limit=0) and not ten_x(z),
    }
    return tuple(name for name, is_near in near.items() if is_near)


def _same_side(z: Series, count: int, limit: float) -> bool:
    newest = z[len(z) - count :] if len(z) >= count else ()
    return len(newest) > 0 and (all(each > limit for each in newest) or all(each < -limit for each in newest))
