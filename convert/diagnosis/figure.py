"""A diagnosis as one figure: error by layer, what each layer alone costs the answer, and how its range is used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.diagnosis.record import DiagnosisRecord, LayerRecord
from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_DB = (-10.0, 70.0)  # beyond it a bar would only say "all" or "nothing"
MOST_NAMES = 40  # on the axis; of a longer network every second or third
LONGEST_NAME = 26
NAMED_SHARE = 0.05  # of the error at the logits: such a layer's name is always on the axis
LEAST_DRAWN = 0.05  # % of values clipped
PALE = "#C9DCEA"


@styled
def diagnosis_figure(record: DiagnosisRecord, title: str = "") -> "Figure":
    """From the record of a diagnosis; layers from top to bottom as they run, those that causes name in orange."""
    layers = list(record.layers)
    names = [layer.name for layer in layers]
    blamed = {cause.layer for cause in record.faults}
    height = 1.7 + min(0.24 * len(layers), 9.5)
    figure, axes = canvas(9.2, height, 1, 3, sharey=True)
    rows = np.arange(len(layers))
    _errors(axes[0], layers, rows)
    _shares(axes[1], layers, rows, blamed)
    _ranges(axes[2], layers, rows)
    every = 1 + len(layers) // MOST_NAMES
    ticks = [k for k in rows if k % every == 0 or names[k] in blamed or layers[k].error_share > NAMED_SHARE]
    axes[0].set_yticks(ticks, [_short(names[k]) for k in ticks])
    for label, k in zip(axes[0].get_yticklabels(), ticks, strict=True):
        if names[k] in blamed:
            label.set(color=ORANGE, fontweight="bold")
    axes[0].set(ylim=(len(layers) - 0.4, -0.6))
    for axis in axes:
        axis.grid(axis="x")
        axis.tick_params(axis="y", length=0)
    handles = [one for axis in axes for one in zip(*axis.get_legend_handles_labels(), strict=True)]
    figure.legend([h for h, _ in handles], [label for _, label in handles], loc="outside lower center", ncols=3)
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


def _errors(axis: Any, layers: Sequence[LayerRecord], rows: Any) -> None:
    low, high = SHOWN_DB

    def drawn(key: str) -> Any:
        """Values below the axis at its end; those above it, which have no error to speak of, left out."""
        values = np.array([getattr(layer, key) for layer in layers])
        return np.where(values > high, np.nan, np.maximum(values, low))

    total, added, median = drawn("sqnr_db"), drawn("added_db"), drawn("channel_db")
    median = np.where(np.isnan(added), np.nan, median)
    axis.plot(total, rows, "-", color=GREY, lw=1, zorder=2)
    axis.plot(total, rows, "o", color=INK, ms=3.6, label="all of its error", zorder=3)
    axis.plot(added, rows, "D", color=BLUE, ms=3.6, label="added by the layer itself", zorder=4)
    axis.plot(median, rows, "|", color=ORANGE, ms=7, mew=1.4, label="added, median channel", zorder=5)
    axis.set(xlabel="signal over error, dB (right is better)", xlim=(low - 3, high + 3))
    axis.set_title("error")


def _shares(axis: Any, layers: Sequence[LayerRecord], rows: Any, blamed: set[Any]) -> None:
    shares = np.array([100 * layer.error_share for layer in layers])
    colours = [ORANGE if layer.name in blamed else BLUE for layer in layers]
    axis.barh(rows, shares, height=0.7, color=colours)
    axis.set(xlabel="of the error at the logits, %", xlim=(0, max(5.0, 1.12 * float(shares.max()))))
    axis.set_title("each layer alone")


def _ranges(axis: Any, layers: Sequence[LayerRecord], rows: Any) -> None:
    used = np.array([100 * layer.range_used for layer in layers])
    clipped = np.array([100 * layer.clipped for layer in layers])
    median = np.array([100 * layer.channel_codes / 256 for layer in layers])
    axis.barh(rows, used, height=0.7, color=PALE, label="of the 256 codes used")
    axis.plot(median, rows, "|", color=GREEN, ms=7, mew=1.6, label="by the median channel")
    axis.barh(rows, -clipped, height=0.7, color=ORANGE, label="of the values clipped (to the left)")
    axis.axvline(0, color=GREY, lw=0.8)
    left = 0.0 if clipped.max() < LEAST_DRAWN else min(100.0, 1.1 * float(clipped.max()) + 2)
    axis.set(xlabel="%", xlim=(-left - 1, 103))
    ticks = [t for t in (-100, -50, 0, 50, 100) if t >= -left]
    axis.set_xticks(ticks, [f"{abs(t):g}" for t in ticks])
    axis.set_title("range")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}...{name[-6:]}"
