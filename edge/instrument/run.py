"""The runs of a session in its record: at most one is open, and what is stored goes into it."""

import threading
from collections.abc import Sequence

from edge.instrument.pipeline.counters import Counts
from edge.record.entries import Entry, Event, RunInfo, Stored, event_body
from edge.record.store import Store
from edge.system.clock import Clock


class Runs:
    """The store as `edge.instrument.pipeline.recorder.Recorder` writes to it, while runs begin and end.

    Methods may be called from any thread.

    Attributes:
        number: of the run that is open; None while none is.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self._clock = store, clock
        self._lock = threading.Lock()  # a run neither begins nor ends within a write
        self.number: int | None = None
        self._before: Counts | None = None

    def begin(self, info: RunInfo, before: Counts | None = None) -> int:
        """Begin a run; its number.

        Args:
            before: what was counted until now, where frames were taken before; left out where the run begins with them.

        Raises:
            StoreFull, StoreError: as `Store.begin`.
        """
        with self._lock:
            self.number, self._before = self.store.begin(info, self._clock.now()), before
            return self.number

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]:
        """Store a batch, into the run that is open, whatever `run` says; without one, events of the record itself.

        Raises:
            StoreFull, StoreError: as `Store.write`.
        """
        with self._lock:
            if self.number is not None:
                return self.store.write(self.number, entries, events)
            if entries:
                raise ValueError(f"entries must come while a run is open; got {len(entries)} without one")
            with self.store.transaction() as transaction:
                for event in events:
                    transaction.append(event_body(None, None, event))
            return []

    def end(self, counts: Counts, why: str) -> Counts:
        """End the run, with the counts that its end holds, which are returned.

        Raises:
            StoreFull, StoreError: as `Store.end`; the run goes on then.
        """
        with self._lock:
            assert self.number is not None
            counts = counts if self._before is None else counts.since(self._before)
            counts = counts.with_stored(self.store.stored(self.number))
            self.store.end(self.number, self._clock.now(), counts.as_dict(), why)
            self.number = None
            return counts
