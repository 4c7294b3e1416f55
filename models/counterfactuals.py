"""What changes a network's mind: verdicts and confidence on the views of `models.counterfactual_views`.

`evaluate_counterfactuals` asks and counts; `to_text` and `counterfactual_figure` show the record.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.counterfactual_views import VIEWS
from models.exam import Answers, Exam, ask, score
from models.figure_style import MARKERS, SERIES, canvas, heading, styled
from models.progress import Progress
from models.side_by_side import Predict
from models.statistics import wilson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD_FORMAT = 1


def evaluate_counterfactuals(exam: Exam, networks: Mapping[str, Predict], progress: bool = True) -> dict[str, Any]:
    """JSON-safe record: `clean`, and for each view and network what `_changes` counts.

    Args:
        exam: unaltered images.
        networks: by name.
        progress: a bar on a terminal.
    """
    clean = ask(networks, exam.labels, exam.pixels)
    views: dict[str, Any] = {}
    with Progress("counterfactuals", len(VIEWS), progress) as bar:
        for name, make in VIEWS.items():
            groups: dict[str, tuple[npt.NDArray[np.int64], dict[str, Answers]]] = {}
            for view in make(exam):
                groups[view.group] = view.which, ask(networks, exam.labels, view.pixels)
            views[name] = {network: _view(exam, clean[network], network, groups) for network in networks}
            bar.advance()
            bar.say(_line(name, views[name]))
    return {
        "format": RECORD_FORMAT,
        "labels": list(exam.labels),
        "images": len(exam.truth),
        "largest_class": float(np.bincount(exam.truth).max() / len(exam.truth)),
        "clean": {network: score(exam, said) for network, said in clean.items()},
        "views": views,
    }


def to_text(record: Mapping[str, Any]) -> str:
    """A line a view, for a terminal."""
    clean = record["clean"]
    said = "; ".join(
        f"{n} {100 * s['accuracy']:.1f} % right, mean confidence {s['mean_confidence']:.3f}" for n, s in clean.items()
    )
    head = f"{record['images']} images unaltered: {said}; the largest class has {100 * record['largest_class']:.1f} %"
    return "\n".join([head, *(_line(name, found) for name, found in record["views"].items())])


def _view(
    exam: Exam, clean: Answers, network: str, groups: Mapping[str, tuple[npt.NDArray[np.int64], dict[str, Answers]]]
) -> dict[str, Any]:
    which = np.concatenate([indices for indices, _ in groups.values()])
    said = [answers[network] for _, answers in groups.values()]
    together = Answers(np.concatenate([a.called for a in said]), np.concatenate([a.confidence for a in said]))
    record = _changes(exam, clean, together, which)
    if len(groups) > 1:
        record["by_donor"] = {
            label: _changes(exam, clean, answers[network], indices) for label, (indices, answers) in groups.items()
        }
    return record


def _changes(exam: Exam, clean: Answers, answers: Answers, which: npt.NDArray[np.int64]) -> dict[str, Any]:
    """`score`, and: flips (another verdict than on the unaltered image) with their share and Wilson interval; lost
    (right before, wrong now); mean_confidence_before; called (label -> count).

    An image that is seen several times counts as often, so those intervals are somewhat too narrow.
    """
    flipped = answers.called != clean.called[which]
    lost = (clean.called[which] == exam.truth[which]) & (answers.called != exam.truth[which])
    flips = int(flipped.sum())
    counts = np.bincount(answers.called, minlength=len(exam.labels))
    return {
        **score(exam, answers, which),
        "flips": flips,
        "flip_share": flips / len(which),
        "flip_interval": wilson(flips, len(which)).to_record(),
        "lost": int(lost.sum()),
        "mean_confidence_before": float(clean.confidence[which].mean()),
        "called": {label: int(n) for label, n in zip(exam.labels, counts, strict=True)},
    }


def _line(name: str, found: Mapping[str, Any]) -> str:
    parts = [
        f"{network}: {one['flips']} of {one['images']} changed ({100 * one['flip_share']:.2f} %), "
        f"{100 * one['accuracy']:.1f} % right, confidence {one['mean_confidence']:.3f}, "
        f"malignant called Benign {one['malignant_to_benign']}"
        for network, one in found.items()
    ]
    return f"{name:<18} " + " | ".join(parts)


@styled
def counterfactual_figure(record: Mapping[str, Any], title: str = "") -> "Figure":
    """Changed verdicts with 95 % intervals, and mean confidence beside that on the unaltered images (dashed)."""
    networks = list(record["clean"])
    names = list(record["views"])
    figure, (left, right) = canvas(8.2, 0.5 + 0.42 * len(names) + 0.6, 1, 2, sharey=True)
    for k, network in enumerate(networks):
        found = [record["views"][name][network] for name in names]
        y = np.arange(len(names)) + (k - (len(networks) - 1) / 2) * 0.24
        share = 100 * np.array([one["flip_share"] for one in found])
        low, high = 100 * np.array([one["flip_interval"] for one in found]).T
        look = {"color": SERIES[k], "markersize": 5}
        left.errorbar(
            share, y, xerr=np.maximum([share - low, high - share], 0), fmt=MARKERS[k], capsize=2.5, elinewidth=1.2,
            label=network, **look,
        )  # fmt: skip
        right.plot([one["mean_confidence"] for one in found], y, linestyle="", marker=MARKERS[k], **look)
        right.axvline(record["clean"][network]["mean_confidence"], color=SERIES[k], linestyle="--", linewidth=1)
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
