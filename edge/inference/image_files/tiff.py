"""TIFF: the directory, whether every strip is there, and the checksums of deflated strips (TIFF 6.0, BigTIFF).

Strips that are stored as they are have no checksum: of those only missing ones and lost blocks are found, and what is
damaged is damaged where it lies. Deflated strips have one, and LZW strips must unpack to their length. Other packing is
refused: libtiff unpacks damaged strips to anything without a word.
"""

import zlib
from dataclasses import dataclass

from edge.inference.image_files import lzw
from edge.inference.image_files.header import LARGEST_PIXELS, Fields, Header, cut_short, damaged, refuse
from edge.inference.image_files.lost_blocks import require_no_lost_block

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8
_AS_STORED, _LZW, _DEFLATE, _OLD_DEFLATE = 1, 5, 8, 32946
_NAMES = {7: "JPEG", 32773: "PackBits", 50000: "ZSTD", 50001: "WebP"}
_GREY, _RGB = 1, 2  # PhotometricInterpretation
_CMYK = 5
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS = 256, 257, 258, 259, 262, 273
_ORIENTATION, _SAMPLES, _COUNTS, _PLANAR, _TILES, _TILE_COUNTS, _SAMPLE_FORMAT = 274, 277, 279, 284, 324, 325, 339
_STRIP_ROWS, _TILE_WIDTH, _TILE_ROWS = 278, 322, 323
_READ_TAGS = {_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES, _COUNTS, _PLANAR}
_READ_TAGS |= {_TILES, _TILE_COUNTS, _SAMPLE_FORMAT, _STRIP_ROWS, _TILE_WIDTH, _TILE_ROWS}
_MOST_STRIPS = 2**20


