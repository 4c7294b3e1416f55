"""The images of an evaluation, the answers of networks about them, and how both are counted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from edge.inference.benign import indices
from edge.inference.contract import Pixels
from models.data.parts import Part, WholeFields
from models.errors import EvaluationError
from models.networks.prediction import Predict
from models.statistics.intervals import Interval, wilson
from models.statistics.validation import Indices, validate
from models.support.keyed_random import draw


@dataclass(frozen=True)
class EvaluationSet:
    """The unaltered images of an evaluation.

    Attributes:
        labels: in output order; benign: those whose confusion with the others is counted, () for none.
        pixels: prepared, uint8 (N, H, W, 3) RGB; truth: int (N,) index of the label; keys: N names to draw by.
        whole: what gates see of the fields, where that is not `pixels` (`models.data.parts.Part`).
    """

    labels: tuple[str, ...]
    benign: tuple[str, ...]
    pixels: Pixels
    truth: npt.NDArray[np.int64]
    keys: tuple[str, ...]
    whole: WholeFields | None = None

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.truth) or len(self.keys) != len(self.truth):
            raise EvaluationError(
                "pixels, truth and keys must be one an image; "
                f"got {len(self.pixels)}, {len(self.truth)}, {len(self.keys)}"
            )
        if not isinstance(self.benign, tuple) or set(self.benign) - set(self.labels):
            raise EvaluationError(f"benign must be a tuple of labels of {list(self.labels)}; got {self.benign!r}")
        if len(set(self.truth.tolist())) < 2:
            raise EvaluationError("the images must be of two classes or more, or no verdict can be wrong for a reason")

    @classmethod
    def of_part(
        cls, part: Part, labels: tuple[str, ...], benign: tuple[str, ...], sample: int | None = None
    ) -> "EvaluationSet":
        """A side of a split, or `sample` images of it: those whose hashes come first, so the same ones every time."""
        order = sorted(range(len(part.samples)), key=lambda i: part.samples[i].sha256)
        chosen = sorted(order[:sample])
        keys = tuple(part.samples[i].sha256 for i in chosen)
        whole = None if part.whole is None else replace(part.whole, pixels=part.whole.pixels[chosen])
        return cls(labels, benign, part.pixels[chosen], part.truth[chosen], keys, whole)

    def for_gates(self, altered: Pixels | None = None) -> Pixels:
        """What gates see of the fields, or of `altered` forms of some: uint8 (M, height, width, 3)."""
        if self.whole is None:
            return self.pixels if altered is None else altered
        return self.whole.pixels if altered is None else self.whole.of_altered(altered)

    def is_malignant(self) -> npt.NDArray[np.bool_]:
        """bool (N,): of no benign class; all False where there is no such class."""
        if not self.benign:
            return np.zeros(len(self.truth), np.bool_)
        return ~self.are_benign(self.truth)

    def are_benign(self, classes: Indices) -> npt.NDArray[np.bool_]:
        """bool (N,): which of these classes, int (N,), are benign."""
        return np.isin(classes, indices(self.labels, self.benign))

    def draw_one(self, candidates: npt.NDArray[np.bool_], *words: str) -> int:
        """The index of one of `candidates` bool (N,), by `words` and keys alone, in whatever order the images are."""
        indices = sorted(np.flatnonzero(candidates).tolist(), key=lambda i: self.keys[i])
        return int(draw(*words).choice(indices))


@dataclass(frozen=True)
class Answers:
    """What one network said of N images: called int (N,), the first of the largest; confidence (N,), 0..1."""

    called: Indices
    confidence: npt.NDArray[np.float64]


def ask(networks: Mapping[str, Predict], labels: tuple[str, ...], pixels: Pixels) -> dict[str, Answers]:
    """Every network about the same images, uint8 (N, H, W, 3)."""
    found = {}
    for name, predict in networks.items():
        values, _ = validate(labels, predict(pixels), None, name, at_least=1)
        found[name] = Answers(values.argmax(axis=1), values.max(axis=1))
    return found


class Score(Struct, frozen=True, kw_only=True):
    """Answers about images, counted.

    Attributes:
        accuracy_interval: Wilson, 95 %.
        malignant_to_benign: None where no class is benign.
        mean_confidence: 0..1.
    """

    images: int
    correct: int
    accuracy: float
    accuracy_interval: Interval
    malignant_to_benign: int | None
    mean_confidence: float


def score(dataset: EvaluationSet, answers: Answers, which: npt.NDArray[np.int64] | None = None) -> Score:
    """Counts and shares; `which` int (M,) says whose altered forms the answers are about (all, in order)."""
    which = np.arange(len(dataset.truth)) if which is None else which
    correct = int((answers.called == dataset.truth[which]).sum())
    missed = None
    if dataset.benign:
        missed = int((dataset.is_malignant()[which] & dataset.are_benign(answers.called)).sum())
    return Score(
        images=len(which),
        correct=correct,
        accuracy=correct / len(which),
        accuracy_interval=wilson(correct, len(which)),
        malignant_to_benign=missed,
        mean_confidence=float(answers.confidence.mean()),
    )
