"""The figure of abstentions: fields and other images, answered, or refused and why."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge.inference.benign import as_labels
from models.decision.abstention_record import AbstentionRecord, FieldAnswers, OtherAnswers
from models.report.figure_style import INK, canvas, heading, styled
from models.statistics.share import Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bars = Sequence[tuple[str, Mapping[str, float]]]  # name of a bar, and its parts in percent

# Answers in full colours, refusals in pale ones: what must not be there stands out.
_ANSWERS = {
    "answered wrongly": "#D55E00",
    "answered benign": "#D55E00",
    "answered malignant": "#E69F00",
    "answered": "#E69F00",
}
_REASONS = ("#BDD7E7", "#D9D9D9", "#BCBDDC", "#969696", "#E7D4C0", "#9ECAE1", "#C9B8CF", "#6E8CA0")
_LEAST_WRITTEN = 0.06  # part of an axis that has room for a number


@styled
def abstention_figure(record: AbstentionRecord, title: str = "") -> "Figure":
    """Above, the set's own fields that were not answered rightly; below, the answers and refusals of other images.

    Float and int8 beside each other, in percent.
    """
    own = [(name, _own(found)) for name, found in record.fields.items()]
    others = [
        (f"{folder}, {name}", _other(found, as_labels(record.benign)))
        for folder, one in record.ood.items()
        for name, found in one.networks.items()
    ]
    parts = dict.fromkeys(part for _, bar in (*own, *others) for part in bar)
    reasons = [part for part in parts if part not in _ANSWERS]
    colours = {**_ANSWERS, **{part: _REASONS[k % len(_REASONS)] for k, part in enumerate(reasons)}}
    groups = [group for group in (own, others) if group]
    figure, axes = canvas(
        7.4, 1.5 + 0.32 * (len(own) + len(others) + 2), len(groups), 1, squeeze=False,
        height_ratios=[len(group) + 1 for group in groups],
    )  # fmt: skip
    _draw(axes[0, 0], own, colours)
    axes[0, 0].set_title("the set's own fields: not answered rightly, %")
    if others:
        _draw(axes[1, 0], others, colours)
        axes[1, 0].set(xlim=(0, 100))
        axes[1, 0].set_title("other images, %")
    handles = {label: h for axis in axes.flat for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    heading(figure, title)
    return figure  # type: ignore[no-any-return]


def _draw(axis: "Axes", bars: Bars, colours: Mapping[str, str]) -> None:
    names = [part for part in colours if any(bar.get(part) for _, bar in bars)]
    widths = {part: np.array([bar.get(part, 0.0) for _, bar in bars]) for part in names}
    longest = max(sum(widths.values(), np.zeros(len(bars))).max(), 0.1)
    left = np.zeros(len(bars))
    for part, width in widths.items():
        axis.barh(range(len(bars)), width, left=left, height=0.66, color=colours[part], label=part)
        for row, (value, start) in enumerate(zip(width, left, strict=True)):
            if value >= _LEAST_WRITTEN * longest:
                axis.text(start + value / 2, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color=INK)
        left += width
    axis.set_yticks(range(len(bars)), [name for name, _ in bars])
    axis.set(xlim=(0, 1.05 * longest), ylim=(len(bars) - 0.5, -0.5))
    axis.tick_params(axis="y", length=0)


def _own(found: FieldAnswers) -> dict[str, float]:
    return {"answered wrongly": _percent(found.wrong), **_refused(found)}


def _other(found: OtherAnswers, benign: Sequence[str]) -> dict[str, float]:
    answered = {label: _percent(share) for label, share in found.answered.items()}
    if not benign:
        return {"answered": sum(answered.values()), **_refused(found)}
    said_benign = sum(answered.pop(label) for label in benign)
    return {"answered benign": said_benign, "answered malignant": sum(answered.values()), **_refused(found)}


def _refused(found: FieldAnswers | OtherAnswers) -> dict[str, float]:
    return {reason.replace("_", " "): _percent(share) for reason, share in found.refused_by.items()}


def _percent(share: Share) -> float:
    return 100 * share.share if share.share is not None else 0.0
