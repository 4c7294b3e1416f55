"""JPEG: markers up to the frame header, and decoding that takes the decoder's every warning for damage.

JPEG has no checksum. A hole or a wrong byte mostly puts the decoder out of step, and libjpeg goes on with a warning
and grey or shifted blocks. `simplejpeg` in its strict mode makes an error of it. What is not seen: a wrong bit that
leaves the code words whole. ITU-T T.81 names the markers.
"""

import simplejpeg

from edge.errors import ImageFileError
from edge.inference.contract import Pixels
from edge.inference.image_files.header import Fields, Header, damaged, refuse

SIGNATURE = b"\xff\xd8\xff"
_READ = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive DCT, Huffman-coded
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_BARE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_START_OF_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_ORIENTATION_TAG = 0x0112


def header(data: bytes) -> Header:
    """Size and kind from the markers before the first scan."""
    fields, at, orientation = Fields(data), 2, 1
    while True:
        (byte,) = fields.read(">B", at)
        if byte != 0xFF:
            damaged(f"byte {at} should begin a marker")
        (marker,) = fields.read(">B", at + 1)
        if marker == 0xFF or marker in _BARE:  # a filling byte, or a marker without content
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (_START_OF_SCAN, _END):
            damaged("no frame header before the image data")
        (length,) = fields.read(">H", at + 2)
        content = fields.bytes(at + 4, length - 2)
        if marker in _OTHER_FRAMES:
            refuse("unsupported", "a lossless, hierarchical or arithmetic-coded JPEG: convert it to PNG")
        if marker in _READ:
            return _frame_header(Fields(content), orientation)
        if marker == _APP1 and content.startswith(b"Exif\0\0"):
            orientation = exif_orientation(content[6:])
        at += 2 + length


def decode(data: bytes, into: Pixels | None = None) -> Pixels:
    """The pixels, uint8 (H, W, 3) RGB; in `into` when it is given, C-contiguous and of the image's size.

    Raises:
        ImageFileError: damaged: the decoder had to guess.
    """
    try:
        if into is None:
            return simplejpeg.decode_jpeg(data, "RGB")  # type: ignore[no-any-return]
        simplejpeg.decode_jpeg(data, "RGB", buffer=into)
        return into
    except ValueError as error:
        raise ImageFileError(f"damaged: {' '.join(str(error).split())}", "damaged_image") from error


def decode_frame(data: bytes, into: Pixels | None) -> Pixels:
    """As `decode`, of a camera's or video's frame; `into` is used where it fits."""
    found = header(data)
    fits = into is not None and into.shape == (found.height, found.width, 3) and into.flags.c_contiguous
    return decode(data, into if fits else None)


def exif_orientation(tiff: bytes) -> int:
    """Orientation in the first directory of EXIF data; 1 where there is none or it cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    fields = Fields(tiff)
    try:
        (place,) = fields.read(order + "I", 4)
        (count,) = fields.read(order + "H", place)
        for entry in range(min(count, 64)):
            tag, _, _, value = fields.read(order + "HHIH", place + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG and 1 <= value <= 8:
                return value
    except ImageFileError:  # nothing that the pixels depend on
        return 1
    return 1


def _frame_header(fields: Fields, orientation: int) -> Header:
    precision, height, width, components = fields.read(">BHHB", 0)
    if precision != 8:
        refuse("16-bit", f"{precision} bits a channel: convert to 8 bits with the range you mean")
    if components == 4:
        refuse("cmyk", "CMYK colours depend on a profile: convert the file to RGB")
    if components not in (1, 3):
        refuse("unsupported", f"a JPEG of {components} components: convert it to RGB")
    return Header("JPEG", width, height, orientation=orientation)
