"""Names of patients, which no record, table or bundle may hold: what looks like one, and the hint instead.

A slide, session or operator is named by a number, a role or initials. What is looked for is what laboratories write on
labels: two words that begin with a capital, a word before a comma and another after it, a date that may be one of
birth. Nothing here knows names: a single capital word passes as a slide's name, and never as an operator's.
"""

import itertools
import re

_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIALS = re.compile(r"[A-Za-z]\.?(?:[ -]?[A-Za-z]\.?){0,3}")
_ROLE = re.compile(r"[a-z][a-z0-9]*(?:[ ._-][a-z0-9]+){0,3}")
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = re.compile(
    rf"(?<!\d)(?:{_YEAR}[-./_]{_MONTH}[-./_]{_DAY}|{_DAY}[-./_]{_MONTH}[-./_]{_YEAR}"
    rf"|{_MONTH}[-./_]{_DAY}[-./_]{_YEAR}|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"
)
# Words of laboratories and image sets, which stand in names of slides and of classes, and are no person's.
_NO_NAMES = """
acute all aml benign blast blasts blood bone camera chronic class cll cml control day early evening field film friday
giemsa healthy hem image images lab laboratory left leukaemia leukemia leukemic lot lymphoblastic malignant marrow
microscope monday morning myeloid negative new night normal old patient positive pre pro quality reference right sample
saturday scan series session set site slide slides smear stain stained station sunday test thick thin thursday train
training tuesday unknown wednesday week wright
"""
_NAMES_NOBODY = frozenset(_NO_NAMES.split())
LONGEST_OPERATOR = 32


def like_a_patient(text: str, *, dates: bool = True) -> str | None:
    """What in a name looks like a patient's, in words; None where nothing does.

    Args:
        text: a slide's, session's or camera's name.
        dates: a date may be one of birth; False where the day of a session stands in such names.

    >>> like_a_patient("Doe, Jane"), like_a_patient("S-0412"), like_a_patient("B_2019-03-07")
    ('two words like a name', None, 'a date, which may be one of birth')
    """
    if dates and _DATE.search(text):
        return "a date, which may be one of birth"
    words = [part for word in _WORD.findall(text) for part in _CAMEL.split(word)]
    for pair in itertools.pairwise(words):
        if any(word.lower() in _NAMES_NOBODY or len(word) < 2 for word in pair):
            continue
        if all(word[0].isupper() and word[1:].islower() for word in pair):  # Jane Doe, not CML
            return "two words like a name"
        if all(len(word) > 2 and word.isupper() for word in pair):
            return "two words like a name"
    return None


def patient_hint(what: str, text: str, *, dates: bool = True) -> str | None:
    """The one line that refuses `text` as the name of a slide (`what`: "slide"); None where it may stand.

    >>> patient_hint("slide", "S-0412") is None
    True
    """
    looks = like_a_patient(text, dates=dates)
    if looks is None:
        return None
    return f"{what} must not name a patient; {text!r} has {looks}: use a number of the laboratory's own, such as S-0412"


def operator_hint(text: str) -> str | None:
    """The one line that refuses an operator's name; None for a role or initials, and for "" (not said).

    >>> operator_hint("technician"), operator_hint("JD"), operator_hint("")
    (None, None, None)
    """
    fits = len(text) <= LONGEST_OPERATOR and (_INITIALS.fullmatch(text) or _ROLE.fullmatch(text))
    if not text or (fits and like_a_patient(text) is None):
        return None
    return f"operator must be a role in small letters (technician, night shift) or initials (JD), no name; got {text!r}"
