"""Conversion from Keras to full-int8 TFLite with the settings measured for this project, and to float TFLite.

The settings, and what each is for (DESIGN, decisions 2 to 6): batch fixed at 1, or Flatten becomes SHAPE,
STRIDED_SLICE and PACK; every operator in int8 with 8-bit ends; Dense layers quantized per tensor, which older
runtimes and Coral's compiler need; a calibration set that reaches both ends of the pixel range, since the
converter takes the input's range from what it sees.
"""

import logging
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from convert.errors import CalibrationError, ConverterCrashed, QuantizationError
from convert.quantization.converter.crash_cause import HOLDS_A_LOOP, crash_told
from convert.quantization.converter.dead_tensors import has_dead_tensors, with_wider_ranges
from convert.quantization.converter.process import shared_converter
from convert.quantization.converter.saved_network import saved_network
from convert.quantization.converter.worker import Form, Task
from convert.quantization.float_model import FloatModel, check_fits
from convert.quantization.weights_check import layer_names
from convert.tflite.layer_names import layer_of
from edge.errors import FrameError
from edge.inference.contract import FLOAT32, InputContract, Pixels, grey_levels
from edge.inference.tflite.model_file import check_model
from edge.inference.tiles import tiles_of

_log = logging.getLogger(__name__)

Io = Literal["int8", "uint8"]
Progress = Callable[[int, int], None]


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
        calibration_pixels: uint8 (N, height, width, 3) RGB, prepared by `contract`: views of the network, or fields of
            tiles (`edge.inference.tiles.prepare_field`), each tile of which calibrates.
        io: number format of input and output.
        progress: called with (views done, views) while calibrating.

    Returns:
        The file, without metadata (`convert.tflite.metadata`), not yet verified (`convert.quantization.postcheck`).

    Raises:
        ContractError: the contract does not fit the model.
        CalibrationError: no calibration image, or pixels of another shape or dtype.
        QuantizationError: the converter refused the model.
    """
    check_fits(model, contract)
    pixels = network_inputs(calibration_pixels, contract)
    if io not in ("int8", "uint8"):
        raise QuantizationError(f"io must be int8 or uint8; got {io!r}")
    return _full_int8(model, contract, pixels, io, progress, calibrate_only=False)


def calibrated(
    model: FloatModel, contract: InputContract, calibration_pixels: Pixels, progress: Progress | None = None
) -> bytes:
    """The first half of `quantize`: a float TFLite file, batch norms folded and activations fused, in which every
    activation carries the range that calibration saw. `quantized` is the second half.

    Raises:
        As `quantize`.
    """
    check_fits(model, contract)
    pixels = network_inputs(calibration_pixels, contract)
    return _full_int8(model, contract, pixels, "int8", progress, calibrate_only=True)


def quantized(calibrated_model: bytes, io: Io = "int8") -> bytes:
    """The second half: the full-int8 file that follows from a calibrated one, in under a second.

    Of an unchanged `calibrated` file, tensor for tensor what `quantize` writes
    (`tests/convert/recovery/test_measures.py`).

    Raises:
        QuantizationError: the quantizer refused it.
        ModelFileError: damaged, which would end the process inside the quantizer.
    """
    check_model(calibrated_model)
    try:
        return shared_converter().run(Task(calibrated=calibrated_model, ends=io))
    except QuantizationError as error:
        raise _told(error, f"the quantizer refused a changed file: {error}") from error


def float_tflite(model: FloatModel) -> bytes:
    """The same network as a float32 TFLite file: what the int8 file's latency is compared with.

    Raises:
        QuantizationError: the converter refused the model.
    """
    return converted(model, "float32")


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
    made = converted(model, "int8", (contract, pixels), io, progress, calibrate_only)
    if not calibrate_only and not has_dead_tensors(made):
        return made
    calibrated_model = made if calibrate_only else converted(model, "int8", (contract, pixels), io, None, True)
    widened, dead = with_wider_ranges(calibrated_model)
    known = layer_names(model.network)
    for layer in dict.fromkeys(layer_of(name, known) or name for name in dead):
        _log.warning(
            f"  layer {layer}: answers nothing but zeros on all {len(pixels)} calibration images (a dead ReLU, or one"
            " that these images never reach): its range is set to 0..1, since interpreters refuse a range of nothing;"
            " remove the layer, or calibrate on images that it answers"
        )
    if calibrate_only:
        return widened
    return quantized(widened, io) if dead else made


def converted(
    model: FloatModel,
    form: Form,
    calibration: tuple[InputContract, Pixels] | None = None,
    ends: str = "int8",
    progress: Progress | None = None,
    calibrate_only: bool = False,
) -> bytes:
    """A TFLite file of `model` in any form, made in the process of `convert.quantization.converter.process`.

    Args:
        calibration: contract, and prepared pixels uint8 (N, height, width, 3) RGB; int8 and int16x8 need it.
        ends: number format of an int8 file's input and output.

    Raises:
        QuantizationError: the converter refused the model, crashed or met a limit; the message names the layer where
            it can be told.
    """
    converter = shared_converter()
    converter.start()  # it loads TensorFlow while this process exports the network
    folder = saved_network(model)
    count = 0 if calibration is None else len(calibration[1])
    task = Task(str(folder), form=form, ends=ends, images=count, calibrate_only=calibrate_only)
    image = None if calibration is None else _representative(*calibration)
    try:
        return converter.run(task, image, None if progress is None else lambda done: progress(done, count))
    except ConverterCrashed as error:
        raise ConverterCrashed(crash_told(model, folder, error, converter), error.stage) from error
    except QuantizationError as error:
        reason = HOLDS_A_LOOP if "TensorList" in str(error) else str(error)
        raise _told(error, f"{model.path}: the converter refused it: {reason}") from error


def _told(error: QuantizationError, refused: str) -> QuantizationError:
    """A crash or a limit says itself what it is."""
    return error if type(error) is not QuantizationError else QuantizationError(refused)


def network_inputs(pixels: Pixels, contract: InputContract) -> Pixels:
    """uint8 (N, height, width, 3): fields as the network is fed them, a tile after the other, or such views as they
    are.

    Raises:
        CalibrationError: no image, or pixels that are neither.
    """
    try:
        is_view = pixels.shape[1:] == (contract.size[1], contract.size[0], 3)
        views = pixels if is_view else tiles_of(contract, pixels)
    except FrameError as error:
        raise CalibrationError(f"calibration_pixels: {error}") from error
    _check_pixels(views, contract)
    return views


def _check_pixels(pixels: Pixels, contract: InputContract) -> None:
    width, height = contract.size
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (height, width, 3):
        raise CalibrationError(
            f"calibration_pixels must be uint8 (N, {height}, {width}, 3); got {pixels.dtype} {pixels.shape}"
        )
    if not len(pixels):
        raise CalibrationError("calibration_pixels must hold at least one image; got none")


def _representative(contract: InputContract, pixels: Pixels) -> Callable[[int], npt.NDArray[np.float32]]:
    """The converter's representative dataset: an image by its number, as the network is fed it."""
    changed = reach_both_ends(pixels, contract)
    return lambda index: contract.encode(changed.get(index, pixels[index]), FLOAT32)
