"""Shares and intervals as text: one form for terminal, cards, pages and figures."""

from collections.abc import Iterable

from edge.inference.benign import NOT_COUNTED

ABSENT = "-"
Limits = Iterable[float] | None  # low and high


def percent(share: float | None, digits: int = 2) -> str:
    """A share 0..1.

    >>> percent(0.9912)
    '99.12 %'
    """
    return ABSENT if share is None else f"{100 * share:.{digits}f} %"


def percent_range(share: float | None, interval: Limits, digits: int = 2) -> str:
    """A share with its interval, as far as there is one.

    >>> percent_range(0.5, (0.25, 0.75), 1)
    '50.0 % (25.0 to 75.0)'
    """
    if share is None or interval is None:
        return percent(share, digits)
    low, high = interval
    return f"{percent(share, digits)} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def number_range(value: float | None, interval: Limits) -> str:
    """A number with its interval, four digits; "-" where there is none.

    >>> number_range(0.5, (0.25, 0.75))
    '0.5000 (0.2500 to 0.7500)'
    """
    if value is None or interval is None:
        return ABSENT
    low, high = interval
    return f"{value:.4f} ({low:.4f} to {high:.4f})"


def careful_percent(share: float | None, digits: int = 2) -> str:
    """As `percent`, but no error is rounded away: only 1 itself reads 100, only 0 itself reads 0.

    >>> careful_percent(0.99999)
    '>99.99 %'
    """
    if share is None or share in (0.0, 1.0):
        return ABSENT if share is None else f"{100 * share:g} %"
    text = f"{100 * share:.{digits}f}"
    if text == f"{100:.{digits}f}":
        return f">{100 - 10**-digits:.{digits}f} %"
    if text == f"{0:.{digits}f}":
        return f"<{10**-digits:.{digits}f} %"
    return f"{text} %"


def safety_count(count: int | None, of: int | None = None) -> str:
    """How often the worst error was made, `of` how many times it could have been; never a blank, which would be taken
    for none.

    >>> safety_count(0, 248), safety_count(None, 248)
    ('0 of 248', 'not counted')
    """
    if count is None:
        return NOT_COUNTED
    return str(count) if of is None else f"{count} of {of}"
