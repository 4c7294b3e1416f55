"""What the audit of a site found: `site.json`."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from models.site.refusals import Caution, Refusal
from models.site.slide_folds import Hold
from models.statistics.intervals import Interval

SITE_AUDIT_FORMAT = 1
SLIDES, BLOCKS = "slides", "blocks of file numbers"
FieldFeatures = Mapping[str, npt.NDArray[np.float32]]  # sha256 of a field's file -> its features, float32 (n,)


class Told(Struct, frozen=True):
    """How well groups of slides are told apart in slide-disjoint folds.

    Attributes:
        name: by what. groups, slides, folds: counts.
        accuracy: mean over the groups of the share of their slides that are named rightly, 0..1.
        interval: 95 %, over slides.
        chance: 1 / groups. shuffled: what 19 of 20 shufflings of the labels over the slides stay below or at.
        p: share of the shufflings, this labelling included, that do as well.
    """

    name: str
    groups: int
    slides: int
    folds: int
    accuracy: float
    interval: Interval
    chance: float
    shuffled: float
    p: float

    @property
    def gain(self) -> float:
        """Accuracy above chance, as a part of what is possible: 0 at chance, 1 where all are told."""
        return (self.accuracy - self.chance) / (1 - self.chance)


class ClassCounts(Struct, frozen=True):
    """What a class's fields come from; sessions, cameras and days are 0 where none is known."""

    fields: int
    slides: int
    sessions: int
    cameras: int
    days: int


class SlideIdentity(Struct, frozen=True):
    """The slide-identity control: are slides of one class as different as slides of two?

    Attributes:
        features: which were used.
        same_class: accuracy at which a field's slide is told from another slide of its class, mean of pairs; 0.5 is
            chance; with its 95 % interval over slides.
        other_class: the same from a slide of another class. p: of the difference, slides' labels shuffled.
        as_much: same-class slides are told apart as well as slides of two classes.
        sessions: label -> how well its sessions are told apart, slides held out; only classes that have several.
    """

    features: str
    same_class: float
    same_interval: Interval
    other_class: float
    other_interval: Interval
    p: float
    as_much: bool
    sessions: dict[str, Told]


class SiteAudit(Struct, frozen=True):
    """The audit of a site.

    Attributes:
        format: of this record. name: of the site's folder. seed: of folds and shufflings.
        classes: label -> counts.
        refusals: why no figure of this site can be trusted; empty where some can.
        cautions: what to know all the same.
        told: by what else than cells the class is told, and how well.
        by_cells: how well the features that would be used tell the class in slide-disjoint folds; None where a refusal
            forbids any such figure.
        by_cells_new_session: the same with sessions held out whole; None where they cannot be, or need not.
        painted_out: the same with white cells painted out; None without features of such fields.
        identity: the slide-identity control; None with one field a slide.
        hold: what folds must hold out whole at this site, for `slide_folds`.
        units: what was held out: "slides", or, where nobody says the slides, "blocks of file numbers".
    """

    format: int
    name: str
    seed: int
    labels: tuple[str, ...]
    classes: dict[str, ClassCounts]
    refusals: tuple[Refusal, ...] = ()
    cautions: tuple[Caution, ...] = ()
    told: tuple[Told, ...] = ()
    by_cells: Told | None = None
    by_cells_new_session: Told | None = None
    painted_out: Told | None = None
    identity: SlideIdentity | None = None
    hold: Hold = "slide"
    units: str = SLIDES

    @property
    def passed(self) -> bool:
        """Nothing is refused."""
        return not self.refusals
