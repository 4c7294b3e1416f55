"""Speed and size of an int8 file beside the same network as float TFLite."""

from dataclasses import dataclass

from convert.parity.latency import Latency, latency_ratio
from convert.quantization.float_model import FloatModel
from convert.quantization.quantize import float_tflite
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tiles import tiles_of

TIMED_FRAMES = 8


@dataclass(frozen=True)
class Speed:
    """Both files timed in one run.

    Attributes:
        float_tflite_bytes: size of the float file.
    """

    latency: Latency
    float_tflite_bytes: int


def measure_speed(model: FloatModel, int8: bytes, contract: InputContract, pixels: Pixels) -> Speed:
    """Time one inference of `int8` against one of `model` as float TFLite, on the first of the prepared fields uint8
    (N, H, W, 3), or their tiles."""
    plain = float_tflite(model)
    before, after = open_interpreter(plain), open_interpreter(int8)
    frames = tiles_of(contract, pixels[:TIMED_FRAMES])[:TIMED_FRAMES]
    tensors = [(contract.encode(f, FLOAT32), contract.encode(f, after.input.quantization)) for f in frames]
    return Speed(latency_ratio(before, after, tensors), len(plain))
