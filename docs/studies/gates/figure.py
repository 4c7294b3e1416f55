"""The figure of the gates: what they refuse of degraded fields, and a network's errors on those that pass."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, render, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "defocus": ("Defocus", "radius of the blur disc, px of 224"),
    "motion": ("Motion", "length of the path, px of 224"),
    "exposure": ("Exposure error", "stops"),
}


def draw(record: Mapping[str, Any]) -> bytes:
    """PNG of the record that `docs.studies.gates.limits` writes."""
    return render(_figure(record))


@styled
def _figure(record: Mapping[str, Any]) -> "Figure":
    figure, axes = canvas(10.0, 6.4, 2, 3)
    for axis, kind in zip(axes[0], TITLES, strict=True):
        _draw_ladder(axis, [row for row in record["spoilt"] if row["kind"] == kind], *TITLES[kind])
    axes[0, 0].set_ylabel("percent")
    _draw_focus_drawn(axes[1, 0], [r for r in record["spoilt"] if r["set"] == "drawn" and r["kind"] == "defocus"])
    _draw_classes(axes[1, 1], record["published"])
    _draw_measures(axes[1, 2], record["focus_measures"])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    heading(figure, "What the gates refuse, and what a network does with what they let pass")
    return figure  # type: ignore[no-any-return]


def _draw_ladder(axis: "Axes", rows: Sequence[Mapping[str, Any]], title: str, xlabel: str) -> None:
    """Refused shares of test and drawn fields, and the network's errors among all and among what passes."""
    test = [row for row in rows if row["set"] == "test"]
    steps = [row["step"] for row in test]
    low, high = (np.array([100 * row["interval"][k] for row in test]) for k in (0, 1))
    axis.fill_between(steps, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axis.plot(steps, [100 * row["share"] for row in test], "o-", color=BLUE, markersize=4, label="refused, test fields")
    drawn = [row for row in rows if row["set"] == "drawn" and row["unit"] == test[0]["unit"]]
    if drawn:
        x, y = [row["step"] for row in drawn], [100 * row["share"] for row in drawn]
        axis.plot(x, y, "s:", color=GREEN, markersize=3.5, linewidth=1.2)
    axis.plot([], [], "s:", color=GREEN, markersize=3.5, linewidth=1.2, label="refused, drawn fields")
    axis.plot(steps, [_wrong(row, "all") for row in test], "D--", color=GREY, markersize=3.5,
              label="wrong verdicts, without gates")  # fmt: skip
    left = [(row["step"], _wrong(row, "passed")) for row in test if row["network"]["passed"]["images"]]
    axis.plot([x for x, _ in left], [y for _, y in left], "^-", color=ORANGE, markersize=4,
              label="wrong verdicts among all fields, with gates")  # fmt: skip
    axis.set_title(title)
    axis.set_xlabel(xlabel)
    axis.set_ylim(-3, 103)
    axis.grid(True, axis="y")


def _wrong(row: Mapping[str, Any], which: str) -> float:
    """Percent of all fields of the step that got a wrong class."""
    answers = row["network"][which]
    return 100 * float(answers["images"] - answers["right"]) / float(row["images"])


def _draw_focus_drawn(axis: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    steps = [row["step"] for row in rows]
    axis.plot(steps, [100 * row["share"] for row in rows], "s:", color=GREEN, markersize=3.5, linewidth=1.2)
    axis.set_title("Drawn slide out of focus")
    axis.set_xlabel("distance from focus, um")
    axis.set_ylabel("refused, percent")
    axis.set_ylim(-3, 103)
    axis.grid(True, axis="y")


def _draw_classes(axis: "Axes", published: Mapping[str, Any]) -> None:
    """Refused published fields by class, with 95 % intervals."""
    uses = (("calibration", BLUE, "o"), ("test", ORANGE, "^"))
    for k, (use, colour, marker) in enumerate(uses):
        entries = {**published[use]["by_class"], "all": published[use]}
        y = np.arange(len(entries)) + (k - 0.5) * 0.25
        share = np.array([100 * entry["share"] for entry in entries.values()])
        low, high = (np.array([100 * e["interval"][j] for e in entries.values()]) for j in (0, 1))
        axis.errorbar(share, y, xerr=np.maximum([share - low, high - share], 0), fmt=marker, color=colour,
                      markersize=4, capsize=2, elinewidth=1.1, label=use)  # fmt: skip
        axis.set_yticks(range(len(entries)), entries)
    axis.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    axis.invert_yaxis()
    axis.set_title("Published fields refused")
    axis.set_xlabel("percent (dotted: the budget)")
    axis.legend(loc="lower right")
    axis.grid(True, axis="x")


def _draw_measures(axis: "Axes", measures: Mapping[str, Any]) -> None:
    """Focus measures: what a gate at the same budget would refuse at a blur of 3 px, by camera noise."""
    names = sorted(measures, key=lambda name: -measures[name]["noise"]["1.5"]["refused"]["3"])
    y = np.arange(len(names))
    for k, (noise, colour, marker) in enumerate((("0", GREY, "D"), ("1.5", BLUE, "o"), ("3", ORANGE, "^"))):
        x = [100 * measures[name]["noise"][noise]["refused"]["3"] for name in names]
        axis.plot(x, y + (k - 1) * 0.18, marker, color=colour, markersize=4, label=f"camera noise {noise}")
    axis.set_yticks(y, names, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(-3, 103)
    axis.set_title("Focus measures, defocus of 3 px")
    axis.set_xlabel("refused, percent")
    axis.legend(loc="center", bbox_to_anchor=(0.45, 0.4), handletextpad=0.1)
    axis.grid(True, axis="x")
