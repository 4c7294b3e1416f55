"""Keras layers by the names that TFLite tensors have."""

import re
from collections.abc import Collection

from convert.tflite.inspection import Inspection, Node

WRAPPERS = re.compile(r"(fixed_batch|functional|sequential|model)(_\d+)*")
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
# operator without an int8 kernel, or that TensorFlow's quantizer passes over -> what to write in its place
_INSTEAD = {
    "ELU": "ReLU, ReLU6 or hard_swish (or keras.layers.ELU by itself, which is converted in another form)",
    "NEG": "a multiplication by -1.0",
    "SQUARE": "the product x * x",
    "POW": "products and square roots",
    "CUMSUM": "a convolution with ones, or a Dense layer of fixed weights",
    "FLOOR": "nothing: leave rounding outside of the model",
    "ROUND": "nothing: leave rounding outside of the model",
    "SIN": "a table or layers that learn it, outside of the int8 part",
    "COS": "a table or layers that learn it, outside of the int8 part",
    "SPLIT": "separate layers, one for each part",
}
OTHERWISE = "layers that have one: convolution, Dense, pooling, ReLU, ReLU6, hard_swish, sigmoid, tanh, softmax"


def layer_of(tensor: str, known: Collection[str] = ()) -> str:
    """The Keras layer that a tensor comes from, by the path in its name; "" where the name does not say.

    Args:
        known: names of the network's layers; without them the first part that is no model's own name is taken.

    >>> layer_of("fixed_batch_1/functional_1/elu_1/Elu")
    'elu'
    >>> layer_of("arith.constant4")
    ''
    """
    for path in tensor.split(";"):
        parts = path.split("/")[:-1]
        named = [name for part in parts for name in (part, re.sub(r"_\d+$", "", part)) if name in known]
        if named:
            return named[-1]
        own = [part for part in parts if not WRAPPERS.fullmatch(part)]
        if own and not known:
            return re.sub(r"_\d+$", "", own[0])
    return ""


def left_in_float(seen: Inspection, known: Collection[str] = ()) -> str:
    """Which operators compute in floating point, of which layers, and what to write instead; "" where none does."""
    found: dict[str, list[str]] = {}
    for node in seen.nodes:
        if node.operator not in _CONVERSIONS and _in_float(node, seen):
            names = found.setdefault(node.operator, [])
            names += [name for name in [_layer(node, seen, known)] if name and name not in names]
    if not found:
        return ""
    said = ", ".join(f"{kind}{_layers_text(names)}" for kind, names in found.items())
    cures = "; ".join(f"for {kind} use {_INSTEAD.get(kind, OTHERWISE)}" for kind in found)
    return f"TFLite's converter has no int8 for {said}: {cures}"


def _in_float(node: Node, seen: Inspection) -> bool:
    return any(seen.tensor(index, node.subgraph).is_float for index in (*node.inputs, *node.outputs) if index >= 0)


def _layer(node: Node, seen: Inspection, known: Collection[str]) -> str:
    names = (layer_of(seen.tensor(index, node.subgraph).name, known) for index in (*node.outputs, *node.inputs))
    return next((name for name in names if name), "")


def _layers_text(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" (layer{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more})"
