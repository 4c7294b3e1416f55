"""Facts about an int8 file beside its float file: form, ranges, biases, decisions.

No engine's own word is taken: ranges are measured by an interpreter without delegate, biases read from both files.
"""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.diagnosis.weights import weigh
from convert.edgetpu.preflight import preflight
from convert.errors import DiagnoseError, VerificationError
from convert.parity.comparison import compare
from convert.quantization.postcheck import verify
from convert.quantization.predictions import Floats, device_probabilities
from convert.tflite.inspection import Inspection, inspect
from convert.tflite.matching import Matched, constants, match
from edge.inference.classifier import Classifier
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.runtime.interpreters import open_interpreter
from models.data.parts import Part

Record = dict[str, Any]
WIDER = 1.02  # a range so many times as wide as what the images reach is not theirs; an int8 step is 1/255
MEASURED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")  # ranges of their own; pooling has its input's


def reached_ranges(plain_model: bytes, pixels: Pixels, contract: InputContract) -> npt.NDArray[np.float64]:
    """(tensors, 2): smallest and largest value of every tensor of the float file over the images.

    By an interpreter without delegate that keeps every tensor: neither engine's own calibration.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    engine = Interpreter(
        model_content=plain_model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    engine.allocate_tensors()
    into = engine.get_input_details()[0]["index"]
    wanted = {node.outputs[0] for node in inspect(plain_model).nodes}
    ranges = np.full((max(wanted) + 1, 2), (np.inf, -np.inf))
    for image in pixels:
        engine.set_tensor(into, contract.encode(image, FLOAT32))
        engine.invoke()
        for index in wanted:
            values = engine.get_tensor(index)
            ranges[index] = min(ranges[index, 0], values.min()), max(ranges[index, 1], values.max())
    return ranges


def file_facts(model: bytes, plain_model: bytes, reached: npt.NDArray[np.float64], contract: InputContract) -> Record:
    """What can be read off a file: operators, checks, ranges and biases against the float network's."""
    seen, fit = inspect(model), preflight(model)
    facts: Record = {
        "bytes": len(model),
        "constant_bytes_outside": outside(model),
        "sha256": seen.sha256,
        "operators": dict(Counter(f"{node.operator} v{node.version}" for node in seen.nodes)),
        "verify": _verified(model, contract),
        "edgetpu": {"verdict": fit.verdict, **{k: fit.counts[k] for k in ("mapped", "cpu", "refused")}},
    }
    try:
        matched = match(plain_model, model)
    except DiagnoseError as error:
        return {**facts, "compared": str(error)}
    weights = weigh(plain_model, model, matched)
    wide = [too for too in _widths(matched, reached) if too[1] > WIDER]
    return {
        **facts,
        "ranges_too_wide": len(wide),
        "range_worst": round(max((by for _, by in wide), default=1.0), 3),
        "range_worst_layer": max(wide, key=lambda too: too[1])[0] if wide else None,
        "biases_at_the_end_of_int32": sum(w.bias_ends for w in weights),
        "bias_worst_output_steps": round(max(w.bias_steps for w in weights), 3),
    }


def outside(model: bytes) -> int:
    """Bytes of constants that lie behind the flatbuffer (`Buffer.offset` and `size`), where readers of an older schema,
    which know `Buffer.data` alone, find nothing."""
    from ai_edge_litert import schema_py_generated as schema

    buffers: Any = schema.ModelT.InitFromPackedBuf(model, 0).buffers
    return sum(int(buffer.size) for buffer in buffers if buffer.offset > 1)


def _widths(matched: Matched, reached: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    """(layer, width of its int8 range over the width that the images reach, 0 included)."""
    found = []
    for pair in matched.pairs:
        low, high = reached[pair.output.index]
        width = max(high, 0.0) - min(low, 0.0)
        if pair.operator in MEASURED and width > 0:
            found.append((pair.name, float(pair.quantized.scales[0]) * 255 / width))
    return found


def _verified(model: bytes, contract: InputContract) -> str:
    """ "passed", or the rule that it breaks and why."""
    try:
        verify(model, contract)
    except VerificationError as error:
        return str(error)
    return "passed"


def decisions(model: bytes, contract: InputContract, judged: Part, before: Floats) -> Record:
    """How the int8 file decides beside the float network as it was trained."""
    after = device_probabilities(Classifier(contract, open_interpreter(model)), judged.pixels)
    found = compare(contract.labels, before, after, judged.truth, benign=contract.benign_labels)
    return {
        "correct": int((after.argmax(1) == judged.truth).sum()),
        "agreed": found.agreed,
        "drift_mean": round(found.drift_mean, 5),
        "drift_worst": round(found.drift_worst, 4),
        "malignant_to_benign": found.malignant_to_benign,
    }


def unlike(model: bytes, other: bytes) -> Record:
    """In how many places two int8 files of one network differ: int8 weights, int32 biases, ranges of outputs.

    Raises:
        DiagnoseError: their operators are not the same.
    """
    ours, theirs = inspect(model), inspect(other)
    if [n.operator for n in ours.nodes] != [n.operator for n in theirs.nodes]:
        raise DiagnoseError("two files of one network must have the same operators in the same order")
    mine, its = _values(model, ours), _values(other, theirs)
    counts: Counter[str] = Counter()
    for node, twin in zip(ours.nodes, theirs.nodes, strict=True):
        for index, at in zip(node.inputs, twin.inputs, strict=True):
            if index in mine and at in its and mine[index].shape == its[at].shape:
                kind = "weights" if mine[index].dtype == np.int8 else "biases"
                counts[kind] += int((mine[index] != its[at]).sum())
        held, given = (seen.tensor(one.outputs[0]) for seen, one in ((ours, node), (theirs, twin)))
        same = np.allclose(held.scales, given.scales, rtol=1e-6) and (held.zero_points == given.zero_points).all()
        counts["ranges"] += not same
    return {name: counts[name] for name in ("weights", "biases", "ranges")}


def _values(model: bytes, seen: Inspection) -> dict[int, npt.NDArray[Any]]:
    return constants(model, {index for node in seen.nodes for index in node.inputs if index >= 0})
