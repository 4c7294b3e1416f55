"""A bounded reader of the root map of a FlexBuffer, in which a custom operator carries its options.

Only what such options hold is read: integers, booleans, strings and blobs; other values are left out. Work and
memory are bounded by the buffer's size. Format: https://flatbuffers.dev/internals/#flexbuffers
"""

import struct

from edge.errors import FlatbufferError

_INT, _UINT, _KEY, _STRING, _MAP, _BLOB, _BOOL = 1, 2, 4, 5, 9, 25, 26
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
LONGEST_KEY = 256  # bytes


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def unsigned(self, position: int, width: int) -> int:
        return int(self._unpack(position, width, _CODES[width]))

    def signed(self, position: int, width: int) -> int:
        return int(self._unpack(position, width, _CODES[width].lower()))

    def behind(self, position: int, width: int) -> int:
        """The target of the backward offset stored at `position`."""
        target = position - self.unsigned(position, width)
        if not 0 <= target < position:
            raise FlatbufferError(f"custom options: the offset at byte {position} leads outside")
        return target

    def _unpack(self, position: int, width: int, code: str) -> int:
        if not 0 <= position <= len(self.data) - width:
            raise FlatbufferError(f"custom options end before byte {position + width}")
        return int(struct.unpack_from("<" + code, self.data, position)[0])


def read_map(data: bytes) -> dict[str, int | bytes]:
    """The root map: integers and booleans as int, strings and blobs as bytes.

    Raises:
        FlatbufferError: no FlexBuffer whose root is a map, or an offset in it leads outside.
    """
    reader = _Reader(data)
    if len(data) < 3:
        raise FlatbufferError("custom options are no map")
    packed, root_width = data[-2], data[-1]
    if root_width not in _CODES or packed >> 2 != _MAP:
        raise FlatbufferError("custom options are no map")
    width = 1 << (packed & 3)
    values = reader.behind(len(data) - 2 - root_width, root_width)
    count = reader.unsigned(values - width, width)
    keys_width = reader.unsigned(values - 2 * width, width)
    if count * width > len(data) or keys_width not in _CODES:
        raise FlatbufferError(f"custom options claim {count} entries")
    keys = reader.behind(values - 3 * width, width)
    found: dict[str, int | bytes] = {}
    types = values + count * width
    for n in range(count):
        key = _key(reader, reader.behind(keys + n * keys_width, keys_width))
        value = _value(reader, values + n * width, width, reader.unsigned(types + n, 1))
        if value is not None:
            found[key] = value
    return found


def _key(reader: _Reader, start: int) -> str:
    end = reader.data.find(b"\0", start, start + LONGEST_KEY)
    if end < 0:
        raise FlatbufferError(f"custom options: the key at byte {start} has no end")
    return reader.data[start:end].decode("utf-8", "replace")


def _value(reader: _Reader, position: int, width: int, packed: int) -> int | bytes | None:
    kind = packed >> 2
    if kind == _INT:
        return reader.signed(position, width)
    if kind in (_UINT, _BOOL):
        return reader.unsigned(position, width)
    if kind in (_STRING, _BLOB):
        start, size_width = reader.behind(position, width), 1 << (packed & 3)
        size = reader.unsigned(start - size_width, size_width)
        if start + size > len(reader.data):
            raise FlatbufferError(f"custom options: {size} bytes at byte {start} end outside")
        return reader.data[start : start + size]
    return None
