"""Figures of an adaptation: every slide's fields, and the error by number of slides."""

from typing import TYPE_CHECKING

import numpy as np

from edge.inference.benign import as_labels
from models.adaptation.adaptation_record import AdaptationRecord
from models.report.figure_style import GREY, INK, MARKERS, SERIES, canvas, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def slides_figure(record: AdaptationRecord) -> "Figure":
    """A column a slide, a mark a field, by a head made without that slide; slides of a class side by side.

    The height is the probability of not being benign, or, where no class is, of the field's own class.
    """
    benign = as_labels(record.benign)
    own = [k for k, label in enumerate(record.labels) if label in benign]
    slides = sorted({(record.labels.index(each.label), each.slide) for each in record.images})
    figure, axis = canvas(min(10.0, 2.6 + 0.24 * len(slides)), 3.4)
    place = {slide: number for number, (_, slide) in enumerate(slides)}
    for k, label in enumerate(record.labels):
        images = [each for each in record.images if each.label == label]
        values = [1 - sum(each.probabilities[i] for i in own) if own else each.probabilities[k] for each in images]
        axis.scatter(
            [place[each.slide] for each in images], values, s=16, color=SERIES[k % len(SERIES)],
            marker=MARKERS[k % len(MARKERS)], alpha=0.8, label=label, clip_on=False, zorder=3,
        )  # fmt: skip
        for slide in sorted({each.slide for each in images}):
            mean = float(np.mean([v for each, v in zip(images, values, strict=True) if each.slide == slide]))
            axis.hlines(mean, place[slide] - 0.35, place[slide] + 0.35, color=INK, linewidth=1.2, zorder=4)
    if own:
        axis.axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axis.set(ylim=(0, 1.0), xlim=(-0.8, len(slides) - 0.2), xticks=[])
    axis.set_ylabel("probability of not being benign" if own else "probability of its own class")
    axis.set_xlabel("slides; a mark is a field, a line the slide's mean")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure  # type: ignore[no-any-return]


@styled
def curve_figure(record: AdaptationRecord) -> "Figure":
    """Error by slides a class, with exact intervals over slides, and the forecast."""
    figure, axis = canvas(4.6, 3.0)
    points, forecast = record.curve.points, record.curve.forecast
    x = [point.slides for point in points]
    axis.plot(x, [100 * point.error for point in points], color=SERIES[0], marker=MARKERS[0], label="measured")
    axis.vlines(
        x,
        [100 * point.interval.low for point in points],
        [100 * point.interval.high for point in points],
        color=SERIES[0],
        linewidth=0.9,
    )
    if forecast.error is not None and forecast.interval is not None and x:
        then = x[-1] + forecast.slides / len(record.labels)
        low, high = 100 * forecast.interval.low, 100 * forecast.interval.high
        axis.vlines(then, low, high, color=SERIES[1], linewidth=0.9)
        axis.plot(then, 100 * forecast.error, color=SERIES[1], marker=MARKERS[1], linestyle="", label="forecast")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("slides a class")
    axis.set_ylabel("% of an unseen slide's fields\nnamed wrongly")
    axis.legend(loc="upper right")
    axis.grid(True)
    return figure  # type: ignore[no-any-return]
