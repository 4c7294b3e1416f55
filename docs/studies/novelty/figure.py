"""The figure of the novelty gate: distances of sets of images, what is refused, and what that spares."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, render, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(record: Mapping[str, Any]) -> bytes:
    """PNG of the record that `docs.studies.novelty.refusals` writes."""
    return render(_figure(record))


@styled
def _figure(record: Mapping[str, Any]) -> "Figure":
    figure, axes = canvas(11.0, 7.6, 2, 2)
    _draw_spread(axes[0, 0], {**record["published"], **record["sets"]})
    _draw_left_out(axes[0, 1], record)
    _draw_microscopes(axes[1, 0], record["other_microscopes"])
    _draw_alternatives(axes[1, 1], record["alternatives"])
    heading(figure, "Frames unlike the training images: what the gate refuses")
    return figure  # type: ignore[no-any-return]


def _draw_spread(axis: "Axes", sets: Mapping[str, Any]) -> None:
    """Quantiles of the gate's value for each set, with the limit."""
    for row, (name, entry) in enumerate(sets.items()):
        q = entry["quantiles"]
        colour = BLUE if "by_class" in entry else GREEN if name == "drawn" else ORANGE
        axis.plot([q["0.01"], q["0.99"]], [row, row], color=colour, linewidth=1.2)
        axis.plot([q["0.25"], q["0.75"]], [row, row], color=colour, linewidth=5, solid_capstyle="butt")
        axis.plot(q["0.5"], row, "o", color="white", markersize=3.5, markeredgecolor=colour)
    axis.set_yticks(range(len(sets)), [f"{name} ({entry['refused']['images']})" for name, entry in sets.items()])
    axis.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.set_xticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
    axis.minorticks_off()
    axis.invert_yaxis()
    axis.set_title("Distance from the training images")
    axis.set_xlabel("part of the limit (dotted): 1 to 99 %, quartiles, median")
    axis.grid(True, axis="x")


def _draw_left_out(axis: "Axes", record: Mapping[str, Any]) -> None:
    """Test fields of what was left out, with 95 % intervals."""
    entries = {"nothing": record["published"]["test"]["refused"]}
    entries |= {f"their {kind}": entry["all"] for kind, entry in record["left_out"].items()}
    y = np.arange(len(entries))
    share = np.array([100 * entry["share"] for entry in entries.values()])
    low, high = (np.array([100 * entry["interval"][k] for entry in entries.values()]) for k in (0, 1))
    axis.errorbar(
        share, y, xerr=np.maximum([share - low, high - share], 0), fmt="o", color=BLUE, markersize=4.5, capsize=2
    )
    axis.set_yticks(y, entries)
    axis.set_xlim(-3, 103)
    axis.invert_yaxis()
    axis.set_title("Test fields when the gate never saw ...")
    axis.set_xlabel("refused, percent")
    axis.grid(True, axis="x")


def _draw_microscopes(axis: "Axes", rows: list[dict[str, Any]]) -> None:
    """Leukemia as other microscopes might show it: refused, called Benign, and both passed and called so."""
    whole = [row for row in rows if row["way"] == 1]
    y = np.arange(len(whole))
    part = {row["microscope"]: row for row in rows if row["way"] == 0.5}
    for offset, colour, marker, label, key in (
        (0, BLUE, "o", "refused", "refused_by_all_gates"),
        (0.0, GREY, "D", "called Benign by the network", "called_benign"),
        (0.0, ORANGE, "^", "passed and called Benign", "passed_and_called_benign"),
    ):
        x = [100 * row[key] / row["images"] for row in whole]
        axis.plot(x, y + offset, marker, color=colour, markersize=4.5, label=label, linestyle="none")
    half = [(100 * part[row["microscope"]]["refused_by_all_gates"] / row["images"], place)
            for row, place in zip(whole, y, strict=True) if row["microscope"] in part]  # fmt: skip
    axis.plot(*zip(*half, strict=True), "o", color=BLUE, markerfacecolor="white", markersize=4.5, linestyle="none",
              label="refused, half the way there")  # fmt: skip
    axis.set_yticks(y, [row["microscope"] for row in whole], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(-3, 103)
    axis.set_title("Leukemia with other dyes, ground and size")
    axis.set_xlabel("percent of the fields")
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=2)
    axis.grid(True, axis="x")


def _draw_alternatives(axis: "Axes", rows: list[dict[str, Any]]) -> None:
    """What each alternative refuses at the same share of validation images."""
    titles = list(rows[0]["sets"])
    colours = (ORANGE, "#CC79A7", "#E69F00", GREEN, BLUE, "#56B4E9")
    markers = ("o", "s", "D", "v", "^", "P")
    y = np.arange(len(rows))
    for k, (title, colour, marker) in enumerate(zip(titles, colours, markers, strict=True)):
        x = [100 * row["sets"][title]["share"] for row in rows]
        axis.plot(x, y + (k - 2.5) * 0.13, marker, color=colour, markersize=4, label=title, linestyle="none")
    axis.set_yticks(y, [_wrapped(row["name"]) for row in rows], fontsize=6.5)
    axis.invert_yaxis()
    axis.set_xlim(-3, 103)
    axis.set_title("Alternatives at equal strictness")
    axis.set_xlabel("refused, percent")
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=3)
    axis.grid(True, axis="x")


def _wrapped(name: str) -> str:
    """Two lines, broken after the first colon or comma."""
    mark = ": " if ": " in name else ", "
    first, _, rest = name.partition(mark)
    return f"{first}{mark.strip()}\n{rest}"
