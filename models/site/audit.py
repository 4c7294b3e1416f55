"""The audit of a site: what its labelled slides can show, and what gives their class away without a cell."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from edge.system.progress import Progress
from models.data.dataset import ImageSet
from models.data.field_groups import Overlap
from models.data.folds import FoldError
from models.errors import DatasetError
from models.site.audit_record import (
    BLOCKS,
    SITE_AUDIT_FORMAT,
    SLIDES,
    ClassCounts,
    FieldFeatures,
    SiteAudit,
    SlideIdentity,
    Told,
)
from models.site.evidence.giveaways import number, refuse, slide_means, tell_all
from models.site.evidence.measures import measure
from models.site.evidence.same_images import same_images
from models.site.evidence.slide_identity import slide_identity
from models.site.evidence.told_apart import told_apart
from models.site.fields import SiteFields
from models.site.file_blocks import block_site
from models.site.refusals import FEWEST_SLIDES, Caution, Refusal, RefusalName
from models.site.slide_folds import most_folds, slide_folds, slide_labels
from models.statistics.formatting import percent

LEVEL = 0.05  # of the tests that do not refuse for a giveaway: labels at chance, sessions told apart
SESSIONS = 3  # of each class, from which they can be held out whole
NO_NETWORK = "colours and measures of white cells"
GIVEN = "features of the network"
_FORBIDS = tuple(name for name in get_args(RefusalName) if name != "labels_at_chance")  # any figure about the class
Rows = npt.NDArray[np.floating[Any]]


def audit_site(
    site: SiteFields,
    *,
    features: FieldFeatures | None = None,
    painted: FieldFeatures | None = None,
    overlaps: Sequence[Overlap] | None = None,
    seed: int = 0,
) -> SiteAudit:
    """Look a site over before anything is fitted to it.

    Args:
        site: from `load_site`.
        features: of every field, those that would be used; None: colours and simple measures of white cells.
        painted: of every field with its white cells painted out, for the control; None leaves it out.
        overlaps: from `find_overlaps(distinct_samples(...))` of the site's images, when it is known already.
        seed: of folds and shufflings.

    Returns:
        The record; `refusals` bind whoever would fit anything to this site.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
        DatasetError: a field without features.
    """
    classes = {label: _counts(site, label) for label in site.labels}
    refusals, cautions = same_images(site, overlaps)
    found = SiteAudit(
        format=SITE_AUDIT_FORMAT,
        name=site.root.resolve().name,
        seed=seed,
        labels=site.labels,
        classes=classes,
        refusals=refusals,
        cautions=(*cautions, *_not_known(site)),
    )
    if any(refusal.name == "slide_under_two_labels" for refusal in refusals):
        return found  # nothing below has a meaning
    measures = measure(site.fields)
    with Progress("asking what gives the class away", 3) as progress:
        told = tell_all(site, measures, seed=seed)
        progress.advance()
        by_giveaway, partly = refuse(site, measures, told)
        found = replace(
            found,
            told=told,
            refusals=(*by_giveaway, *_few_slides(classes), *refusals),
            cautions=(*found.cautions, *partly),
        )
        kind = NO_NETWORK if features is None else GIVEN
        rows = np.hstack([measures.cells, measures.colour]) if features is None else _rows(site, features)
        identity = slide_identity(site, rows, kind, seed=seed)
        progress.advance()
        found = _with_sessions(site, replace(found, identity=identity))
        return _with_figures(site, found, rows, None if painted is None else _rows(site, painted))


def audit_blocks(images: ImageSet, *, seed: int = 0) -> SiteAudit | None:
    """What can be asked of images whose slides nobody names: blocks of file numbers stand in for slides.

    No figure of it is about cells: nothing here can show what a new slide would do.

    Args:
        images: from `scan`. seed: of folds and shufflings.

    Returns:
        The record, of which `by_cells` is None and `units` says what was held out; None where a class has too few
        images.
    """
    site = block_site(images)
    if site is None:
        return None
    classes = {label: _counts(site, label) for label in site.labels}
    found = SiteAudit(
        format=SITE_AUDIT_FORMAT,
        name=images.root.resolve().name,
        seed=seed,
        labels=site.labels,
        classes={label: replace(counts, slides=0) for label, counts in classes.items()},
        units=BLOCKS,
    )
    measures = measure(site.fields)
    told = tell_all(site, measures, seed=seed)
    refusals, cautions = refuse(site, measures, told, BLOCKS)
    identity = slide_identity(site, np.hstack([measures.cells, measures.colour]), NO_NETWORK, seed=seed)
    if identity is not None and identity.as_much:
        cautions = (*cautions, _as_much(identity, BLOCKS))
    return replace(found, told=told, refusals=refusals, cautions=cautions, identity=identity)


def _with_sessions(site: SiteFields, audit: SiteAudit) -> SiteAudit:
    """What folds must hold out, by whether sessions of a class are told apart."""
    sessions = [] if audit.identity is None else list(audit.identity.sessions.values())
    told = [each for each in sessions if each.p <= LEVEL]
    if not told:
        return audit
    text = "; ".join(f"{each.name}: {number(each)}" for each in told)
    try:
        if most_folds(site, "session") >= SESSIONS:
            cure = "hold sessions out whole: a new session is new"
            return replace(audit, hold="session", cautions=(*audit.cautions, Caution("session_tells", text, cure)))
    except FoldError:
        pass
    cure = f"collect {SESSIONS} sessions or more with slides of every class: what a new session would do is not shown"
    return replace(audit, cautions=(*audit.cautions, Caution("session_tells", text, cure)))


def _with_figures(site: SiteFields, audit: SiteAudit, rows: Rows, painted: Rows | None) -> SiteAudit:
    """The figures that may be shown, and what they say."""
    if any(refusal.name in _FORBIDS for refusal in audit.refusals):
        return audit
    labels = [slide_labels(site)[slide] for slide in site.slides]
    by_cells = told_apart("class", slide_means(site, rows), labels, seed=audit.seed)
    if by_cells is None:  # the same features everywhere
        return _at_chance(audit, "the fields' features are the same everywhere")
    audit = replace(audit, by_cells=by_cells)
    if by_cells.p > LEVEL:
        return _at_chance(audit, f"{_features_text(audit)}: {number(by_cells)}; {_shuffled(by_cells)}")
    cautions = list(audit.cautions)
    if audit.identity is not None and audit.identity.as_much:
        cautions.append(_as_much(audit.identity))
    unseen = None
    if audit.hold == "session":
        folds = slide_folds(site, min(5, most_folds(site, "session")), audit.seed, hold="session")
        unseen = told_apart(
            "class, new session", slide_means(site, rows), labels, [folds[s] for s in site.slides], seed=audit.seed
        )
    without = None
    if painted is not None:
        without = told_apart("class, cells painted out", slide_means(site, painted), labels, seed=audit.seed)
        if without is not None and without.p <= LEVEL and without.gain >= by_cells.gain / 2:
            text = f"white cells painted out, {number(without)}; with them, {number(by_cells)}"
            cautions.append(Caution("told_without_cells", text, "find what else the features read"))
    return replace(audit, by_cells_new_session=unseen, painted_out=without, cautions=tuple(cautions))


def _at_chance(audit: SiteAudit, text: str) -> SiteAudit:
    cure = "check that labels and slides were not mixed up; else collect more slides, or use other features"
    return replace(audit, refusals=(*audit.refusals, Refusal("labels_at_chance", text, cure)))


def _as_much(identity: SlideIdentity, units: str = SLIDES) -> Caution:
    text = (
        f"{units} of one class are told apart at {percent(identity.same_class, 0)}, of two classes at "
        f"{percent(identity.other_class, 0)}"
    )
    return Caution("slide_tells_as_much", text, "believe no figure whose fields were divided at random")


def _shuffled(told: Told) -> str:
    return f"shuffled labels give up to {percent(told.shuffled, 0)}"


def _features_text(audit: SiteAudit) -> str:
    return "white cells and colours" if audit.identity is None else audit.identity.features


def _rows(site: SiteFields, features: FieldFeatures) -> npt.NDArray[np.float32]:
    """(N, n) in the order of the fields."""
    missing = [field.sample.name for field in site.fields if field.sample.sha256 not in features]
    if missing:
        raise DatasetError(f"features must be of every field; {missing[0]} has none")
    return np.stack([np.asarray(features[field.sample.sha256], np.float32) for field in site.fields])


def _counts(site: SiteFields, label: str) -> ClassCounts:
    own = [field for field in site.fields if field.label == label]

    def different(column: str) -> int:
        return len({getattr(field.row, column) for field in own} - {""})

    return ClassCounts(len(own), *map(different, ("slide", "session", "camera", "date")))


def _not_known(site: SiteFields) -> Sequence[Caution]:
    columns = {"session": "session", "camera": "camera", "date": "day"}
    open_ones = [word for column, word in columns.items() if not any(getattr(f.row, column) for f in site.fields)]
    if not open_ones:
        return ()
    text = f"{', '.join(open_ones)} of the fields not known: whether the class goes with it cannot be seen"
    return (Caution("not_known", text, "fill the columns of fields.csv"),)


def _few_slides(classes: dict[str, ClassCounts]) -> list[Refusal]:
    label, fewest = min(((label, counts.slides) for label, counts in classes.items()), key=lambda item: item[1])
    if fewest == 1:
        cure = f"collect from {FEWEST_SLIDES} slides a class or more: one slide's stain cannot be told from its class"
        return [Refusal("one_slide_a_class", f"{label} has 1 slide", cure)]
    if fewest < FEWEST_SLIDES:
        return [
            Refusal(
                "too_few_slides",
                f"{label} has {fewest} slides",
                f"collect from {FEWEST_SLIDES} slides a class or more",
            )
        ]
    return []
