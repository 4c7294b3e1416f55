"""Requirements on the shipped networks, beside what their records say: met or missed, nothing in between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from msgspec import UNSET, UnsetType

from edge.inference.benign import as_labels, benign_labels, in_words
from models.decision.abstention_record import AbstentionRecord
from models.evaluation.counterfactuals import CounterfactualRecord
from models.evaluation.robustness import RobustnessRecord
from models.networks.model_pair import FLOAT, INT8
from models.report.model_records import ModelRecords
from models.statistics.formatting import number_range, percent, percent_range, safety_count

LEAST_CLEAN = {"mobilenet_v2": 0.993, "custom_cnn": 0.98}
MOST_INT8_LOSS_CLEAN = 0.002
LEAST_DEGRADED = {"mobilenet_v2": 0.97, "custom_cnn": 0.92}
MOST_INT8_LOSS_DEGRADED = 0.005
MOST_FLIPS = {"mobilenet_v2": 0.005, "custom_cnn": 0.01}
MOST_ECE = 0.02
MOST_REFUSED = 0.02
LEAST_REFUSED = {"natural": 0.99, "draaslan": 0.99, "bccd": 0.95}


Scores = TypeVar("Scores")


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Attributes:
        what: is required; asked: how much.
        measured: the number with its count or interval. met: None where it was not measured.

    >>> Requirement("calibration error", "at most 0.02", "0.0100", True).met
    True
    """

    what: str
    asked: str
    measured: str
    met: bool | None


def requirements(found: ModelRecords) -> list[Requirement]:
    """Every requirement on a shipped network."""
    network = found.name
    judged: list[Requirement] = []
    for name, judge in (
        ("robustness", None if found.robustness is None else _robustness(network, found.robustness)),
        ("counterfactuals", None if found.counterfactuals is None else _bars(network, found.counterfactuals)),
        ("abstention", None if found.abstention is None else _abstention(found.abstention)),
    ):
        judged.extend([Requirement(name, "", "not measured", None)] if judge is None else judge)
    return judged


def _robustness(network: str, record: RobustnessRecord) -> Iterator[Requirement]:
    for where, floor, most, scores in (
        ("unaltered fields", LEAST_CLEAN[network], MOST_INT8_LOSS_CLEAN, record.clean),
        (
            "degraded fields, mean of severities 1 to 3",
            LEAST_DEGRADED[network],
            MOST_INT8_LOSS_DEGRADED,
            record.mean_usual,
        ),
    ):
        for form, one in scores.forms.items():
            yield Requirement(
                f"accuracy on {where}, {form}",
                f"at least {percent(floor, 1)}",
                percent_range(one.accuracy, one.accuracy_interval),
                one.accuracy >= floor,
            )
        change = scores.int8_minus_float
        if not isinstance(change, UnsetType):
            yield Requirement(
                f"int8 against float, {where}",
                f"within {100 * most:.1f} points",
                f"{100 * change:+.2f} points",
                abs(change) <= most,
            )
    benign = in_words(benign_labels(record.labels) if record.benign is UNSET else as_labels(record.benign))
    for form, score in record.clean.forms.items():
        yield _missed(f"malignant called {benign}, unaltered fields, {form}", score.malignant_to_benign)


def _bars(network: str, record: CounterfactualRecord) -> Iterator[Requirement]:
    for view, words in (("bars_exchanged", "exchanged between classes"), ("bars_painted_out", "painted out")):
        for form, one in record.views[view].items():
            yield Requirement(
                f"verdicts that change with scale bars {words}, {form}",
                f"at most {percent(MOST_FLIPS[network], 1)}",
                f"{one.flips} of {one.images}: {percent_range(one.flip_share, one.flip_interval)}",
                one.flip_share <= MOST_FLIPS[network],
            )


def _abstention(record: AbstentionRecord) -> Iterator[Requirement]:
    for form, fields in _forms(record.fields).items():
        yield Requirement(
            f"unaltered fields that get no answer, {form}",
            f"at most {percent(MOST_REFUSED, 0)}",
            str(fields.refused),
            fields.refused.share is not None and fields.refused.share <= MOST_REFUSED,
        )
        missed = fields.malignant_to_benign
        what = f"malignant answered {in_words(as_labels(record.benign))}, {form}"
        yield _missed(what, None if missed is None else missed.count, None if missed is None else str(missed))
        after = record.calibration[form].after
        yield Requirement(
            f"calibration error after temperature, {form}",
            f"at most {MOST_ECE:g}",
            number_range(after.ece, after.ece_interval),
            after.ece <= MOST_ECE,
        )
    for name, found in record.ood.items():
        for form, other in _forms(found.networks).items():
            least = LEAST_REFUSED.get(name)
            yield Requirement(
                f"images of {name} that get no answer, {form}",
                "reported" if least is None else f"at least {percent(least, 0)}",
                str(other.refused),
                None if least is None or other.refused.share is None else other.refused.share >= least,
            )


def _missed(what: str, count: int | None, text: str | None = None) -> Requirement:
    """That the worst error is never made; what was not counted is neither met nor missed."""
    return Requirement(what, "0", text or safety_count(count), None if count is None else count == 0)


def _forms(by_network: Mapping[str, Scores]) -> dict[str, Scores]:
    """The float network, and the int8 one where it was judged beside it."""
    return {form: by_network[form] for form in (FLOAT, INT8) if form in by_network}
