"""One trial of a search: the measures taken, how the int8 file decides, and its score."""

from dataclasses import dataclass

import msgspec

from convert.parity.comparison import Parity
from convert.parity.verdict import Judgement
from convert.recovery.range_estimators import MIN_MAX, Clipping
from convert.recovery.search_log import MeasuresRecord, TrialRecord, share

FLIP_WEIGHS = 10  # images lost that a malignant image turned benign stands for
SMALL_DRIFT_GAIN = 0.95  # a drift that is less by fewer than 5 % is no reason to prefer a file
ENOUGH_AGREEMENT = 0.995


@dataclass(frozen=True)
class Measures:
    """What is done between calibration and quantization, in this order.

    Attributes:
        calibration: name of the calibration set.
        equalized: channels brought to like ranges across layers; bounded: those behind a ReLU6 as well.
        clipping: how ranges are set.
        corrected: biases corrected for the rounding of the weights.
        steps: of the fine-tune; 0 for none.

    >>> str(Measures("200 random", equalized=True))
    '200 random, minmax ranges, equalized'
    """

    calibration: str
    equalized: bool = False
    bounded: bool = False
    clipping: Clipping = MIN_MAX
    corrected: bool = False
    steps: int = 0

    @property
    def plain(self) -> bool:
        """Nothing but a calibration set."""
        return not (self.equalized or self.corrected or self.steps) and self.clipping == MIN_MAX

    def __str__(self) -> str:
        said = [self.calibration, f"{self.clipping} ranges"]
        said += [f"equalized{' behind ReLU6 too' if self.bounded else ''}"] if self.equalized else []
        said += ["biases corrected"] if self.corrected else []
        said += [f"fine-tuned {self.steps} steps"] if self.steps else []
        return ", ".join(said)

    def to_record(self) -> MeasuresRecord:
        """As `search.json` holds it."""
        return MeasuresRecord(
            calibration=self.calibration,
            ranges=str(self.clipping),
            equalized=self.equalized,
            equalized_behind_relu6=self.bounded,
            biases_corrected=self.corrected,
            fine_tune_steps=self.steps,
        )


@dataclass(frozen=True)
class Score:
    """How far an int8 file is from deciding as the float network does; smaller is better.

    Attributes:
        harm: images that only the float network names rightly (without labels: images whose label changed), one that
            turned from malignant to benign counted `FLIP_WEIGHS` times.
        changed: images whose label changed, for better or worse.
        drift: mean over images of the largest change of a probability.

    >>> Score(harm=0, changed=2, drift=0.01).better_than(Score(harm=1, changed=1, drift=0.001))
    True
    """

    harm: int
    changed: int
    drift: float

    @classmethod
    def of(cls, parity: Parity) -> "Score":
        """Of a comparison on the search images, or on the test images."""
        changed = parity.images - parity.agreed
        flips = parity.malignant_to_benign if parity.judged == "labels" else parity.called_malignant_to_benign
        lost = changed if parity.lost is None else parity.lost
        return cls(lost + (FLIP_WEIGHS - 1) * (flips or 0), changed, parity.drift_mean)

    def better_than(self, other: "Score") -> bool:
        """Fewer lost, else fewer changed, else a drift that is less by more than noise."""
        ours, theirs = (self.harm, self.changed), (other.harm, other.changed)
        return ours < theirs or (ours == theirs and self.drift < SMALL_DRIFT_GAIN * other.drift)


@dataclass(frozen=True, eq=False)
class Trial:
    """One file that was made and judged on the search images."""

    measures: Measures
    parity: Parity
    judgement: Judgement
    score: Score
    seconds: float
    sha256: str

    @property
    def enough(self) -> bool:
        """Nothing is lost and next to nothing changed: no reason to go on to costlier measures."""
        return self.score.harm == 0 and self.parity.agreement >= ENOUGH_AGREEMENT

    def to_record(self) -> TrialRecord:
        """As `search.json` holds it."""
        parity = self.parity
        return TrialRecord(
            **msgspec.structs.asdict(self.measures.to_record()),
            agreement=round(parity.agreement, 6),
            accuracy_int8=share(parity.accuracy_int8),
            lost=parity.lost,
            gained=parity.gained,
            malignant_to_benign=parity.malignant_to_benign,
            drift_mean=round(parity.drift_mean, 6),
            verdict=self.judgement.verdict,
            int8_sha256=self.sha256,
            seconds=round(self.seconds, 2),
        )

    def to_text(self) -> str:
        """For a person who watches."""
        parity = self.parity
        lost = "" if parity.lost is None else f", {parity.lost} lost, {parity.gained} gained"
        return (
            f"{self.measures}: {100 * parity.agreement:.2f} % keep their label{lost},"
            f" drift {parity.drift_mean:.4f} ({self.seconds:.0f} s)"
        )
