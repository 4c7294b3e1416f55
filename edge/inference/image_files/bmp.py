"""BMP: the header, and whether all rows are there. The format has no checksum (BITMAPINFOHEADER and later)."""

from edge.inference.image_files.header import Fields, Header, cut_short, damaged, refuse
from edge.inference.image_files.lost_blocks import require_no_lost_block

_RGB, _BITFIELDS = 0, 3
_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_ALPHA_MASK_AT, _WITH_ALPHA_MASK = 14 + 52, 56  # position; size of the first header that has one


def is_bmp(data: bytes) -> bool:
    """Whether the bytes begin as a BMP does; a text may begin with the same two letters."""
    return data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _HEADER_SIZES


def header(data: bytes) -> Header:
    """Size and kind; damaged where rows are missing."""
    fields = Fields(data)
    offset, size = fields.read("<II", 10)
    if size < 40:
        refuse("unsupported", "a BMP of OS/2: convert it to PNG")
    width, height, _, bits, compression = fields.read("<iiHHI", 18)
    if (bits, compression) not in ((1, _RGB), (4, _RGB), (8, _RGB), (24, _RGB), (32, _RGB), (32, _BITFIELDS)):
        refuse("unsupported", f"a BMP of {bits} bits a pixel, compression {compression}: convert it to PNG")
    if width <= 0 or height == 0:
        damaged(f"{width}x{height} pixels")
    alpha = compression == _BITFIELDS and size >= _WITH_ALPHA_MASK and fields.read("<I", _ALPHA_MASK_AT)[0] != 0
    found = Header("BMP", width, abs(height), alpha)
    if offset < 14 + size:
        damaged("its pixels would lie in its header")
    if len(data) < offset + abs(height) * (-(-width * bits // 32) * 4):
        cut_short()
    require_no_lost_block(data, offset)
    return found
