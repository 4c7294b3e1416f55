"""Flat field: how unevenly light, optics and dirt spread over a frame, and its division out of every frame.

Dividing would need fractions. A table of one byte a pixel and channel holds instead how much is to be added: a pixel p
becomes `min(p + (p * c + half >> shift), 255)` with `half = 2**(shift - 1)`, and 255 / 2**shift is the largest part
that can be missing. All of it are whole numbers below 2**16, so the bytes are the same on every machine (DESIGN,
decision 1). OpenCV's product of bytes is several times faster than NumPy's, but rounds on x86-64 and cuts on aarch64
(4.11): there is a way to the same bytes from either, and before the first frame all 65,536 pairs are tried to see which
of them is right here; where none is, NumPy's whole numbers do it.

The correction multiplies what the camera delivers, after its tone curve. For a curve that is a power of the light this
is the division of the light itself.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import CameraSetupError
from edge.inference.contract import Pixels
from edge.system.files import read_at_most

SHIFTS = (8, 7, 6)  # up to twice, three times and five times the light, the finer the less is missing
LARGEST_BYTES = 2**27
DARKEST = 0.4  # of the strongest light: what is darker has too little left to be made up for
MOST_CLIPPED = 0.001  # part of the pixels whose correction may be cut off: opaque grains
_STRONGEST = 0.995  # quantile that is taken as the strongest light: a speck is no lamp
_WEAKEST = 0.001  # quantile that is taken as the weakest
_SMOOTHED = 1 / 192  # side of the mean over neighbours, of a frame's height: noise goes, dirt stays
_BAND = 1 << 18  # bytes worked on at a time: they stay in a processor's cache


class FlatField:
    """A flat field, ready to be divided out. Use one a thread: it keeps a buffer to work in.

    Args:
        table: uint8 (H, W, 3): what is added, in parts of 2**shift. shift: 6..8.

    >>> flat = FlatField(np.full((16, 16, 3), 64, np.uint8), shift=8)
    >>> frame = np.full((16, 16, 3), 200, np.uint8)
    >>> flat.apply(frame)
    >>> frame[0, 0].tolist()
    [250, 250, 250]
    """

    def __init__(self, table: Pixels, shift: int) -> None:
        if table.dtype != np.uint8 or table.ndim != 3 or table.shape[2] != 3 or not table.size:
            raise CameraSetupError(f"a flat field's table must be uint8 (H, W, 3); got {table.dtype} {table.shape}")
        if shift not in SHIFTS:
            raise CameraSetupError(f"a flat field's shift must be one of {', '.join(map(str, SHIFTS))}; got {shift}")
        self.table, self.shift = np.ascontiguousarray(table), shift
        width = 3 * table.shape[1]
        self._rows = max(1, _BAND // width)
        self._added = np.empty((self._rows, width), np.uint8)
        self.way = exact_way(width, shift)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames it is for, pixels."""
        return self.table.shape[1], self.table.shape[0]

    @property
    def digest(self) -> str:
        """SHA-256 of size, shift and table, hex."""
        head = f"{self.size[0]}x{self.size[1]} shift {self.shift}\n".encode()
        return hashlib.sha256(head + self.table.tobytes()).hexdigest()

    def apply(self, pixels: Pixels) -> None:
        """Divide the flat field out of a frame, in place.

        Args:
            pixels: uint8 (H, W, 3) of this size, C-contiguous, writeable.

        Raises:
            CameraSetupError: a frame of another size.
        """
        if pixels.shape != self.table.shape:
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise CameraSetupError(
                f"the flat field is for frames of {self.size[0]}x{self.size[1]}; got {size}: set the camera up again "
                "(`edge setup-camera`)"
            )
        frame, table = (each.reshape(each.shape[0], -1) for each in (pixels, self.table))
        add = _WAYS[self.way]
        for first in range(0, frame.shape[0], self._rows):
            part = frame[first : first + self._rows]
            add(part, table[first : first + self._rows], self._added[: len(part)], self.shift)

    def save(self, path: Path) -> bytes:
        """The table as a PNG's bytes, as `read_flat_field` reads them; `path` names it in an error only."""
        written, data = cv2.imencode(".png", cv2.cvtColor(self.table, cv2.COLOR_RGB2BGR))
        if not written:
            raise CameraSetupError(f"{path}: OpenCV cannot write it")
        return data.tobytes()


