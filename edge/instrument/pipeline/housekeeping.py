"""Retention while a run goes on: the one process that may write to the store also makes room in it, bit by bit."""

import logging
from collections.abc import Callable
from time import monotonic

from edge.record.retention import MOST_AT_ONCE, Pruning, Retention, note_held_back
from edge.record.store import Store
from edge.system.clock import Clock

_log = logging.getLogger(__name__)

EVERY_S = 3600.0
CLOCK_S = 300.0  # until the clock is looked at again: after a start it takes some minutes
STEP_S = 0.2  # that a piece of work should take: verdicts wait for it
FIRST_STEP, LEAST_STEP = 500, 50  # entries


class Housekeeping:
    """Applies the retention at once and then hourly; each call removes a piece. Does nothing without limits.

    Attributes:
        held_back: why what exceeds the limits stays, as of the last time; "" where nothing does.
    """

    def __init__(self, store: Store, retention: Retention, clock: Clock, now: Callable[[], float] = monotonic) -> None:
        self._store, self._retention, self._clock, self._now = store, retention, clock, now
        self._next = now()
        self._pruning: Pruning | None = None
        self._most = FIRST_STEP
        self.held_back = ""

    def __call__(self) -> None:
        if not self._retention.limited or (self._pruning is None and self._now() < self._next):
            return
        if self._pruning is None:
            self._pruning = Pruning(self._store, self._retention, self._clock.now())
        began = self._now()
        if self._pruning.step(self._most):
            share = STEP_S / max(self._now() - began, STEP_S / 10)
            self._most = round(min(max(self._most * min(share, 2.0), LEAST_STEP), MOST_AT_ONCE))
            return
        self._end(self._pruning)

    def _end(self, pruning: Pruning) -> None:
        now, report = self._clock.now(), pruning.report
        self._pruning, self.held_back = None, report.held_back
        by_clock = self._retention.days is not None and now.synchronized is False
        self._next = self._now() + (CLOCK_S if by_clock else EVERY_S)
        note_held_back(self._store, report.held_back, now)
        if report.removed:
            _log.info(f"retention: {report}")
        elif report.held_back:
            _log.warning(f"retention: {report.held_back}")
