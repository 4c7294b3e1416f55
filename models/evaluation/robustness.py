"""Robustness: accuracy under every corruption of `models.evaluation.corruptions` at every severity, float and int8.

`evaluate_corruptions` asks; `Robustness.to_record` counts; `to_text` shows the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from edge.inference.benign import Recorded, as_labels, benign_labels, in_words, recorded
from edge.inference.contract import Pixels
from edge.system.progress import Progress
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, USUAL, corrupt
from models.evaluation.evaluation_set import Answers, EvaluationSet, Score, ask, score
from models.networks.model_pair import FLOAT, INT8
from models.networks.prediction import Predict
from models.statistics.formatting import safety_count
from models.statistics.intervals import Interval, bootstrap, paired_difference

RECORD_FORMAT = 1
Cells = Mapping[tuple[str, int], Mapping[str, Answers]]


class Compared(Struct, frozen=True, kw_only=True, rename={"float_": FLOAT}):
    """Scores of float and int8 on the same images, in one form.

    Attributes:
        severity, value: of the degraded form; unset for the unaltered images.
        int8: and what compares it with float: unset without a bundle. agreed: images on which both say the same.
    """

    severity: int | UnsetType = UNSET
    value: int | float | UnsetType = UNSET
    float_: Score
    int8: Score | UnsetType = UNSET
    int8_minus_float: float | UnsetType = UNSET
    int8_minus_float_interval: Interval | UnsetType = UNSET
    agreed: int | UnsetType = UNSET

    @property
    def forms(self) -> dict[str, Score]:
        """By network."""
        return {FLOAT: self.float_} | ({} if isinstance(self.int8, UnsetType) else {INT8: self.int8})


class MeanScore(Struct, frozen=True):
    """Mean accuracy over degraded forms; the interval is by resampling images, each with all its forms."""

    accuracy: float
    accuracy_interval: Interval
    malignant_to_benign: int | None


class ComparedMeans(Struct, frozen=True, kw_only=True, rename={"float_": FLOAT}):
    """Mean scores of float and int8; `severities` where all corruptions are meant."""

    severities: tuple[int, ...] | UnsetType = UNSET
    float_: MeanScore
    int8: MeanScore | UnsetType = UNSET
    int8_minus_float: float | UnsetType = UNSET
    int8_minus_float_interval: Interval | UnsetType = UNSET

    @property
    def forms(self) -> dict[str, MeanScore]:
        """By network."""
        return {FLOAT: self.float_} | ({} if isinstance(self.int8, UnsetType) else {INT8: self.int8})


class CorruptionScores(Struct, frozen=True):
    """One corruption: the parameter that grows with severity, its unit, and the scores."""

    parameter: str
    unit: str
    mean_usual: ComparedMeans
    severities: tuple[Compared, ...]


class RobustnessRecord(Struct, frozen=True, kw_only=True):
    """`robustness.json`."""

    format: int
    labels: tuple[str, ...]
    images: int
    clean: Compared
    mean_usual: ComparedMeans
    mean_all: ComparedMeans
    corruptions: dict[str, CorruptionScores]
    benign: Recorded | UnsetType = UNSET


@dataclass(frozen=True)
class Robustness:
    """Answers by (corruption, severity) and by network; `clean` are those about the unaltered images."""

    dataset: EvaluationSet
    clean: Mapping[str, Answers]
    cells: Cells

    @property
    def corruptions(self) -> tuple[str, ...]:
        """Those that were tried, in order."""
        return tuple(dict.fromkeys(name for name, _ in self.cells))

    def correct(self, network: str, names: Sequence[str], severities: Sequence[int]) -> npt.NDArray[np.float64]:
        """float64 (N,): the share of these corruptions and severities under which each image is named rightly."""
        said = [self.cells[name, severity][network].called for name in names for severity in severities]
        return np.asarray((np.stack(said) == self.dataset.truth).mean(axis=0), np.float64)

    def to_record(self) -> RobustnessRecord:
        """Scores of every form, and their means."""
        usual, every = (self._means(self.corruptions, severities) for severities in (USUAL, SEVERITIES))
        return RobustnessRecord(
            format=RECORD_FORMAT,
            labels=tuple(self.dataset.labels),
            benign=recorded(self.dataset.benign),
            images=len(self.dataset.truth),
            clean=self._compared(self.clean),
            mean_usual=replace(usual, severities=USUAL),
            mean_all=replace(every, severities=SEVERITIES),
            corruptions={name: self._corruption(name) for name in self.corruptions},
        )

    def _corruption(self, name: str) -> CorruptionScores:
        corruption = CORRUPTIONS[name]
        severities = (
            replace(self._compared(self.cells[name, s]), severity=s, value=corruption.value(s)) for s in SEVERITIES
        )
        return CorruptionScores(corruption.parameter, corruption.unit, self._means([name], USUAL), tuple(severities))

    def _compared(self, answers: Mapping[str, Answers]) -> Compared:
        scores = {network: score(self.dataset, said) for network, said in answers.items()}
        if INT8 not in answers:
            return Compared(float_=scores[FLOAT])
        right, was_right = (answers[n].called == self.dataset.truth for n in (INT8, FLOAT))
        gained, lost = int((right & ~was_right).sum()), int((was_right & ~right).sum())
        return Compared(
            float_=scores[FLOAT],
            int8=scores[INT8],
            int8_minus_float=(gained - lost) / len(right),
            int8_minus_float_interval=paired_difference(gained, lost, len(right)),
            agreed=int((answers[INT8].called == answers[FLOAT].called).sum()),
        )

    def _means(self, names: Sequence[str], severities: Sequence[int]) -> ComparedMeans:
        shares = {network: self.correct(network, names, severities) for network in self.clean}
        means = {network: self._mean(network, share, names, severities) for network, share in shares.items()}
        if INT8 not in shares:
            return ComparedMeans(float_=means[FLOAT])
        change = shares[INT8] - shares[FLOAT]
        return ComparedMeans(
            float_=means[FLOAT],
            int8=means[INT8],
            int8_minus_float=float(change.mean()),
            int8_minus_float_interval=bootstrap(np.mean, change),
        )

    def _mean(
        self, network: str, share: npt.NDArray[np.float64], names: Sequence[str], severities: Sequence[int]
    ) -> MeanScore:
        scores = [score(self.dataset, self.cells[name, s][network]) for name in names for s in severities]
        missed = [one.malignant_to_benign for one in scores if one.malignant_to_benign is not None]
        return MeanScore(
            float(share.mean()), bootstrap(np.mean, share), sum(missed) if len(missed) == len(scores) else None
        )


def evaluate_corruptions(dataset: EvaluationSet, networks: Mapping[str, Predict], progress: bool = True) -> Robustness:
    """Ask every network about every image in every degraded form.

    Args:
        dataset: the images.
        networks: by name; "float" and "int8" are compared.
        progress: a bar on a terminal; a line a corruption in any case.
    """
    clean = ask(networks, dataset.labels, dataset.pixels)
    cells: dict[tuple[str, int], Mapping[str, Answers]] = {}
    with Progress("corruptions", len(CORRUPTIONS) * len(SEVERITIES), progress) as bar:
        for name in CORRUPTIONS:
            for severity in SEVERITIES:
                cells[name, severity] = ask(networks, dataset.labels, degraded(dataset, name, severity))
                bar.advance()
            bar.say(_line(name, {n: [_accuracy(dataset, cells[name, s][n]) for s in SEVERITIES] for n in networks}))
    return Robustness(dataset, clean, cells)


def to_text(record: RobustnessRecord) -> str:
    """A line a corruption, for a terminal."""
    benign = in_words(benign_labels(record.labels) if record.benign is UNSET else as_labels(record.benign))
    clean = "   ".join(f"{n} {100 * one.accuracy:.1f}" for n, one in record.clean.forms.items())
    lines = [f"{record.images} images; accuracy in percent at severities 1 to 5; clean: {clean}", ""]
    for name, found in record.corruptions.items():
        lines.append(_line(name, {n: [s.forms[n].accuracy for s in found.severities] for n in record.clean.forms}))
    for means, said in (
        (record.mean_usual, "mean over severities 1 to 3"),
        (record.mean_all, "mean over severities 1 to 5"),
    ):
        for network, mean in means.forms.items():
            low, high = mean.accuracy_interval
            lines.append(
                f"{said}, {network}: {100 * mean.accuracy:.2f} ({100 * low:.2f} to {100 * high:.2f}); "
                f"malignant called {benign} {safety_count(mean.malignant_to_benign)}"
            )
    return "\n".join(lines)


def degraded(dataset: EvaluationSet, name: str, severity: int) -> Pixels:
    """Every image in one degraded form, uint8 (N, H, W, 3); donors are images of another class."""
    return np.stack([degraded_one(dataset, i, name, severity) for i in range(len(dataset.pixels))])


def degraded_one(dataset: EvaluationSet, index: int, name: str, severity: int) -> Pixels:
    """One image in one degraded form, uint8 (H, W, 3)."""
    donor, key = None, dataset.keys[index]
    if CORRUPTIONS[name].needs_donor:
        donor = dataset.pixels[dataset.draw_one(dataset.truth != dataset.truth[index], "donor", key)]
    return corrupt(dataset.pixels[index], name, severity, key, donor)


def _accuracy(dataset: EvaluationSet, answers: Answers) -> float:
    return float((answers.called == dataset.truth).mean())


def _line(name: str, accuracies: Mapping[str, Sequence[float]]) -> str:
    numbers = (network + " ".join(f"{100 * a:6.1f}" for a in values) for network, values in accuracies.items())
    return f"{name:<20} " + "   ".join(numbers)