def read_flat_field(path: Path, shift: int, digest: str) -> FlatField:
    """The flat field in a file that `FlatField.save` made.

    Raises:
        CameraSetupError: it cannot be read, or is not the one of this digest.
    """
    data = read_at_most(path, LARGEST_BYTES, CameraSetupError)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if decoded is None:
        raise CameraSetupError(f"{path}: no PNG image that can be read; set the camera up again (`edge setup-camera`)")
    flat = FlatField(cast(Pixels, cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)), shift)
    if flat.digest != digest:
        raise CameraSetupError(
            f"{path}: not the flat field that the set-up names; set the camera up again (`edge setup-camera`)"
        )
    return flat


def flat_field_of(light: npt.NDArray[np.float64]) -> tuple[FlatField, float, float, float]:
    """The flat field of an empty field's light.

    Args:
        light: float64 (H, W, 3): mean of several empty frames, grey levels.

    Returns:
        (flat field, grey level of red, green and blue everywhere once it is divided out, weakest light of the strongest
        0..1, part of the pixels whose correction was cut off 0..1).
    """
    side = max(3, 2 * round(light.shape[0] * _SMOOTHED / 2) + 1)
    smooth = cv2.blur(light, (side, side), borderType=cv2.BORDER_REFLECT_101)
    level = float(np.quantile(smooth, _STRONGEST, axis=(0, 1)).max())
    weakest = float(np.quantile(smooth, _WEAKEST, axis=(0, 1)).min())
    missing = level / np.maximum(smooth, 1.0) - 1  # 0 and more, but for specks
    shift = next((s for s in SHIFTS if (missing * 2**s > 255).mean() <= MOST_CLIPPED / 10), SHIFTS[-1])
    parts = np.rint(missing * 2**shift)
    table = np.clip(parts, 0, 255).astype(np.uint8)
    return FlatField(table, shift), level, max(weakest / level, 1e-3), float((parts > 255).any(axis=2).mean())


def corrected(pixels: Pixels, factors: Pixels, shift: int) -> Pixels:
    """What `FlatField` makes of pixels, by whole numbers alone; uint8."""
    added = (pixels.astype(np.uint32) * factors + 2 ** (shift - 1)) >> shift
    return np.asarray(np.minimum(pixels + added, 255), np.uint8)


def exact_way(width: int, shift: int) -> str:
    """The first of `_WAYS` that is exact on this machine for all 65,536 pairs, in rows of `width`; under 1 ms."""
    rows = -(-65_536 // width)
    pairs = np.arange(rows * width, dtype=np.uint32).reshape(rows, width)
    pixels, factors = (pairs & 255).astype(np.uint8), (pairs >> 8 & 255).astype(np.uint8)
    wanted, scratch = corrected(pixels, factors, shift), np.empty_like(pixels)
    for name, add in _WAYS.items():
        found = pixels.copy()
        add(found, factors, scratch, shift)
        if np.array_equal(found, wanted):
            return name
    raise CameraSetupError("no arithmetic of this machine is exact; this is a defect of OpenCV or NumPy here")


def _by_rounding(part: Pixels, factors: Pixels, added: Pixels, shift: int) -> None:
    """Where OpenCV rounds: halves are nudged upwards, whichever neighbour it would take."""
    cv2.multiply(part, factors, dst=added, scale=2.0**-shift * (1 + 2**-20))
    cv2.add(part, added, dst=part)


def _by_cutting(part: Pixels, factors: Pixels, added: Pixels, shift: int) -> None:
    """Where OpenCV cuts: twice the product, and of that the half. What twice the product cannot hold is white anyway
    for shift 8; for others it is not, and the trial says so."""
    cv2.multiply(part, factors, dst=added, scale=2.0 ** (1 - shift))
    odd = added & np.uint8(1)
    np.right_shift(added, 1, out=added)
    np.add(added, odd, out=added)
    cv2.add(part, added, dst=part)


def _by_whole_numbers(part: Pixels, factors: Pixels, added: Pixels, shift: int) -> None:
    """NumPy's, on any machine."""
    whole = np.multiply(part, factors, dtype=np.uint16)
    whole += np.uint16(2 ** (shift - 1))
    whole >>= np.uint16(shift)
    np.add(whole, part, out=whole)
    np.minimum(whole, 255, out=whole)
    np.copyto(part, whole, casting="unsafe")


_WAYS: Mapping[str, Callable[[Pixels, Pixels, Pixels, int], None]] = {
    "rounding": _by_rounding,
    "cutting": _by_cutting,
    "whole numbers": _by_whole_numbers,
}
