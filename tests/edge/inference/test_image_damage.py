"""Damaged and odd image files: what OpenCV decodes all the same is refused, by name; what is sound is not."""

import io
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge.cameras.synthetic.smear import synthetic_fields
from edge.errors import ImageFileError
from edge.inference.image_files import lzw
from edge.inference.image_files.lost_blocks import BLOCK, require_no_lost_block
from edge.inference.images import REASONS, decode_image, image_files_in, read_image_header
from models.data.dataset import KINDS, examine

FIELD = synthetic_fields(1, 0)[0][1]
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def encoded(suffix: str, *options: int, image: np.ndarray = FIELD) -> bytes:
    done, data = cv2.imencode(suffix, image[..., ::-1], list(options))
    assert done
    return data.tobytes()


def saved(form: str, image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


SOUND = {
    "jpeg": encoded(".jpg", *JPEG),
    "jpeg, progressive": encoded(".jpg", *JPEG, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "jpeg, restart markers": encoded(".jpg", *JPEG, cv2.IMWRITE_JPEG_RST_INTERVAL, 40),
    "png": encoded(".png"),
    "bmp": encoded(".bmp"),
    "tiff": encoded(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 1),
    "tiff, lzw": encoded(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 5),
    "tiff, deflate": encoded(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 8),
}
UNCHECKED = {"bmp", "tiff"}  # stored as they are, without a checksum


def hole(data: bytes, at: int, length: int = 4096) -> bytes:
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def reason(data: bytes) -> str | None:
    try:
        decode_image(data, "field")
    except ImageFileError as error:
        assert str(error).startswith("field: ") and "\n" not in str(error)
        return error.reason
    return None


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_file_is_read_to_the_pixels_that_opencv_gives(name: str) -> None:
    expected = cv2.imdecode(np.frombuffer(SOUND[name], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(decode_image(SOUND[name], "field"), expected)


@pytest.mark.parametrize("name", SOUND)
def test_a_lost_block_is_seen_in_every_format(name: str) -> None:
    """4096 zeros where a file system keeps a block; the JPEG's was Benign with 0.999."""
    data = SOUND[name]
    for at in range(BLOCK, len(data) - BLOCK, max(BLOCK, len(data) // 12 // BLOCK * BLOCK)):
        assert reason(hole(data, at)) == "damaged_image", at
    assert reason(hole(data, len(data) // 2 // BLOCK * BLOCK, len(data))) == "damaged_image", "all the rest"


@pytest.mark.parametrize("name", sorted(set(SOUND) - UNCHECKED))
def test_a_hole_anywhere_and_a_foreign_block_are_seen_where_the_format_allows(name: str) -> None:
    data, rng = SOUND[name], np.random.default_rng(1)
    for at in rng.integers(1000, len(data) - 5000, 12):
        assert reason(hole(data, int(at))) == "damaged_image", at
        assert reason(data[:at] + rng.bytes(4096) + data[at + 4096 :]) == "damaged_image", at


@pytest.mark.parametrize("name", SOUND)
def test_a_file_that_is_cut_short_is_damaged(name: str) -> None:
    data = SOUND[name]
    for cut in (60, len(data) // 3, len(data) * 9 // 10, len(data) - 300):
        assert reason(data[:cut]) == "damaged_image", cut


@pytest.mark.parametrize("name", ["png", "tiff, deflate"])
def test_one_bit_is_seen_where_there_are_checksums(name: str) -> None:
    data, rng = SOUND[name], np.random.default_rng(2)
    start = 300 if name == "png" else 20
    for at in rng.integers(start, len(data) - 400, 20):
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(rng.integers(8))
        assert reason(bytes(flipped)) == "damaged_image", at


def test_a_checksum_that_is_made_right_again_is_believed() -> None:
    """Negative control: the PNG's checksum is what finds the damage."""
    chunk = zlib.crc32(b"tEXtnote\0sound").to_bytes(4, "big")
    end = SOUND["png"].rindex(b"IEND") - 4
    for checksum, expected in ((chunk, None), (bytes(4), "damaged_image")):
        added = b"\0\0\0\x0atEXtnote\0sound" + checksum
        assert reason(SOUND["png"][:end] + added + SOUND["png"][end:]) == expected


def test_a_black_bar_is_no_lost_block() -> None:
    """Negative control: black parts of a picture begin and end at pixels."""
    for rows, columns in ((slice(0, 200), slice(None)), (slice(100, 240), slice(None)), (slice(None), slice(0, 320))):
        barred = FIELD.copy()
        barred[rows, columns] = 0
        assert reason(encoded(".bmp", image=barred)) is None
    require_no_lost_block(bytes(3 * BLOCK), 0)  # nothing else: no edge
    require_no_lost_block(b"\1" * BLOCK + bytes(BLOCK) + b"\0\1" * BLOCK, 0)  # does not end with the block
    with pytest.raises(ImageFileError, match="bytes 4096 to 8192"):
        require_no_lost_block(b"\1" * BLOCK + bytes(BLOCK) + b"\1" * BLOCK, 0)


def test_lzw_by_hand() -> None:
    """Clear, 'A', 'B', the string AB, end: four bytes; then the same with a code that does not exist yet."""

    def packed(*codes: int) -> bytes:
        bits = "".join(f"{code:09b}" for code in codes)
        return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")

    lzw.require_whole(packed(256, 65, 66, 258, 257), 4)
    lzw.require_whole(packed(256, 65, 258, 259, 257), 6)  # A, AA, AAA: strings that are being defined
    for codes, length in (((256, 65, 66, 258, 257), 5), ((256, 65, 66, 258, 257), 3), ((256, 65, 260, 257), 4)):
        with pytest.raises(ImageFileError):
            lzw.require_whole(packed(*codes), length)


ODD: dict[str, tuple[Callable[[], bytes], str]] = {
    "12 bits in 16": (lambda: encoded(".tif", image=FIELD.astype(np.uint16) * 16), "16-bit"),
    "16-bit png": (lambda: encoded(".png", image=FIELD.astype(np.uint16) * 257), "16-bit"),
    "float tiff": (lambda: encoded(".tif", image=FIELD.astype(np.float32) / 255), "16-bit"),
    "cmyk jpeg": (lambda: saved("JPEG", Image.fromarray(FIELD).convert("CMYK")), "cmyk"),
    "cmyk tiff": (lambda: saved("TIFF", Image.fromarray(FIELD).convert("CMYK")), "cmyk"),
    "half transparent tiff": (lambda: saved("TIFF", _half_transparent()), "transparent"),
    "half transparent png": (lambda: saved("PNG", _half_transparent()), "transparent"),
    "two pages": (
        lambda: saved("TIFF", Image.fromarray(FIELD), save_all=True, append_images=[Image.fromarray(FIELD)]),
        "animated",
    ),
    "lab tiff": (lambda: saved("TIFF", Image.fromarray(FIELD).convert("LAB")), "unsupported"),
    "packbits": (lambda: saved("TIFF", Image.fromarray(FIELD), compression="packbits"), "unsupported"),
    "jpeg in tiff": (lambda: saved("TIFF", Image.fromarray(FIELD), compression="jpeg"), "unsupported"),
    "webp": (lambda: saved("WEBP", Image.fromarray(FIELD)), "unsupported"),
    "gif": (lambda: saved("GIF", Image.fromarray(FIELD)), "unsupported"),
    "jpeg 2000": (lambda: saved("JPEG2000", Image.fromarray(FIELD[:64, :64])), "unsupported"),
    "text": (lambda: b"BMI of the patients\n" * 9, "not_an_image"),
    "nothing": (lambda: b"", "empty"),
}


def _half_transparent() -> Image.Image:
    image = Image.fromarray(FIELD)
    image.putalpha(128)
    return image


@pytest.mark.parametrize("name", ODD)
def test_what_models_refuse_the_device_refuses_for_the_same_reason(name: str) -> None:
    data, expected = ODD[name][0](), ODD[name][1]
    assert reason(data) == expected and expected in REASONS
    found = examine("field.png", data)
    assert found is not None and not found.used
    assert found.kind == ("misnamed" if name == "text" else expected) and found.kind in KINDS
    assert "decoded" not in found.detail


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """20,032 x 20,032 black pixels in 400 kB: classified, they took 2.4 GB."""
    path = tmp_path / "bomb.png"
    path.write_bytes(_black_png(20_032))
    code = f"from pathlib import Path; from edge.inference.images import read_image; read_image(Path({str(path)!r}))"
    limit = 600 * 2**20  # of addresses: the interpreter with OpenCV and NumPy, and no picture of 400 million pixels

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=limited
    )
    assert "20032x20032 pixels, more than 67108864" in ended.stderr.splitlines()[-1]


def test_headers_of_every_format_say_the_size() -> None:
    for name, data in SOUND.items():
        header = read_image_header(data)
        assert (header.width, header.height, header.form.lower()) == (640, 480, name.partition(",")[0])


def _black_png(side: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(8)) + packer.flush()
    size = side.to_bytes(4, "big")
    header = chunk(b"IHDR", size + size + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_hidden_files_are_no_images_of_a_folder(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", "b.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in image_files_in(tmp_path)] == ["a.png", "b.webp"]


@pytest.mark.slow
def test_every_published_image_is_sound(data_dir: Path) -> None:
    for path in image_files_in(data_dir):
        assert reason(path.read_bytes()) is None, path
