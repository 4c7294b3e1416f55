"""Pixels between the lines of a stage micrometer, in whichever direction they run."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EmptyFieldError
from edge.inference.contract import Pixels

FEWEST_LINES = 4
_LIKE = 0.5  # correlation of a picture of lines with itself, one division on
_LARGEST_SIDE = 1024


def pitch_px(frame: Pixels) -> float:
    """The distance between two neighbouring lines, pixels of the frame.

    Args:
        frame: uint8 (H, W, 3) RGB: parallel lines at even distances, dark on light or light on dark.

    Raises:
        EmptyFieldError: no such lines, or fewer than FEWEST_LINES.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
    across = _across(grey)
    profile = _profile(grey, across)
    lag = _period(profile)
    lines = len(profile) / lag
    if lines < FEWEST_LINES:
        raise EmptyFieldError(
            f"{int(lines)} lines of a micrometer are in view, {FEWEST_LINES} must be: take one of finer divisions"
        )
    return lag


def _across(grey: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The direction (x, y) across the lines: of the strongest wave in the picture."""
    height, width = grey.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    down, along = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    frequency = np.hypot(down[:, None], along[None, :])
    power[frequency < 2.0 / min(height, width)] = 0  # what is left of the light's falloff
    row, column = np.unravel_index(int(np.argmax(power)), power.shape)
    rows, columns = (
        [(int(row) + d) % height for d in (-1, 0, 1)],
        [min(abs(int(column) + d), len(along) - 1) for d in (-1, 0, 1)],
    )
    peak = power[np.ix_(rows, columns)]
    y = float((peak.sum(axis=1) * np.array([down[row] - 1 / height, down[row], down[row] + 1 / height])).sum())
    x = float(
        (peak.sum(axis=0) * np.array([along[column] - 1 / width, along[column], along[column] + 1 / width])).sum()
    )
    length = float(np.hypot(x, y))
    if not length:
        raise EmptyFieldError("no lines of a stage micrometer are in view")
    return x / length, y / length


def _profile(grey: npt.NDArray[np.float64], across: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Mean grey level by the distance across the lines, one value a pixel."""
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    place = x * across[0] + y * across[1]
    place -= place.min()
    bins = np.floor(place).astype(np.int64).reshape(-1)
    counts = np.bincount(bins)
    means = np.bincount(bins, weights=grey.reshape(-1)) / np.maximum(counts, 1)
    well = np.flatnonzero(counts >= counts.max() / 4)  # corners hold a few pixels a bin
    cut = means[well[0] : well[-1] + 1]
    along = np.linspace(-1, 1, len(cut))
    trend = np.polyval(np.polyfit(along, cut, 4), along)
    return np.asarray(cut - trend)


def _period(profile: npt.NDArray[np.float64]) -> float:
    """The shortest distance after which the profile repeats, pixels, refined over as many as there are."""
    length = len(profile)
    spectrum = np.fft.rfft(profile, 2 * length)
    whole = np.fft.irfft(np.abs(spectrum) ** 2)[: 2 * length // 3]
    like = whole / np.maximum(length - np.arange(len(whole)), 1)
    like = like / max(like[0], 1e-9)
    peaks = [i for i in range(3, len(like) - 1) if like[i] >= like[i - 1] and like[i] > like[i + 1]]
    best = max((like[i] for i in peaks), default=0.0)
    if best < _LIKE:
        raise EmptyFieldError("no lines of a stage micrometer are in view: focus on them, and let them fill the field")
    first = next(i for i in peaks if like[i] >= 0.8 * best)
    pitch, last = _refined(like, first), 1
    for count in range(2, length):  # a peak many divisions on says the same more finely
        near = round(pitch * count)
        around = range(max(near - max(2, first // 4), 1), min(near + max(2, first // 4) + 1, len(like) - 1))
        if not around or near >= len(like) - 2:
            break
        peak = max(around, key=lambda i: like[i])
        if like[peak] < _LIKE * best:
            break
        pitch, last = _refined(like, peak) / count, count
    return pitch if last else float(first)


def _refined(like: npt.NDArray[np.float64], peak: int) -> float:
    """The top of a parabola through three values."""
    left, top, right = (float(value) for value in like[peak - 1 : peak + 2])
    bend = left - 2 * top + right
    return peak + (0.5 * (left - right) / bend if bend else 0.0)
