"""The project's figures: each function returns a matplotlib `Figure` of its own, `render` its PNG or SVG.

No pyplot and no state outside the call, so that a service or a test can draw without disturbing another.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.errors import FigureError
from models.report.figure_style import BLUE, GREY, INK, MARKERS, ORANGE, SERIES, canvas, heading, plain_numbers, styled
from models.statistics.calibration_error import expected_calibration_error, reliability_bins
from models.statistics.formatting import careful_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def confusion_figure(
    labels: Sequence[str],
    matrices: Mapping[str, npt.ArrayLike],
    title: str = "",
    sides: tuple[str, str] = ("true", "called"),
) -> "Figure":
    """One confusion matrix or several side by side, counts with the percentage of their row.

    Args:
        labels: C class names.
        matrices: heading -> integer (C, C), rows true, columns predicted; a heading may be "".
        title: over all.
        sides: what the rows and the columns are.
    """
    if not matrices:
        raise FigureError("matrices must hold at least one; got none")
    tables = {name: _square(name, matrix, len(labels)) for name, matrix in matrices.items()}
    side = max(2.6, 0.62 * len(labels) + 0.9)
    figure, axes = canvas(side * len(tables) + 0.4, side + 0.3, 1, len(tables), squeeze=False)
    for i, (axis, (name, table)) in enumerate(zip(axes[0], tables.items(), strict=True)):
        _draw_confusion(axis, labels, table)
        axis.set_title(name)
        axis.set_xlabel(sides[1])
        if i == 0:
            axis.set_ylabel(sides[0])
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


def _square(name: str, matrix: npt.ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    table = np.asarray(matrix)
    if table.shape != (classes, classes) or not np.issubdtype(table.dtype, np.integer) or table.min() < 0:
        raise FigureError(f"matrix {name!r} must be counts ({classes}, {classes}); got {table.dtype} {table.shape}")
    return table.astype(np.int64)


def _draw_confusion(axis: "Axes", labels: Sequence[str], table: npt.NDArray[np.int64]) -> None:
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(labels), dtype=bool)
    axis.imshow(_tints(shares, right), interpolation="nearest")
    ticks = range(len(labels))
    long = max(len(label) for label in labels) > 7
    axis.set_xticks(ticks, labels, rotation=45 if long else 0, ha="right" if long else "center")
    axis.set_yticks(ticks, labels)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    for edge in np.arange(0.5, len(labels) - 1):  # white gaps part the cells better than lines do
        axis.axhline(edge, color="white", linewidth=2)
        axis.axvline(edge, color="white", linewidth=2)
    size = 8 if len(labels) <= 8 else 6
    for (row, column), count in np.ndenumerate(table):
        if count == 0:
            axis.text(column, row, "0", ha="center", va="center", fontsize=size, color="#B5B5B5")
            continue
        ink = "white" if shares[row, column] > 0.6 else INK
        axis.text(column, row - 0.12, f"{count}", ha="center", va="center", fontsize=size, color=ink)
        axis.text(
            column,
            row + 0.22,
            careful_percent(float(shares[row, column]), 1),
            ha="center",
            va="center",
            fontsize=size - 1.5,
            color=ink,
        )


def _tints(shares: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """RGB (C, C, 3), 0..1: blue on the diagonal, orange off it; one mistake in a thousand is seen."""
    from matplotlib.colors import to_rgb

    depth = np.where(right, shares, np.where(shares > 0, 0.18 + 0.82 * shares, 0))[..., None]
    full = np.where(right[..., None], to_rgb(BLUE), to_rgb(ORANGE))
    blank = np.array(to_rgb("#F7F7F7"))
    return np.asarray(blank + depth * (full - blank))


@styled
def reliability_figure(
    curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], bins: int = 15, title: str = ""
) -> "Figure":
    """Accuracy against confidence, with 95 % intervals, over the number of images in each bin.

    Args:
        curves: name -> (probabilities float (N, C), truth integer (N,)); one or two read well.
        bins: equal-width bins over 0..1.
    """
    if not curves:
        raise FigureError("curves must hold at least one; got none")
    figure, (upper, lower) = canvas(4.4, 4.9, 2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="as sure as right")
    for k, (name, (probabilities, truth)) in enumerate(curves.items()):
        found = reliability_bins(probabilities, truth, bins)
        error = expected_calibration_error(probabilities, truth, bins)
        x = np.array([b.mean_confidence for b in found])
        y = np.array([b.accuracy for b in found])
        spread = np.array(
            [
                [b.accuracy - b.accuracy_interval.low for b in found],
                [b.accuracy_interval.high - b.accuracy for b in found],
            ]
        )
        upper.errorbar(
            x, y, yerr=spread, color=SERIES[k % 6], marker=MARKERS[k % 6], markersize=4.5, capsize=0,
            elinewidth=0.9, alpha=0.9, label=f"{name}: calibration error {100 * error:.1f} %",
        )  # fmt: skip
        middles = np.array([(b.low + b.high) / 2 for b in found])
        width = 0.8 / bins / len(curves)
        offset = (k - (len(curves) - 1) / 2) * width
        lower.bar(middles + offset, [b.images for b in found], width=width, color=SERIES[k % 6])
    upper.set(xlim=(0, 1.01), ylim=(0, 1.02), ylabel="share that is right")
    upper.grid(True)
    upper.set_title(title)
    lower.set_yscale("log")
    plain_numbers(lower.yaxis)
    lower.set(ylim=(0.8, None), xlabel="confidence (largest probability)", ylabel="images")
    lower.grid(True, axis="y")
    figure.legend(loc="outside lower center", ncols=1)
    return figure  # type: ignore[no-any-return]


@styled
def drift_figure(float_probabilities: npt.ArrayLike, int8_probabilities: npt.ArrayLike, title: str = "") -> "Figure":
    """Histogram over images of the largest change of any class's probability, counts on a log scale.

    Args:
        float_probabilities, int8_probabilities: float (N, C), row i of each for the same image.
    """
    before, after = np.asarray(float_probabilities), np.asarray(int8_probabilities)
    if before.ndim != 2 or before.shape != after.shape or before.size == 0:
        raise FigureError(
            "int8_probabilities must have the shape of float_probabilities, (N, C); "
            f"got {after.shape} and {before.shape}"
        )
    drift = np.abs(before - after).max(axis=1)
    changed = before.argmax(axis=1) != after.argmax(axis=1)
    edges = np.linspace(0, max(0.05, float(np.ceil(drift.max() * 20) / 20)), 41)
    figure, axis = canvas(5.2, 2.9)
    same = f"same label ({int((~changed).sum())})"
    axis.hist(drift[~changed], bins=edges, color=BLUE, label=same)
    other = f"label changed ({int(changed.sum())})"
    axis.hist(drift[changed], bins=edges, color=ORANGE, rwidth=0.5, label=other)  # narrower: both are seen
    for value, name in ((float(drift.mean()), "mean"), (float(drift.max()), "worst")):
        axis.axvline(value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.annotate(
            f" {name} {value:.3f}",
            (value, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            va="top",
            ha="right" if name == "worst" else "left",
        )
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    axis.set(ylim=(0.8, None), xlim=(0, edges[-1]), xlabel="largest change of a probability", ylabel="images")
    axis.margins(y=0.2)
    axis.grid(True, axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    axis.set_title(title)
    return figure  # type: ignore[no-any-return]


@styled
def learning_figure(
    history: Mapping[str, Sequence[float]],
    stages: Sequence[tuple[str, int]] = (),
    title: str = "",
) -> "Figure":
    """Loss and accuracy by epoch, training against validation.

    Args:
        history: "loss" and "accuracy", and "val_loss" and "val_accuracy" if known; a value an epoch.
        stages: (name, index of its first epoch, from 0), drawn as boundaries.
    """
    epochs = len(history.get("loss", ()))
    if epochs == 0 or any(len(history.get(key, history["loss"])) != epochs for key in _HISTORY):
        sizes = {key: len(values) for key, values in history.items()}
        raise FigureError(f"history must hold loss and accuracy of equal length >= 1; got {sizes}")
    figure, axes = canvas(8.0, 3.0, 1, 2)
    x = np.arange(1, epochs + 1)
    for axis, key, name in zip(axes, ("loss", "accuracy"), ("loss", "accuracy, percent"), strict=True):
        scale = 1.0 if key == "loss" else 100.0
        for series, colour, style, label in (
            (key, GREY, "-", "training"),
            (f"val_{key}", BLUE, "-", "validation"),
        ):
            if series in history:
                values = scale * np.asarray(history[series], dtype=float)
                marker = "o" if epochs <= 40 else ""
                axis.plot(x, values, color=colour, linestyle=style, marker=marker, markersize=3, label=label)
        axis.set(xlabel="epoch", xlim=(0.5, epochs + 0.5))
        _mark_stages(axis, stages)
        axis.set_title(name, pad=16 if stages else 6)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(True)
    axes[0].set_yscale("log")
    plain_numbers(axes[0].yaxis)
    axes[1].legend(loc="lower right")
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


_HISTORY = ("loss", "val_loss", "accuracy", "val_accuracy")


def _mark_stages(axis: "Axes", stages: Sequence[tuple[str, int]]) -> None:
    shown = axis.get_xlim()[1] - axis.get_xlim()[0]
    ends = [first for _, first in stages[1:]] + [shown]
    for (name, first), end in zip(stages, ends, strict=True):
        if first > 0:
            axis.axvline(first + 0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        narrow = end - first < 0.12 * shown  # its name would run into the next one's: let it end at the boundary
        axis.annotate(
            f"{name} " if narrow else f" {name}",
            ((end if narrow else first) + 0.5, 1.01),
            xycoords=("data", "axes fraction"),
            fontsize=7.5,
            ha="right" if narrow else "left",
            va="bottom",
            color=INK,
        )


@styled
def intervals_figure(
    labels: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, float, float] | None]],
    xlabel: str = "percent",
    title: str = "",
) -> "Figure":
    """A share with its interval for every class, as points: bars from 0 would hide what differs.

    Args:
        labels: one a class, drawn from the top.
        series: name -> (value, low, high) a class, shares 0..1, None where there is none.
    """
    if not series or any(len(values) != len(labels) for values in series.values()):
        sizes = {name: len(values) for name, values in series.items()}
        raise FigureError(f"series must hold one entry a label, {len(labels)}; got {sizes}")
    figure, axis = canvas(5.2, 0.9 + 0.22 * len(labels) * max(2, len(series)))
    lows = [entry[1] for values in series.values() for entry in values if entry is not None]
    step = 0.5 / max(len(series), 2)
    for k, (name, values) in enumerate(series.items()):
        offset = (k - (len(series) - 1) / 2) * step
        shown = [(i + offset, entry) for i, entry in enumerate(values) if entry is not None]
        if not shown:
            continue
        y = np.array([row for row, _ in shown])
        value, low, high = (100 * np.array([entry[j] for _, entry in shown]) for j in range(3))
        axis.errorbar(
            value, y, xerr=np.maximum([value - low, high - value], 0), fmt=MARKERS[k % 6],
            color=SERIES[k % 6], markersize=5, capsize=2.5, elinewidth=1.2, label=name,
        )  # fmt: skip
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.set_xlim(max(0.0, 100 * min(lows, default=0.0) - 1), 100.4)
    axis.set_xlabel(xlabel)
    axis.tick_params(axis="y", length=0)
    axis.grid(True, axis="x")
    if len(series) > 1:
        figure.legend(loc="outside upper right", ncols=len(series))
    axis.set_title(title)
    return figure  # type: ignore[no-any-return]


@styled
def colour_figure(points: Mapping[str, Sequence[Sequence[float]]]) -> "Figure":
    """Mean green against mean blue, a dot an image, a colour a class.

    Args:
        points: class -> mean (R, G, B) of its images, each 0 to 255.
    """
    figure, axis = canvas(4.8, 3.3)
    for k, some in enumerate(points.values()):
        _, green, blue = np.asarray(some, float).reshape(-1, 3).T
        axis.plot(green, blue, MARKERS[k % 6], color=SERIES[k % 6], ms=3.5, alpha=0.55, mew=0)
    axis.set(xlabel="mean green", ylabel="mean blue")
    axis.locator_params(nbins=6, integer=True)
    legend = figure.legend(axis.lines, [""] * len(points), loc="outside right upper", markerscale=1.8)
    for text, label in zip(legend.get_texts(), points, strict=True):
        text.set(text=label, parse_math=False)  # a folder's name: no mathematics, and never hidden
    return figure  # type: ignore[no-any-return]


@styled
def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]], captions: Sequence[str], columns: int = 6, title: str = ""
) -> "Figure":
    """Images in rows, a caption under each.

    Args:
        images: uint8 (H, W, 3) RGB each; sizes may differ.
        captions: one an image; may hold line breaks.
        columns: images a row, >= 1.
    """
    if not images or len(images) != len(captions):
        raise FigureError(f"captions must be one an image, for at least one; got {len(captions)} for {len(images)}")
    if columns < 1:
        raise FigureError(f"columns must be >= 1; got {columns}")
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise FigureError(f"images must be uint8 (H, W, 3); got {image.dtype} {image.shape}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max(caption.count("\n") + 1 for caption in captions)
    figure, axes = canvas(1.35 * columns, (1.4 + 0.13 * lines) * rows + 0.25, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        axis.imshow(image, interpolation="antialiased")
        axis.text(0, -0.04, caption, transform=axis.transAxes, fontsize=6.5, va="top", linespacing=1.15)
    heading(figure, title)
    return figure  # type: ignore[no-any-return]
