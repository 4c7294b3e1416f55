"""Golden outputs of an Edge TPU: what a compiled model answers on a device, certified beside the CPU's kinds."""

from typing import Any

import numpy as np

from edge.bundle.bundle import Bundle
from edge.bundle.golden import Golden
from edge.errors import GoldenMismatchError
from edge.inference.runtime.arithmetic import EDGETPU
from edge.inference.scores import class_scores
from edge.serving.interpreter import open_edgetpu

# LSB by which the certified answer must lead for a change of class to be a fault and not a near tie: a tenth of the
# range of a softmax. How far an Edge TPU's arithmetic strays from the CPU's was not measured here.
CLEAR_LEAD = 26


def with_edgetpu_outputs(bundle: Bundle, compiled: bytes, device: str) -> tuple[Golden, dict[str, Any]]:
    """The bundle's golden images with an Edge TPU's outputs, measured on `device`, and a record of how they differ.

    Every image is answered twice, since what is certified must repeat bit for bit.

    Raises:
        EdgeTpuUnavailable: no such device, or not usable.
        GoldenMismatchError: an image that was clearly decided gets another class there, or an answer does not repeat.
    """
    interpreter = open_edgetpu(compiled, device)
    quantization = interpreter.input.quantization
    tensors = [bundle.contract.encode(pixels, quantization) for pixels in bundle.golden.inputs]
    outputs, again = (np.stack([interpreter.invoke(tensor) for tensor in tensors]) for _ in range(2))
    if not np.array_equal(outputs, again):
        raise GoldenMismatchError(f"{bundle.path}: the Edge TPU answers the same golden image in two ways")
    certified = bundle.golden.outputs
    scores = class_scores(certified)
    second, highest = np.sort(scores, axis=1)[:, -2:].T
    changed = scores.argmax(axis=1) != class_scores(outputs).argmax(axis=1)
    wrong = np.flatnonzero(changed & (highest - second >= CLEAR_LEAD))
    if wrong.size:
        raise GoldenMismatchError(
            f"{bundle.path}: {wrong.size} of {len(outputs)} golden images get another class on the Edge TPU, the first "
            f"of them number {int(wrong[0])}; the compiled model must not be used"
        )
    record = {
        "kind": EDGETPU,
        "runtime": f"{interpreter.runtime} {interpreter.version}",
        "device": device,
        "images": len(outputs),
        "max_difference": int(np.abs(outputs.astype(np.int16) - certified.astype(np.int16)).max()),
        "near_ties_changed": int(changed.sum()),
    }
    others = {**bundle.golden.others, EDGETPU: outputs}
    return Golden(bundle.golden.inputs, bundle.golden.outputs, others), record
