"""The audit of a site in words, for terminal and page."""

from collections.abc import Iterator, Sequence

from edge.system.wording import counted
from models.site.audit_record import BLOCKS, SLIDES, ClassCounts, SiteAudit, Told
from models.site.evidence.giveaways import TEXTS
from models.statistics.formatting import percent, percent_range

NO_IDENTITY = (
    "no slide identity: nothing here can show what a new slide would do; name the slides in fields.csv, or by --pattern"
)
PASSED = "nothing refuses this site"


def to_text(audit: SiteAudit) -> str:
    """As a person reads it on a terminal: counts, what tells the class, the control. Refusals are findings."""
    lines = [f"{label}: {counts_text(counts)}" for label, counts in audit.classes.items()]
    lines += [f"what tells the class of held-out {audit.units} (95 % interval; up to where shuffled labels get; p)"]
    lines += [f"  {name:<38} {figure}" for name, figure in told_lines(audit)]
    lines += [identity_text(audit), *cells_lines(audit)]
    if audit.units == SLIDES and audit.passed:
        lines.append(PASSED)
    return "\n".join(lines)


def counts_text(counts: ClassCounts) -> str:
    """What a class's fields come from; what is not known is left out."""
    words = {"slide": counts.slides, "session": counts.sessions, "camera": counts.cameras, "day": counts.days}
    return ", ".join([counted(counts.fields, "field"), *(counted(n, word) for word, n in words.items() if n)])


def told_lines(audit: SiteAudit) -> Iterator[tuple[str, str]]:
    """What tells the class, and how well."""
    for told in audit.told:
        yield TEXTS[told.name], told_text(told)


def told_text(told: Told) -> str:
    """Accuracy, interval, chance level and p.

    >>> from models.statistics.intervals import Interval
    >>> told_text(Told("camera", 2, 20, 5, 0.95, Interval(0.76, 0.99), 0.5, 0.7, 0.001))
    '95 % (76 to 99), chance 50 %, shuffled up to 70 %, p = 0.001'
    """
    return (
        f"{percent_range(told.accuracy, told.interval, 0)}, chance {percent(told.chance, 0)}, "
        f"shuffled up to {percent(told.shuffled, 0)}, p = {told.p:.3f}"
    )


def identity_text(audit: SiteAudit, *, sessions: bool = True) -> str:
    """The slide-identity control in one sentence; `sessions` adds how well those of a class are told apart."""
    found = audit.identity
    if found is None:
        return f"slide-identity control: not possible, it needs two {audit.units} of a class with two fields each"
    text = (
        f"slide-identity control, by {found.features}: {audit.units} of one class are told apart at "
        f"{percent_range(found.same_class, found.same_interval, 0)}, of two classes at "
        f"{percent_range(found.other_class, found.other_interval, 0)}, chance 50 %"
    )
    if found.as_much:
        text += "; as well as the classes: no figure is shown whose fields were divided at random"
    told = [f"{each.name} {told_text(each)}" for each in found.sessions.values()] if sessions else []
    return "; ".join([text, *told])


def cells_lines(audit: SiteAudit) -> Sequence[str]:
    """What the features that would be used tell of held-out slides; why not, where no figure may be shown."""
    if audit.units == BLOCKS:
        return ()
    if audit.by_cells is None:
        return ("no figure about the class is shown: what is refused would be in it",)
    kind = "the features" if audit.identity is None else audit.identity.features
    lines = [f"the class by {kind}, slides held out: {told_text(audit.by_cells)}"]
    if audit.by_cells_new_session is not None:
        lines.append(f"the same, sessions held out whole: {told_text(audit.by_cells_new_session)}")
    if audit.painted_out is not None:
        lines.append(f"the same, white cells painted out: {told_text(audit.painted_out)}")
    return lines
