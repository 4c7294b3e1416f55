"""LZW as TIFF has it, read for its lengths only: a strip that is damaged hardly ever unpacks to the length it should.

libtiff unpacks damaged strips to anything without a word. Here every code must be one that is in the table by then,
and the strings must add up to the strip's length. TIFF 6.0, section 13: codes from the highest bit on, 9 to 12 bits
wide, 256 clears the table, 257 ends the strip; a table holds 4096 codes, so that all between two clears are read at
once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.image_files.header import cut_short, damaged

_CLEAR, _END, _FIRST = 256, 257, 258
_MOST = 4096 - _FIRST + 2  # codes between two clears
_FREE = _FIRST + np.maximum(np.arange(_MOST) - 1, 0)  # the next code of the table when code number i is read
_WIDTHS = 9 + (_FREE >= 511).astype(np.int64) + (_FREE >= 1023) + (_FREE >= 2047)
_STARTS = np.concatenate(([0], np.cumsum(_WIDTHS)))

Codes = npt.NDArray[np.int64]


def require_whole(strip: bytes, length: int) -> None:
    """Raise ImageFileError, reason `damaged_image`, unless a strip unpacks to `length` bytes."""
    data = np.frombuffer(strip + b"\0\0\0", np.uint8).astype(np.int64)
    bits, at, total = 8 * len(strip), 0, 0
    while True:
        codes, width = _codes(data, at, bits)
        end = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        count = int(end[0]) if len(end) else len(codes)
        total += _unpacked(codes[:count])
        if total > length:
            damaged("a strip unpacks to more than its rows")
        if not len(end):
            if total < length:
                cut_short()
            return  # some writers leave the end out
        if codes[count] == _END:
            if total != length:
                damaged("a strip unpacks to less than its rows")
            return
        at += int(width[count])


def _codes(data: Codes, at: int, bits: int) -> tuple[Codes, Codes]:
    """The codes from bit `at` on, up to as many as a table holds, and where each ends, from `at`."""
    count = int(np.searchsorted(_STARTS, bits - at, "right")) - 1
    starts, widths = at + _STARTS[:count], _WIDTHS[:count]
    first = starts >> 3
    window = data[first] << 16 | data[first + 1] << 8 | data[first + 2]
    codes = window >> (24 - (starts & 7) - widths) & ((1 << widths) - 1)
    return codes, _STARTS[1 : count + 1]


def _unpacked(codes: Codes) -> int:
    """Bytes that codes between two clears unpack to."""
    if not len(codes):
        return 0
    place = np.arange(len(codes))
    if codes[0] >= _CLEAR or (codes[1:] >= _FIRST + place[1:]).any():
        damaged("a strip has a code that is not in its table")
    # Entry i is the string of code i and one byte more; that code is a byte, or an entry before it.
    nowhere = len(codes)
    ancestor: Any = np.append(np.where(codes >= _FIRST, codes - _FIRST, nowhere), nowhere)
    steps = np.append(np.ones(len(codes), np.int64), 0)
    while (ancestor[:-1] != nowhere).any():
        steps = steps + steps[ancestor]
        ancestor = ancestor[ancestor]
    lengths = np.where(codes >= _FIRST, 1 + steps[np.where(codes >= _FIRST, codes - _FIRST, nowhere)], 1)
    return int(lengths.sum())
