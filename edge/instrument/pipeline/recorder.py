"""Group commit: verdicts gathered for a moment, then stored together, so that an SD card lives.

A verdict exists once it is stored (DESIGN, decision 9): what waits here was never said to anybody.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from edge.errors import StoreFull
from edge.record.entries import Entry, Event, Stored
from edge.system.clock import Clock

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 10.0
MOST_EVENTS = 1000  # that wait while nothing can be stored; the oldest stay, they say how it began


class Writer(Protocol):
    """What a recorder needs of `edge.record.store.Store`."""

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]: ...


class Recorder:
    """Gathers entries and events for one run and commits them by count or by time.

    `event` may be called from any thread, everything else from one: a second thread that commits, while the first is in
    a commit or may yet begin one, would store entries twice.

    Args:
        count: entries committed at the latest when so many wait. wait_s: seconds after which the first commits.
        on_stored: called with what was just stored, in order. on_state: called with one sentence when
            recording stops and when it goes on. Both are called by the thread that commits, and must not block.
        housekeeping: called before each commit, by the thread that owns the store.

    Attributes:
        stored: entries stored so far, counted before anybody hears of them.
    """

    def __init__(
        self,
        store: Writer,
        run: int,
        *,
        clock: Clock,
        count: int = 32,
        wait_s: float = 0.25,
        on_stored: Callable[[list[Stored]], None],
        on_state: Callable[[str], None],
        housekeeping: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._run, self._clock = store, run, clock
        self._count, self._wait_s = count, wait_s
        self._on_stored, self._on_state, self._housekeeping = on_stored, on_state, housekeeping
        self.stored = 0
        self._entries: list[Entry] = []
        self._events: list[Event] = []
        self._lock = threading.Lock()  # guards _events and _due
        self._due: float | None = None
        self._retry_s = 0.0
        self._full_since: Event | None = None

    @property
    def full(self) -> bool:
        """The last commit failed for want of room; `commit` will be tried again when `due_in` says so."""
        return self._full_since is not None

    @property
    def why_full(self) -> str:
        """One sentence on what keeps entries from being stored; "" while nothing does."""
        since = self._full_since
        return "" if since is None else f"not recording: {since.detail}"

    @property
    def has_room(self) -> bool:
        """Another entry may be added."""
        return len(self._entries) < self._count

    @property
    def waiting(self) -> int:
        """Entries not stored yet."""
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Take an entry; stored with the next commit."""
        self._entries.append(entry)
        with self._lock:
            self._set_due()

    def event(self, kind: str, detail: str, measures: Mapping[str, float] | None = None) -> None:
        """Take an event; stored with the next commit."""
        happened = Event(self._clock.now(), kind, detail, measures)
        with self._lock:
            if len(self._events) < MOST_EVENTS:
                self._events.append(happened)
            self._set_due()

    def due_in(self) -> float | None:
        """Seconds until the next commit is due, 0 when it is; None when nothing waits."""
        with self._lock:
            due = self._due
        if due is None:
            return None
        if not self.full and not self.has_room:
            return 0.0
        return max(0.0, due - monotonic())

    def commit(self) -> bool:
        """Store everything that waits. False when that is not possible now; nothing is lost by it."""
        with self._lock:
            events, self._due = list(self._events), None
        entries = self._entries
        if not entries and not events:
            return True
        try:
            self._housekeeping()
            stored = self._store.write(self._run, entries, self._closing(events))
        except StoreFull as error:
            self._stopped(str(error))
            return False
        self.stored += len(entries)
        self._entries = []
        with self._lock:
            del self._events[: len(events)]
            if self._events:
                self._set_due()
        self._went_on()
        if stored:
            self._on_stored(stored)
        return True

    def abandon(self) -> int:
        """Give up what waits, at the end of a run that cannot be stored; how many entries that is."""
        count, self._entries = len(self._entries), []
        return count

    def _set_due(self) -> None:
        if self._due is None:
            self._due = monotonic() + (self._retry_s or self._wait_s)

    def _closing(self, events: list[Event]) -> list[Event]:
        """The events, after the one that says since when nothing could be stored."""
        return [self._full_since, *events] if self._full_since else events

    def _stopped(self, why: str) -> None:
        if self._full_since is None:
            self._full_since = Event(self._clock.now(), "not_recording", why)
            self._on_state(f"not recording: {why}; it goes on by itself when there is room")
        self._retry_s = min(LONGEST_RETRY_S, max(FIRST_RETRY_S, 2 * self._retry_s))
        with self._lock:
            self._due = monotonic() + self._retry_s

    def _went_on(self) -> None:
        if self._full_since is not None:
            self._full_since, self._retry_s = None, 0.0
            self.event("recording", "recording goes on")
            self._on_state("recording goes on")
