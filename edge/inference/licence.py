"""The licence of a device: what its answers may say, and the stated rule of a slide's finding, which it bounds."""

from dataclasses import dataclass
from typing import Literal

NOT_LICENSED = "not_accepted"  # the stable reason of a benign answer that is held back
SUSPICIOUS = "suspicious"  # answered in place of any class that is not benign, where benign may not be said
NOT_ACCEPTED = "not accepted at any site"
Finding = Literal["suspicious", "benign", "undecided", "refused"]

RULE = "tenth-1"
RULE_IN_WORDS = (
    "A slide of which the gates let less than half of the fields through is suspicious when one of those is answered "
    "with a class that is not benign, else refused. Any other slide is suspicious when at least one in ten of its "
    "answered fields, and at least one, is answered so; benign when at least half of the fields that the gates let "
    "through are answered benign; and undecided otherwise."
)
SUSPICIOUS_FROM = 10  # one in so many answered fields


@dataclass(frozen=True)
class Licence:
    """What may be said.

    Attributes:
        acceptance: one sentence, shown with every verdict and kept in every run's record.
        withheld: labels that are never answered: the benign ones, where nothing licenses them. Then every other class
            is answered as `SUSPICIOUS`.
        why: why they are withheld, one sentence; "" where none is.
        expired: stable name of what expired the acceptance; "" where it holds.
        accepted: the site of this device accepted the bundle.

    >>> Licence("lab-3: 12 slides", ("Benign",), "too few leukemic slides").answered("Pre")
    'suspicious'
    """

    acceptance: str = NOT_ACCEPTED
    withheld: tuple[str, ...] = ()
    why: str = ""
    expired: str = ""
    accepted: bool = False

    def answered(self, label: str) -> str | None:
        """What is answered for a class; None where nothing may be."""
        if not self.withheld:
            return label
        return None if label in self.withheld else SUSPICIOUS


def held_back(label: str | None, reason: str | None) -> bool:
    """Whether the licence changed what is said of a frame: the classes' probabilities would say what it withholds.

    They stay in the record, as evidence for whoever accepts the bundle later, and in its exports.

    >>> held_back(SUSPICIOUS, None), held_back(None, NOT_LICENSED), held_back("Pre", None)
    (True, True, False)
    """
    return label == SUSPICIOUS or reason == NOT_LICENSED


UNBOUND = Licence()  # of who evaluates a network, and answers nobody


def slide_finding(fields: int, passed: int, benign: int, other: int) -> Finding:
    """The finding on one slide, by `RULE`.

    Demanding more of a benign answer makes fields unanswered. That never turns another finding into "benign", and never
    one into "refused" or back: tests of thresholds in a fixed order rest on it (`convert.acceptance.thresholds`).

    Args:
        fields: of the slide. passed: those that the gates let through. benign, other: those answered with a benign
            label, and with another one.

    Raises:
        ValueError: counts that no slide has.

    >>> slide_finding(20, 20, 18, 2), slide_finding(20, 20, 19, 1), slide_finding(20, 9, 9, 0)
    ('suspicious', 'benign', 'refused')
    """
    if not (fields >= 1 and 0 <= passed <= fields and benign >= 0 and other >= 0 and benign + other <= passed):
        raise ValueError(
            "counts of a slide must fulfil benign + other <= passed <= fields, fields >= 1; "
            f"got {fields}, {passed}, {benign}, {other}"
        )
    if 2 * passed < fields:
        return "suspicious" if other else "refused"
    if other and other * SUSPICIOUS_FROM >= benign + other:
        return "suspicious"
    return "benign" if 2 * benign >= passed else "undecided"
