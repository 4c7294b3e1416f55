"""One-to-one matching of the operators of a float and an int8 TFLite file, and runnable parts of the float file.

Both files come from the same network, so that after the int8 file's QUANTIZE and DEQUANTIZE are set aside the two have
the same operators in the same order (measured on MobileNetV2 and the custom CNN: names and shapes of all outputs are
equal). Where they have not, an operator is matched by the name of its output alone, and what has no twin is named, not
guessed.
"""

import copy
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import DiagnoseError
from convert.tflite.inspection import Inspection, Node, TensorInfo, inspect, plain
from convert.tflite.schema import pack_model

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
KERNELS = {
    "CONV_2D": 0,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 0,
}  # operator -> axis of its weights' output channels
CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})


@dataclass(frozen=True, eq=False)
class Pair:
    """One operator in both files.

    Attributes:
        name: of the Keras layer it comes from, where its name in the file tells; unique.
        operator: as TFLite calls it.
        place: index among the float file's operators.
        node, twin: the operator in the float file and in the int8 file.
        output, quantized: its output tensor in the float file and in the int8 file.
    """

    name: str
    operator: str
    place: int
    node: Node
    twin: Node
    output: TensorInfo
    quantized: TensorInfo

    @property
    def has_weights(self) -> bool:
        """A convolution or dense layer."""
        return self.operator in KERNELS


@dataclass(frozen=True, eq=False)
class Matched:
    """Both files taken apart and matched. `unmatched`: int8 operators without a twin, by the name of their output."""

    plain: Inspection
    int8: Inspection
    pairs: tuple[Pair, ...]
    unmatched: tuple[str, ...]

    @property
    def logits(self) -> Pair:
        """The last operator before the softmax or sigmoid, or the last one where there is none."""
        last = self.pairs[-1]
        if last.operator in ("SOFTMAX", "LOGISTIC"):
            before = [pair for pair in self.pairs if pair.output.index in last.node.inputs]
            return before[0] if before else last
        return last


def match(plain_model: bytes, int8_model: bytes, layers: Collection[str] = (), name: str = "the int8 file") -> Matched:
    """Match the operators of two files of one network.

    Args:
        plain_model, int8_model: the TFLite files.
        layers: names of the network's Keras layers, to name operators by.
        name: of the int8 file, for messages.

    Raises:
        BrokenModelError: a file that is none.
        DiagnoseError: not one operator has a twin, or the last one has none: two different networks.
    """
    before, after = inspect(plain_model, "float model"), inspect(int8_model, name)
    ours = [node for node in before.nodes if node.subgraph == 0]
    theirs = [node for node in after.nodes if node.subgraph == 0 and node.operator not in CONVERSIONS]
    found = _in_order(before, after, ours, theirs) or _by_name(before, after, ours, theirs)
    if not found or found[-1][0] != len(ours) - 1:
        raise DiagnoseError(
            f"{name}: not made from this network: the float network ends in {_ends(before, ours)},"
            f" it in {_ends(after, theirs)}"
        )
    names = _layer_names(before, [ours[place] for place, _ in found], layers)
    pairs = tuple(
        Pair(
            layer,
            ours[place].operator,
            place,
            ours[place],
            theirs[other],
            before.tensor(ours[place].outputs[0]),
            after.tensor(theirs[other].outputs[0]),
        )
        for layer, (place, other) in zip(names, found, strict=True)
    )
    taken = {other for _, other in found}
    left = tuple(plain(after.tensor(n.outputs[0]).name) for k, n in enumerate(theirs) if k not in taken)
    return Matched(before, after, pairs, left)


def _in_order(before: Inspection, after: Inspection, ours: list[Node], theirs: list[Node]) -> list[tuple[int, int]]:
    """All operators in the same order, of the same kind, shape and wiring; [] when a single one differs."""
    if len(ours) != len(theirs) or not ours:
        return []
    source = {n.outputs[0]: n.inputs[0] for n in after.nodes if n.operator in CONVERSIONS and n.subgraph == 0}
    twin = {before.inputs[0].index: after.inputs[0].index} if before.inputs and after.inputs else {}
    for node, other in zip(ours, theirs, strict=True):
        if node.operator != other.operator or _shape(before, node) != _shape(after, other):
            return []
        fed = [i for i in node.inputs if i in twin]
        through = {_origin(i, source) for i in other.inputs}
        if any(_origin(twin[i], source) not in through for i in fed):
            return []
        twin[node.outputs[0]] = other.outputs[0]
    return [(place, place) for place in range(len(ours))]


