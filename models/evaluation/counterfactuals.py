"""Counterfactuals: verdicts and confidence on the altered views of `models.evaluation.interventions`.

`evaluate_counterfactuals` asks and counts; `to_text` and `counterfactual_figure` show the record.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType

from edge.inference.benign import Recorded, as_labels, benign_labels, in_words, recorded
from edge.system.progress import Progress
from models.evaluation.evaluation_set import Answers, EvaluationSet, Score, ask, score
from models.evaluation.interventions import VIEWS
from models.networks.prediction import Predict
from models.statistics.formatting import percent, safety_count
from models.statistics.intervals import Interval, wilson

RECORD_FORMAT = 1
Groups = Mapping[str, tuple[npt.NDArray[np.int64], Mapping[str, Answers]]]


class Changes(Score, frozen=True, kw_only=True):
    """The score on altered images, and what changed.

    An image that is seen several times counts as often, so the intervals are somewhat too narrow.

    Attributes:
        flips: other verdicts than on the unaltered image, with their share and Wilson interval.
        lost: right before, wrong now.
        mean_confidence_before: on the unaltered images.
        called: label -> count.
        by_donor: label of the image that gave the altered part -> the same; unset where there is one group.
    """

    flips: int
    flip_share: float
    flip_interval: Interval
    lost: int
    mean_confidence_before: float
    called: dict[str, int]
    by_donor: dict[str, "Changes"] | UnsetType = UNSET


class CounterfactualRecord(Struct, frozen=True, kw_only=True):
    """`counterfactuals.json`: scores on the unaltered images by network, changes by view and network.

    Attributes:
        largest_class: its share of the images, what a network that knows nothing may reach.
    """

    format: int
    labels: tuple[str, ...]
    images: int
    largest_class: float
    clean: dict[str, Score]
    views: dict[str, dict[str, Changes]]
    benign: Recorded | UnsetType = UNSET


def evaluate_counterfactuals(
    dataset: EvaluationSet, networks: Mapping[str, Predict], progress: bool = True
) -> CounterfactualRecord:
    """Ask every network about every view.

    Args:
        dataset: unaltered images.
        networks: by name.
        progress: a bar on a terminal.
    """
    clean = ask(networks, dataset.labels, dataset.pixels)
    views: dict[str, dict[str, Changes]] = {}
    with Progress("counterfactuals", len(VIEWS), progress) as bar:
        for name, make in VIEWS.items():
            groups = {view.group: (view.which, ask(networks, dataset.labels, view.pixels)) for view in make(dataset)}
            views[name] = {network: _view(dataset, clean[network], network, groups) for network in networks}
            bar.advance()
            bar.say(_line(name, views[name], dataset.benign))
    return CounterfactualRecord(
        format=RECORD_FORMAT,
        labels=tuple(dataset.labels),
        benign=recorded(dataset.benign),
        images=len(dataset.truth),
        largest_class=float(np.bincount(dataset.truth).max() / len(dataset.truth)),
        clean={network: score(dataset, said) for network, said in clean.items()},
        views=views,
    )


def to_text(record: CounterfactualRecord) -> str:
    """A line a view, for a terminal."""
    said = "; ".join(
        f"{n} {percent(s.accuracy, 1)} right, mean confidence {s.mean_confidence:.3f}" for n, s in record.clean.items()
    )
    head = f"{record.images} images unaltered: {said}; the largest class has {percent(record.largest_class, 1)}"
    benign = benign_labels(record.labels) if record.benign is UNSET else as_labels(record.benign)
    return "\n".join([head, *(_line(name, found, benign) for name, found in record.views.items())])


def _view(dataset: EvaluationSet, clean: Answers, network: str, groups: Groups) -> Changes:
    which = np.concatenate([indices for indices, _ in groups.values()])
    said = [answers[network] for _, answers in groups.values()]
    together = Answers(np.concatenate([a.called for a in said]), np.concatenate([a.confidence for a in said]))
    changes = _changes(dataset, clean, together, which)
    if len(groups) == 1:
        return changes
    by_donor = {
        label: _changes(dataset, clean, answers[network], indices) for label, (indices, answers) in groups.items()
    }
    return msgspec.structs.replace(changes, by_donor=by_donor)


def _changes(dataset: EvaluationSet, clean: Answers, answers: Answers, which: npt.NDArray[np.int64]) -> Changes:
    flips = int((answers.called != clean.called[which]).sum())
    lost = (clean.called[which] == dataset.truth[which]) & (answers.called != dataset.truth[which])
    counts = np.bincount(answers.called, minlength=len(dataset.labels))
    return Changes(
        **msgspec.structs.asdict(score(dataset, answers, which)),
        flips=flips,
        flip_share=flips / len(which),
        flip_interval=wilson(flips, len(which)),
        lost=int(lost.sum()),
        mean_confidence_before=float(clean.confidence[which].mean()),
        called={label: int(n) for label, n in zip(dataset.labels, counts, strict=True)},
    )


def _line(name: str, found: Mapping[str, Changes], benign: Sequence[str]) -> str:
    parts = [
        f"{network}: {one.flips} of {one.images} changed ({percent(one.flip_share)}), "
        f"{percent(one.accuracy, 1)} right, confidence {one.mean_confidence:.3f}, "
        f"malignant called {in_words(benign)} {safety_count(one.malignant_to_benign)}"
        for network, one in found.items()
    ]
    return f"{name:<18} " + " | ".join(parts)
