"""The one list of what is an image: four formats, told apart by their first bytes."""

from edge.inference.image_files import bmp, jpeg, png, tiff
from edge.inference.image_files.header import Header, refuse

SUFFIXES = {
    "JPEG": frozenset({".jpg", ".jpeg"}),
    "PNG": frozenset({".png"}),
    "BMP": frozenset({".bmp"}),
    "TIFF": frozenset({".tif", ".tiff"}),
}
NAMED_LIKE_IMAGES = frozenset({".webp"}).union(*SUFFIXES.values())  # what a folder is searched for
_NOT_READ = {
    b"GIF8": "GIF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"P5\n": "PGM",
    b"P6\n": "PPM",
}


def read_header(data: bytes) -> Header:
    """The header of an image file, after every check that needs no pixels.

    Raises:
        ImageFileError: not an image, one that is not read, or damaged; `reason` says which.
    """
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.header(data)
    if data.startswith(png.SIGNATURE):
        return png.header(data)
    if data.startswith(tiff.SIGNATURES):
        return tiff.header(data)
    if bmp.is_bmp(data):
        return bmp.header(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        refuse("unsupported", "WebP image, in which damage would not be seen: convert it to PNG")
    for signature, name in _NOT_READ.items():
        if data.startswith(signature):
            refuse("unsupported", f"{name} image: convert it to PNG")
    if data[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1", b"ftypheix"):
        refuse("unsupported", "HEIF image: convert it to PNG")
    if data[128:132] == b"DICM":
        refuse("unsupported", "DICOM file: convert it to PNG")
    refuse("not_an_image", "not a readable image: none of JPEG, PNG, BMP and TIFF")
