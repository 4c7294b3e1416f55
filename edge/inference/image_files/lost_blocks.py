"""Blocks of a file that never reached the disk, or cannot be read from it any more: they read as zeros.

Uncompressed formats have no checksum, so such a hole looks like a black bar. File systems write and lose whole blocks
of 4096 bytes (the page size; sectors of 512 lie inside): a run of zeros that begins and ends exactly at multiples of
4096 is a lost block. A black part of a picture begins and ends at a pixel: by chance both ends fall on a multiple once
in 4096 x 4096 runs of that length.
"""

import numpy as np

from edge.inference.image_files.header import damaged

BLOCK = 4096


def require_no_lost_block(data: bytes, start: int) -> None:
    """Raise ImageFileError, reason `damaged_image`, where a lost block lies between `start` and the end."""
    first, whole = -(-start // BLOCK), len(data) // BLOCK
    if whole <= first:
        return
    blocks = np.frombuffer(data, np.uint64, (whole - first) * BLOCK // 8, first * BLOCK).reshape(-1, BLOCK // 8)
    zero = ~blocks.any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], zero, [False])).astype(np.int8)))
    for begin, end in edges.reshape(-1, 2):
        first_byte, after = (int(first + place) * BLOCK for place in (begin, end))
        if first + end == whole and not any(data[after:]):  # up to the end of the file, which ends within a block
            after = len(data)
        if data[first_byte - 1] and (after == len(data) or data[after]):
            damaged(f"bytes {first_byte} to {after} are zeros: a block of the disk that was lost")
