"""The figure of accuracy against severity, one panel a corruption."""

from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.corruptions import SEVERITIES
from models.evaluation.robustness import RobustnessRecord
from models.report.figure_style import GREY, MARKERS, SERIES, canvas, heading, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 6


@styled
def robustness_figure(record: RobustnessRecord, title: str = "") -> "Figure":
    """Small multiples of accuracy against severity: bands are 95 % intervals, severity 0 is unaltered."""
    found = record.corruptions
    networks = list(record.clean.forms)
    rows = -(-len(found) // _COLUMNS)
    figure, axes = canvas(1.75 * _COLUMNS, 1.75 * rows + 0.5, rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, (name, one) in zip(axes.flat, found.items(), strict=False):
        for k, network in enumerate(networks):
            scores = [record.clean.forms[network], *(cell.forms[network] for cell in one.severities)]
            values = 100 * np.array([s.accuracy for s in scores])
            low, high = 100 * np.array([[*s.accuracy_interval] for s in scores]).T
            places = [0, *SEVERITIES]
            axis.fill_between(places, low, high, color=SERIES[k], alpha=0.15, linewidth=0)
            axis.plot(
                places, values, color=SERIES[k], marker=MARKERS[k], label=network,
                # float as an outline around int8: the two mostly lie on each other
                **({"markersize": 6.5, "markerfacecolor": "white"} if k == 0 else {"markersize": 3, "linestyle": "--"}),
            )  # fmt: skip
        first, last = one.severities[0].value, one.severities[-1].value
        axis.set_title(name.replace("_", " "), fontsize=8.5)
        axis.text(
            0.04, 0.05, f"{one.parameter} {first:g} to {last:g} {one.unit}".rstrip(), transform=axis.transAxes,
            fontsize=6.5, color=GREY,
        )  # fmt: skip
        axis.grid(True)
        axis.set_xticks([0, *SEVERITIES])
        axis.set_ylim(0, 106)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy, %")
    for axis in axes[-1]:
        axis.set_xlabel("severity")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(networks))
    heading(figure, title)
    return figure  # type: ignore[no-any-return]
