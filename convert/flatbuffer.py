"""A flatbuffer reader that trusts nothing: offsets are checked, the work is bounded by the file's size.

The generated readers follow any offset they find, and a damaged length makes them loop for minutes. Here
whatever leads outside the file, or asks for more steps than a file of that size can need, raises
BrokenModelError.

Format: https://flatbuffers.dev/internals/
"""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import BrokenModelError

LARGEST_TABLE_COUNT = 500_000  # tables visited in one file; a network of a thousand layers has about 10,000
LONGEST_STRING = 1 << 16


class Buffer:
    """A file's bytes and what may still be read of them."""

    def __init__(self, data: bytes, name: str = "model") -> None:
        self.data, self.name = data, name
        self._elements = 2 * len(data) + 4096
        self._tables = LARGEST_TABLE_COUNT

    def root(self, identifier: bytes) -> "Table":
        """The root table, after a check of the four-letter file identifier at byte 4."""
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise self.broken(f"no {identifier.decode()} file identifier")
        return Table(self, self.number("I", 0))

    def number(self, code: str, position: int) -> int:
        """One little-endian number of struct code `code`."""
        if not 0 <= position <= len(self.data) - struct.calcsize("<" + code):
            raise self.broken(f"an offset leads to byte {position} of {len(self.data)}")
        (value,) = struct.unpack_from("<" + code, self.data, position)
        return value  # type: ignore[no-any-return]

    def spend(self, elements: int = 0, tables: int = 0) -> None:
        """Count work done; a file that asks for more than its size explains is broken."""
        self._elements -= elements
        self._tables -= tables
        if self._elements < 0 or self._tables < 0:
            raise self.broken("its tables repeat beyond what a file of this size can hold")

    def broken(self, why: str) -> BrokenModelError:
        """The error for this file."""
        return BrokenModelError(f"{self.name}: not a readable TFLite file: {why}")


class Table:
    """One table; fields are read by slot, their position in the schema counted from 0."""

    __slots__ = ("_buffer", "_fields", "_position", "_size", "_vtable")

    def __init__(self, buffer: Buffer, position: int) -> None:
        buffer.spend(tables=1)
        self._buffer, self._position = buffer, position
        self._vtable = position - buffer.number("i", position)
        length = buffer.number("H", self._vtable)
        self._size = buffer.number("H", self._vtable + 2)
        if length < 4 or length % 2 or self._vtable + length > len(buffer.data):
            raise buffer.broken(f"the table at byte {position} has no valid layout")
        if self._size < 4 or position + self._size > len(buffer.data):
            raise buffer.broken(f"the table at byte {position} ends beyond the file")
        self._fields = (length - 4) // 2

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """A scalar field, or its default when absent."""
        at = self._field(slot)
        return self._buffer.number(code, at) if at else default

    def table(self, slot: int) -> "Table | None":
        """A sub-table, or None when absent."""
        at = self._field(slot)
        return Table(self._buffer, self._follow(at)) if at else None

    def tables(self, slot: int) -> list["Table"]:
        """A vector of tables; empty when absent."""
        start, count = self.span(slot, 4)
        self._buffer.spend(elements=count)
        return [Table(self._buffer, self._follow(start + 4 * n)) for n in range(count)]

    def array(self, slot: int, dtype: str) -> npt.NDArray[Any]:
        """A vector of numbers as a read-only view; empty when absent."""
        kind = np.dtype(dtype).newbyteorder("<")
        start, count = self.span(slot, kind.itemsize)
        self._buffer.spend(elements=count)
        return np.frombuffer(self._buffer.data, kind, count, start) if count else np.empty(0, kind)

    def text(self, slot: int) -> str:
        """A string; bytes that are no UTF-8 are replaced. Empty when absent."""
        start, count = self.span(slot, 1)
        if count > LONGEST_STRING:
            raise self._buffer.broken(f"a name of {count} bytes")
        self._buffer.spend(elements=count)
        return self._buffer.data[start : start + count].decode("utf-8", "replace")

    def texts(self, slot: int) -> list[str]:
        """A vector of strings; empty when absent."""
        start, count = self.span(slot, 4)
        self._buffer.spend(elements=count)
        return [self._text_at(start + 4 * n) for n in range(count)]

    def raw(self, slot: int) -> bytes:
        """A vector of bytes, copied."""
        start, count = self.span(slot, 1)
        self._buffer.spend(elements=count)
        return self._buffer.data[start : start + count]

    def span(self, slot: int, width: int) -> tuple[int, int]:
        """(first byte, number of elements) of a vector of `width`-byte elements; (0, 0) when absent."""
        at = self._field(slot)
        return self._vector(self._follow(at), width) if at else (0, 0)

    def _vector(self, position: int, width: int) -> tuple[int, int]:
        count = self._buffer.number("I", position)
        if position + 4 + count * width > len(self._buffer.data):
            raise self._buffer.broken(f"a list of {count} entries at byte {position} ends beyond the file")
        return position + 4, count

    def _text_at(self, at: int) -> str:
        start, count = self._vector(self._follow(at), 1)
        if count > LONGEST_STRING:
            raise self._buffer.broken(f"a name of {count} bytes")
        self._buffer.spend(elements=count)
        return self._buffer.data[start : start + count].decode("utf-8", "replace")

    def _field(self, slot: int) -> int:
        """Byte position of a field, or 0 when the table has none."""
        if slot >= self._fields:
            return 0
        offset = self._buffer.number("H", self._vtable + 4 + 2 * slot)
        if offset >= self._size and offset:
            raise self._buffer.broken(f"a field of the table at byte {self._position} lies outside it")
        return self._position + offset if offset else 0

    def _follow(self, at: int) -> int:
        return at + self._buffer.number("I", at)
