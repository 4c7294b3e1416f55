"""A FlatBuffer reader that trusts nothing: every offset is checked, the work is bounded by the file's size.

The generated readers follow any offset they find: a damaged one leads out of the buffer, a damaged length
makes them loop for minutes. Here whatever leads outside the file, or asks for more steps than a file of that
size can need, raises FlatbufferError. It does not name the file: who reads one narrows the error and does.

Format: https://flatbuffers.dev/internals/ (tables, vtables, vectors).
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import FlatbufferError

MOST_TABLES = 500_000  # visited in one file; MobileNetV2 has about 1,000, a thousand layers about 10,000
LONGEST_TEXT = 1 << 16  # bytes


class Buffer:
    """A file's bytes and how much may still be read of them. Positions are byte offsets from its start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._elements = 2 * len(data) + 4096
        self._tables = MOST_TABLES

    def root(self, identifier: bytes) -> "Table":
        """The root table, after a check of the four-letter file identifier at byte 4."""
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise FlatbufferError(f"no {identifier.decode()} file identifier")
        return Table(self, self.follow(0))

    def number(self, code: str, position: int) -> int:
        """One little-endian integer of struct code `code`."""
        if not 0 <= position <= len(self.data) - struct.calcsize("<" + code):
            raise FlatbufferError(f"an offset leads to byte {position} of {len(self.data)}")
        return int(struct.unpack_from("<" + code, self.data, position)[0])

    def follow(self, position: int) -> int:
        """The target of the forward offset stored at `position`."""
        offset = self.number("I", position)
        if offset == 0 or position + offset > len(self.data) - 4:
            raise FlatbufferError(f"the offset at byte {position} leads outside the file")
        return position + offset

    def spend(self, elements: int = 0, tables: int = 0) -> None:
        """Count work done; a file that asks for more than its size explains is broken."""
        self._elements -= elements
        self._tables -= tables
        if self._elements < 0 or self._tables < 0:
            raise FlatbufferError("its tables repeat beyond what a file of this size can hold")


class Table:
    """One table; fields are read by slot, their position in the schema counted from 0.

    Every method raises FlatbufferError where the field, or what it refers to, does not lie inside the file.
    """

    __slots__ = ("_position", "_size", "_slots", "_vtable", "buffer")

    def __init__(self, buffer: Buffer, position: int) -> None:
        buffer.spend(tables=1)
        if position % 4:
            raise FlatbufferError(f"the table at byte {position} is not aligned")
        self.buffer, self._position = buffer, position
        vtable = position - buffer.number("i", position)
        length, size = buffer.number("H", vtable), buffer.number("H", vtable + 2)
        inside = vtable + length <= len(buffer.data) and position + size <= len(buffer.data)
        if length < 4 or length % 2 or vtable % 2 or size < 4 or not inside:
            raise FlatbufferError(f"the table at byte {position} does not fit the file")
        self._vtable, self._slots, self._size = vtable, (length - 4) // 2, size

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """An integer field of struct code `code`, or its default when absent."""
        at = self._field(slot, struct.calcsize("<" + code))
        return self.buffer.number(code, at) if at else default

    def decimal(self, slot: int, default: float = 0.0) -> float:
        """A float32 field, or its default when absent; it may be no number, or endless."""
        at = self._field(slot, 4)
        return float(struct.unpack_from("<f", self.buffer.data, at)[0]) if at else default

    def table(self, slot: int) -> "Table | None":
        """A sub-table, or None when absent."""
        at = self._field(slot, 4)
        return Table(self.buffer, self.buffer.follow(at)) if at else None

    def tables(self, slot: int) -> Iterator["Table"]:
        """A vector of tables; none when absent. Each is checked as it is reached."""
        start, count = self.span(slot, 4)
        self.buffer.spend(elements=count)
        return (Table(self.buffer, self.buffer.follow(start + 4 * n)) for n in range(count))

    def array(self, slot: int, dtype: str) -> npt.NDArray[Any]:
        """A vector of numbers as a read-only view, 1-D; empty when absent."""
        kind = np.dtype(dtype).newbyteorder("<")
        start, count = self.span(slot, kind.itemsize)
        self.buffer.spend(elements=count)
        return np.frombuffer(self.buffer.data, kind, count, start) if count else np.empty(0, kind)

    def text(self, slot: int) -> str:
        """A string of 64 KiB at most; bytes that are no UTF-8 are replaced. Empty when absent."""
        start, count = self.text_span(slot)
        if count > LONGEST_TEXT:
            raise FlatbufferError(f"a name of {count} bytes")
        self.buffer.spend(elements=count)
        return self.buffer.data[start : start + count].decode("utf-8", "replace")

    def text_span(self, slot: int) -> tuple[int, int]:
        """(first byte, length in bytes) of a string, whose closing zero byte is there; (0, 0) when absent."""
        start, count = self.span(slot, 1)
        if start and (start + count >= len(self.buffer.data) or self.buffer.data[start + count] != 0):
            raise FlatbufferError(f"the text at byte {start} has no end")
        return start, count

    def raw(self, slot: int) -> bytes:
        """A vector of bytes, copied."""
        start, count = self.span(slot, 1)
        self.buffer.spend(elements=count)
        return self.buffer.data[start : start + count]

    def span(self, slot: int, width: int) -> tuple[int, int]:
        """(first byte, number of elements) of a vector of `width`-byte elements; (0, 0) when absent."""
        at = self._field(slot, 4)
        if not at:
            return 0, 0
        start = self.buffer.follow(at)
        count = self.buffer.number("I", start)
        if start + 4 + count * width > len(self.buffer.data):
            raise FlatbufferError(f"a list of {count} entries at byte {start} ends beyond the file")
        return start + 4, count

    def _field(self, slot: int, width: int) -> int:
        """Byte position of a field of `width` bytes, or 0 when the table has none."""
        if slot >= self._slots:
            return 0
        offset = self.buffer.number("H", self._vtable + 4 + 2 * slot)
        if offset and not 4 <= offset <= self._size - width:
            raise FlatbufferError(f"field {slot} of the table at byte {self._position} lies outside it")
        return self._position + offset if offset else 0
