"""The page of a site's audit, one self-contained HTML file; no image of the site is on it."""

from edge import RESEARCH_USE_ONLY
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.report.figure_style import render
from models.report.site.giveaways_figure import giveaways_figure
from models.site.audit_record import SLIDES, SiteAudit, Told
from models.site.audit_text import NO_IDENTITY, cells_lines, identity_text
from models.site.evidence.giveaways import REFUSED, TEXTS, told_beyond_chance
from models.statistics.formatting import percent, percent_range


def site_page(audit: SiteAudit) -> str:
    """The page, UTF-8 text without any reference to the outside."""
    description = "accuracy at which the class of a held-out slide is told, by what"
    return render_page(
        "models.report.site",
        "site.html",
        audit=audit,
        notice=RESEARCH_USE_ONLY,
        known=audit.units == SLIDES,
        no_identity=NO_IDENTITY,
        counts=_counts(audit),
        told=_told(audit),
        figure=Picture(render(giveaways_figure(audit)), "png", description) if audit.told else None,
        identity=identity_text(audit, sessions=False),
        sessions=_rows(list(audit.identity.sessions.values())) if audit.identity else None,
        cells=cells_lines(audit),
    )


def _counts(audit: SiteAudit) -> Table:
    head = ("class", "fields", "slides", "sessions", "cameras", "days")
    rows = [
        (
            label,
            str(each.fields),
            *(str(n) if n else "-" for n in (each.slides, each.sessions, each.cameras, each.days)),
        )
        for label, each in audit.classes.items()
    ]
    return Table(head, rows, numbers=range(1, 6))


def _told(audit: SiteAudit) -> Table:
    """One row a giveaway; those that hold beyond chance stand out."""
    beyond = {each.name for each in told_beyond_chance(audit.told)}
    refused = {refusal.name for refusal in audit.refusals}
    strong = {n for n, each in enumerate(audit.told) if each.name in beyond or REFUSED.get(each.name) in refused}
    return _table([(TEXTS[each.name], each) for each in audit.told], strong)


def _rows(told: list[Told]) -> Table | None:
    return _table([(each.name, each) for each in told], set()) if told else None


def _table(rows: list[tuple[str, Told]], strong: set[int]) -> Table:
    head = ("by", "named rightly (95 %)", "chance", "shuffled up to", "p")
    return Table(
        head,
        [
            (
                name,
                percent_range(each.accuracy, each.interval, 0),
                percent(each.chance, 0),
                percent(each.shuffled, 0),
                f"{each.p:.3f}",
            )
            for name, each in rows
        ],
        numbers=range(1, 5),
        strong=strong,
    )
