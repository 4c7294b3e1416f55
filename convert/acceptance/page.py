"""What an acceptance shows: text for a terminal, and a self-contained page to sign."""

from collections.abc import Sequence

from convert.acceptance.job import Accepted
from convert.acceptance.published import PublishedFigure
from convert.acceptance.verdict import Counted
from edge import RESEARCH_USE_ONLY
from edge.bundle.acceptance import RATES, percent, slides_needed
from edge.inference.licence import RULE_IN_WORDS
from edge.page.html.rendering import render_page
from edge.page.html.values import Table

_LISTED_SLIDES = 1000


def acceptance_text(found: Accepted) -> str:
    """A few lines: verdict, tier, the checks that do not pass."""
    acceptance, tier = found.acceptance, found.tier
    figures = found.figures
    lines = [
        f"{acceptance.verdict}: {found.bundle.name} at {acceptance.site}: {tier}",
        f"leukemic slides: {tier.slides} judged, {figures.sensitivity.count} found suspicious, {tier.missed} found "
        f"benign; the rate of missed ones is at most {percent(tier.bound)} with 95 % confidence",
        f"benign slides: {figures.specificity.of} judged, {figures.specificity.count} found benign; slides refused by "
        f"the gates: {figures.refused.count} of {figures.refused.of}",
        *acceptance.reasons,
    ]
    if not tier.says_benign:
        lines.append("with this bundle a device answers suspicious or nothing, never benign")
    if (kept := max_kept(found)) > acceptance.own_benign_from:
        lines.append(f"a benign answer takes {kept:g} from now on; the bundle came with {acceptance.own_benign_from:g}")
    return "\n".join(lines)


def max_kept(found: Accepted) -> float:
    """The threshold that is kept: the last of those that were."""
    return [each.benign_from for each in found.acceptance.thresholds if each.kept][-1]


def acceptance_page(found: Accepted, published: Sequence[PublishedFigure] = ()) -> str:
    """The page, UTF-8."""
    acceptance = found.acceptance
    return render_page(
        "convert.acceptance",
        "acceptance.html",
        notice=RESEARCH_USE_ONLY,
        acceptance=acceptance,
        bundle=found.bundle,
        tier=found.tier,
        bound=percent(found.tier.bound),
        rule_in_words=RULE_IN_WORDS,
        figures=_by_slide(found),
        by_field=_by_field(found),
        checks=found.checks,
        thresholds=_thresholds(found),
        kept=max_kept(found),
        missed=[slide for slide in acceptance.leukemic(found.contract) if slide.finding == "benign"],
        refused=Table(("Reason", "Fields"), [(k, str(v)) for k, v in acceptance.refused.items()], numbers=(1,)),
        slides=_slides(found),
        more_slides=max(0, len(acceptance.slides) - _LISTED_SLIDES),
        tiers=_tiers(),
        published=_published(published),
        setups=[setup or "without a set-up" for setup in acceptance.camera_setups],
        leukemic_labels=[label for label in found.contract.labels if label not in found.contract.benign_labels],
    )


def _by_slide(found: Accepted) -> Table:
    figures, tier = found.figures, found.tier
    right, refused = figures.specificity, figures.refused
    rows = [
        _row("Sensitivity: leukemic slides found suspicious", figures.sensitivity, _at_least(figures.sensitivity)),
        _row("Leukemic slides found benign", figures.missed, f"at most {percent(tier.bound)} ({tier.bound:.4f})"),
        _row("Specificity: benign slides found benign", right, _at_least(right)),
        _row("Slides refused by the gates, of all", refused, f"at most {percent(refused.upper)} ({refused.upper:.4f})"),
        ("Undecided: leukemic slides", str(figures.undecided_leukemic), "", ""),
        ("Undecided: benign slides", str(figures.undecided_benign), "", ""),
    ]
    return Table(("By slide", "Counted", "Share", "Exact one-sided bound, 95 %"), rows, numbers=(1, 2, 3))


def _row(name: str, counted: Counted, bound: str) -> tuple[str, str, str, str]:
    return name, f"{counted.count} of {counted.of}", _share(counted), bound


def _at_least(counted: Counted) -> str:
    return f"at least {percent(counted.lower)} ({counted.lower:.4f})"


def _share(counted: Counted) -> str:
    return "-" if counted.share is None else percent(counted.share)


def _by_field(found: Accepted) -> Table:
    """Fields; no interval, since fields of one slide are not independent."""
    benign = found.contract.benign_labels
    kept = max_kept(found)
    groups: dict[str, list[tuple[bool, bool, bool]]] = {"leukemic": [], "benign": []}
    for field in found.fields:
        other = field.reason is None and field.called not in benign
        group = groups["benign" if field.field.label in benign else "leukemic"]
        group.append((field.passed, field.answered_benign(benign, kept), other))
    rows = []
    for name, fields in groups.items():
        passed, as_benign, other = (sum(each) for each in zip(*fields, strict=True))
        counts = (len(fields), len(fields) - passed, other, as_benign, passed - other - as_benign)
        rows.append((f"Fields of {name} slides", *map(str, counts)))
    head = ("By field", "Fields", "Refused by the gates", "Answered leukemic", "Answered benign", "Not sure enough")
    return Table(head, rows, numbers=(1, 2, 3, 4, 5))


def _thresholds(found: Accepted) -> Table:
    rows = [
        (f"{each.benign_from:g}", str(each.missed), "kept" if each.kept else "ends the test")
        for each in found.acceptance.thresholds
    ]
    return Table(("Least probability of a benign answer", "Leukemic slides missed", ""), rows, numbers=(0, 1))


def _slides(found: Accepted) -> Table:
    rows = [
        (s.slide, s.label, str(s.fields), str(s.passed), str(s.other), str(s.benign), s.finding)
        for s in found.acceptance.slides[:_LISTED_SLIDES]
    ]
    head = ("Slide", "Reference", "Fields", "Let through", "Answered leukemic", "Answered benign", "Finding")
    return Table(head, rows, numbers=(2, 3, 4, 5))


def _tiers() -> Table:
    rows = [(f"{100 * rate:g} %", str(slides_needed(rate)), str(slides_needed(rate, 1))) for rate in RATES]
    return Table(("Missed slides at most", "Leukemic slides, none missed", "One missed"), rows, numbers=(1, 2))


def _published(figures: Sequence[PublishedFigure]) -> Table:
    rows = [
        (each.analyser, each.of, *(_part(value) for value in (each.sensitivity, each.specificity)), each.source)
        for each in figures
    ]
    return Table(("Analyser", "Of", "Sensitivity", "Specificity", "Source"), rows, numbers=(2, 3))


def _part(value: float | None) -> str:
    return "-" if value is None else percent(value)
