"""Counters of frames by outcome; every captured frame counts once."""

import threading
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Counts:
    """Frames by outcome.

    Attributes:
        captured: taken from the camera.
        dropped: given up for a newer one, or when the run ended.
        refused: got a reason instead of a class: a gate's, or that the model was not sure enough (its verdicts
            that abstain count here, so that `classified` frames are those with a label in the record).
        classified: got a class.
        stored: refused or classified, and durable. unstored: refused or classified, and lost to a full disk at
            the end of a run; such a verdict was never announced.
    """

    captured: int = 0
    dropped: int = 0
    refused: int = 0
    classified: int = 0
    stored: int = 0
    unstored: int = 0

    @property
    def judged(self) -> int:
        """Refused or classified."""
        return self.refused + self.classified

    def add_up(self) -> bool:
        """Whether every frame of a finished run is counted once.

        >>> Counts(captured=3, dropped=1, classified=2, stored=2).add_up()
        True
        """
        return self.captured == self.dropped + self.judged and self.judged == self.stored + self.unstored

    def with_stored(self, stored: int) -> "Counts":
        """These, at the end of a run of which the record holds `stored` verdicts.

        >>> Counts(captured=2, classified=2, stored=0).with_stored(1).unstored
        1
        """
        return replace(self, stored=stored, unstored=self.judged - stored)

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


class Counter:
    """Counts from several threads.

    >>> counter = Counter()
    >>> counter.add(captured=1, dropped=1)
    >>> counter.now().dropped
    1
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict.fromkeys(Counts.__dataclass_fields__, 0)

    def add(self, **more: int) -> None:
        """Count frames by outcome, all at once."""
        with self._lock:
            for name, number in more.items():
                self._values[name] += number

    def now(self) -> Counts:
        """The counts as they are."""
        with self._lock:
            return Counts(**self._values)
