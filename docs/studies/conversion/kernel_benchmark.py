"""Speed of int8 against float, layer kind by layer kind, for the layers MobileNetV2 is made of.

    python -m docs.studies.conversion.kernel_benchmark run --out FILE

Three small networks with random weights (a common stem alone, the stem with eight 1x1 convolutions, the stem with eight
3x3 depthwise convolutions, 192 channels at 56 x 56), timed alternately in one run on one thread.
"""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.parity.latency import latency_ratio
from convert.quantization.float_model import FloatModel
from convert.quantization.quantize import float_tflite, quantize
from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.inference.contract import FLOAT32, InputContract
from edge.inference.runtime.interpreters import open_interpreter
from models.support.quiet_tensorflow import import_tensorflow

LAYERS, CHANNELS, REPEATS = 8, 192, 200
SIZE = (224, 224)


@dataclass(frozen=True)
class KernelStudy(Study):
    """Time each kind of layer."""

    def execute(self) -> Outcome:
        """Milliseconds (minima) and ratios."""
        import_tensorflow()
        contract = InputContract(SIZE, ("a", "b"))
        pixels = np.random.default_rng(0).integers(0, 256, (20, SIZE[1], SIZE[0], 3), np.uint8)
        rows: dict[str, Any] = {}
        for kind in ("stem", "1x1", "depthwise"):
            model = FloatModel(_network(kind), Path(kind), "0" * 64, kind, SIZE, 2)
            plain = open_interpreter(float_tflite(model))
            small = open_interpreter(quantize(model, contract, pixels))
            pairs = [(contract.encode(p, FLOAT32), contract.encode(p, small.input.quantization)) for p in pixels[:4]]
            found = latency_ratio(plain, small, pairs, REPEATS)
            rows[kind] = {
                "float_ms": round(found.float_min_ms, 4),
                "int8_ms": round(found.int8_min_ms, 4),
                "ratio": round(found.ratio_min, 3),
            }
        record = {"machine": platform.machine(), "runtime": small.runtime, "version": small.version, "layers": rows}
        lines = [
            f"{k:10} float {r['float_ms']:.3f} ms, int8 {r['int8_ms']:.3f} ms: {r['ratio']:.2f}x"
            for k, r in rows.items()
        ]
        return self.finished(record, "\n".join(lines))


def _network(kind: str) -> Any:
    import keras

    inputs = keras.Input((SIZE[1], SIZE[0], 3))
    x = keras.layers.Conv2D(32, 3, strides=4, padding="same")(inputs)
    if kind != "stem":
        x = keras.layers.ReLU(6.0)(keras.layers.Conv2D(CHANNELS, 1)(x))
        for _ in range(LAYERS):
            one = keras.layers.Conv2D(CHANNELS, 1)
            x = keras.layers.ReLU(6.0)((one if kind == "1x1" else keras.layers.DepthwiseConv2D(3, padding="same"))(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def kernels(out: str = "", json: bool = False) -> KernelStudy:
    """Time 1x1 and depthwise convolutions, float beside int8.

    Args:
        out: JSON to write.
        json: print the record as JSON.
    """
    return KernelStudy(**output(out, json))


if __name__ == "__main__":
    run({"run": kernels})
