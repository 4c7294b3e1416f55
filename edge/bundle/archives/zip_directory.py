"""The central directory of a zip file, checked before `zipfile` reads it."""

import struct

from edge.errors import BundleError

_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE.TXT 4.3.16)


_END_SIGNATURE, _ZIP64_LOCATOR = b"PK\5\6", b"PK\6\7"


def check_directory(data: bytes, shown: str) -> None:
    """Refuse an archive whose directory is longer than a bundle's, before anything parses it: of millions of entries
    the directory alone fills a memory.

    Raises:
        BundleError: beginning with `shown`; also for what a plain zip file does not have: a comment, 64-bit headers,
            other bytes before or behind.
    """
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != _END_SIGNATURE:
        raise BundleError(f"{shown}: not a zip file, or one with something behind its end")
    _, disk, first_disk, here, members, size, offset, comment = _END.unpack(data[end:])
    if disk or first_disk or here != members or comment or data[end - 20 : end - 16] == _ZIP64_LOCATOR:
        raise BundleError(f"{shown}: not a plain zip file: split, of the 64-bit kind, or with a comment")
    if members > MOST_MEMBERS or size > LARGEST_DIRECTORY_BYTES:
        raise BundleError(f"{shown}: holds {members} files; a bundle has fewer")
    if offset + size != end:
        raise BundleError(f"{shown}: not a plain zip file: something stands before it, or it was cut")


MOST_MEMBERS = 32


LARGEST_DIRECTORY_BYTES = 32 * 2**10
