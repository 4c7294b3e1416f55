"""Generated prose, wrapped as pages are: at most 120 characters a line."""

import textwrap

LONGEST_LINE = 120


def wrapped(text: str) -> str:
    """One paragraph, broken between words only."""
    return textwrap.fill(text, LONGEST_LINE, break_long_words=False, break_on_hyphens=False)
