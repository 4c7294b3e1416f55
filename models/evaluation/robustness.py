"""Accuracy on degraded fields: every corruption of `models.evaluation.corruptions` at every severity, float and int8.

`evaluate_corruptions` asks, and computes a `Robustness`; its `to_record` and `to_text` report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, USUAL, corrupt
from models.evaluation.evaluation_set import Answers, EvaluationSet, ask, score
from models.networks.model_pair import FLOAT, INT8
from models.networks.prediction import Predict
from models.statistics.intervals import bootstrap, paired_difference
from models.support.progress import Progress

RECORD_FORMAT = 1
CLEAN = 0  # the severity of an image left as it is
Cells = Mapping[tuple[str, int], Mapping[str, Answers]]


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

    def to_record(self) -> dict[str, Any]:
        """JSON-safe, with stable names; intervals are [low, high]."""
        return {
            "format": RECORD_FORMAT,
            "labels": list(self.dataset.labels),
            "images": len(self.dataset.truth),
            "clean": self._scores(self.clean),
            "mean_usual": {"severities": list(USUAL), **self._mean(self.corruptions, USUAL)},
            "mean_all": {"severities": list(SEVERITIES), **self._mean(self.corruptions, SEVERITIES)},
            "corruptions": {name: self._corruption(name) for name in self.corruptions},
        }

    def to_text(self) -> str:
        """A line a corruption, for a terminal."""
        return _text(self.to_record(), tuple(self.clean))

    def _corruption(self, name: str) -> dict[str, Any]:
        corruption = CORRUPTIONS[name]
        return {
            "parameter": corruption.parameter,
            "unit": corruption.unit,
            "mean_usual": self._mean([name], USUAL),
            "severities": [
                {"severity": s, "value": corruption.value(s), **self._scores(self.cells[name, s])} for s in SEVERITIES
            ],
        }

    def _scores(self, answers: Mapping[str, Answers]) -> dict[str, Any]:
        record: dict[str, Any] = {network: score(self.dataset, said) for network, said in answers.items()}
        if INT8 in answers:
            right, was_right = (answers[n].called == self.dataset.truth for n in (INT8, FLOAT))
            gained, lost = int((right & ~was_right).sum()), int((was_right & ~right).sum())
            record["int8_minus_float"] = (gained - lost) / len(right)
            record["int8_minus_float_interval"] = paired_difference(gained, lost, len(right)).to_record()
            record["agreed"] = int((answers[INT8].called == answers[FLOAT].called).sum())
        return record

    def _mean(self, names: Sequence[str], severities: Sequence[int]) -> dict[str, Any]:
        """Mean accuracy; intervals by resampling images, each with all its degraded forms."""
        shares = {network: self.correct(network, names, severities) for network in self.clean}
        record: dict[str, Any] = {}
        for network, share in shares.items():
            missed = [
                score(self.dataset, self.cells[name, severity][network])["malignant_to_benign"]
                for name in names
                for severity in severities
            ]
            record[network] = {
                "accuracy": float(share.mean()),
                "accuracy_interval": bootstrap(np.mean, share).to_record(),
                "malignant_to_benign": None if None in missed else sum(missed),
            }
        if INT8 in shares:
            change = shares[INT8] - shares[FLOAT]
            record["int8_minus_float"] = float(change.mean())
            record["int8_minus_float_interval"] = bootstrap(np.mean, change).to_record()
        return record


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


def _text(record: Mapping[str, Any], networks: Sequence[str]) -> str:
    clean = "   ".join(f"{n} {100 * record['clean'][n]['accuracy']:.1f}" for n in networks)
    lines = [f"{record['images']} images; accuracy in percent at severities 1 to 5; clean: {clean}", ""]
    for name, found in record["corruptions"].items():
        lines.append(_line(name, {n: [s[n]["accuracy"] for s in found["severities"]] for n in networks}))
    for key, said in (("mean_usual", "mean over severities 1 to 3"), ("mean_all", "mean over severities 1 to 5")):
        for network in networks:
            mean = record[key][network]
            low, high = mean["accuracy_interval"]
            lines.append(
                f"{said}, {network}: {100 * mean['accuracy']:.2f} ({100 * low:.2f} to {100 * high:.2f}); "
                f"malignant called Benign {mean['malignant_to_benign']}"
            )
    return "\n".join(lines)
