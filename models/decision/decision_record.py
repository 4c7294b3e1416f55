"""The record of a decision, `decision.json`: the rule, the thresholds, and what they do on validation fields."""

from msgspec import UNSET, Struct, UnsetType

from edge.inference.benign import Recorded
from models.decision.cross_fit import Expected
from models.statistics.intervals import Interval


class Calibration(Struct, frozen=True):
    """How well confidence agrees with accuracy; `ece` is the expected calibration error."""

    ece: float
    ece_interval: Interval
    negative_log_likelihood: float
    mean_confidence: float


class CalibrationChange(Struct, frozen=True):
    """Calibration before and after the temperature; of all fields, gates left out."""

    before: Calibration
    after: Calibration


class Rule(Struct, frozen=True):
    """The constants that the decision was made by (`models.decision.operating_point`, `fit`, `temperature`)."""

    severities: tuple[int, ...]
    forms_a_field: int
    most_refused: float
    most_refused_with_gates: float
    margin_odds: float
    right: float
    majority: float
    prior_deviation: float


class Forms(Struct, frozen=True):
    """Degraded forms: made, those of them that the gates refused, and those that each network was asked about."""

    made: int
    refused: int
    asked: dict[str, int]


class Counts(Struct, frozen=True):
    """Fields that the gates let through, unaltered (`clean`) and with degraded forms (`every`).

    Of each: those refused by the threshold, answered wrongly, and malignant ones answered benign (`missed`; None: not
    counted, since no class is benign).
    """

    clean: int
    clean_refused: int
    clean_wrong: int
    clean_missed: int | None
    every: int
    every_refused: int
    every_wrong: int
    every_missed: int | None


class CurvePoint(Struct, frozen=True):
    """A point of a risk-coverage curve: share answered from a threshold on, and share of errors among the answers."""

    threshold: float
    coverage: float
    risk: float


class Coverage(Struct, frozen=True):
    """Share answered and share of errors among the answers, as decided and by one threshold for all classes."""

    coverage: float
    coverage_interval: Interval
    risk: float | None
    risk_interval: Interval | None
    curve: tuple[CurvePoint, ...]


class NetworkDecision(Struct, frozen=True):
    """What the decision does with one network's verdicts."""

    counts: Counts
    clean: Coverage
    every: Coverage


class DecisionRecord(Struct, frozen=True, kw_only=True):
    """`decision.json`.

    Attributes:
        answer_from: label -> threshold. holds: whether enough is answered and no malignant field as benign.
        surest_missed, benign_allowed, others_needed, others_allowed: as in `OperatingPoint`.
        expected: by network, what to expect on other fields; unset in older records.
        gates_refused: reason -> unaltered fields. calibration, networks: by network.
    """

    format: int
    labels: tuple[str, ...]
    benign: Recorded
    images: int
    temperature: float
    answer_from: dict[str, float]
    holds: bool
    rule: Rule
    surest_missed: float | None
    benign_allowed: float | None
    others_needed: float
    others_allowed: float
    gates_refused: dict[str, int]
    forms: Forms
    calibration: dict[str, CalibrationChange]
    networks: dict[str, NetworkDecision]
    expected: dict[str, Expected] | UnsetType = UNSET
