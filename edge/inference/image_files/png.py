"""PNG: every chunk against its checksum, from the signature to IEND (PNG specification, third edition)."""

import zlib
from collections.abc import Iterator

from edge.inference.image_files.header import Fields, Header, cut_short, damaged, refuse
from edge.inference.image_files.jpeg import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WITH_ALPHA = (4, 6)  # colour types


def header(data: bytes) -> Header:
    """Size and kind, once every chunk has been found whole."""
    fields = Fields(data)
    width, height, depth, colour = _first_chunk(fields)
    alpha, orientation, has_pixels = colour in _WITH_ALPHA, 1, False
    for name, content in _chunks(data):
        if name == b"acTL":
            refuse("animated", f"{Fields(bytes(content)).read('>I', 0)[0]} images in one file")
        has_pixels = has_pixels or name == b"IDAT"
        alpha = alpha or name == b"tRNS"
        if name == b"eXIf":
            orientation = exif_orientation(bytes(content))
    if depth > 8:
        refuse("16-bit", f"{depth} bits a channel: convert to 8 bits with the range you mean")
    if not has_pixels:
        damaged("it holds no image data")
    return Header("PNG", width, height, alpha, orientation)


def _first_chunk(fields: Fields) -> tuple[int, int, int, int]:
    length, name = fields.read(">I", 8)[0], fields.bytes(12, 4)
    if (length, name) != (13, b"IHDR"):
        damaged("it does not begin with its header")
    width, height, depth, colour = fields.read(">IIBB", 16)
    return width, height, depth, colour


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(name, content) of every chunk up to IEND, each after its checksum was found right."""
    view, at = memoryview(data), 8
    while True:
        if at + 12 > len(data):
            cut_short()
        length = int.from_bytes(view[at : at + 4], "big")
        name, end = bytes(view[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data):
            cut_short()
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            damaged(f"the checksum of the chunk at byte {at} is wrong")
        if name == b"IEND":
            return
        yield name, view[at + 8 : end]
        at = end + 4
