"""The record of a search, `search.json` in a bundle: every trial, the one chosen, and what the test part said of it."""

import msgspec

from convert.parity.check import Verdict
from convert.parity.comparison import Parity

FORMAT = 1


class MeasuresRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was done between calibration and quantization; `ranges` as `convert.recovery.range_estimators.Clipping`
    names them."""

    calibration: str
    ranges: str
    equalized: bool
    equalized_behind_relu6: bool
    biases_corrected: bool
    fine_tune_steps: int


class TrialRecord(MeasuresRecord, frozen=True, kw_only=True):
    """One file that was made, and how it decides on the search images; None where there are no labels."""

    agreement: float
    accuracy_int8: float | None
    lost: int | None
    gained: int | None
    malignant_to_benign: int | None
    drift_mean: float
    verdict: Verdict
    int8_sha256: str
    seconds: float


class ImagesRecord(msgspec.Struct, frozen=True):
    """The search images."""

    images: int
    labelled: bool
    origin: str
    images_sha256: str


class TestFigures(msgspec.Struct, frozen=True):
    """How one file decides on the images of the certificate, which had no part in choosing."""

    __test__ = False  # the name is no pytest class

    images: int
    agreement: float
    accuracy_float: float | None
    accuracy_int8: float | None
    lost: int | None
    gained: int | None
    malignant_to_benign: int | None
    drift_mean: float

    @classmethod
    def of(cls, parity: Parity) -> "TestFigures":
        """Of a comparison with the float network."""
        labelled = parity.judged == "labels"
        return cls(
            parity.images,
            round(parity.agreement, 6),
            share(parity.accuracy_float),
            share(parity.accuracy_int8),
            parity.lost,
            parity.gained,
            parity.malignant_to_benign if labelled else parity.called_malignant_to_benign,
            round(parity.drift_mean, 6),
        )


class Confirmation(msgspec.Struct, frozen=True):
    """The plain file and the chosen one on the test part, and whether the choice stands."""

    plain: TestFigures
    chosen: TestFigures
    confirmed: bool


class SearchLog(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file; `test` is missing where nothing did better than the plain file."""

    format: int
    chosen: MeasuresRecord
    chosen_trial: int
    interrupted: bool
    images: ImagesRecord
    accuracy_float: float | None
    trials: list[TrialRecord]
    notes: list[str]
    seconds: float
    peak_rss_mb: int
    test: Confirmation | msgspec.UnsetType = msgspec.UNSET


class SearchSummary(msgspec.Struct, frozen=True):
    """What the certificate says of a search."""

    trials: int
    chosen: MeasuresRecord
    interrupted: bool
    images: ImagesRecord
    test: Confirmation | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, log: SearchLog) -> "SearchSummary":
        """Of the whole log."""
        return cls(len(log.trials), log.chosen, log.interrupted, log.images, log.test)


def share(value: float | None) -> float | None:
    """To six digits, as all shares of the log are written."""
    return None if value is None else round(value, 6)
