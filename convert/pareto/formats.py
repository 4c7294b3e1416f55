"""One float network in each of four number formats, as TFLite files.

| format | weights | activations | ends | where it is fast |
|---|---|---|---|---|
| int8 | int8 | int8 | int8 | XNNPACK, Edge TPU: `convert.quantization.quantize`, the format that ships |
| int16x8 | int8 | int16 | float32 | nowhere here: no delegate has it, the interpreter's own kernels run |
| float16 | float16 | float32 | float32 | XNNPACK, as float32: half the file, weights widened when it is loaded |
| float32 | float32 | float32 | float32 | XNNPACK |
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import ParetoError, QuantizationError
from convert.quantization.float_model import FloatModel
from convert.quantization.postcheck import verify
from convert.quantization.quantize import LONGEST_REASON, float_tflite, quantize, reach_both_ends
from convert.tflite.metadata import with_metadata
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.system.streams import silenced
from models.support.quiet_tensorflow import import_tensorflow

FORMATS = ("int8", "int16x8", "float16", "float32")


def converted(model: FloatModel, contract: InputContract, calibration: Pixels, form: str) -> bytes:
    """The network in one format.

    Args:
        model: the float classifier. contract: what it is fed.
        calibration: uint8 (N, height, width, 3) RGB, prepared; int8 and int16x8 take their ranges from it.
        form: one of `FORMATS`.

    Raises:
        ParetoError: no such format.
        QuantizationError: the converter refused it. VerificationError: an int8 file that is not full-int8.
    """
    if form == "int8":
        int8 = with_metadata(quantize(model, contract, calibration), contract, "int8", model.name)
        verify(int8, contract, "int8")
        return int8
    if form == "float32":
        return float_tflite(model)
    if form not in FORMATS:
        raise ParetoError(f"format must be one of {', '.join(FORMATS)}; got {form!r}")
    import_tensorflow()
    import tensorflow as tf

    with silenced():
        converter = _converter(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if form == "float16":
            converter.target_spec.supported_types = [tf.float16]
        else:
            ops = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [ops]
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
            converter.representative_dataset = _representative(calibration, contract)
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter raises bare Exception, ValueError, RuntimeError and its own kinds
            reason = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
            raise QuantizationError(f"{model.path}: the converter refused it as {form}: {reason}") from error


def _converter(model: FloatModel) -> Any:
    """Over the network with batch 1, as `convert.quantization.quantize` does it."""
    import keras
    import tensorflow as tf

    image = keras.Input(model.input_shape, batch_size=1, name="image")
    fixed = keras.Model(image, model.network(image, training=False), name="fixed_batch")
    return tf.lite.TFLiteConverter.from_keras_model(fixed)


def _representative(pixels: Pixels, contract: InputContract) -> Callable[[], Iterator[list[npt.NDArray[np.float32]]]]:
    """Every calibration image once; between them they reach both ends of the pixel range."""
    changed = reach_both_ends(pixels, contract)

    def images() -> Iterator[list[npt.NDArray[np.float32]]]:
        for index in range(len(pixels)):
            yield [contract.encode(changed.get(index, pixels[index]), FLOAT32)]

    return images
