"""The layers of a Keras model, and which of them hold weights that are no numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def layers_of(network: Any) -> Iterator[Any]:
    """Every layer of a Keras model, those of models and wrappers inside it too."""
    for layer in getattr(network, "layers", ()):
        if getattr(layer, "layers", ()):
            yield from layers_of(layer)
        else:
            yield layer


def layer_names(network: Any) -> frozenset[str]:
    """Names of a Keras model's layers, those of models inside it too; none of a SavedModel."""
    return frozenset(str(layer.name) for layer in layers_of(network))


def not_finite(network: Any) -> str:
    """Which layer of a Keras model holds weights that are no finite numbers, and what to do; "" where none does."""
    for layer in layers_of(network):
        for weight in layer.weights:
            values = np.asarray(weight)
            wrong = 0 if values.dtype.kind != "f" else int(values.size - np.isfinite(values).sum())
            if wrong:
                return (
                    f"layer {layer.name} ({type(layer).__name__}): {wrong} of the {values.size} values of its"
                    f" {weight.name} are not finite (NaN or infinite): the training diverged; train again with a lower"
                    " learning rate, or take an earlier checkpoint"
                )
    return ""
