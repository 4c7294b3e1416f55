"""The figure of a site's audit: by what the class of a held-out slide is told, and how well."""

from textwrap import fill
from typing import TYPE_CHECKING

from models.report.figure_style import BLUE, GREY, INK, ORANGE, canvas, styled
from models.site.audit_record import SiteAudit, Told
from models.site.evidence.giveaways import TEXTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def giveaways_figure(audit: SiteAudit) -> "Figure":
    """A row a giveaway, accuracy with its 95 % interval, over the band that shuffled labels stay in; cells last."""
    rows = [*((TEXTS[told.name], told) for told in audit.told), *_cells(audit)]
    figure, axis = canvas(4.8, 0.9 + 0.36 * len(rows))
    for place, (_, told) in enumerate(rows):
        y = len(rows) - 1 - place
        low, high = (100 * side for side in told.interval)
        colour = ORANGE if told.p <= 0.05 else BLUE
        marker = "s" if told.p <= 0.05 else "o"
        axis.barh(y, 100 * told.shuffled, height=0.72, color="#ECECEC", zorder=1)
        axis.hlines(y, low, high, color=colour, linewidth=1.6, zorder=3)
        axis.plot(100 * told.accuracy, y, color=colour, marker=marker, markersize=6, zorder=4, clip_on=False)
        axis.vlines(100 * told.chance, y - 0.36, y + 0.36, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=2)
    axis.set_yticks(range(len(rows)), [fill(name, 20) for name, _ in rows][::-1])
    axis.tick_params(axis="y", length=0, labelsize=9)
    axis.set(xlim=(0, 100), ylim=(-0.6, len(rows) - 0.4))
    axis.set_xlabel(f"% of held-out {audit.units}\nwhose class is named rightly")
    axis.grid(True, axis="x")
    axis.spines["left"].set_color(GREY)
    return figure  # type: ignore[no-any-return]


def _cells(audit: SiteAudit) -> list[tuple[str, Told]]:
    found = [
        ("class by cells", audit.by_cells),
        ("the same, new session", audit.by_cells_new_session),
        ("the same, cells painted out", audit.painted_out),
    ]
    return [(name, told) for name, told in found if told is not None]
