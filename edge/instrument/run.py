"""The runs of a session in its record: at most one is open, and what is stored goes into it."""

import threading
from collections.abc import Callable, Sequence

from edge.instrument.pipeline.counters import Counts
from edge.record.entries import Entry, Event, RunInfo, Stored, event_body
from edge.record.slide_entries import CommandBody, SlideBody
from edge.record.store import Store
from edge.system.clock import Clock


class Runs:
    """The store as `edge.instrument.pipeline.recorder.Recorder` writes to it, while runs begin and end.

    Methods may be called from any thread.

    Attributes:
        number: of the run that is open; None while none is.
        asked: the command that asked for an entry, to be recorded with it; None where none did.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self._clock = store, clock
        self._lock = threading.Lock()  # a run neither begins nor ends within a write
        self.number: int | None = None
        self.asked: Callable[[Entry], CommandBody | None] = lambda entry: None
        self._before: Counts | None = None

    def begin(self, info: RunInfo, before: Counts | None = None, act: SlideBody | None = None) -> int:
        """Begin a run; its number.

        Args:
            before: what was counted until now, where frames were taken before; left out where the run begins with them.
            act: what happens to the slide with that.

        Raises:
            StoreFull, StoreError: as `Store.begin`.
        """
        with self._lock:
            self.number, self._before = self.store.begin(info, self._clock.now(), act), before
            return self.number

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]:
        """Store a batch, into the run that is open, whatever `run` says; without one, events of the record itself.

        Raises:
            StoreFull, StoreError: as `Store.write`.
        """
        with self._lock:
            if self.number is not None:
                asked = {place: body for place, entry in enumerate(entries) if (body := self.asked(entry)) is not None}
                return self.store.write(self.number, entries, events, asked)
            if entries:
                raise ValueError(f"entries must come while a run is open; got {len(entries)} without one")
            with self.store.transaction() as transaction:
                for event in events:
                    transaction.append(event_body(None, None, event))
            return []

    def counts(self, now: Counts) -> Counts:
        """What was counted since the run began, of what is counted now."""
        return now if self._before is None else now.since(self._before)

    def end(self, counts: Counts, why: str, act: SlideBody | None = None) -> Counts:
        """End the run, with the counts that its end holds, which are returned; `act` happens to the slide with that.

        Raises:
            StoreFull, StoreError: as `Store.end`; the run goes on then.
        """
        with self._lock:
            assert self.number is not None
            counts = self.counts(counts).with_stored(self.store.stored(self.number))
            self.store.end(self.number, self._clock.now(), counts.as_dict(), why, act)
            self.number = None
            return counts
