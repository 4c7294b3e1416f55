"""Conversion from Keras to full-int8 TFLite with the settings measured for this project, and to float TFLite.

The settings, and what each is for (DESIGN, decisions 2 to 6): batch fixed at 1, or Flatten becomes SHAPE,
STRIDED_SLICE and PACK; every operator in int8 with 8-bit ends; Dense layers quantized per tensor, which older
runtimes and Coral's compiler need; a calibration set that reaches both ends of the pixel range, since the
converter takes the input's range from what it sees.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from convert.errors import CalibrationError, QuantizationError
from convert.quantization.float_model import FloatModel, check_fits
from edge.inference.contract import FLOAT32, InputContract, Pixels, grey_levels
from edge.inference.tflite.model_file import check_model
from edge.system.streams import HeldBack, silenced
from models.support.quiet_tensorflow import import_tensorflow

Io = Literal["int8", "uint8"]
Progress = Callable[[int, int], None]
LONGEST_REASON = 300


def quantize(
    model: FloatModel,
    contract: InputContract,
    calibration_pixels: Pixels,
    io: Io = "int8",
    progress: Progress | None = None,
) -> bytes:
    """A full-int8 TFLite file of `model`.

    Args:
        model: the float classifier.
        contract: of its input; size and number of labels must be its own.
        calibration_pixels: uint8 (N, height, width, 3) RGB, prepared by `contract`.
        io: number format of input and output.
        progress: called with (images done, images) while calibrating.

    Returns:
        The file, without metadata (`convert.tflite.metadata`), not yet verified (`convert.quantization.postcheck`).

    Raises:
        ContractError: the contract does not fit the model.
        CalibrationError: no calibration image, or pixels of another shape or dtype.
        QuantizationError: the converter refused the model.
    """
    check_fits(model, contract)
    _check_pixels(calibration_pixels, contract)
    if io not in ("int8", "uint8"):
        raise QuantizationError(f"io must be int8 or uint8; got {io!r}")
    return _full_int8(model, contract, calibration_pixels, io, progress, calibrate_only=False)


def calibrated(
    model: FloatModel, contract: InputContract, calibration_pixels: Pixels, progress: Progress | None = None
) -> bytes:
    """The first half of `quantize`: a float TFLite file, batch norms folded and activations fused, in which every
    activation carries the range that calibration saw. `quantized` is the second half.

    Raises:
        As `quantize`.
    """
    check_fits(model, contract)
    _check_pixels(calibration_pixels, contract)
    return _full_int8(model, contract, calibration_pixels, "int8", progress, calibrate_only=True)


def quantized(calibrated_model: bytes, io: Io = "int8") -> bytes:
    """The second half: the full-int8 file that follows from a calibrated one, in under a second.

    Of an unchanged `calibrated` file, tensor for tensor what `quantize` writes
    (`tests/convert/recovery/test_measures.py`).

    Raises:
        QuantizationError: the quantizer refused it.
        ModelFileError: damaged, which would end the process inside the quantizer.
    """
    check_model(calibrated_model)
    import_tensorflow()
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    dtype = tf.dtypes.as_dtype(io)
    with silenced():
        try:  # with the arguments that TFLiteConverter gives it for the settings of `quantize`
            return bytes(
                mlir_quantize(
                    calibrated_model,
                    input_data_type=dtype,
                    output_data_type=dtype,
                    disable_per_channel_for_dense_layers=True,
                )
            )
        except Exception as error:
            raise QuantizationError(f"the quantizer refused a changed file: {_reason(error)}") from error


def float_tflite(model: FloatModel) -> bytes:
    """The same network as a float32 TFLite file: what the int8 file's latency is compared with.

    Raises:
        QuantizationError: the converter refused the model.
    """
    import_tensorflow()
    with silenced():
        return _converted(model, _converter(model))


def reach_both_ends(pixels: Pixels, contract: InputContract) -> dict[int, Pixels]:
    """Copies of at most two calibration images with one value each moved to the end of the pixel range.

    The converter sets the input's scale from the smallest and largest value it sees; a set that never reaches
    pixel 0 or 255 would clip what a brighter field shows. The darkest value of the darkest image becomes 0
    and the brightest of the brightest 255, in the channel whose real value is the outermost: the smallest
    change that sets the range, so that the ranges behind the first layer stay those of the images.

    Args:
        pixels: uint8 (N, H, W, 3), RGB.
        contract: its scale and offset say which channel reaches furthest.

    Returns:
        Index to changed image; empty when the set reaches both ends already.
    """
    if contract.channel_order == "GRAY":
        return _grey_ends(pixels)
    order = (0, 1, 2) if contract.channel_order == "RGB" else (2, 1, 0)
    table = contract.table(FLOAT32)[0]
    lowest, highest = order[int(table[0].argmin())], order[int(table[255].argmax())]
    darkest = int(pixels[..., lowest].argmin())
    brightest = int(pixels[..., highest].argmax())
    if lowest == highest and darkest == brightest:  # a set of one single value: any other place will do
        brightest = (brightest + 1) % pixels[..., highest].size
    changed: dict[int, Pixels] = {}
    for place, channel, end in ((darkest, lowest, 0), (brightest, highest, 255)):
        index, row, column = (int(n) for n in np.unravel_index(place, pixels.shape[:3]))
        if pixels[index, row, column, channel] != end:
            changed.setdefault(index, pixels[index].copy())[row, column, channel] = end
    return changed


def _grey_ends(pixels: Pixels) -> dict[int, Pixels]:
    """As `reach_both_ends` for one channel: the darkest pixel becomes black, the brightest white."""
    grey = np.stack([grey_levels(image)[..., 0] for image in pixels])
    darkest, brightest = int(grey.argmin()), int(grey.argmax())
    if darkest == brightest:  # a set of one single value: any other place will do
        brightest = (brightest + 1) % grey.size
    changed: dict[int, Pixels] = {}
    for place, end in ((darkest, 0), (brightest, 255)):
        index, row, column = (int(n) for n in np.unravel_index(place, grey.shape))
        if grey[index, row, column] != end:
            changed.setdefault(index, pixels[index].copy())[row, column] = end
    return changed


def _full_int8(
    model: FloatModel,
    contract: InputContract,
    pixels: Pixels,
    io: Io,
    progress: Progress | None,
    calibrate_only: bool,
) -> bytes:
    import_tensorflow()
    import tensorflow as tf

    with silenced() as silence:
        converter = _converter(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        converter._experimental_calibrate_only = calibrate_only
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(io)
        converter.representative_dataset = _representative(pixels, contract, silence, progress)
        return _converted(model, converter)


def _check_pixels(pixels: Pixels, contract: InputContract) -> None:
    width, height = contract.size
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (height, width, 3):
        raise CalibrationError(
            f"calibration_pixels must be uint8 (N, {height}, {width}, 3); got {pixels.dtype} {pixels.shape}"
        )
    if not len(pixels):
        raise CalibrationError("calibration_pixels must hold at least one image; got none")


def _representative(
    pixels: Pixels, contract: InputContract, silence: HeldBack, progress: Progress | None
) -> Callable[[], Iterator[list[npt.NDArray[np.float32]]]]:
    """The converter's representative dataset: every image once, through the contract."""
    changed = reach_both_ends(pixels, contract)

    def images() -> Iterator[list[npt.NDArray[np.float32]]]:
        for index in range(len(pixels)):
            yield [contract.encode(changed.get(index, pixels[index]), FLOAT32)]
            if progress:
                with silence.lifted():
                    progress(index + 1, len(pixels))

    return images


def _converter(model: FloatModel) -> Any:
    """A converter over `model` with batch 1; `from_concrete_functions` fails in calibration (TF 2.21)."""
    import keras
    import tensorflow as tf

    image = keras.Input(model.input_shape, batch_size=1, name="image")
    fixed = keras.Model(image, model.network(image, training=False), name="fixed_batch")
    return tf.lite.TFLiteConverter.from_keras_model(fixed)


def _converted(model: FloatModel, converter: Any) -> bytes:
    try:
        return bytes(converter.convert())
    except Exception as error:  # the converter raises bare Exception, ValueError, RuntimeError and its own kinds
        raise QuantizationError(f"{model.path}: the converter refused it: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
