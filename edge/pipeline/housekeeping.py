"""Retention while a run goes on: the one process that may write to the store also makes room in it."""

import logging
from time import monotonic

from edge.record.retention import Retention, apply
from edge.record.store import Store
from edge.system.clock import Clock

_log = logging.getLogger(__name__)

EVERY_S = 3600.0


class Housekeeping:
    """Applies the retention at once and then hourly, whenever it is called; does nothing without limits."""

    def __init__(self, store: Store, retention: Retention, clock: Clock) -> None:
        self._store, self._retention, self._clock = store, retention, clock
        self._next = monotonic()

    def __call__(self) -> None:
        if not self._retention.limited or monotonic() < self._next:
            return
        self._next = monotonic() + EVERY_S
        report = apply(self._store, self._retention, self._clock.now())
        if report.removed:
            _log.info(f"retention: {report}")
