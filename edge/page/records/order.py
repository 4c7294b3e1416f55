"""All slides in the order of the history, kept in memory: a record of 10,000 is not looked through for each page."""

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator

from edge.record.reader import Reader
from edge.record.slide_queries import SlideLine, newest_act

_MOST_NEW = 5000  # entries that are read one by one; behind by more, all slides are listed anew
_ALL = """SELECT slide, fields, coalesce((
    SELECT max(id) FROM entries WHERE entries.slide = slides.slide AND type IN ('run', 'slide')
), 0) FROM slides"""
_NEW = "SELECT id, slide, type, field FROM entries WHERE id > ? ORDER BY id"


class SlideOrder:
    """The slides of a record, the newest first: by the run that began or the act that came last.

    >>> SlideOrder().known
    0
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._record: tuple[str, int] = ("", 0)
        self._through = 0
        self._entries: dict[str, int] = {}
        self._fields: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []  # the oldest first

    @property
    def known(self) -> int:
        """How many slides there are."""
        return len(self._order)

    def warm(self, store: Reader) -> int:
        """List all slides before somebody asks; how many there are."""
        with self._guard:
            self._read_on(store)
            return len(self._order)

    def lines(self, store: Reader, search: str, before: tuple[int, str] | None, most: int) -> list[SlideLine]:
        """The next lines of the history, `most` at most.

        Args:
            search: a part of the name, in small or capital letters. before: (entry, slide) of the line before.
        """
        with self._guard:
            self._read_on(store)
            found = []
            for entry, slide in self._newest_first(before):
                if search.lower() in slide.lower():
                    found.append((entry, slide, self._fields[slide]))
                    if len(found) == most:
                        break
        acts = ((each, newest_act(store, each[1])) for each in found)
        return [SlideLine(slide, fields, entry, act[1] if act else None) for (entry, slide, fields), act in acts]

    def _newest_first(self, before: tuple[int, str] | None) -> Iterator[tuple[int, str]]:
        end = len(self._order) if before is None else bisect_left(self._order, before)
        return (self._order[index] for index in range(end - 1, -1, -1))

    def _read_on(self, store: Reader) -> None:
        head, base = store.head(), store.base()
        record = (head.record, base.id)
        if record == self._record and self._through - _MOST_NEW <= head.id <= self._through:
            return  # another thread saw a later moment of it
        if record != self._record or not self._through < head.id <= self._through + _MOST_NEW:
            listed = store.select(_ALL)
            self._fields = {slide: fields for slide, fields, _ in listed}
            self._entries = {slide: entry for slide, _, entry in listed}
            self._order = sorted((entry, slide) for slide, _, entry in listed)
        else:
            for number, slide, kind, field in store.select(_NEW, self._through):
                if slide is None:
                    continue
                if kind in ("run", "slide") or slide not in self._entries:
                    self._move(slide, number if kind in ("run", "slide") else 0)
                self._fields[slide] = max(self._fields.get(slide, 0), field or 0)
        self._record, self._through = record, head.id

    def _move(self, slide: str, entry: int) -> None:
        before = self._entries.get(slide)
        if before is not None:
            del self._order[bisect_left(self._order, (before, slide))]
        self._entries[slide] = entry
        insort(self._order, (entry, slide))
