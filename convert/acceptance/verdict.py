"""The verdict on an acceptance: pass, fail, or how many more slides would do."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from convert.acceptance.limits import SlideLimits
from edge.bundle.acceptance import MOST_SLIDES, AcceptedSlide, Verdict, percent, slides_needed, tier_of
from edge.system.wording import counted
from models.statistics.intervals import exact_lower, exact_upper


class Counted(Struct, frozen=True):
    """`count` of `of` slides or fields.

    >>> Counted(9, 10).share
    0.9
    """

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """None of none."""
        return self.count / self.of if self.of else None

    @property
    def lower(self) -> float:
        """Exact one-sided 95 % bound; 0 of none."""
        return exact_lower(self.count, self.of) if self.of else 0.0

    @property
    def upper(self) -> float:
        """Exact one-sided 95 % bound; 1 of none."""
        return exact_upper(self.count, self.of) if self.of else 1.0


class Check(Struct, frozen=True):
    """One limit: what was measured against it, and how many more slides without an error would do."""

    name: str
    verdict: Verdict
    measured: str
    limit: str
    more: int = 0
    kind: str = ""

    @property
    def reason(self) -> str:
        """Why it does not pass, one sentence."""
        if self.verdict == "fail":
            return f"{self.name}: {self.measured}, {self.limit}: surely beyond the limit"
        return f"{self.name}: {self.measured}, {self.limit}: {self.cure}"

    @property
    def cure(self) -> str:
        """How many more slides would do."""
        return f"{counted(self.more, f'more {self.kind}')} without an error would do"


class Figures(Struct, frozen=True):
    """What the slides show.

    Attributes:
        missed: leukemic, found benign, of those judged. sensitivity: leukemic, found suspicious, of those judged.
        specificity: benign, found so, of those judged. refused: of all. undecided: leukemic, and benign, of those
            judged.
    """

    missed: Counted
    sensitivity: Counted
    specificity: Counted
    refused: Counted
    undecided_leukemic: int
    undecided_benign: int


def figures_of(slides: Sequence[AcceptedSlide], benign: Sequence[str]) -> Figures:
    """Counts of findings against the reference."""
    leukemic = [slide for slide in slides if slide.label not in benign]
    healthy = [slide for slide in slides if slide.label in benign]

    def found(group: Sequence[AcceptedSlide], finding: str) -> int:
        return sum(slide.finding == finding for slide in group)

    tier = tier_of(leukemic)
    judged = len(healthy) - found(healthy, "refused")
    return Figures(
        missed=Counted(tier.missed, tier.slides),
        sensitivity=Counted(found(leukemic, "suspicious"), tier.slides),
        specificity=Counted(found(healthy, "benign"), judged),
        refused=Counted(found(slides, "refused"), len(slides)),
        undecided_leukemic=found(leukemic, "undecided"),
        undecided_benign=found(healthy, "undecided"),
    )


def checks_of(found: Figures, limits: SlideLimits) -> tuple[Check, ...]:
    """The figures against the limits."""
    missed, right, refused = found.missed, found.specificity, found.refused
    return (
        _check(
            "leukemic slides found benign",
            missed,
            f"at most {percent(limits.max_missed)}",
            passed=missed.upper <= limits.max_missed,
            failed=missed.lower > limits.max_missed,
            bound=f"at most {percent(missed.upper)}",
            more=lambda: slides_needed(limits.max_missed, missed.count) - missed.of,
            kind="leukemic slide",
        ),
        _check(
            "benign slides found benign",
            right,
            f"at least {percent(limits.min_specificity)}",
            passed=right.lower >= limits.min_specificity,
            failed=right.upper < limits.min_specificity,
            bound=f"at least {percent(right.lower)}",
            more=lambda: _more(lambda n: Counted(right.count + n, right.of + n).lower >= limits.min_specificity),
            kind="benign slide",
        ),
        _check(
            "slides refused by the gates",
            refused,
            f"at most {percent(limits.max_refused)}",
            passed=refused.upper <= limits.max_refused,
            failed=refused.lower > limits.max_refused,
            bound=f"at most {percent(refused.upper)}",
            more=lambda: _more(lambda n: Counted(refused.count, refused.of + n).upper <= limits.max_refused),
            kind="slide",
        ),
    )


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """The worst of them.

    >>> verdict_of([Check("a", "pass", "", ""), Check("b", "inconclusive", "", "", 3)])
    'inconclusive'
    """
    found = {check.verdict for check in checks}
    return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"


def _check(
    name: str,
    counted: Counted,
    limit: str,
    *,
    passed: bool,
    failed: bool,
    bound: str,
    more: Callable[[], int],
    kind: str,
) -> Check:
    measured = f"{counted.count} of {counted.of}, so {bound} with 95 % confidence"
    if passed or failed:
        return Check(name, "pass" if passed else "fail", measured, limit)
    return Check(name, "inconclusive", measured, limit, more(), kind)


def _more(enough: Callable[[int], bool]) -> int:
    """The fewest n that are enough."""
    low, high = 0, MOST_SLIDES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