def _by_name(before: Inspection, after: Inspection, ours: list[Node], theirs: list[Node]) -> list[tuple[int, int]]:
    """Operators whose output carries the same name, once in each file, with the same kind and shape."""
    counted = [Counter(_named(seen, node) for node in nodes) for seen, nodes in ((before, ours), (after, theirs))]
    at = {_named(after, node): k for k, node in enumerate(theirs)}
    keys = [_named(before, node) for node in ours]
    return [
        (place, at[key])
        for place, key in enumerate(keys)
        if key in at and key[0] and counted[0][key] == 1 == counted[1][key]
    ]


def _named(seen: Inspection, node: Node) -> tuple[str, str, tuple[int, ...]]:
    return seen.tensor(node.outputs[0]).name, node.operator, _shape(seen, node)


def _shape(seen: Inspection, node: Node) -> tuple[int, ...]:
    return seen.tensor(node.outputs[0]).shape


def _origin(index: int, source: dict[int, int]) -> int:
    while index in source:
        index = source[index]
    return index


def _ends(seen: Inspection, nodes: list[Node]) -> str:
    if not nodes:
        return "nothing"
    return f"{nodes[-1].operator} {'x'.join(map(str, _shape(seen, nodes[-1])))} after {len(nodes)} operators"


def _layer_names(seen: Inspection, nodes: Sequence[Node], layers: Collection[str]) -> list[str]:
    """A name each, unique: the Keras layer's where one is found in the tensors' names, else the operator's."""
    names = [_layer_name(seen, node, layers) for node in nodes]
    counted = Counter(names)
    met: Counter[str] = Counter()
    unique = []
    for name, node in zip(names, nodes, strict=True):
        met[name] += 1
        extra = f" ({node.operator}{f' {met[name]}' if met[name] > 1 else ''})" if counted[name] > 1 else ""
        unique.append(plain(name + extra))
    return unique


def _layer_name(seen: Inspection, node: Node, layers: Collection[str]) -> str:
    """Tensors are called `fixed_batch_1/network_1/conv1_1/convolution;...`: the scopes are layers, numbered anew.

    A fused operator carries the names of all its layers; the one with the weights is meant.
    """
    weights = node.inputs[1:2] if node.operator in KERNELS else ()
    texts = [seen.tensor(i).name for i in (*weights, *node.outputs) if i >= 0]
    scopes = [scope for text in texts for piece in text.split(";") for scope in piece.split("/")[1:]]
    known = [name for scope in scopes for name in (re.sub(r"_\d+$", "", scope), scope) if name in layers]
    if known:
        weighted = [n for n in known if not re.search(r"(^|_)(bn|batch_?norm\w*|relu6?|pad)(_\d+)?$", n, re.IGNORECASE)]
        return (weighted or known)[0]
    last = seen.tensor(node.outputs[0]).name.split(";")[-1].split("/")
    return re.sub(r"_\d+$", "", last[-2]) if len(last) > 1 else node.operator.lower()


