"""Files of float models, opened: Keras files and SavedModel folders, with the shapes at their ends."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.errors import FloatModelError
from edge.system.streams import silenced
from models.errors import ForeignCodeError, NetworkError
from models.networks.custom_code import CustomCode
from models.networks.float32 import in_float32
from models.networks.loading import first_line, load_keras

Shape = tuple[int | None, ...]  # () where not even the number of axes is known


@dataclass(frozen=True, eq=False)
class Source:
    """An opened file.

    Attributes:
        network: callable, float32 to float32; a Keras model for a Keras file.
        inputs, outputs: shape of each, batch first.
        last: name of the last operation, lower case, where it can be seen: "sigmoid", "linear", ...
        notes: what was changed about it, one sentence each.
    """

    network: Callable[..., Any]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    last: str | None
    notes: tuple[str, ...] = ()

    @property
    def is_keras(self) -> bool:
        """Whether its layers can be reached."""
        return hasattr(self.network, "layers")


def load_keras_file(path: Path, code: CustomCode) -> Source:
    """A `.keras` or `.h5` file.

    Raises:
        FloatModelError: damaged, not built, code that is not given, or inputs of no numbers.
    """
    import keras

    try:
        network, changed = in_float32(load_keras(path, code), code.objects())
    except ForeignCodeError as error:
        export = "export it where it was made, model.export('FOLDER'), and give that folder, which holds no Python"
        raise FloatModelError(f"{error}; or {export}") from error
    except NetworkError as error:
        said = str(error)
        raise FloatModelError(said if said.startswith((str(path), "custom")) else f"{path}: {said}") from error
    try:
        inputs, outputs = network.inputs, network.outputs
    except (AttributeError, ValueError) as error:
        raise FloatModelError(f"{path}: has no defined input (a model never built); save it after a call") from error
    if not inputs or not outputs:
        raise FloatModelError(f"{path}: has no defined input (a model never built); save it after a call")
    for tensor in inputs:
        if "float" not in str(tensor.dtype):
            raise FloatModelError(f"{path}: its input must be float32; got {tensor.dtype}")
    # A dict or list of one; a Sequential may have outputs and no output.
    if len(inputs) == len(outputs) == 1 and not hasattr(getattr(network, "output", outputs[0]), "shape"):
        network = keras.Model(inputs[0], outputs[0], name=network.name)
    return Source(
        network,
        tuple(tuple(t.shape) for t in inputs),
        tuple(tuple(t.shape) for t in outputs),
        _last_operation(outputs[0]),
        () if changed is None else (changed,),
    )


def load_saved_model(path: Path) -> Source:
    """The `serving_default` signature of a SavedModel.

    Raises:
        FloatModelError: damaged, no such signature, or inputs or arithmetic of other than float32.
    """
    import keras
    import tensorflow as tf

    try:
        with silenced():
            loaded = tf.saved_model.load(str(path))
            signature = loaded.signatures.get("serving_default")
            if signature is None:
                raise FloatModelError(f"{path}: has no signature serving_default; got {sorted(loaded.signatures)}")
            layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    except FloatModelError:
        raise
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
        raise FloatModelError(f"{path}: not a SavedModel that can be loaded: {first_line(error)}") from error
    specs = list(signature.structured_input_signature[1].values())
    if any(spec.dtype != tf.float32 for spec in specs):
        raise FloatModelError(f"{path}: its input must be float32; got {', '.join(s.dtype.name for s in specs)}")
    nodes = _nodes(signature)
    half = sorted({str(kind.name) for _, kinds in nodes for kind in kinds if kind in (tf.float16, tf.bfloat16)})
    if half:
        raise FloatModelError(
            f"{path}: computes in {', '.join(half)}, which a SavedModel fixes; give the .keras file, which is loaded as"
            " float32, or export it from a network built in float32"
        )
    shapes = tuple(tuple(s.shape) if s.shape.rank is not None else () for s in specs)
    outputs = tuple(tuple(s.shape) if s.shape.rank is not None else () for s in signature.structured_outputs.values())

    def network(inputs: Any, training: bool = False) -> Any:
        answer = layer(inputs)
        return next(iter(answer.values())) if isinstance(answer, dict) else answer

    return Source(network, shapes, outputs, _last_node(nodes))


def _last_operation(output: Any) -> str | None:
    """The activation that an output of a Keras model comes from; "linear" of a layer without one."""
    try:
        operation = output._keras_history.operation
    except AttributeError:
        return None
    inner = getattr(operation, "outputs", None)
    if getattr(operation, "layers", None) and inner:  # a model within the model
        return _last_operation(inner[0])
    activation = getattr(operation, "activation", None)
    if activation is not None:
        return str(getattr(activation, "__name__", type(activation).__name__)).lower()
    return type(operation).__name__.lower()


def _nodes(signature: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """(kind, number formats of its outputs) of every operation that a signature runs, those of functions too."""
    graphs = [signature.graph]
    with_functions = getattr(signature.graph, "_functions", {})
    for function in with_functions.values():
        inner = getattr(function, "graph", None)
        if inner is not None:
            graphs.append(inner)
    return [(o.type, tuple(t.dtype for t in o.outputs)) for g in graphs for o in g.get_operations()]


def _last_node(nodes: list[tuple[str, tuple[Any, ...]]]) -> str | None:
    """The last operation that computes; good only to tell a sigmoid from a logit."""
    passing = ("Identity", "NoOp", "StatefulPartitionedCall", "PartitionedCall", "Placeholder", "Const")
    computing = [kind for kind, _ in nodes if kind not in passing and "Variable" not in kind]
    return computing[-1].lower() if computing else None
