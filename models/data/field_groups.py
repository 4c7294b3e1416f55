"""Groups of images that show the same piece of a smear: shifted, refocused or re-exposed shots of one field.

Two such images on the two sides of a split are a leak: the network is tested on cells it was trained on.
They are found in three steps, each on fewer pairs than the one before:

1. a 32x32 fingerprint (high-pass, whitened) of every image is correlated with every other at every shift, by
   FFT; a shared field makes one high peak where chance makes noise;
2. the same at 64x64, which separates better and gives the shift;
3. the part that the two would share is cut out of both and compared by normalized cross-correlation. What it
   must reach falls as the shared part grows: small parts agree by chance more easily.

Shifted, re-exposed, re-encoded and resized shots are found. Rotated, mirrored and zoomed ones are not.
Phase correlation: Kuglin and Hines, Proc. IEEE Int. Conf. Cybernetics and Society, 1975.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract
from edge.system.progress import Progress, tracked
from models.data.dataset import Sample, load_pixels

Floats = npt.NDArray[np.float32]
SIDE = 224  # pixels a side every image is brought to
CORNER = (
    0.125,
    0.29,
)  # height and width, as parts of the image, of the corner where scale bars are burned in
COARSE, FINE, CHECK = 32, 64, 112  # pixels a side of the three steps
COARSE_PEAK, FINE_PEAK = 4.6, 6.2  # in standard deviations of a chance correlation
LEAST_SHARED = 0.12  # part of the image two shots must share to be compared at all
WHITENING = 0.7  # 0 is plain correlation, 1 is phase correlation; between, noise of fine detail weighs less
SLACK = 3  # pixels of CHECK the comparison may move: more than one cell of FINE
COMMON_FROM = 50  # images: with so many, what all show in one place (an overlay, a centred cell) is taken out
BLOCK = 512  # pairs a batch: keeps the batch in the cache


@dataclass(frozen=True)
class Overlap:
    """Two images that share a piece of a field.

    Attributes:
        first, second: positions in the sequence given, first < second.
        shift: (down, right) in parts of the image: a detail at (y, x) of `second` is at (y + down, x + right)
            of `first`.
        shared: part of the image that both show, 0..1.
        correlation: normalized cross-correlation of the shared part, -1..1.
    """

    first: int
    second: int
    shift: tuple[float, float]
    shared: float
    correlation: float


def find_groups(samples: Sequence[Sample]) -> dict[str, str]:
    """A group name for every image; images that share a field, directly or through others, share the name.

    Args:
        samples: any images; exact duplicates fall into one group.

    Returns:
        sha256 -> "g0000", numbered in the order in which the groups first occur in `samples`.
    """
    distinct = distinct_samples(samples)
    return groups_of(distinct, find_overlaps(distinct))


def distinct_samples(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The first sample of each content."""
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sample.sha256, sample)
    return tuple(first.values())


