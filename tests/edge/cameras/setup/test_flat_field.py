"""The flat field: exact on all bytes, even afterwards, and refused where it is another's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.setup.flat_field import (
    SHIFTS,
    FlatField,
    corrected,
    exact_way,
    flat_field_of,
    read_flat_field,
)
from edge.errors import CameraSetupError


def whole(pixels: np.ndarray, factors: np.ndarray, shift: int) -> np.ndarray:
    """p + p c / 2**shift, halves upwards, cut at 255, by Python's own whole numbers."""
    half = 2 ** (shift - 1)
    table = np.array([[min(p + (p * c + half) // 2**shift, 255) for c in range(256)] for p in range(256)])
    return table[pixels, factors].astype(np.uint8)


def pairs(width: int) -> tuple[np.ndarray, np.ndarray]:
    """All 65,536 pairs of a pixel and a correction and some more, uint8 (H, width, 3) each."""
    numbers = np.arange(65_536 + 9 * width)
    numbers = numbers[: len(numbers) // (3 * width) * 3 * width].reshape(-1, width, 3)
    return (numbers % 256).astype(np.uint8), (numbers // 256 % 256).astype(np.uint8)


@pytest.mark.parametrize("width", [59, 64, 320])
@pytest.mark.parametrize("shift", SHIFTS)
def test_every_pair_of_bytes_is_corrected_as_whole_numbers_say(shift: int, width: int) -> None:
    pixels, factors = pairs(width)
    for way in (None, "whole numbers"):
        flat = FlatField(factors, shift)
        flat.way = way or flat.way
        frame = pixels.copy()
        flat.apply(frame)
        assert np.array_equal(frame, whole(pixels, factors, shift))


@pytest.mark.parametrize(
    ("arithmetic", "ways"),
    [
        (lambda x: np.floor(x + 0.5), ("rounding", "rounding")),
        (np.rint, ("rounding", "rounding")),  # halves to the even neighbour, as x86-64's OpenCV
        (np.floor, ("cutting", "whole numbers")),  # as aarch64's
        (np.ceil, ("whole numbers", "whole numbers")),
        (lambda x: np.floor(x + 0.49), ("whole numbers", "whole numbers")),
    ],
)
def test_whatever_opencv_does_with_halves_the_bytes_are_the_same(
    monkeypatch: pytest.MonkeyPatch, arithmetic: Callable[[np.ndarray], np.ndarray], ways: tuple[str, str]
) -> None:
    """Other libraries under `cv2.multiply`; one that is wrong by one in a few products is not used."""

    def multiply(pixels: np.ndarray, factors: np.ndarray, dst: np.ndarray, scale: float) -> None:
        dst[:] = np.clip(arithmetic(pixels.astype(np.float64) * factors * scale), 0, 255)

    monkeypatch.setattr("edge.cameras.setup.flat_field.cv2.multiply", multiply)
    assert (exact_way(177, 8), exact_way(177, 7)) == ways
    pixels, factors = pairs(59)
    for shift in SHIFTS:
        frame = pixels.copy()
        FlatField(factors, shift).apply(frame)
        assert np.array_equal(frame, whole(pixels, factors, shift))


def test_the_trial_would_find_a_wrong_byte() -> None:
    """Negative control: a pair of bytes that is off by one makes a way wrong."""
    pixels, factors = pairs(64)
    wanted = corrected(pixels, factors, 8)
    assert np.array_equal(wanted, whole(pixels, factors, 8))
    assert not np.array_equal(wanted, whole(pixels, factors, 7))


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


def test_the_sum_saturates() -> None:
    assert corrected(np.array([255], np.uint8), np.array([255], np.uint8), 6).tolist() == [255]
