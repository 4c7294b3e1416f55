"""The audit of a site: what its labelled slides can show, and what gives their class away without a cell."""

from collections import Counter

from models.site.audit_record import SITE_AUDIT_FORMAT, ClassCounts, FieldFeatures, SiteAudit
from models.site.fields import SiteFields
from models.site.refusals import FEWEST_SLIDES, Refusal


def audit_site(
    site: SiteFields,
    *,
    features: FieldFeatures | None = None,
    painted: FieldFeatures | None = None,
    seed: int = 0,
) -> SiteAudit:
    """Look a site over before anything is fitted to it.

    Args:
        site: from `load_site`.
        features: of every field, those that would be used; None: colours and simple measures of white cells.
        painted: of every field with its white cells painted out, for the control; None leaves it out.
        seed: of folds and shufflings.

    Returns:
        The record; `refusals` bind whoever would fit anything to this site.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
        DatasetError: a field without features.
    """
    classes = {label: _counts(site, label) for label in site.labels}
    return SiteAudit(
        format=SITE_AUDIT_FORMAT,
        name=site.root.resolve().name,
        seed=seed,
        labels=site.labels,
        classes=classes,
        refusals=tuple(_few_slides(classes)),
        cautions=(),
        told=(),
        by_cells=None,
        by_cells_new_session=None,
        painted_out=None,
        identity=None,
        hold="slide",
    )


def _counts(site: SiteFields, label: str) -> ClassCounts:
    own = [field for field in site.fields if field.label == label]

    def different(column: str) -> int:
        return len({getattr(field.row, column) for field in own} - {""})

    return ClassCounts(len(own), *map(different, ("slide", "session", "camera", "date")))


def _few_slides(classes: dict[str, ClassCounts]) -> list[Refusal]:
    slides = Counter({label: counts.slides for label, counts in classes.items()})
    label, fewest = min(slides.items(), key=lambda item: item[1])
    if fewest == 1:
        cure = f"collect from {FEWEST_SLIDES} slides a class or more: one slide's stain cannot be told from its class"
        return [Refusal("one_slide_a_class", f"{label} has 1 slide", cure)]
    if fewest < FEWEST_SLIDES:
        cure = f"collect from {FEWEST_SLIDES} slides a class or more"
        return [Refusal("too_few_slides", f"{label} has {fewest} slides", cure)]
    return []
