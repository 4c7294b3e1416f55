"""What conversion of a float network will meet, before there is an int8 file: converted once on noise and thrown away.

Layers that are converted in another form, operators that would be left in floating point with what to use instead,
layers that crash the converter, weights that are no numbers. Nothing is judged.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from convert.errors import BrokenModelError, FloatModelError, QuantizationError
from convert.quantization.contract_inference import infer_contract
from convert.quantization.converter.process import shared_converter
from convert.quantization.converter.saved_network import fixed_batch
from convert.quantization.float_model import AS_IT_IS, Loading, load_float
from convert.quantization.quantize import quantize
from convert.quantization.weights_check import layers_of
from convert.tflite.inspection import inspect
from convert.tflite.layer_names import left_in_float
from edge.errors import ModelFileError
from edge.inference.tflite.model_file import check_model
from edge.system.streams import silenced

IMAGES = 4


class Forecast(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        model: its path. converts: nothing stands in the way.
        changes: what will be converted in another form, a sentence each. obstacles: what stands in the way, a sentence
            each.

    >>> Forecast("net.keras", False, [], ["layer conv: ..."]).to_text()
    'net.keras: will not convert to int8\\n  layer conv: ...'
    """

    model: str
    converts: bool
    changes: list[str]
    obstacles: list[str]

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dict(msgspec.to_builtins(self))

    def to_text(self) -> str:
        """For a person."""
        verdict = "converts to int8" if self.converts else "will not convert to int8"
        return "\n".join([f"{self.model}: {verdict}", *(f"  {line}" for line in (*self.obstacles, *self.changes))])


def forecast(path: Path, loading: Loading = AS_IT_IS) -> Forecast:
    """What conversion of one float model will meet.

    Raises:
        FloatModelError: it cannot be loaded.
    """
    shared_converter().start()  # it loads TensorFlow beside this process
    model = load_float(path, loading)
    contract = infer_contract(model).contract
    changes: tuple[str, ...] = ()
    try:
        with silenced():
            network, changes = fixed_batch(model)
            known = frozenset(str(layer.name) for layer in layers_of(network))
        width, height = model.size
        noise = np.random.default_rng(0).integers(0, 256, (IMAGES, height, width, 3), dtype=np.uint8)
        made = quantize(model, contract, noise)
        check_model(made, str(path))
        obstacle = left_in_float(inspect(made), known)
    except (QuantizationError, BrokenModelError, ModelFileError, FloatModelError) as error:
        obstacle = str(error)
    return Forecast(str(path), not obstacle, list(changes), [obstacle] if obstacle else [])
