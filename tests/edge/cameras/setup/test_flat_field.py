"""The flat field: exact on all bytes, even afterwards, and refused where it is another's."""

from pathlib import Path

import numpy as np
import pytest

from edge.cameras.setup.flat_field import (
    SHIFTS,
    FlatField,
    flat_field_of,
    multiplies_exactly,
    product,
    read_flat_field,
)
from edge.errors import CameraSetupError


def whole(pixels: np.ndarray, factors: np.ndarray, shift: int) -> np.ndarray:
    """p + round half even (p c / 2**shift), cut at 255, by Python's own whole numbers and fractions."""
    table = np.array([[min(p + min(round(p * c / 2**shift), 255), 255) for c in range(256)] for p in range(256)])
    return table[pixels, factors].astype(np.uint8)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("exact", [True, False])
def test_every_pair_of_bytes_is_corrected_as_whole_numbers_say(shift: int, exact: bool) -> None:
    """Python's `round` of a fraction with a power of two below is exact, halves to even."""
    pairs = np.arange(65_536 + 3 * 59)  # rows of 177 bytes: no multiple of a vector's width
    pixels, factors = ((pairs % 256).astype(np.uint8), (pairs // 256 % 256).astype(np.uint8))
    pixels, factors = (each[: len(each) // 177 * 177].reshape(-1, 59, 3) for each in (pixels, factors))
    flat = FlatField(factors, shift)
    assert flat._exact, "OpenCV's product of bytes is exact on this machine"
    flat._exact = exact
    frame = pixels.copy()
    flat.apply(frame)
    assert np.array_equal(frame, whole(pixels, factors, shift))


def test_an_opencv_that_rounds_otherwise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: halves upwards, as some libraries round."""
    assert multiplies_exactly(192, 8)

    def upwards(pixels: np.ndarray, factors: np.ndarray, scale: float) -> np.ndarray:
        return np.minimum(np.floor(pixels * np.float64(scale) * factors + 0.5), 255).astype(np.uint8)

    monkeypatch.setattr("edge.cameras.setup.flat_field.cv2.multiply", upwards)
    assert not multiplies_exactly(192, 8)


def light(darkest: float, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """An empty field that gets darker from the middle to the corners, bluish, with grey dirt on it."""
    width, height = size
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    shade = 1 - (1 - darkest) * (x**2 + y**2) / 2
    shade[40:48, 60:70] *= 0.9
    return shade[..., None] * np.array([200.0, 215.0, 230.0])


@pytest.mark.parametrize(("darkest", "shift"), [(0.9, 8), (0.6, 8), (0.45, 7)])
def test_an_uneven_field_is_even_and_white_afterwards(darkest: float, shift: int) -> None:
    field = light(darkest)
    flat, level, weakest, clipped = flat_field_of(field)
    assert (flat.shift, clipped) == (shift, 0.0)
    assert level == pytest.approx(230, abs=2)
    assert weakest == pytest.approx(darkest * 200 / 230, rel=0.05)
    frame = np.rint(field).astype(np.uint8)
    before = frame.std()
    flat.apply(frame)
    inside = np.delete(frame.reshape(-1, 3), 0, axis=0).astype(float)
    assert inside.std() < 2.0 < before  # the sharp edge of the dirt is what the mean over neighbours leaves
    assert np.abs(inside.mean(axis=0) - level).max() < 1.0


def test_cells_keep_their_density() -> None:
    """What absorbs half of the light absorbs half of it in the corner too."""
    field = light(0.7)
    flat, level, _, _ = flat_field_of(field)
    frame = np.rint(field / 2).astype(np.uint8)
    flat.apply(frame)
    assert np.abs(frame[:10, :10].astype(float).mean() - level / 2) < 1.0


def test_it_is_written_and_read_whole(tmp_path: Path) -> None:
    flat, _, _, _ = flat_field_of(light(0.7))
    path = tmp_path / "flat_field.png"
    path.write_bytes(flat.save(path))
    again = read_flat_field(path, flat.shift, flat.digest)
    assert np.array_equal(again.table, flat.table)
    with pytest.raises(CameraSetupError, match="not the flat field that the set-up names"):
        read_flat_field(path, 7, flat.digest)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CameraSetupError, match="set the camera up again"):
        read_flat_field(path, flat.shift, flat.digest)


def test_frames_of_another_size_are_refused() -> None:
    flat = FlatField(np.zeros((48, 64, 3), np.uint8), 8)
    with pytest.raises(CameraSetupError, match="for frames of 64x48; got 32x48"):
        flat.apply(np.zeros((48, 32, 3), np.uint8))


def test_the_product_saturates() -> None:
    assert product(np.array([255], np.uint8), np.array([255], np.uint8), 6).tolist() == [255]
