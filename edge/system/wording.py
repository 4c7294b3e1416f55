"""Wording of messages: counts with their nouns."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun.

    Args:
        plural: of a noun whose plural is not made by an s.

    >>> counted(1, "verdict"), counted(2, "verdict"), counted(0, "entry", "entries")
    ('1 verdict', '2 verdicts', '0 entries')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
