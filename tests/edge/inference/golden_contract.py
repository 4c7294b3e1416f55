"""What `InputContract` must make of frames that any machine can draw: digests of the exact bytes.

    python -m tests.edge.inference.golden_contract           verify, exit 1 and name the cases that differ
    python -m tests.edge.inference.golden_contract --write   write tests/edge/inference/golden_contract.json anew

A digest changes only when preprocessing changes, and then every trained network, calibration and certificate
is out of date: regenerate them too, or take the change back.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from edge.inference.contract import FLOAT32, InputContract, Quantization

GOLDEN = Path(__file__).with_suffix(".json")
LABELS = ("Benign", "Early", "Pre", "Pro")
SHIFT = Quantization("int8", 1 / 128, 0)
ODD = Quantization("uint8", 0.0173, 115)
SIZES = [(640, 480), (1280, 960), (224, 224), (223, 225), (448, 336), (449, 226), (100, 75), (1000, 130)]


def noise(width: int, height: int, seed: int) -> np.ndarray:
    """uint8 (height, width, 3) from PCG64's raw stream, which numpy promises never to change."""
    count = width * height * 3
    words = np.random.PCG64(seed).random_raw(-(-count // 8)).astype("<u8")
    return words.view(np.uint8)[:count].reshape(height, width, 3)


def gradient(width: int, height: int) -> np.ndarray:
    """uint8 (height, width, 3): one ramp along x, one along y, one along both."""
    x, y = np.arange(width) * 255 // (width - 1), np.arange(height) * 255 // (height - 1)
    red, green = np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))
    return np.dstack([red, green, (red + green) // 2]).astype(np.uint8)


def digests() -> dict[str, str]:
    """Case to sha256 of the prepared pixels, or of the encoded tensor's bytes (little-endian)."""
    found = {}
    for width, height in SIZES:
        for kind, frame in (("noise", noise(width, height, width)), ("gradient", gradient(width, height))):
            for aspect in ("squeeze", "crop"):
                for size in ((224, 224), (96, 64)):
                    contract = InputContract(size, LABELS, aspect=aspect)
                    name = f"{kind} {width}x{height} {aspect} to {size[0]}x{size[1]}"
                    found[name] = _sha256(contract.prepare(frame))
    imagenet = InputContract((224, 224), LABELS, "BGR", scale=(0.0171, 0.0175, 0.0174), offset=(-2.1, -2.0, -1.8))
    grey = InputContract((224, 224), LABELS, "GRAY", scale=(1 / 128,), offset=(-1.0,))
    pixels = noise(224, 224, 7)
    for name, contract in (("default", InputContract((224, 224), LABELS)), ("BGR", imagenet), ("GRAY", grey)):
        for quantization in (SHIFT, ODD, FLOAT32):
            tensor = contract.encode(pixels, quantization)
            found[f"encode {name} {quantization.dtype}"] = _sha256(tensor)
    return found


def _sha256(array: np.ndarray) -> str:
    assert array.dtype.itemsize == 1 or sys.byteorder == "little"
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def main() -> int:
    """Verify, or write with `--write`."""
    found = digests()
    if sys.argv[1:] == ["--write"]:
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"wrote {len(found)} digests to {GOLDEN.name}")
        return 0
    expected = json.loads(GOLDEN.read_text())
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    print("\n".join([*wrong, f"{len(found) - len(wrong)} of {len(found)} digests hold"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
