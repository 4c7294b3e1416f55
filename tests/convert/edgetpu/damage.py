"""Damage to TFLite files as it happens and as it is made: the same file and seed give the same copy."""

import struct

import numpy as np

EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
KINDS = ("bits", "words", "truncated", "moved", "counts", "cycles", "swapped", "options")


def damaged(data: bytes, seed: int) -> bytes:
    """A copy with one kind of damage, chosen by the seed; `KINDS[seed % len(KINDS)]` says which."""
    rng = np.random.default_rng(seed)
    body = bytearray(data)
    _DAMAGE[KINDS[seed % len(KINDS)]](body, rng)
    return bytes(body)


def _bits(body: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(body), int(rng.integers(1, 30))):
        body[place] ^= 1 << int(rng.integers(8))


def _words(body: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(body) // 4, int(rng.integers(1, 6))) * 4:
        struct.pack_into("<I", body, place, int(rng.choice((*EXTREMES, len(body), len(body) // 4))))


def _truncated(body: bytearray, rng: np.random.Generator) -> None:
    del body[int(rng.integers(len(body))) :]


def _moved(body: bytearray, rng: np.random.Generator) -> None:
    start, end = sorted(int(n) for n in rng.integers(0, len(body), 2))
    target = int(rng.integers(0, len(body)))
    body[target : target + end - start] = body[start:end]


def _counts(body: bytearray, rng: np.random.Generator) -> None:
    """Small words near the front are lengths of lists, mostly: they become huge."""
    places = [n for n in range(0, min(len(body), 4096) - 4, 4) if 0 < struct.unpack_from("<I", body, n)[0] < 64]
    for place in rng.choice(places, min(len(places), 3), replace=False):
        struct.pack_into("<I", body, int(place), int(rng.choice((1 << 16, 1 << 20, 1 << 28, 0xFFFFFFFF, len(body)))))


def _cycles(body: bytearray, rng: np.random.Generator) -> None:
    """Offsets that lead back into what refers to them, or all to one place."""
    places = rng.integers(2, len(body) // 4, 12) * 4
    target = int(rng.choice(places))
    for place in places:
        struct.pack_into("<i", body, int(place), int(target - place))


def _swapped(body: bytearray, rng: np.random.Generator) -> None:
    one, other = (int(n) * 4 for n in rng.integers(2, len(body) // 4, 2))
    body[one : one + 4], body[other : other + 4] = body[other : other + 4], body[one : one + 4]


def _options(body: bytearray, rng: np.random.Generator) -> None:
    """The last bytes, where a custom operator's options have their types, and the whole tail."""
    for place in rng.integers(max(0, len(body) - 256), len(body), 8):
        body[place] = int(rng.integers(256))


_DAMAGE = {
    "bits": _bits,
    "words": _words,
    "truncated": _truncated,
    "moved": _moved,
    "counts": _counts,
    "cycles": _cycles,
    "swapped": _swapped,
    "options": _options,
}
