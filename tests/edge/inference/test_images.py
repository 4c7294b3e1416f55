"""Image files: what is one becomes a frame, what is none is named in one line."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge.errors import ImageFileError
from edge.inference.images import IMAGE_SUFFIXES, decode_image, read_image, read_image_header


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    """RGB with three channels that cannot be mistaken for each other."""
    x = np.linspace(0, 255, width).astype(np.uint8)
    return np.dstack([np.tile(x, (height, 1)), np.full((height, width), 90, np.uint8), 255 - np.tile(x, (height, 1))])


def encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, image, list(options))
    assert done
    return data.tobytes()


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES - {".webp"}))
def test_every_suffix_reads_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"field{suffix}"
    path.write_bytes(encoded(suffix, picture()[..., ::-1]))
    frame = read_image(path)
    assert frame.dtype == np.uint8 and frame.shape == (40, 60, 3)
    tolerance = 12 if suffix in (".jpg", ".jpeg") else 0
    assert np.abs(frame.astype(int) - picture()).max() <= tolerance


def test_contents_decide_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "png.jpg"
    path.write_bytes(encoded(".png", picture()[..., ::-1]))
    assert np.array_equal(read_image(path), picture())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("channels", ["grey", "opaque alpha"])
def test_grey_and_opaque_images_become_rgb(channels: str, suffix: str) -> None:
    bgr = picture()[..., ::-1]
    image = bgr[..., 1] if channels == "grey" else np.dstack([bgr, np.full((40, 60), 255, np.uint8)])
    frame = decode_image(encoded(suffix, image), "field")
    assert np.array_equal(frame, np.full((40, 60, 3), 90) if channels == "grey" else picture())


def test_exif_orientation_does_not_turn_a_frame() -> None:
    jpeg = encoded(".jpg", picture())
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # Orientation 6: a quarter turn
    block = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]
    assert np.array_equal(decode_image(turned, "a"), decode_image(jpeg, "b"))
    assert [read_image_header(data).orientation for data in (turned, jpeg)] == [6, 1]


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("big", [False, True])
def test_neither_does_that_of_a_tiff_which_libtiff_obeys(orientation: int, big: bool) -> None:
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "TIFF", tiffinfo={274: orientation}, big_tiff=big)
    assert np.array_equal(decode_image(file.getvalue(), "field.tif"), picture())
    assert read_image_header(file.getvalue()).orientation == orientation


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"this is text, whatever its name says\n" * 9, "not a readable image"),
        (encoded(".png", picture())[:60], "damaged: the file ends before the image does"),
        (encoded(".jpg", picture())[:20], "damaged: the file ends before the image does"),
        (encoded(".png", picture(15, 60)), "fewer than 16 a side"),
        (b"P6 99999999 99999999 255\n", "not a readable image"),
    ],
    ids=["empty", "text", "cut png", "cut jpeg", "tiny", "absurd header"],
)
def test_what_is_no_image_is_named_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "field.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageFileError, match=said) as caught:
        read_image(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match="No such file"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageFileError, match="a folder, not a file"):
        read_image(tmp_path)


def test_an_oversized_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as stream:
        stream.truncate(300 * 2**20)  # sparse: no disk is used
    with pytest.raises(ImageFileError, match="larger than"):
        read_image(path)
