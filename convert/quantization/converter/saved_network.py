"""A float network as the SavedModel that TensorFlow's converter reads: batch 1, inference only.

Exporting is Python and safe; what follows is native code and runs in `convert.quantization.converter.worker`.
"""

import functools
import hashlib
import logging
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from convert.errors import QuantizationError
from convert.quantization.converter.safe_forms import in_safe_forms
from convert.quantization.float_model import FloatModel
from convert.quantization.weights_check import not_finite
from edge.system.streams import silenced
from models.networks.loading import first_line
from models.support.quiet_tensorflow import import_tensorflow

_log = logging.getLogger(__name__)

_kept: "weakref.WeakKeyDictionary[FloatModel, tuple[str, tempfile.TemporaryDirectory[str]]]" = (
    weakref.WeakKeyDictionary()
)


def saved_network(model: FloatModel) -> Path:
    """A folder with the network as a SavedModel; made once for a network whose weights stay the same.

    It is deleted with `model`, or with this process.

    Raises:
        QuantizationError: it cannot be traced.
    """
    import_tensorflow()
    with silenced():
        try:
            plain = _fixed_batch(model)
            broken = not_finite(plain)
            weights = _digest(plain)
            known = model in _kept and _kept[model][0] == weights
            if not known and not broken:
                network, changed = in_safe_forms(plain)
                folder = tempfile.TemporaryDirectory(prefix="leukoscope-")
                export(network, folder.name)
                _kept[model] = weights, folder
        except Exception as error:  # whatever a user's own layers raise
            raise QuantizationError(f"{model.path}: cannot be traced for conversion: {first_line(error)}") from error
    if broken:
        raise QuantizationError(f"{model.path}: {broken}")
    if not known:
        for note in changed:
            _log.info(f"  {note}")
    return Path(_kept[model][1].name)


def fixed_batch(model: FloatModel) -> tuple[Any, tuple[str, ...]]:
    """A Keras model over `model` with batch 1, and what had to be changed about it, one sentence each.

    A dynamic batch makes Flatten SHAPE, STRIDED_SLICE and PACK.
    """
    return in_safe_forms(_fixed_batch(model))


def _fixed_batch(model: FloatModel) -> Any:
    import keras

    image = keras.Input(model.input_shape, batch_size=1, name="image")
    return keras.Model(image, model.network(image, training=False), name="fixed_batch")


def export(network: Any, folder: str) -> None:
    """Write a Keras model as TFLiteConverter exports a Keras model (lite.py, `_convert_keras_to_saved_model`)."""
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(network)
    signature = [tf.TensorSpec(each.shape, dtype=each.dtype, name=each.name) for each in network.inputs]
    archive.add_endpoint("serve", functools.partial(network.__call__, training=False), signature)
    archive.write_out(folder, verbose=False)


def _digest(network: Any) -> str:
    digest = hashlib.sha256()
    for weight in network.weights:
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()
