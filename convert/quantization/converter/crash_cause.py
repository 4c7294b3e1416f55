"""The layer on which TensorFlow's converter crashed, and what to do about it."""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convert.errors import ConverterCrashed, QuantizationError
from convert.quantization.converter.process import ConverterProcess
from convert.quantization.converter.safe_forms import recurrent
from convert.quantization.converter.saved_network import export, fixed_batch
from convert.quantization.converter.worker import Task, Tensor
from convert.quantization.float_model import FloatModel
from convert.quantization.weights_check import layers_of
from edge.system.streams import silenced

LONGEST_S = 90.0  # that the search for a layer may take
UNROLL = "build it with unroll=True and a fixed number of time steps, and load the same weights into it"
HOLDS_A_LOOP = f"the network holds a loop over time steps, as recurrent layers do: {UNROLL}, and export it again"
_LOOP = b"While"  # TensorFlow's operators for loops have it in their names


def crash_told(model: FloatModel, folder: Path, error: ConverterCrashed, converter: ConverterProcess) -> str:
    """One line about a crash: which layer, as far as it can be told, and the cure.

    Args:
        folder: the SavedModel that was converted.
    """
    with silenced():
        network = fixed_batch(model)[0]
        loops = [layer for layer in layers_of(network) if (found := recurrent(layer)) is not None and not found.unroll]
        layer = loops[0] if loops else _crashing_alone(network, converter)
    if loops:
        cure = f"the converter cannot take its loop over time steps: {UNROLL}"
    elif layer is not None:
        cure = "converted alone, it crashes the converter as well: replace it by other layers, or report the model"
    elif _LOOP in (folder / "saved_model.pb").read_bytes():
        cure = HOLDS_A_LOOP
    else:
        cure = "no single layer does so alone; simplify the network step by step to find out which ones, or report it"
    where = "" if layer is None else f"layer {layer.name} ({type(layer).__name__}): "
    return f"{model.path}: {error}; {where}{cure}"


def _crashing_alone(network: Any, converter: ConverterProcess) -> Any:
    """The first layer that crashes the converter when converted by itself; None where none does in time."""
    began = time.monotonic()
    for layer, alone in _alone(network):
        if time.monotonic() - began > LONGEST_S:
            return None
        try:
            with tempfile.TemporaryDirectory(prefix="leukoscope-") as folder:
                export(alone, folder)
                converter.run(Task(folder, images=2), _noise(tuple(alone.inputs[0].shape)))
        except ConverterCrashed:
            return layer
        except QuantizationError:
            continue
    return None


def _alone(network: Any) -> Iterator[tuple[Any, Any]]:
    """Each kind of layer of one floating-point input, with a model of it alone."""
    import keras

    seen: set[str] = set()
    for layer in layers_of(network):
        try:
            source = layer.input
            config = {**layer.get_config(), "name": "", "shape": list(source.shape)}
            kind = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()
            if isinstance(layer, keras.layers.InputLayer) or kind in seen or "float" not in str(source.dtype):
                continue
            seen.add(kind)
            image = keras.Input(batch_shape=(1, *source.shape[1:]))
            yield layer, keras.Model(image, layer(image))
        except Exception:  # of several inputs, used several times, without a configuration: not tried
            continue


def _noise(shape: tuple[int, ...]) -> Any:
    def image(number: int) -> Tensor:
        return np.random.default_rng(number).normal(size=shape).astype(np.float32)

    return image
