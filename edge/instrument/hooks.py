"""What others do at certain moments of a session."""

from edge.record.entries import Stored


class Hooks:
    """What others do at certain moments of a session; each does nothing here.

    Methods are called on the thread that `serve`s, but for `stored`, on that of the record, and `happened`, on any.

    >>> Hooks().lost()
    ''
    """

    def begins(self) -> None:
        """The camera gives frames, and the first is about to be taken."""

    def stored(self, stored: list[Stored]) -> None:
        """Verdicts were stored; must not wait."""

    def happened(self, kind: str, detail: str) -> None:
        """An event of the session; must not wait."""

    def tick(self) -> None:
        """A few times a second."""

    def expired(self, why: str) -> bool:
        """The acceptance has expired; whether that was dealt with. Otherwise the session ends."""
        return False

    def ending(self, why: str) -> None:
        """The session is about to end; the pipeline still runs."""

    def status(self) -> str:
        """One line for the service manager; "" for the counts alone."""
        return ""

    def lost(self) -> str:
        """What could not be put out of what was stored, one sentence; "" for nothing. Asked once, at the end."""
        return ""
