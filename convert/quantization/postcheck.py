"""Verification of a converted file: each setting of `convert.quantization.quantize` leaves a trace in it.

The converter's flags are requests; a later TensorFlow may ignore one without a word (DESIGN, decision 5), and
the file then loads everywhere and computes wrongly somewhere.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np

from convert.errors import VerificationError
from convert.quantization.findings import Finding
from convert.tflite.inspection import Inspection, TensorInfo, inspect
from convert.tflite.layer_names import left_in_float
from edge.errors import ModelFileError
from edge.inference.contract import FLOAT32, InputContract, Quantization
from edge.inference.runtime.interpreters import TRIAL_S
from edge.inference.tflite.child_process import ends_the_process
from edge.inference.tflite.model_file import check_model, is_vouched_for

# Versions in Coral's own compiled examples, and what TF 2.21 writes for these settings. Newer ones are
# refused by Coral's compiler and may be computed wrongly by older runtimes; they are said, not refused.
KNOWN_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "QUANTIZE": 1,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "SOFTMAX": 2,
}
PROBABILITY_SCALE = 1 / 256
COARSER_BY = 1.05  # how much coarser than the pixel range needs an input's scale may be


def verify(
    model: bytes, contract: InputContract, io: Literal["int8", "uint8"] = "int8", layers: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Check a converted file against the settings of its conversion.

    Args:
        model: the TFLite file.
        contract: of its input.
        io: number format required at both ends.
        layers: names of the network's layers, for messages.

    Returns:
        Findings: "operator-versions" (info) lists them all; "operator-version" (warn) names the unusually
            new.

    Raises:
        VerificationError: by the name of the rule broken: "ends", "float-tensor", "fixed-shape",
            "per-tensor-dense", "input-quantization", "output-quantization", "custom-operator",
            "dynamic-tensor", "labels".
        BrokenModelError: not a TFLite file.
    """
    seen = inspect(model)
    _check_ends(seen, contract, io)
    _check_float(seen, layers)
    _check_shapes(seen)
    _check_dense(seen)
    _check_input(seen, contract)
    _check_output(seen)
    _check_operators(seen)
    _check_labels(seen, contract)
    _check_dynamic(model)
    return (_versions(seen), *_unknown_versions(seen))


def check_labels(model: bytes, contract: InputContract) -> None:
    """The rule "labels" alone, for a file made by others.

    Raises:
        VerificationError: it carries labels, and they are not the contract's in its order.
        BrokenModelError: not a TFLite file.
    """
    _check_labels(inspect(model), contract)


def dynamic_tensors(model: bytes) -> tuple[str, ...]:
    """Names of the tensors whose size is known only while running; Coral's compiler refuses any.

    Before the first invoke a tensor of fixed size can be read, a dynamic one has no memory yet ("null").

    Raises:
        ModelFileError: damaged, or an interpreter would end the process on it.
    """
    check_model(model)  # a damaged file can end the process inside the interpreter
    if not is_vouched_for(model):
        why = ends_the_process(lambda: _dynamic_tensors(model), TRIAL_S)
        if why:
            raise ModelFileError(f"model: an interpreter cannot load it: tried in a process of its own, {why}")
    return _dynamic_tensors(model)


def _dynamic_tensors(model: bytes) -> tuple[str, ...]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    dynamic = []
    for detail in interpreter.get_tensor_details():
        try:
            interpreter.get_tensor(detail["index"])
        except ValueError as error:
            if "null" in str(error).lower():
                dynamic.append(str(detail["name"]))
    return tuple(dynamic)


def _check_ends(seen: Inspection, contract: InputContract, io: str) -> None:
    if len(seen.inputs) != 1 or len(seen.outputs) != 1:
        raise VerificationError(
            "ends", f"one input and one output expected; got {len(seen.inputs)}, {len(seen.outputs)}"
        )
    for tensor, shape in ((seen.inputs[0], (1, *contract.input_shape)), (seen.outputs[0], (1, contract.outputs))):
        if tensor.dtype != io or tensor.shape != shape:
            raise VerificationError("ends", f"{tensor.name}: {io} {shape} expected; got {tensor.dtype} {tensor.shape}")


def _check_float(seen: Inspection, layers: Collection[str]) -> None:
    computed = left_in_float(seen, layers)
    if computed:
        raise VerificationError("float-tensor", f"{computed}; `convert diagnose MODEL` lists such layers")
    if seen.float_tensors:
        _refuse("float-tensor", "no floating-point tensor may be left", seen.float_tensors)


def _check_shapes(seen: Inspection) -> None:
    open_sizes = [t for t in seen.tensors if any(n < 0 for n in (*t.shape, *t.signature))]
    if open_sizes:
        _refuse("fixed-shape", "every size must be fixed", open_sizes)


