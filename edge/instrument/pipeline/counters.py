"""Counters of frames by outcome; every captured frame counts once."""

import threading
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Counts:
    """Frames by outcome.

    Attributes:
        captured: taken from the camera.
        dropped: given up for a newer one, or when the run ended.
        passed_over: shown and measured, and not asked for (`edge.instrument.pipeline.selection`).
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
    passed_over: int = 0

    @property
    def judged(self) -> int:
        """Refused or classified."""
        return self.refused + self.classified

    def add_up(self) -> bool:
        """Whether every frame of a finished run is counted once.

        >>> Counts(captured=3, dropped=1, classified=2, stored=2).add_up()
        True
        """
        came_to = self.dropped + self.passed_over + self.judged
        return self.captured == came_to and self.judged == self.stored + self.unstored

    def with_stored(self, stored: int) -> "Counts":
        """These, at the end of a run of which the record holds `stored` verdicts.

        >>> Counts(captured=2, classified=2, stored=0).with_stored(1).unstored
        1
        """
        return replace(self, stored=stored, unstored=self.judged - stored)

    def since(self, before: "Counts") -> "Counts":
        """What was counted since then: the frames that came to something meanwhile, wherever they were captured.

        >>> Counts(captured=9, dropped=2, passed_over=5, classified=1).since(Counts(captured=3, passed_over=2))
        Counts(captured=6, dropped=2, refused=0, classified=1, stored=0, unstored=0, passed_over=3)
        """
        then = asdict(before)
        found = Counts(**{name: number - then[name] for name, number in asdict(self).items()})
        return replace(found, captured=found.dropped + found.passed_over + found.judged)

    def as_dict(self) -> dict[str, int]:
        """The counts by name; of frames that were passed over where there are any."""
        counted = asdict(self)
        if not self.passed_over:
            del counted["passed_over"]
        return counted


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
