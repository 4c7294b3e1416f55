"""The licence of a device: what its answers may say, and the sentence that stands with each of them."""

from dataclasses import dataclass

NOT_LICENSED = "not_accepted"  # the stable reason of a benign answer that is held back
SUSPICIOUS = "suspicious"  # answered in place of any class that is not benign, where benign may not be said
NOT_ACCEPTED = "not accepted at any site"


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


UNBOUND = Licence()  # of who evaluates a network, and answers nobody
