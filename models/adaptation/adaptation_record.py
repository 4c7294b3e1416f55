"""The record of an adaptation, `adaptation.json`: from which slides a network was made, how, and what it showed."""

from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from edge.inference.benign import Recorded
from models.decision.cross_fit import Expected
from models.site.audit_record import SiteAudit
from models.statistics.intervals import Interval

RECORD_FILE = "adaptation.json"
SPLIT_FILE = "split.csv"
RECORD_FORMAT = 1
FIT: Final = "fit"
PARITY: Final = "parity"
Use = Literal["fit", "parity"]


class ImageUsed(Struct, frozen=True):
    """One field of the site: the file's name and sha256, its slide and class.

    `use`: "fit" if the head, the thresholds or the gates were made with it; "parity" if its slide was held back for
    the comparison of float with int8. Neither may judge the network's acceptance. The gates were fitted to all.
    `probabilities`: one a label, pooled over tiles, by a head made without the field's slide.
    """

    name: str
    sha256: str
    slide: str
    label: str
    use: Use
    probabilities: tuple[float, ...]


class ExactShare(Struct, frozen=True):
    """`count` of `of`, with the exact two-sided 95 % interval; both None of none."""

    count: int
    of: int
    share: float | None
    interval: Interval | None


class Counted(Struct, frozen=True, kw_only=True):
    """Answers about slides, or about fields, none of which the network that answered was made with.

    Attributes:
        right: named rightly, of all; None where the network's classes are not the site's.
        sensitivity: not benign and called so; specificity: benign and called so; missed: not benign, called benign.
            None where no class is benign.
        auroc: of the probability of not being benign; None where no class is benign.
        classes: label -> named rightly; None where the network's classes are not the site's.
    """

    right: ExactShare | None
    sensitivity: ExactShare | None
    specificity: ExactShare | None
    missed: int | None
    auroc: float | None
    classes: dict[str, ExactShare] | None


class Comparison(Struct, frozen=True, kw_only=True):
    """One way of making against another, paired by slide.

    Attributes:
        against: name of the other. gain: by how many nats the loss by slide is lower, mean over slides, classes alike,
            each way at its best temperature.
        p: how often a gain as large would come about if neither were better: exact test over the signs of the slides'
            differences, one-sided. taken: whether the network was made so.
    """

    against: str
    gain: float
    p: float
    taken: bool


class Method(Struct, frozen=True, kw_only=True):
    """One way to name the site's fields, tried in the same slide-disjoint folds as all others.

    Attributes:
        name: stable. text: what it is, a sentence.
        slides, fields: a slide's score is the mean of its fields', a field's the mean of its tiles'; None if not tried.
        log_loss: mean over slides, classes weighing alike, nats. why_not: why it was not tried.
        compared: with the way it might have taken the place of; None where it is there for orientation only.
    """

    name: str
    text: str
    slides: Counted | None = None
    fields: Counted | None = None
    log_loss: float | None = None
    why_not: str = ""
    compared: Comparison | None = None


class Start(Struct, frozen=True, kw_only=True):
    """The network whose features were taken: `name` as asked for, sha256 of its file and of weights given to it."""

    name: str
    network_sha256: str
    weights_sha256: str | None
    features: int


class Recipe(Struct, frozen=True, kw_only=True):
    """How the network was made.

    Attributes:
        tiles: (columns, rows), None for the whole frame. red_cell_px: median diameter in the fields, None if not
            measured.
        strength: C of the L2 logistic regression, chosen in slide-disjoint folds. views: stain variations of each
            field that it also learned from. fine_tuned: whether the backbone's last block learned, too.
    """

    tiles: tuple[int, int] | None
    red_cell_px: float | None
    strength: float
    views: int
    folds: int
    seed: int
    fine_tuned: bool = False


class CurvePoint(Struct, frozen=True):
    """Slides a class that a head was fitted to, how often, and the mean share of unseen slides' fields named wrongly
    with the 95 % interval over draws and slides."""

    slides: int
    draws: int
    error: float
    interval: Interval


class Forecast(Struct, frozen=True):
    """What the next ten slides would probably bring: the error then, its interval, and the share of missed slides that
    so many slides could rule out (exact one-sided 95 % bounds, if none is missed)."""

    slides: int
    error: float | None
    interval: Interval | None
    bound_now: float | None
    bound_then: float | None
    text: str


class LearningCurve(Struct, frozen=True):
    """Error by number of slides a class, and the forecast."""

    points: tuple[CurvePoint, ...]
    forecast: Forecast


class GatesJudged(Struct, frozen=True):
    """Fields refused by gates that were fitted without their slide, by gate."""

    refused: ExactShare
    by_gate: dict[str, int]


class AdaptationRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`adaptation.json`.

    Attributes:
        site: name of the folder. benign: the labels whose wrong answer is the worst.
        model_sha256: of `model.keras`. split_sha256: of `split.csv`.
        images: every field that was used. slides: label -> slides that fitted; parity_slides: those held back.
        adapted: the network's way of making, tried in folds; baselines, tried: other ways, in the same folds.
        expected: of the decision, by cross-fitting over slides; temperature, answer_from: of the contract.
        gates: None where there were too few fields to fit any.
        audit: of the site, slide-identity control included; its refusals are empty.
        notes: for whoever reads the page.
    """

    format: int
    site: str
    labels: tuple[str, ...]
    benign: Recorded
    model_sha256: str
    split_sha256: str
    start: Start
    recipe: Recipe
    images: tuple[ImageUsed, ...]
    slides: dict[str, int]
    parity_slides: dict[str, int]
    adapted: Method
    baselines: tuple[Method, ...]
    tried: tuple[Method, ...]
    temperature: float
    answer_from: dict[str, float]
    expected: Expected
    gates: GatesJudged | None
    curve: LearningCurve
    audit: SiteAudit
    versions: dict[str, str]
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    peak_rss_mb: float | UnsetType = UNSET
