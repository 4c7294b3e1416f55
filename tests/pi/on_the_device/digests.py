"""What this machine makes of given images, in digests: run on two machines, the records must be equal.

    python digests.py FOLDER      # prints one JSON object

Prepared pixels and int8 outputs of every shipped bundle on every image of the folder and on the bundle's own
golden inputs, the RGB that every camera format of `edge.cameras.pixel_formats` gives for the same bytes, and what
flat fields make of them.
"""

import hashlib
import json
import platform
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.bundle import bundle as bundles
from edge.cameras.pixel_formats import FORMATS, ToRGB
from edge.cameras.setup.flat_field import SHIFTS, FlatField, exact_way
from edge.inference.images import read_image
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys


def digest(array: Any) -> str:
    """16 hexadecimal digits of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def of_bundle(path: Path, images: dict[str, Any]) -> dict[str, Any]:
    """One bundle's pixels and outputs on this machine's first interpreter."""
    bundle = bundles.load(path, trust=machine_keys(), allow_unsigned=True)
    interpreter = open_interpreter(bundle.model)
    quantization = interpreter.input.quantization
    replay = bundles.replay_golden(bundle, interpreter)
    prepared = {name: bundle.contract.prepare(frame) for name, frame in images.items()}
    outputs = {name: interpreter.invoke(bundle.contract.encode(p, quantization)) for name, p in prepared.items()}
    golden = [interpreter.invoke(bundle.contract.encode(p, quantization)) for p in bundle.golden.inputs]
    return {
        "kind": interpreter.kind,
        "prepared": {name: digest(pixels) for name, pixels in prepared.items()},
        "outputs": {name: output.reshape(-1).tolist() for name, output in outputs.items()},
        "golden": [output.reshape(-1).tolist() for output in golden],
        "golden_differing": len(replay.differing),
    }


def of_kinds(path: Path) -> dict[str, dict[str, Any]]:
    """How each kind of arithmetic that this machine computes answers one bundle's golden inputs, by its rule."""
    bundle = bundles.load(path, trust=machine_keys())
    found = {}
    for xnnpack, reference in ((True, False), (False, False), (False, True)):
        interpreter = open_interpreter(bundle.model, xnnpack=xnnpack, reference=reference)
        replay = bundles.judge_golden(bundle, interpreter)
        found[interpreter.kind] = {
            "certified": interpreter.kind in bundles.golden_kinds(bundle),
            "passed": replay.passed,
            "differing": len(replay.differing),
            "max_difference": replay.max_difference,
            "allowed": replay.allowed,
        }
    return found


def of_formats() -> dict[str, str]:
    """RGB of every camera format, from the same pseudo-random bytes, rows padded where a format keeps padding."""
    width, height, stride = 98, 64, 128
    shapes = {"YUYV": (height, stride, 2)}  # a stride of 256 bytes
    shapes |= dict.fromkeys(("NV12", "NV21"), (height * 3 // 2, width))
    shapes |= dict.fromkeys(("YUV420", "YVU420"), (height * 3 // 2, stride))
    shapes["R8"] = (height, width)
    shapes |= dict.fromkeys(("XBGR8888", "XRGB8888"), (height, width, 4))
    found = {}
    for name in sorted(FORMATS):
        shape = shapes.get(name, (height, width, 3))
        # Integer arithmetic rather than a generator, whose stream a release of numpy may change.
        numbers = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(13)
        into = np.zeros((height, width, 3), np.uint8)
        ToRGB(name, (width, height))(numbers.astype(np.uint8).reshape(shape), into)
        found[name] = digest(into)
    return found


def of_flat_fields() -> dict[str, str]:
    """All 65,536 pairs of a pixel and a correction, by shift."""
    pairs = np.arange(256 * 256 * 3, dtype=np.uint32).reshape(256, 256, 3)
    pixels, table = (pairs // 3 & 255).astype(np.uint8), (pairs // 3 >> 8 & 255).astype(np.uint8)
    found = {}
    for shift in SHIFTS:
        frame = pixels.copy()
        FlatField(table, shift).apply(frame)
        found[str(shift)] = digest(frame)
    return found


def main(folder: Path) -> dict[str, Any]:
    """The record: `machine` says where it was made; everything else must be the same everywhere."""
    cv2.setNumThreads(1)
    images = {path.name: read_image(path) for path in sorted(folder.iterdir())}
    shipped = sorted(manifest.parent for manifest in Path(str(files("models"))).glob("bundles/*/manifest.json"))
    return {
        "machine": {
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "flat_fields": {str(shift): exact_way(768, shift) for shift in SHIFTS},
            "kinds": {path.name: of_kinds(path) for path in shipped},
        },
        "decoded": {name: digest(frame) for name, frame in images.items()},
        "formats": of_formats(),
        "flat_fields": of_flat_fields(),
        "bundles": {path.name: of_bundle(path, images) for path in shipped},
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
