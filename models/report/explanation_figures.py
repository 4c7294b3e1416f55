"""Figures of class activation maps: one verdict over its field, and the shares of many without any image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.evaluation.class_activation import Heat, Mask
from models.evaluation.explanations import ExplanationRecord, Explanations
from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, styled
from models.statistics.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELLS = "#FFFFFF"
_COLOURS = "magma"  # even in lightness, so that a grey print and colour-blind eyes read it alike


@styled
def verdict_figure(
    pixels: Pixels,
    heat: Heat,
    mask: Mask,
    labels: Sequence[str],
    probabilities: npt.NDArray[np.float32],
    title: str = "",
    note: str = "",
) -> "Figure":
    """A field, the map of its verdict with white cells outlined, and the probabilities.

    Args:
        pixels: uint8 (H, W, 3) RGB; heat: float32 (H, W) >= 0; mask: bool (H, W), white cells.
        labels, probabilities: (classes,), in output order.
        title: over all; note: below the probabilities.
    """
    figure, (field, over, bars) = canvas(8.4, 3.1, 1, 3, width_ratios=(1, 1, 0.85))
    field.imshow(pixels)
    field.set_title("the field")
    over.imshow(_greyed(pixels), cmap="gray", vmin=0, vmax=255)
    shown = over.imshow(heat, cmap=_COLOURS, alpha=_opacity(heat), vmin=0, vmax=max(float(heat.max()), 1e-12))
    shown.set_interpolation("nearest")
    if mask.any():
        over.contour(mask, levels=[0.5], colors=[INK], linewidths=2.0)
        over.contour(mask, levels=[0.5], colors=[_CELLS], linewidths=0.9)
    called = int(np.argmax(probabilities))
    over.set_title(f"evidence for {labels[called]}")
    for axis in (field, over):
        axis.set_axis_off()
    _draw_probabilities(bars, labels, probabilities, called)
    bars.set_xlabel(note, loc="left", fontsize=8)
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


@styled
def shares_figure(found: Explanations, record: ExplanationRecord, title: str = "") -> "Figure":
    """How maps and cells share the fields: histograms, and means with 95 % intervals by class and for the controls."""
    figure, (left, right) = canvas(9.2, 3.6, 1, 2)
    seen = ~np.isnan(found.cells_share) & (found.cells_area > 0)
    edges = np.linspace(0, 100, 41)
    for values, colour, label in (
        (found.cells_area, GREY, "white cells' share of the field (chance)"),
        (found.cells_share, BLUE, "white cells' share of the map"),
        (found.best_possible, GREEN, "best possible on the map's grid"),
    ):
        filled = colour == BLUE
        left.hist(
            100 * values[seen], bins=edges, histtype="stepfilled" if filled else "step", color=colour, label=label,
            linewidth=1.6, alpha=0.55 if filled else 1.0,
        )  # fmt: skip
    left.set_xlabel("percent")
    left.set_ylabel("images")
    left.legend(loc="upper right")
    _draw_groups(right, record)
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


def share_note(cells_share: float | None, cells_area: float) -> str:
    """How much of a map lies on white cells, beside how much of the field they cover."""
    if cells_share is None:
        return f"no share to give: white cells cover {percent(cells_area, 1)}"
    return (
        f"{percent(cells_share, 0)} of the map lies on white cells,\nwhich cover {percent(cells_area, 0)} of the field"
    )


def _draw_probabilities(
    axis: "Axes", labels: Sequence[str], probabilities: npt.NDArray[np.float32], called: int
) -> None:
    places = np.arange(len(labels))
    colours = [BLUE if k == called else GREY for k in places]
    axis.barh(places, 100 * probabilities, color=colours, height=0.6)
    for place, value in zip(places, probabilities, strict=True):
        axis.text(100 * float(value) + 2, place, f"{100 * float(value):.1f} %", va="center", fontsize=8)
    axis.set_yticks(places, labels)
    axis.invert_yaxis()
    axis.set_xlim(0, 135)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[["bottom", "left"]].set_visible(False)
    axis.set_title("the verdict")


def _draw_groups(axis: "Axes", record: ExplanationRecord) -> None:
    """A row a group: share of the map, beside it share of the field; then the controls."""
    groups = [(name, group) for name, group in record.groups.items() if group.cells_share.mean is not None]
    rows = [(f"{name} ({group.images})", group.cells_share, group.cells_area) for name, group in groups]
    chance = record.groups["all"].cells_area
    for name, control in record.groups["all"].controls.items():
        if control.mean is not None:
            rows.append((f"control: {name.replace('_', ' ')}", control, chance))
    for kind, (colour, marker, label) in enumerate(
        ((BLUE, "o", "share of the map"), (GREY, "D", "share of the field"))
    ):
        for place, (name, *both) in enumerate(rows):
            one = both[kind]
            mean = 100 * (one.mean or 0.0)
            low, high = (mean, mean) if one.interval is None else (100 * limit for limit in one.interval)
            is_control = name.startswith("control")
            axis.errorbar(
                mean, place + 0.14 * (2 * kind - 1), xerr=[[max(mean - low, 0)], [max(high - mean, 0)]], fmt=marker,
                color=ORANGE if is_control and kind == 0 else colour, markersize=4.5, capsize=2, elinewidth=1.1,
                label=label if place == 0 else None,
            )  # fmt: skip
    axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel("percent on white cells, mean with 95 % interval")
    axis.tick_params(axis="y", length=0)
    axis.grid(True, axis="x")
    axis.legend(loc="best")


def _greyed(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Lighter and without colour, so that the only colours are the map's."""
    return np.asarray(110 + 0.55 * pixels.mean(axis=2))


def _opacity(heat: Heat) -> npt.NDArray[np.float64]:
    return np.asarray(0.8 * np.sqrt(heat / max(float(heat.max()), 1e-12)))
