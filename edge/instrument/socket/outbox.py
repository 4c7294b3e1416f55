"""What waits for a client: a bounded queue, in which the newest state and meters replace older ones."""

from collections import deque
from dataclasses import dataclass

MOST_MESSAGES = 256
MOST_BYTES = 4 << 20
_BUFFERS = 64  # far below IOV_MAX


@dataclass(eq=False, slots=True)
class _Item:
    chunks: tuple[bytes, ...]
    kind: str
    since: float


class Outbox:
    r"""Messages of one client, whole ones and the rest of one that is partly sent. For one thread.

    >>> box = Outbox()
    >>> [box.put((line,), now=0.0, replaces=kind) for line, kind in ((b"a1\n", "a"), (b"b\n", ""), (b"a2\n", "a"))]
    [True, True, True]
    >>> [bytes(piece) for piece in box.head()]
    [b'b\n', b'a2\n']
    """

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._newest: dict[str, _Item] = {}
        self._bytes = 0
        self._chunk = self._offset = 0  # of the first message: chunks that are sent, bytes of the next one

    def __len__(self) -> int:
        return len(self._items)

    def put(self, chunks: tuple[bytes, ...], *, now: float, replaces: str = "") -> bool:
        """Queue a message of some chunks; False when there is no room, and then the client has to go.

        Args:
            now: monotonic seconds. replaces: an unsent message that was put with the same word is left out.
        """
        old = self._newest.pop(replaces, None)
        if old is not None and not (self._begun and old is self._items[0]):
            self._items.remove(old)
            self._bytes -= _size(old.chunks)
            now = min(now, old.since)  # a reader that takes nothing stays as slow as it is
        size = _size(chunks)
        if len(self._items) >= MOST_MESSAGES or self._bytes + size > MOST_BYTES:
            return False
        item = _Item(chunks, replaces, now)
        if replaces:
            self._newest[replaces] = item
        self._items.append(item)
        self._bytes += size
        return True

    def head(self, most: int = 1 << 30) -> list[memoryview]:
        """What is to be sent next, for `socket.sendmsg`: at most `_BUFFERS` pieces, and of `most` bytes or a little
        more; empty when there is nothing."""
        pieces: list[memoryview] = []
        chunk, offset = self._chunk, self._offset
        for item in self._items:
            for each in item.chunks[chunk:]:
                if len(pieces) == _BUFFERS or most <= 0:
                    return pieces
                pieces.append(memoryview(each)[offset:])
                most -= len(pieces[-1])
                offset = 0
            chunk = 0
        return pieces

    def sent(self, count: int) -> None:
        """`count` bytes of `head` went out."""
        while count > 0:
            item = self._items[0]
            part = min(count, len(item.chunks[self._chunk]) - self._offset)
            self._offset, count = self._offset + part, count - part
            if self._offset == len(item.chunks[self._chunk]):
                self._chunk, self._offset = self._chunk + 1, 0
            if self._chunk == len(item.chunks):
                self._items.popleft()
                self._chunk = 0
                self._bytes -= _size(item.chunks)
                if self._newest.get(item.kind) is item:
                    del self._newest[item.kind]

    def waiting_s(self, now: float) -> float:
        """For how long the first message has waited."""
        return now - self._items[0].since if self._items else 0.0

    def clear(self) -> bool:
        """Leave out all; False, and nothing left out, when the rest of a message has to come first."""
        if self._begun:
            return False
        self._items.clear()
        self._newest.clear()
        self._bytes = 0
        return True

    @property
    def _begun(self) -> bool:
        return self._chunk > 0 or self._offset > 0


def _size(chunks: tuple[bytes, ...]) -> int:
    return sum(map(len, chunks))