def _check_dense(seen: Inspection) -> None:
    """Counts the scales of every FULLY_CONNECTED weight; older runtimes compute per-channel ones wrongly."""
    for node in seen.nodes:
        if node.operator != "FULLY_CONNECTED":
            continue
        if len(node.inputs) < 2 or node.inputs[1] < 0:
            raise VerificationError("per-tensor-dense", "a FULLY_CONNECTED operator without weights")
        weights = seen.tensor(node.inputs[1], node.subgraph)
        if len(weights.scales) != 1:
            _refuse("per-tensor-dense", f"one scale expected; got {len(weights.scales)}", [weights])


def _check_input(seen: Inspection, contract: InputContract) -> None:
    """The input's scale must hold pixels 0..255 without clipping, and be no coarser than that needs."""
    quantization = _quantization(seen.inputs[0])
    real = contract.table(FLOAT32)[0].astype(np.float64)
    held = (contract.table(quantization)[0].astype(np.float64) - quantization.zero_point) * quantization.scale
    worst = float(np.abs(held - real).max())
    needed = float(real.max() - real.min()) / 255
    if worst > 0.51 * quantization.scale + 1e-6 * np.abs(real).max():  # half a step, and the rounding of float32
        raise VerificationError(
            "input-quantization",
            f"pixels 0..255 must fit ({real.min():.6g}..{real.max():.6g}); scale {quantization.scale:.6g}"
            f" and zero point {quantization.zero_point} clip by {worst:.3g}",
        )
    if quantization.scale > COARSER_BY * needed:
        raise VerificationError(
            "input-quantization",
            f"scale {needed:.6g} expected for the contract; got {quantization.scale:.6g}",
        )


def _check_output(seen: Inspection) -> None:
    """TFLite fixes the output of a quantized softmax or sigmoid at scale 1/256 with its zero at probability 0."""
    output = seen.outputs[0]
    quantization = _quantization(output)
    lowest = int(np.iinfo(quantization.dtype).min)
    if abs(quantization.scale - PROBABILITY_SCALE) > 1e-9 or quantization.zero_point != lowest:
        raise VerificationError(
            "output-quantization",
            f"a softmax's or sigmoid's scale 1/256 and zero point {lowest} expected; got {quantization.scale:.6g} and"
            f" {quantization.zero_point}",
        )


def _check_operators(seen: Inspection) -> None:
    custom = sorted({n.operator for n in seen.nodes if n.custom_bytes or n.operator.startswith(("CUSTOM", "FLEX"))})
    custom += sorted({n.operator for n in seen.nodes if n.operator != n.operator.upper()} - set(custom))
    if custom:
        raise VerificationError("custom-operator", f"only built-in operators expected; got {', '.join(custom)}")


def _check_labels(seen: Inspection, contract: InputContract) -> None:
    """Where the file carries labels, they are the contract's, in its order."""
    if seen.info and seen.info.labels and seen.info.labels != contract.labels:
        raise VerificationError(
            "labels",
            f"{', '.join(contract.labels)} expected; the metadata says {', '.join(seen.info.labels)}",
        )


def _check_dynamic(model: bytes) -> None:
    names = dynamic_tensors(model)
    if names:
        raise VerificationError("dynamic-tensor", f"none expected; got {len(names)}, first {names[0]}")


def _versions(seen: Inspection) -> Finding:
    listed = ", ".join(f"{name} v{version} x{count}" for name, version, count in seen.operators)
    return Finding("info", "operator-versions", listed)


def _unknown_versions(seen: Inspection) -> list[Finding]:
    newer = [f"{name} v{version}" for name, version, _ in seen.operators if version > KNOWN_VERSIONS.get(name, 1)]
    if not newer:
        return []
    said = f"newer than the known good versions, so older runtimes may refuse or misread: {', '.join(newer)}"
    return [Finding("warn", "operator-version", said)]


def _quantization(tensor: TensorInfo) -> Quantization:
    if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise VerificationError("ends", f"{tensor.name}: one scale and zero point expected; got {len(tensor.scales)}")
    dtype: Literal["int8", "uint8"] = "int8" if tensor.dtype == "int8" else "uint8"
    return Quantization(dtype, float(tensor.scales[0]), int(tensor.zero_points[0]))


def _refuse(rule: str, what: str, tensors: list[TensorInfo] | tuple[TensorInfo, ...]) -> None:
    first = tensors[0]
    more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
    raise VerificationError(rule, f"{what}: {first.name or 'unnamed'} {first.dtype} {list(first.shape)}{more}")