@dataclass(frozen=True)
class _Layout:
    """Byte order and the widths of classic TIFF or BigTIFF."""

    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> "_Layout":
        return cls("<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+"))

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def place(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entry_bytes(self) -> int:
        return 20 if self.big else 12


def header(data: bytes) -> Header:
    """Size and kind, once every strip or tile has been found."""
    fields = Fields(data)
    layout = _Layout.of(data)
    (first,) = fields.read(layout.place, 8 if layout.big else 4)
    tags, following = _directory(fields, layout, first)
    if following:
        refuse("animated", "several images in one file")
    for tag in (_WIDTH, _LENGTH):
        if len(tags.get(tag, ())) != 1:
            damaged("its directory has no size of the image")
    samples, compression = tags.get(_SAMPLES, (1,))[0], tags.get(_COMPRESSION, (1,))[0]
    _require_readable(tags, samples, compression)
    found = Header("TIFF", tags[_WIDTH][0], tags[_LENGTH][0], samples == 4, tags.get(_ORIENTATION, (1,))[0])
    _require_strips(fields, tags, compression, found, samples)
    return found


def upright(data: bytes) -> bytes:
    """The same file with orientation 1: libtiff turns and mirrors what has another, whatever it is asked."""
    fields = Fields(data)
    layout = _Layout.of(data)
    (at,) = fields.read(layout.place, 8 if layout.big else 4)
    (count,) = fields.read(layout.count, at)
    at += 8 if layout.big else 2
    turned = bytearray(data)
    for place in range(at, at + count * layout.entry_bytes, layout.entry_bytes):
        if fields.read(layout.order + "H", place)[0] == _ORIENTATION:
            value = place + (12 if layout.big else 8)
            turned[value : value + 2] = b"\1\0" if layout.order == "<" else b"\0\1"  # a SHORT
    return bytes(turned)


def _directory(fields: Fields, layout: _Layout, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Values of the tags that matter, and where the next directory is, 0 for none."""
    (count,) = fields.read(layout.count, at)
    at += 8 if layout.big else 2
    if count > 4096:
        damaged(f"its directory would have {count} entries")
    tags: dict[int, tuple[int, ...]] = {}
    for place in range(at, at + count * layout.entry_bytes, layout.entry_bytes):
        tag, kind = fields.read(layout.order + "HH", place)
        if tag not in _READ_TAGS:
            continue
        if kind not in _TYPES:
            damaged(f"tag {tag} of its directory has type {kind}")
        (many,) = fields.read(layout.place, place + 4)
        if not 1 <= many <= _MOST_STRIPS:
            damaged(f"tag {tag} of its directory would have {many} values")
        values = f"{layout.order}{many}{_TYPES[kind]}"
        here = place + (12 if layout.big else 8)
        inline = many * {"B": 1, "H": 2, "I": 4, "Q": 8}[_TYPES[kind]] <= (8 if layout.big else 4)
        tags[tag] = fields.read(values, here if inline else fields.read(layout.place, here)[0])
    (following,) = fields.read(layout.place, at + count * layout.entry_bytes)
    return tags, following


def _require_readable(tags: dict[int, tuple[int, ...]], samples: int, compression: int) -> None:
    photometric = tags.get(_PHOTOMETRIC, (-1,))[0]
    if photometric == _CMYK:
        refuse("cmyk", "CMYK colours depend on a profile: convert the file to RGB")
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_SAMPLE_FORMAT, (1,)))
    if max(bits) > 8 or formats != {1}:
        kind = "" if formats == {1} else ", not whole numbers from 0"
        refuse("16-bit", f"{max(bits)} bits a channel{kind}: convert to 8 bits with the range you mean")
    if bits != {8} or (photometric, samples) not in ((_GREY, 1), (_RGB, 3), (_RGB, 4)):
        refuse("unsupported", "a TIFF that is neither 8-bit grey nor 8-bit RGB: convert it to PNG")
    if tags.get(_PLANAR, (1,))[0] != 1:
        refuse("unsupported", "a TIFF of separate colour planes: convert it to PNG")
    if compression not in (_AS_STORED, _LZW, _DEFLATE, _OLD_DEFLATE):
        name = _NAMES.get(compression, str(compression))
        refuse("unsupported", f"a TIFF of compression {name}, in which damage would not be seen: convert it to PNG")


def _require_strips(
    fields: Fields, tags: dict[int, tuple[int, ...]], compression: int, image: Header, samples: int
) -> None:
    """Every strip or tile lies in the file, and unpacks to its length."""
    offsets, counts = tags.get(_STRIPS) or tags.get(_TILES, ()), tags.get(_COUNTS) or tags.get(_TILE_COUNTS, ())
    lengths = _lengths(tags, image, samples)
    if not len(offsets) == len(counts) == len(lengths):
        damaged("its directory does not say where the pixels are")
    strips = list(zip(offsets, counts, lengths, strict=True))
    if any(count == 0 or offset == 0 or offset + count > len(fields.data) for offset, count, _ in strips):
        cut_short()
    if compression == _AS_STORED:
        if any(count < length for _, count, length in strips):
            damaged("rows are missing")
        require_no_lost_block(fields.data[: max(offset + count for offset, count, _ in strips)], min(offsets))
        return
    check = lzw.require_whole if compression == _LZW else _require_inflates
    for offset, count, length in strips:
        check(fields.bytes(offset, count), length)


def _lengths(tags: dict[int, tuple[int, ...]], image: Header, samples: int) -> list[int]:
    """Bytes of each strip or tile, unpacked."""
    if _STRIPS in tags:
        rows = min(tags.get(_STRIP_ROWS, (image.height,))[0], image.height)
        if rows == 0:
            damaged("strips of no rows")
        whole, rest = divmod(image.height, rows)
        return [image.width * samples * n for n in [rows] * whole + [rest] * (rest > 0)]
    width, height = tags.get(_TILE_WIDTH, (0,))[0], tags.get(_TILE_ROWS, (0,))[0]
    if not (0 < width <= 2**16 and 0 < height <= 2**16 and width * height <= 4 * LARGEST_PIXELS):
        damaged(f"tiles of {width}x{height} pixels")
    return [width * height * samples] * (-(-image.width // width) * -(-image.height // height))


def _require_inflates(strip: bytes, length: int) -> None:
    """A deflated strip ends with the checksum of what it holds; never more than its length is unpacked."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = len(unpacker.decompress(strip, length + 1))
        if unpacked == length and not unpacker.eof:  # the checksum has not been read yet
            unpacked += len(unpacker.decompress(unpacker.unconsumed_tail, 1))
    except zlib.error as error:
        damaged(f"a strip cannot be unpacked ({error})")
    if unpacked != length or not unpacker.eof:
        damaged("a strip does not unpack to its rows")
