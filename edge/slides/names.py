"""A slide's identifier as it is typed or scanned: whether it can be one, and a hint where it looks like a person's."""

from edge.commissioning.patient_names import like_a_patient
from edge.record.entries import require_slide


def require_identifier(slide: str) -> None:
    """Raise ValueError unless `slide` can name a slide; the message is for whoever typed it."""
    require_slide(slide)


def name_hint(slide: str) -> str:
    """A hint where an identifier looks like a person's name or a date of birth, else "". It hinders nobody.

    >>> name_hint("Jane-Doe").partition(":")[0], name_hint("S-0412")
    ("'Jane-Doe' has two words like a name", '')
    """
    looks = like_a_patient(slide)
    if looks is None:
        return ""
    return f"{slide!r} has {looks}: no record may name a patient; use a number of the laboratory's own, like S-0412"
