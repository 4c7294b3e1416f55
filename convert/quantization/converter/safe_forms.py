"""Layers in another form, of the same function, where TensorFlow's converter cannot take the one they have.

Recurrent layers: a loop over time steps crashes the converter (SIGSEGV while calibrating, TensorFlow 2.21), the same
steps written out one after another do not. Normalizations and some activations: `safe_layers`.
"""

from collections import defaultdict
from typing import Any

from convert.quantization.converter.safe_layers import form_of
from convert.quantization.findings import listed
from convert.quantization.weights_check import layers_of

MOST_STEPS = 256  # that are written out; each adds its operators to the file


def in_safe_forms(network: Any) -> tuple[Any, tuple[str, ...]]:
    """A Keras model with layers in safe forms, and one sentence for each kind of change.

    Weights are those of `network`; every other layer is the very same one. A model that needs no change comes back as
    it is.
    """
    import keras

    if not any(_steps(layer) or form_of(layer) is not None for layer in layers_of(network)):
        return network, ()
    pairs: list[tuple[Any, Any]] = []
    unrolled: list[Any] = []
    rewritten: dict[str, list[str]] = defaultdict(list)

    def form(layer: Any) -> Any:
        safe = _unrolled(layer) if _steps(layer) else form_of(layer)
        if safe is None:
            return layer
        if _steps(layer):
            unrolled.append(layer)
        else:
            rewritten[said_kind(layer)].append(layer.name)
        pairs.append((layer, safe))
        return safe

    clone = keras.models.clone_model(network, clone_function=form, recursive=True)
    for layer, safe in pairs:
        if safe.weights:
            safe.set_weights(layer.get_weights())
    notes = [
        f"layer {layer.name} ({type(layer).__name__}): "
        + (
            "converted with a product of its own for each gate, since TFLite has no int8 for the split of a common one"
            if recurrent(layer).unroll
            else f"converted with its {_steps(layer)} time steps written out (unroll=True), since the converter crashes"
            " on the loop"
        )
        + "; its function is the same"
        for layer in unrolled
    ]
    notes += [
        f"{kind}: converted in another form of the same function, since TFLite's int8 has none for the one that Keras"
        f" writes{listed(tuple(names))}"
        for kind, names in rewritten.items()
    ]
    return clone, tuple(notes)


def said_kind(layer: Any) -> str:
    """`LayerNormalization`, or `Conv2D with activation mish`."""
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    kind = type(layer).__name__
    return f"{kind} with activation {activation}" if activation not in ("", "linear") else kind


def recurrent(layer: Any) -> Any:
    """The layer with the loop: `layer` itself, the one inside a Bidirectional, or None."""
    import keras

    inner = layer.forward_layer if isinstance(layer, keras.layers.Bidirectional) else layer
    return inner if isinstance(inner, keras.layers.RNN) else None


def _steps(layer: Any) -> int:
    """Time steps of a recurrent layer that is to be built anew, as `_unrolled` does; 0 of any other."""
    inner = recurrent(layer)
    if inner is None or inner.stateful or (inner.unroll and all(_implementation(cell) == 1 for cell in _cells(layer))):
        return 0
    try:
        steps = layer.input.shape[1]
    except (AttributeError, ValueError):  # used several times, or of several inputs
        return 0
    return steps if steps is not None and steps <= MOST_STEPS else 0


def _unrolled(layer: Any) -> Any:
    """A layer of the same configuration, unrolled, not built yet.

    `implementation` 1 multiplies with each gate's own weights: the converter leaves the SPLIT of a common product in
    float where the first time step does not read all its parts.
    """
    config = layer.get_config()
    if "unroll" in config:
        config["unroll"] = True
    for key in ("layer", "backward_layer"):
        if isinstance(config.get(key), dict) and "unroll" in config[key].get("config", {}):
            config[key] = {**config[key], "config": {**config[key]["config"], "unroll": True}}
    unrolled = type(layer).from_config(config)
    for cell in _cells(unrolled):
        if hasattr(cell, "implementation"):
            cell.implementation = 1
    return unrolled


def _cells(layer: Any) -> list[Any]:
    """Of a recurrent layer, of both directions, and of cells stacked in one."""
    loops = (layer, *(getattr(layer, side, None) for side in ("forward_layer", "backward_layer")))
    cells = [loop.cell for loop in loops if hasattr(loop, "cell")]
    return [each for cell in cells for each in getattr(cell, "cells", (cell,))]


def _implementation(cell: Any) -> int:
    """1 for each gate's own product, also of a cell without the choice; 2 for a common one that is split."""
    return int(getattr(cell, "implementation", 1))