class Runner:
    """A TFLite file, or a part of one, run without a delegate, so that every tensor it computes can be read."""

    def __init__(self, model: bytes, keep_all: bool, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        from edge.inference.tflite.model_file import check_model

        check_model(model)
        try:
            self._engine = Interpreter(
                model_content=model,
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=keep_all,
            )
            self._engine.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DiagnoseError(
                f"the interpreter cannot load the model: {' '.join(str(error).split())[:200]}"
            ) from error
        self._inputs = [detail["index"] for detail in self._engine.get_input_details()]
        self._outputs = [detail["index"] for detail in self._engine.get_output_details()]

    def run(self, inputs: Sequence[Array]) -> Array:
        """The first output for these inputs, in the order of the file's own."""
        for index, values in zip(self._inputs, inputs, strict=True):
            self._engine.set_tensor(index, values)
        self._engine.invoke()
        return np.asarray(self._engine.get_tensor(self._outputs[0]))

    def tensor(self, index: int) -> Array:
        """A copy of any tensor after `run`; needs `keep_all`."""
        return np.asarray(self._engine.get_tensor(index))


@dataclass(frozen=True, eq=False)
class Part:
    """Some operators of a float file as a model of their own; `inputs` are the tensors it is fed, by old index."""

    runner: Runner
    inputs: tuple[int, ...]

    def run(self, values: dict[int, Floats]) -> Floats:
        """Its output for the tensors of `values`, by their old index."""
        return self.runner.run([values[index] for index in self.inputs])


class Parts:
    """Cuts parts out of a float TFLite file."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._tree: Any = schema.ModelT.InitFromPackedBuf(model, 0)
        self._graph = self._tree.subgraphs[0]

    def cut(self, first: int, last: int) -> Part:
        """Operators `first` to `last`, both included; what they compute last is the output."""
        operators = self._graph.operators[first : last + 1]
        computed = {int(i) for op in operators for i in op.outputs}
        read = [int(i) for op in operators for i in op.inputs if i >= 0]
        inputs = tuple(dict.fromkeys(i for i in read if i not in computed and not self._is_constant(i)))
        needed = sorted({*read, *computed})
        place = {old: new for new, old in enumerate(needed)}
        return Part(Runner(self._packed(operators, needed, place, inputs), keep_all=False), inputs)

    def _packed(self, operators: list[Any], needed: list[int], place: dict[int, int], inputs: tuple[int, ...]) -> bytes:
        tree, graph = self._schema.ModelT(), self._schema.SubGraphT()
        tree.version, tree.operatorCodes, tree.description = 3, self._tree.operatorCodes, ""
        tree.buffers, graph.tensors, graph.operators = [self._schema.BufferT()], [], []
        for old in needed:
            tensor = copy.copy(self._graph.tensors[old])
            if self._is_constant(old):
                tree.buffers.append(self._tree.buffers[tensor.buffer])
                tensor.buffer = len(tree.buffers) - 1
            else:
                tensor.buffer = 0
            graph.tensors.append(tensor)
        for operator in operators:
            moved = copy.copy(operator)
            moved.inputs = [place[int(i)] if i >= 0 else -1 for i in operator.inputs]
            moved.outputs = [place[int(i)] for i in operator.outputs]
            graph.operators.append(moved)
        graph.inputs = [place[i] for i in inputs]
        graph.outputs = [place[int(operators[-1].outputs[0])]]
        tree.subgraphs = [graph]
        return pack_model(tree)

    def _is_constant(self, index: int) -> bool:
        data = self._tree.buffers[self._graph.tensors[index].buffer].data
        return data is not None and len(data) > 0


def constants(model: bytes, wanted: Collection[int]) -> dict[int, Array]:
    """The values of constant tensors of the main subgraph, by index, in their own dtype and shape."""
    from ai_edge_litert import schema_py_generated as schema

    dtypes = {0: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
    tree: Any = schema.ModelT.InitFromPackedBuf(model, 0)
    found: dict[int, Array] = {}
    for index in wanted:
        tensor = tree.subgraphs[0].tensors[index]
        data = _held(tree.buffers[tensor.buffer], model)
        if not data or tensor.type not in dtypes or len(data) % np.dtype(dtypes[tensor.type]).itemsize:
            continue
        shape = [] if tensor.shape is None else [int(n) for n in tensor.shape]
        values = np.frombuffer(data, dtypes[tensor.type])
        if values.size == int(np.prod(shape)):
            found[index] = values.reshape(shape)
    return found


def _held(buffer: Any, model: bytes) -> bytes:
    """What a buffer holds, within the flatbuffer or behind it, as litert-quantizer writes it; b"" where nothing."""
    if buffer.data is not None and len(buffer.data):
        return np.asarray(buffer.data, np.uint8).tobytes()
    return bytes(model[buffer.offset : buffer.offset + buffer.size]) if buffer.offset > 1 else b""


def dequantized(values: Array, tensor: TensorInfo) -> Floats:
    """Real values of a per-tensor quantized activation."""
    if len(tensor.scales) != 1:
        return values.astype(np.float32)
    zero_point = int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
    return ((values.astype(np.float32) - zero_point) * np.float32(tensor.scales[0])).astype(np.float32)


def held_range(tensor: TensorInfo) -> tuple[float, float]:
    """The least and the greatest real value that a per-tensor int8 or uint8 tensor can hold."""
    limits = np.iinfo(tensor.dtype)
    scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
    return scale * (int(limits.min) - zero_point), scale * (int(limits.max) - zero_point)
