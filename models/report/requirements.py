"""What the project asks of its networks, beside what their records say: met or missed, nothing in between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.networks.model_pair import FLOAT, INT8

Record = Mapping[str, Any]
POINTS = 100
LEAST_CLEAN = {"mobilenet_v2": 0.993, "custom_cnn": 0.98}
MOST_INT8_LOSS_CLEAN = 0.002
LEAST_DEGRADED = {"mobilenet_v2": 0.97, "custom_cnn": 0.92}
MOST_INT8_LOSS_DEGRADED = 0.005
MOST_FLIPS = {"mobilenet_v2": 0.005, "custom_cnn": 0.01}
MOST_ECE = 0.02
MOST_REFUSED = 0.02
LEAST_REFUSED = {"natural": 0.99, "draaslan": 0.99, "bccd": 0.95}


@dataclass(frozen=True)
class Goal:
    """One demand. `measured` holds the number with its count or interval; `met` None where it was not measured."""

    what: str
    asked: str
    measured: str
    met: bool | None


def goals(network: str, records: Mapping[str, Record]) -> list[Goal]:
    """Every demand on a shipped network.

    Args:
        network: mobilenet_v2 or custom_cnn.
        records: those that were found, by file stem: robustness, counterfactuals, abstention.
    """
    found: list[Goal] = []
    for stem, judge in (("robustness", _robustness), ("counterfactuals", _bars), ("abstention", _abstention)):
        if stem in records:
            found.extend(judge(network, records[stem]))
        else:
            found.append(Goal(stem, "", "not measured", None))
    return found


def percent(share: float, digits: int = 2) -> str:
    """A share 0..1 as text."""
    return f"{POINTS * share:.{digits}f} %"


def ranged(share: float, interval: tuple[float, float] | list[float], digits: int = 2) -> str:
    """A share with its interval."""
    low, high = interval
    return f"{percent(share, digits)} ({POINTS * low:.{digits}f} to {POINTS * high:.{digits}f})"


def _robustness(network: str, record: Record) -> Iterator[Goal]:
    clean, usual = record["clean"], record["mean_usual"]
    for where, floor, most, scores in (
        ("unaltered fields", LEAST_CLEAN[network], MOST_INT8_LOSS_CLEAN, clean),
        ("degraded fields, mean of severities 1 to 3", LEAST_DEGRADED[network], MOST_INT8_LOSS_DEGRADED, usual),
    ):
        for form in _forms(scores):
            one = scores[form]
            yield Goal(
                f"accuracy on {where}, {form}",
                f"at least {percent(floor, 1)}",
                ranged(one["accuracy"], one["accuracy_interval"]),
                one["accuracy"] >= floor,
            )
        if INT8 in scores:
            change = scores["int8_minus_float"]
            yield Goal(
                f"int8 against float, {where}",
                f"within {POINTS * most:.1f} points",
                f"{POINTS * change:+.2f} points",
                abs(change) <= most,
            )
    for form in _forms(clean):
        missed = clean[form]["malignant_to_benign"]
        yield Goal(f"malignant called Benign, unaltered fields, {form}", "0", str(missed), missed == 0)


def _bars(network: str, record: Record) -> Iterator[Goal]:
    for view, words in (("bars_exchanged", "exchanged between classes"), ("bars_painted_out", "painted out")):
        for form, one in record["views"][view].items():
            yield Goal(
                f"verdicts that change with scale bars {words}, {form}",
                f"at most {percent(MOST_FLIPS[network], 1)}",
                f"{one['flips']} of {one['images']}: {ranged(one['flip_share'], one['flip_interval'])}",
                one["flip_share"] <= MOST_FLIPS[network],
            )


def _abstention(network: str, record: Record) -> Iterator[Goal]:
    for form in _forms(record["fields"]):
        refused = record["fields"][form]["refused"]
        yield Goal(
            f"unaltered fields that get no answer, {form}",
            f"at most {percent(MOST_REFUSED, 0)}",
            _counted(refused),
            refused["share"] <= MOST_REFUSED,
        )
        missed = record["fields"][form]["malignant_to_benign"]
        if missed is not None:
            yield Goal(f"malignant answered Benign, {form}", "0", _counted(missed), missed["count"] == 0)
        after = record["calibration"][form]["after"]
        yield Goal(
            f"calibration error after temperature, {form}",
            f"at most {MOST_ECE:g}",
            f"{after['ece']:.4f} ({after['ece_interval'][0]:.4f} to {after['ece_interval'][1]:.4f})",
            after["ece"] <= MOST_ECE,
        )
    for name, found in record["ood"].items():
        for form in _forms(found["networks"]):
            refused = found["networks"][form]["refused"]
            least = LEAST_REFUSED.get(name)
            yield Goal(
                f"images of {name} that get no answer, {form}",
                "reported" if least is None else f"at least {percent(least, 0)}",
                _counted(refused),
                None if least is None else refused["share"] >= least,
            )


def _counted(share: Record) -> str:
    """A share with its count and interval."""
    return f"{share['count']} of {share['of']}: {ranged(share['share'], share['interval'])}"


def _forms(scores: Record) -> tuple[str, ...]:
    """The float network, which every record is about, and the int8 one where it was judged beside it."""
    scores[FLOAT]  # a record without it is none: KeyError
    return (FLOAT, INT8) if INT8 in scores else (FLOAT,)
