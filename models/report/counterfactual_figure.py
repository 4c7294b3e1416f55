"""The figure of changed verdicts on altered images."""

from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.counterfactuals import CounterfactualRecord
from models.report.figure_style import MARKERS, SERIES, canvas, heading, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def counterfactual_figure(record: CounterfactualRecord, title: str = "") -> "Figure":
    """Changed verdicts with 95 % intervals, and mean confidence beside that on the unaltered images (dashed)."""
    networks = list(record.clean)
    names = list(record.views)
    figure, (left, right) = canvas(8.2, 0.5 + 0.42 * len(names) + 0.6, 1, 2, sharey=True)
    for k, network in enumerate(networks):
        found = [record.views[name][network] for name in names]
        y = np.arange(len(names)) + (k - (len(networks) - 1) / 2) * 0.24
        share = 100 * np.array([one.flip_share for one in found])
        low, high = 100 * np.array([[*one.flip_interval] for one in found]).T
        look = {"color": SERIES[k], "markersize": 5}
        left.errorbar(
            share, y, xerr=np.maximum([share - low, high - share], 0), fmt=MARKERS[k], capsize=2.5, elinewidth=1.2,
            label=network, **look,
        )  # fmt: skip
        right.plot([one.mean_confidence for one in found], y, linestyle="", marker=MARKERS[k], **look)
        right.axvline(record.clean[network].mean_confidence, color=SERIES[k], linestyle="--", linewidth=1)
    left.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlabel("verdicts that change, %")
    left.set_xlim(-2, 102)
    right.set_xlabel("mean confidence (dashed: unaltered)")
    right.set_xlim(0, 1.02)
    for axis in (left, right):
        axis.tick_params(axis="y", length=0)
        axis.grid(True, axis="x")
    if len(networks) > 1:
        figure.legend(loc="outside upper right", ncols=len(networks))
    heading(figure, title)
    return figure  # type: ignore[no-any-return]
