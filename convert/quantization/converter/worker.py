"""The process in which TensorFlow's converter runs: it can end the process that it runs in, and here that is its own.

`convert.quantization.converter.process` starts it once and sends it one task after another. It asks for calibration
images as it needs them, so that neither side holds them twice.
"""

import os
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.float32]
Form = Literal["float32", "float16", "int8", "int16x8"]
READING, CONVERTING, CALIBRATING, QUANTIZING = "reading", "converting", "calibrating", "quantizing"
LONGEST_REASON = 300


class Task(msgspec.Struct, frozen=True):
    """A network to convert, or a calibrated file to quantize.

    Attributes:
        folder: of the SavedModel (`convert.quantization.converter.saved_network`); "" where `calibrated` is given.
        calibrated: a float TFLite file with ranges; empty where `folder` is given.
        form: number format of the result. ends: number format of input and output of an int8 one.
        images: how many calibration images the other side has.
        calibrate_only: stop after calibration.
    """

    folder: str = ""
    calibrated: bytes = b""
    form: Form = "int8"
    ends: str = "int8"
    images: int = 0
    calibrate_only: bool = False


class Stage(msgspec.Struct, frozen=True):
    """What the worker does from now on: one of the stages above."""

    name: str


class WantedImage(msgspec.Struct, frozen=True):
    """The answer must be calibration image `number` as the network is fed it: float32 (1, H, W, channels)."""

    number: int


class Refused(msgspec.Struct, frozen=True):
    """The converter raised: its own words, one line."""

    reason: str


class Converted(msgspec.Struct, frozen=True):
    """The file."""

    model: bytes


def main(descriptor: int) -> None:
    """Serve tasks from the pipe `descriptor` until its other end closes."""
    _last_to_be_missed()
    connection = Connection(descriptor)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        while True:
            task = connection.recv()
            try:
                answer: Refused | Converted = Converted(_carried_out(task, connection))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:  # of bare Exception too, and of its own kinds
                answer = Refused(" ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__)
            connection.send(answer)
    except (EOFError, ConnectionError):  # nobody is there any more
        return


def _carried_out(task: Task, connection: Connection) -> bytes:
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    if task.calibrated:
        connection.send(Stage(QUANTIZING))
        ends = tf.dtypes.as_dtype(task.ends)
        return bytes(  # with the arguments that TFLiteConverter gives it for the settings below
            mlir_quantize(
                task.calibrated,
                input_data_type=ends,
                output_data_type=ends,
                disable_per_channel_for_dense_layers=True,
            )
        )
    connection.send(Stage(READING))
    converter = _converter(task.folder, connection)
    if task.form != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if task.form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if task.form in ("int8", "int16x8"):
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8 if task.form == "int8" else wide]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        converter._experimental_calibrate_only = task.calibrate_only
        converter.representative_dataset = lambda: _images(task.images, connection)
    if task.form == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(task.ends)
    return bytes(converter.convert())


def _converter(folder: str, connection: Connection) -> Any:
    """TensorFlow's converter for Keras models, over what was exported already.

    It exports a model itself before anything else; only that step is replaced, so that the file is the same, byte for
    byte, as from the model (`tests/convert/quantization/test_converter_process.py`).
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(None)

    def already_exported(_: str) -> tuple[Any, Any, Any]:
        converter.saved_model_dir = folder
        converter._saved_model_tags = {"serve"}
        converter._saved_model_exported_names = ["serving_default"]
        converter._parse_saved_model_args(always_enable_saved_model_import=True)
        found = converter._load_saved_model(folder, converter._saved_model_tags)
        converter._trackable_obj = tf.saved_model.load(folder, tags=converter._saved_model_tags)
        connection.send(Stage(CONVERTING))
        return found  # type: ignore[no-any-return]

    converter._convert_keras_to_saved_model = already_exported
    return converter


def _images(count: int, connection: Connection) -> Iterator[list[Tensor]]:
    connection.send(Stage(CALIBRATING))
    for number in range(count):
        connection.send(WantedImage(number))
        yield [connection.recv()]
    connection.send(Stage(QUANTIZING))


def _last_to_be_missed() -> None:
    """Where memory runs out the kernel ends this process, not the one that waits for it; and this one ends with it."""
    if sys.platform != "linux":
        return
    import contextlib
    import ctypes
    import signal
    from pathlib import Path

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
