"""The Pareto front of accuracy against latency."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """For each (accuracy, milliseconds) whether no other point is at least as good in both and better in one.

    Equal points are all on the front. Chance is not treated: of two accuracies on the front whose intervals overlap,
    the slower point may be no better.
    """
    return tuple(not any(_dominates(other, point) for other in points) for point in points)


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other
