"""What changes a network's mind: verdicts and confidence on the views of `models.evaluation.interventions`.

`evaluate_counterfactuals` asks and counts; `to_text` and `counterfactual_figure` show the record.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.evaluation.evaluation_set import Answers, EvaluationSet, ask, score
from models.evaluation.interventions import VIEWS
from models.networks.prediction import Predict
from models.statistics.intervals import wilson
from models.support.progress import Progress

if TYPE_CHECKING:
    pass

RECORD_FORMAT = 1


def evaluate_counterfactuals(
    dataset: EvaluationSet, networks: Mapping[str, Predict], progress: bool = True
) -> dict[str, Any]:
    """JSON-safe record: `clean`, and for each view and network what `_changes` counts.

    Args:
        dataset: unaltered images.
        networks: by name.
        progress: a bar on a terminal.
    """
    clean = ask(networks, dataset.labels, dataset.pixels)
    views: dict[str, Any] = {}
    with Progress("counterfactuals", len(VIEWS), progress) as bar:
        for name, make in VIEWS.items():
            groups: dict[str, tuple[npt.NDArray[np.int64], dict[str, Answers]]] = {}
            for view in make(dataset):
                groups[view.group] = view.which, ask(networks, dataset.labels, view.pixels)
            views[name] = {network: _view(dataset, clean[network], network, groups) for network in networks}
            bar.advance()
            bar.say(_line(name, views[name]))
    return {
        "format": RECORD_FORMAT,
        "labels": list(dataset.labels),
        "images": len(dataset.truth),
        "largest_class": float(np.bincount(dataset.truth).max() / len(dataset.truth)),
        "clean": {network: score(dataset, said) for network, said in clean.items()},
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
    dataset: EvaluationSet,
    clean: Answers,
    network: str,
    groups: Mapping[str, tuple[npt.NDArray[np.int64], dict[str, Answers]]],
) -> dict[str, Any]:
    which = np.concatenate([indices for indices, _ in groups.values()])
    said = [answers[network] for _, answers in groups.values()]
    together = Answers(np.concatenate([a.called for a in said]), np.concatenate([a.confidence for a in said]))
    record = _changes(dataset, clean, together, which)
    if len(groups) > 1:
        record["by_donor"] = {
            label: _changes(dataset, clean, answers[network], indices) for label, (indices, answers) in groups.items()
        }
    return record


def _changes(dataset: EvaluationSet, clean: Answers, answers: Answers, which: npt.NDArray[np.int64]) -> dict[str, Any]:
    """`score`, and: flips (another verdict than on the unaltered image) with their share and Wilson interval; lost
    (right before, wrong now); mean_confidence_before; called (label -> count).

    An image that is seen several times counts as often, so those intervals are somewhat too narrow.
    """
    flipped = answers.called != clean.called[which]
    lost = (clean.called[which] == dataset.truth[which]) & (answers.called != dataset.truth[which])
    flips = int(flipped.sum())
    counts = np.bincount(answers.called, minlength=len(dataset.labels))
    return {
        **score(dataset, answers, which),
        "flips": flips,
        "flip_share": flips / len(which),
        "flip_interval": wilson(flips, len(which)).to_record(),
        "lost": int(lost.sum()),
        "mean_confidence_before": float(clean.confidence[which].mean()),
        "called": {label: int(n) for label, n in zip(dataset.labels, counts, strict=True)},
    }


def _line(name: str, found: Mapping[str, Any]) -> str:
    parts = [
        f"{network}: {one['flips']} of {one['images']} changed ({100 * one['flip_share']:.2f} %), "
        f"{100 * one['accuracy']:.1f} % right, confidence {one['mean_confidence']:.3f}, "
        f"malignant called Benign {one['malignant_to_benign']}"
        for network, one in found.items()
    ]
    return f"{name:<18} " + " | ".join(parts)
