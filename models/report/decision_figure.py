"""The figure of a decision: errors against answers, and confidence against accuracy before and after."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from models.decision.fit import Calibrated, risk_coverage
from models.report.figure_style import GREY, MARKERS, SERIES, canvas, heading, styled
from models.statistics.calibration_error import expected_calibration_error, reliability_bins
from models.statistics.validation import Floats, Indices

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEAST_SHOWN = 85.0  # percent answered: below it few networks err


@styled
def decision_figure(found: Calibrated, title: str = "") -> "Figure":
    """Left the risk-coverage curves over unaltered and degraded validation fields that the gates let through, with the
    operating point; then for each network the reliability of its probabilities as they come and calibrated."""
    figure, axes = canvas(3.1 * (1 + len(found.clean)) + 0.6, 3.6, 1, 1 + len(found.clean))
    _draw_risk(axes[0], found)
    for k, (axis, (name, outputs)) in enumerate(zip(axes[1:], found.clean.items(), strict=True)):
        forms = {"before": outputs.calibrated(1.0), "calibrated": outputs.calibrated(found.temperature)}
        draw_reliability(axis, forms, found.dataset.truth)
        axis.set_title(f"{name}: unaltered fields")
        axis.set_xlabel("confidence")
        if k == 0:
            axis.set_ylabel("share that is right")
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


def draw_reliability(axis: "Axes", forms: Mapping[str, Floats], truth: Indices) -> None:
    """Accuracy against confidence in bins with 95 % intervals; the size of a mark grows with the images in its bin."""
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    for k, (name, probabilities) in enumerate(forms.items()):
        bins = reliability_bins(probabilities, truth)
        x, y = (np.array(v) for v in zip(*((b.mean_confidence, b.accuracy) for b in bins), strict=True))
        low, high = np.array([(b.accuracy_interval.low, b.accuracy_interval.high) for b in bins]).T
        shift = (k - (len(forms) - 1) / 2) * 0.008  # so that equal bins do not hide each other
        axis.vlines(x + shift, low, high, color=SERIES[k], linewidth=0.9, alpha=0.7)
        axis.scatter(
            x + shift, y, s=[8 + 10 * np.log10(b.images) for b in bins], color=SERIES[k], marker=MARKERS[k],
            label=f"{name} {100 * expected_calibration_error(probabilities, truth):.2f} %", clip_on=False, zorder=3,
        )  # fmt: skip
    axis.set(xlim=(0, 1.02), ylim=(0, 1.03))
    axis.grid(True)
    axis.legend(loc="upper left", title="calibration error", title_fontsize=8, alignment="left")


def _draw_risk(axis: "Axes", found: Calibrated) -> None:
    least = _LEAST_SHOWN
    for k, (name, validation) in enumerate(found.validation.items()):
        curve = risk_coverage(validation.every, points=len(validation.every.truth))
        coverage, risk = 100 * np.array([(point.coverage, point.risk) for point in curve]).T
        axis.plot(coverage, risk, color=SERIES[k], label=name)
        counts = found.counts()[name]
        answered = counts.every - counts.every_refused
        if answered:
            share = 100 * answered / counts.every
            least = min(least, share - 5)
            axis.plot(
                share, 100 * counts.every_wrong / answered, color=SERIES[k], marker=MARKERS[k], markersize=8,
                markerfacecolor="white", markeredgewidth=1.6, linestyle="", label=f"{name}, as decided", clip_on=False,
            )  # fmt: skip
    axis.set(xlim=(least, 100), ylim=(0, None), xlabel="answered, %", ylabel="wrong among the answered, %")
    axis.set_title("past the gates, degraded too")
    axis.grid(True)
    axis.legend(loc="upper left")