def groups_of(distinct: Sequence[Sample], overlaps: Sequence[Overlap]) -> dict[str, str]:
    """Join overlapping images into groups; see `find_groups` for the names."""
    parent = list(range(len(distinct)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for pair in overlaps:
        low, high = sorted((root(pair.first), root(pair.second)))
        parent[high] = low
    names: dict[int, str] = {}
    groups = {}
    for index, sample in enumerate(distinct):
        groups[sample.sha256] = names.setdefault(root(index), f"g{len(names):04d}")
    return groups


def find_overlaps(samples: Sequence[Sample]) -> tuple[Overlap, ...]:
    """All pairs of `samples` that share a piece of a field, sorted by position.

    Time grows with the square of their number (2,810 images: half a minute on two cores); memory is 0.05 MB
    an image.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
    """
    contract = InputContract((SIDE, SIDE), ("any", "other"))
    planes = np.empty((len(samples), CHECK, CHECK), np.float32)
    with Progress("measuring images", len(samples)) as bar:
        for start in range(0, len(samples), BLOCK):
            for index, image in enumerate(load_pixels(samples[start : start + BLOCK], contract), start):
                planes[index] = green_detail(image)
                bar.advance()
    if len(planes) >= COMMON_FROM:
        planes -= planes.mean(axis=0)
    return overlaps_of(planes)


def overlaps_of(planes: Floats) -> tuple[Overlap, ...]:
    """As `find_overlaps`, from `green_detail` planes, float32 (N, CHECK, CHECK)."""
    if len(planes) < 2:
        return ()
    coarse = spectra(_resized(planes, COARSE))
    pairs = _coarse_pairs(coarse)
    candidates = _fine_pairs(spectra(_resized(planes, FINE)), pairs)
    with ThreadPoolExecutor(_workers()) as pool:
        found = pool.map(lambda c: _best_overlap(planes, *c), candidates)
        return tuple(o for o in tracked(found, "aligning pairs", len(candidates)) if o is not None)


def least_correlation(shared: float) -> float:
    """What the shared part of two shots must correlate with to count as the same field.

    Chosen on the published ALL images: among pairs in no common group of an independent list, chance stayed
    below this line at every size of the shared part, and nearly all listed pairs lie above it
    (`tests/models/data/test_field_groups.py` measures both).
    """
    return min(0.85, max(0.58, 0.9 - 0.5 * shared))


def green_detail(image: npt.NDArray[np.uint8]) -> Floats:
    """What two shots are compared by: green, where stain absorbs most, less slow shading and the corner.

    Args:
        image: uint8 (SIDE, SIDE, 3) RGB.

    Returns:
        float32 (CHECK, CHECK), mean about 0, in standard deviations; 0 in the scale bar's corner.
    """
    green: Floats = image[:, :, 1].astype(np.float32)
    rows, columns = round(SIDE * (1 - CORNER[0])), round(SIDE * (1 - CORNER[1]))
    green[rows:, columns:] = np.median(green)
    small: Floats = np.asarray(cv2.resize(green, (CHECK, CHECK), interpolation=cv2.INTER_AREA), np.float32)
    detail: Floats = small - cv2.GaussianBlur(small, (0, 0), CHECK / 11)
    detail[round(CHECK * (1 - CORNER[0])) :, round(CHECK * (1 - CORNER[1])) :] = 0
    scaled: Floats = (detail / (detail.std() + 1e-3)).astype(np.float32)
    return scaled


def spectra(planes: Floats) -> npt.NDArray[np.complex64]:
    """Whitened spectra complex64 (N, S, S/2 + 1) of planes (N, S, S).

    Scaled so that the correlation of unrelated planes has a standard deviation of about 1.
    """
    from scipy import fft

    side = planes.shape[1]
    ramp = np.minimum(1, (np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5) / (side * 0.05)) ** 2
    window = np.outer(ramp, ramp).astype(np.float32)  # borders meet when a transform wraps: soften the seam
    transform = fft.rfft2(planes * window).astype(np.complex64)
    transform /= (np.abs(transform) + 1e-3) ** WHITENING
    transform[:, 0, 0] = 0
    energy = (fft.irfft2(transform, s=(side, side)) ** 2).sum(axis=(1, 2))
    scale = np.sqrt(side / np.maximum(energy, 1e-12))[:, None, None]
    return np.asarray(transform * scale, np.complex64)


def _coarse_pairs(spectrum: npt.NDArray[np.complex64]) -> npt.NDArray[np.int64]:
    """(M, 2): pairs whose coarse fingerprints correlate at some shift more than chance does."""
    from scipy import fft

    count = len(spectrum)

    def partners(index: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for start in range(index + 1, count, BLOCK):
            product = spectrum[index] * np.conj(spectrum[start : start + BLOCK])
            peaks = fft.irfft2(product, s=(COARSE, COARSE)).max(axis=(1, 2))
            found += [(index, start + int(k)) for k in np.flatnonzero(peaks > COARSE_PEAK)]
        return found

    pairs: list[tuple[int, int]] = []
    with ThreadPoolExecutor(_workers()) as pool, Progress("comparing pairs", count * (count - 1) // 2) as bar:
        for index, found in enumerate(pool.map(partners, range(count))):
            pairs += found
            bar.advance(count - 1 - index)
    return np.array(pairs, np.int64).reshape(-1, 2)


def _fine_pairs(
    spectrum: npt.NDArray[np.complex64], pairs: npt.NDArray[np.int64]
) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Pairs that pass at FINE, each with the (down, right) cells of its two highest peaks."""
    from scipy import fft

    passed = []
    for start in range(0, len(pairs), BLOCK):
        block = pairs[start : start + BLOCK]
        surface = fft.irfft2(spectrum[block[:, 0]] * np.conj(spectrum[block[:, 1]]), s=(FINE, FINE))
        for k in np.flatnonzero(surface.max(axis=(1, 2)) > FINE_PEAK):
            passed.append((int(block[k, 0]), int(block[k, 1]), _two_peaks(surface[k])))
    return passed


def _two_peaks(surface: Floats) -> list[tuple[int, int]]:
    """(row, column) of the maximum, and of the maximum farther than 2 cells from it."""
    side = len(surface)
    first = divmod(int(surface.argmax()), side)
    rest = surface.copy()
    around = [np.arange(k - 2, k + 3) % side for k in first]
    rest[np.ix_(*around)] = -np.inf
    return [first, divmod(int(rest.argmax()), side)]


def _best_overlap(planes: Floats, first: int, second: int, peaks: list[tuple[int, int]]) -> Overlap | None:
    """The shift whose shared part correlates best, or None when it falls short of `least_correlation`.

    A peak at row r of a wrapped correlation means a shift of r or of r - FINE: all combinations are tried.
    """
    best: Overlap | None = None
    for row, column in peaks:
        for down in (row, row - FINE):
            for right in (column, column - FINE):
                found = _compare(planes, first, second, (down / FINE, right / FINE))
                if found is not None and (best is None or _excess(found) > _excess(best)):
                    best = found
    return best if best is not None and _excess(best) >= 0 else None


def _excess(overlap: Overlap) -> float:
    return overlap.correlation - least_correlation(overlap.shared)


def _compare(planes: Floats, first: int, second: int, shift: tuple[float, float]) -> Overlap | None:
    """Correlate the part the two share at about `shift`, allowing for the grain of the fine step."""
    down, right = (round(part * CHECK) for part in shift)
    rows, columns = CHECK - abs(down), CHECK - abs(right)
    if rows * columns < LEAST_SHARED * CHECK * CHECK or min(rows, columns) < 5 * SLACK:
        return None
    top, left = max(0, down), max(0, right)
    shared_first = planes[first, top : top + rows, left : left + columns]
    top, left = max(0, -down), max(0, -right)
    shared_second = planes[second, top : top + rows, left : left + columns]
    template = shared_second[SLACK : rows - SLACK, SLACK : columns - SLACK]
    if template.std() < 1e-3:
        return None
    surface = cv2.matchTemplate(shared_first, template, cv2.TM_CCOEFF_NORMED)
    _, correlation, _, (x, y) = cv2.minMaxLoc(surface)
    exact = ((down + y - SLACK) / CHECK, (right + x - SLACK) / CHECK)
    part = (1 - abs(exact[0])) * (1 - abs(exact[1]))
    return Overlap(first, second, exact, part, float(correlation))


def _resized(planes: Floats, side: int) -> Floats:
    return np.stack([cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in planes])


def _workers() -> int:
    return min(8, os.cpu_count() or 1)
