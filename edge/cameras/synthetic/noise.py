"""Random numbers of the synthetic smear: a hash of integers, so that any place of the slide can be asked in
any order.

SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195) in wrapping 64-bit integers. It gives the
same numbers with every NumPy and on every machine, which a `numpy.random.Generator` promises only within one
NumPy version.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint64]
TEXTURE_SIDE = 512  # texels; a power of two, so that wrapping is a mask
TEXEL_UM = 0.0625  # the texture repeats after 32 um, well beyond any cell
_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_STEPS = np.arange(1, 129, dtype=np.uint64) * np.uint64(_STEP)
_BITS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mix(*parts: int) -> int:
    """One 64-bit key from integers of any size and sign; the order counts."""
    state = 0x243F6A8885A308D3
    for part in parts:
        state = _finish((state ^ (part & _MASK)) + _STEP & _MASK)
    return state


def uniforms(key: int, count: int) -> list[float]:
    """`count` numbers in [0, 1) that belong to `key`."""
    return ((_stream(key, count) >> np.uint64(11)) * 2.0**-53).tolist()  # type: ignore[no-any-return]


def uniform_rows(keys: Sequence[int], count: int) -> list[list[float]]:
    """`uniforms(key, count)` of each key, at once."""
    state = _scrambled(_first_steps(count) + np.array(keys, np.uint64)[:, None])
    return ((state >> np.uint64(11)) * 2.0**-53).tolist()  # type: ignore[no-any-return]


def normal(u: float, v: float, w: float) -> float:
    """A bell-shaped number of mean 0 and standard deviation 1 in (-3, 3), from three uniform ones.

    A sum instead of Box-Muller: `log` and `cos` may differ in the last bit between machines.
    """
    return 2.0 * (u + v + w - 1.5)


def noise_bytes(key: int, count: int) -> npt.NDArray[np.int16]:
    """`count` bell-shaped integers of mean 0 and standard deviation 147.8 (sums of four bytes, less 510)."""
    words = _stream(key, (count + 1) // 2).view(np.uint32)[:count]
    octets = words.view(np.uint8).reshape(-1, 4)
    total: npt.NDArray[np.int16] = octets[:, 0].astype(np.int16)
    for column in range(1, 4):
        total = total + octets[:, column]
    return total - np.int16(510)


@lru_cache(maxsize=8)
def texture(key: int, texels: int) -> Floats:
    """A seamless square of smooth noise, mean 0, standard deviation 1.

    Args:
        key: which one.
        texels: width of the box that is run over white noise three times; features are about twice as large.

    Returns:
        float32 (TEXTURE_SIDE, TEXTURE_SIDE), read-only. Sums are whole numbers, so every machine gives these
        bytes.
    """
    plane = noise_bytes(key, TEXTURE_SIDE**2).reshape(TEXTURE_SIDE, TEXTURE_SIDE).astype(np.int64)
    for _ in range(3):
        for axis in (0, 1):
            total = np.cumsum(np.concatenate([plane, plane.take(range(texels), axis)], axis), axis)
            plane = total.take(range(texels, texels + TEXTURE_SIDE), axis) - total.take(range(TEXTURE_SIDE), axis)
        plane >>= max(0, int(np.abs(plane).max()).bit_length() - 20)  # keeps squares within 64 bits
    plane -= int(plane.sum()) // plane.size
    deviation = (int((plane * plane).sum()) / plane.size) ** 0.5
    result: Floats = (plane / deviation).astype(np.float32)
    result.flags.writeable = False
    return result


def _stream(key: int, count: int) -> Words:
    return _scrambled(_first_steps(count) + np.uint64(key & _MASK))


def _scrambled(state: Words) -> Words:
    state = (state ^ (state >> _BITS[0])) * _FACTORS[0]
    state = (state ^ (state >> _BITS[1])) * _FACTORS[1]
    result: Words = state ^ (state >> _BITS[2])
    return result


def _first_steps(count: int) -> Words:
    return _STEPS[:count] if count <= _STEPS.size else _steps(count)


def _steps(count: int) -> Words:
    return np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)


def _finish(state: int) -> int:
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
    return state ^ (state >> 31)
