"""How the error falls with the number of slides, and what the next ten would probably bring.

Heads are fitted to so many slides of each class, drawn again and again from those outside a fold, and tried on that
fold's slides. The error is the share of a slide's fields named wrongly, mean over slides, classes alike.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.inference.benign import indices
from edge.system.progress import Progress
from models.adaptation.adaptation_record import CurvePoint, Forecast, LearningCurve
from models.adaptation.judging.counting import Judged
from models.adaptation.judging.selection import Labelled, Setting
from models.statistics.intervals import Interval, clopper_pearson, exact_upper
from models.support.keyed_random import draw

Floats = npt.NDArray[np.float64]
FIRST = 2  # slides a class that a curve begins with
POINTS = 6
DRAWS = 12  # of each number of slides
FURTHER = 10  # slides, of all classes together
RESAMPLES = 400


def learning_curve(data: Labelled, setting: Setting, judged: Judged) -> LearningCurve:
    """Fit and try heads on ever more slides.

    Args:
        data: the site's fields. setting: that the network is made with.
        judged: every field by a head made without its slide, for the bound on missed slides.
    """
    folds = sorted(set(data.folds.tolist()))
    numbers = _numbers(data, folds)
    slides = sorted(set(data.slides))
    errors = np.full((len(numbers), len(slides)), np.nan)
    with Progress("learning curve", len(numbers) * DRAWS) as bar:
        for place, count in enumerate(numbers):
            sums, tries = np.zeros(len(slides)), np.zeros(len(slides))
            for number in range(DRAWS):
                fold = folds[number % len(folds)]
                wrong = _tried(data, setting, fold, count, number)
                for slide, share in wrong.items():
                    sums[slides.index(slide)] += share
                    tries[slides.index(slide)] += 1
                bar.advance()
            tried = tries > 0
            errors[place, tried] = sums[tried] / tries[tried]
    classes = np.array([data.truth[data.slides.index(slide)] for slide in slides])
    points = tuple(_point(count, row, classes) for count, row in zip(numbers, errors, strict=True))
    return LearningCurve(points, _forecast(data, numbers, errors, classes, judged))


def _numbers(data: Labelled, folds: Sequence[int]) -> list[int]:
    """Slides a class to try: from FIRST to what every fold leaves of the smallest class."""
    left = []
    for fold in folds:
        rest = data.folds != fold
        left += [
            len({data.slides[i] for i in np.flatnonzero(rest & (data.truth == k))}) for k in range(len(data.labels))
        ]
    most = min(left)
    if most <= FIRST:
        return [most] if most else []
    return sorted({round(value) for value in np.geomspace(FIRST, most, POINTS)})


def _tried(data: Labelled, setting: Setting, fold: int, count: int, number: int) -> dict[str, float]:
    """Slide of the fold -> share of its fields named wrongly by a head of `count` slides of each other class."""
    rng = draw("learning-curve", str(fold), str(count), str(number))
    chosen: set[str] = set()
    for k in range(len(data.labels)):
        own = sorted({data.slides[i] for i in np.flatnonzero((data.folds != fold) & (data.truth == k))})
        chosen |= set(rng.choice(own, min(count, len(own)), replace=False).tolist())
    rows = np.array([slide in chosen for slide in data.slides])
    head = data.heads(rows, [setting])[setting]
    held = data.folds == fold
    wrong = data.called(held, head).argmax(axis=1) != data.truth[held]
    named = np.asarray(data.slides)[held]
    return {str(slide): float(wrong[named == slide].mean()) for slide in np.unique(named)}


def _mean(row: Floats, classes: npt.NDArray[np.intp]) -> float:
    """Mean over slides, classes alike; slides that were not tried left out."""
    own = [row[(classes == k) & ~np.isnan(row)] for k in np.unique(classes)]
    return float(np.mean([values.mean() for values in own if len(values)]))


def _point(count: int, row: Floats, classes: npt.NDArray[np.intp]) -> CurvePoint:
    slides = int((~np.isnan(row)).sum())
    error = _mean(row, classes)
    return CurvePoint(count, DRAWS, error, clopper_pearson(error * slides, slides))


def _forecast(
    data: Labelled, numbers: Sequence[int], errors: Floats, classes: npt.NDArray[np.intp], judged: Judged
) -> Forecast:
    more = FURTHER / len(data.labels)
    bound_now, bound_then = _bounds(judged)
    error, interval = _extrapolated(numbers, errors, classes, more)
    return Forecast(FURTHER, error, interval, bound_now, bound_then, _text(numbers, errors, classes, error, interval))


def _extrapolated(
    numbers: Sequence[int], errors: Floats, classes: npt.NDArray[np.intp], more: float
) -> tuple[float | None, Interval | None]:
    """The error with `more` slides a class, by a power law through the curve; None where it has nothing to go by."""
    means = np.array([_mean(row, classes) for row in errors])
    if len(numbers) < 3 or (means <= 0).all():
        return None, None
    rng = draw("forecast")
    then = numbers[-1] + more
    found = []
    for _ in range(RESAMPLES):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(classes == k), int((classes == k).sum())) for k in np.unique(classes)]
        )
        found.append(_power_law(numbers, np.array([_mean(row[rows], classes[rows]) for row in errors]), then))
    low, high = np.quantile(found, (0.025, 0.975))
    value = min(max(_power_law(numbers, means, then), float(low)), float(high))
    return value, Interval(float(low), float(high))


def _power_law(numbers: Sequence[int], means: Floats, then: float) -> float:
    """a k^-b through the means, b >= 0: more slides are never expected to harm."""
    floor = 0.25 / 100
    x, y = np.log(np.asarray(numbers, np.float64)), np.log(np.maximum(means, floor))
    slope = min(0.0, float(np.polyfit(x, y, 1)[0]))
    return float(min(1.0, np.exp(y.mean() + slope * (np.log(then) - x.mean()))))


def _bounds(judged: Judged) -> tuple[float | None, float | None]:
    """What share of missed slides so many not-benign ones cannot rule out, and half of FURTHER more, as good."""
    own = indices(judged.labels, judged.benign)
    if not own:
        return None, None
    slides = judged.by_slide()
    others = ~np.isin(slides.truth, own)
    missed = int((others & np.isin(slides.probabilities.argmax(axis=1), own)).sum())
    count = int(others.sum())
    later = count + FURTHER // 2
    return exact_upper(missed, count), exact_upper(missed * later / count, later)


def _text(
    numbers: Sequence[int],
    errors: Floats,
    classes: npt.NDArray[np.intp],
    error: float | None,
    interval: Interval | None,
) -> str:
    if not len(numbers):
        return "too few slides for a curve"
    now = _mean(errors[-1], classes)
    if error is None or interval is None:
        if now == 0:
            return (
                "no field of an unseen slide was named wrongly at any number of slides: ten more can show no fall, "
                "only rule out more"
            )
        return (
            f"{100 * now:.1f} % of an unseen slide's fields are named wrongly; too few numbers of slides for a forecast"
        )
    worth = interval.high < now and now - error > 0.01
    return (
        f"with {numbers[-1]} slides a class {100 * now:.1f} % of an unseen slide's fields are named wrongly; with ten "
        f"more slides in all probably {100 * error:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f}): "
        + ("they are worth collecting" if worth else "they would change little, or these cannot say")
    )
