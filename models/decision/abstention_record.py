"""The record of abstentions, `abstention.json`: what the device answers and refuses, on fields and on other images."""

from msgspec import UNSET, Struct, UnsetType

from edge.inference.benign import Recorded
from models.decision.decision_record import CalibrationChange
from models.statistics.intervals import Interval
from models.statistics.share import Share


class DecisionUsed(Struct, frozen=True):
    """Temperature, and label -> threshold."""

    temperature: float
    answer_from: dict[str, float]


class FieldAnswers(Struct, frozen=True, kw_only=True):
    """What became of the set's own fields; the last two None where no class is benign."""

    refused: Share
    refused_by: dict[str, Share]
    right: Share
    wrong: Share
    right_of_answered: Share
    malignant_to_benign: Share | None
    benign_refused: Share | None


class OtherAnswers(Struct, frozen=True):
    """What became of images that are no such fields; `answered` by label."""

    refused: Share
    refused_by: dict[str, Share]
    answered: dict[str, Share]


class Auroc(Struct, frozen=True):
    """Area under the ROC curve, with its 95 % interval."""

    auroc: float
    interval: Interval


class Separation(Struct, frozen=True):
    """How well other images are told from fields: by confidence, a network each, and by each gate's value alone.

    Unset where there are no images.
    """

    confidence: dict[str, Auroc] | UnsetType = UNSET
    gates: dict[str, Auroc] | UnsetType = UNSET


class OtherImages(Struct, frozen=True):
    """A folder of images that should be refused; `networks` by network."""

    images: int
    unreadable: int
    networks: dict[str, OtherAnswers]
    auroc: Separation


class DegradedCounts(Struct, frozen=True, kw_only=True):
    """Degraded forms of fields: not answered, by a gate's or the threshold's doing, answered rightly and wrongly.

    `malignant_to_benign` and `malignant`, the forms that could have been that, are None where no class is benign.
    """

    gates: int
    low_confidence: int
    right: int
    wrong: int
    malignant_to_benign: int | None
    malignant: int | None


class DegradedRange(Struct, frozen=True):
    """All forms of some severities, by network. Without intervals: forms of one field are not independent."""

    severities: tuple[int, ...]
    forms: int
    networks: dict[str, DegradedCounts]


class AbstentionRecord(Struct, frozen=True, kw_only=True):
    """`abstention.json`.

    Attributes:
        fields, calibration: by network. ood: by folder.
        degraded: by range of severities, "usual" and "all"; unset where they were not asked for.
    """

    format: int
    labels: tuple[str, ...]
    benign: Recorded
    images: int
    decision: DecisionUsed
    gates: tuple[str, ...]
    fields: dict[str, FieldAnswers]
    calibration: dict[str, CalibrationChange]
    ood: dict[str, OtherImages]
    degraded: dict[str, DegradedRange] | UnsetType = UNSET
