"""A stand-in for litert-quantizer: a package of its shape that notes what it is told and hands out a given int8 file.

It stands in a folder of its own, with a Python that finds it there: what the option `--python` of
`docs.studies.engine.comparison` asks for.
"""

import json
import sys
from pathlib import Path
from typing import Any

VERSION = "0.0.stand-in"

_QUANTIZER = """
import enum, json
from pathlib import Path
HERE = Path(__file__).parent
class AlgorithmName(str, enum.Enum):
    MIN_MAX_UNIFORM_QUANT = "min_max_uniform_quantize"
    OCTAV = "OCTAV"
    MSE = "MSE"
class Result:
    quantized_model = (HERE / "int8.tflite").read_bytes()
class Quantizer:
    def __init__(self, model):
        self.recipe = []
    def add_static_config(self, regex, operation, activations, weights, granularity="CHANNELWISE", algorithm="-"):
        self.recipe.append([operation.name, activations, weights, str(granularity.name if granularity != "CHANNELWISE"
                            else granularity), str(algorithm.name if algorithm != "-" else algorithm)])
    def get_quantization_recipe(self):
        return self.recipe
    def quantize(self, ranges, enable_progress_report):
        (HERE / "told.json").write_text(json.dumps({"recipe": self.recipe, **ranges}))
        return Result()
class recipe_manager:
    class RecipeManager:
        def load_quantization_recipe(self, recipe):
            self.recipe = recipe
"""

_CALIBRATOR = """
import enum
class CalibrationMode(enum.Enum):
    CALIBRATION_PRESERVE_ALL_TENSORS = 2
    CALIBRATION_PROFILER_BASED = 3
class Calibrator:
    def __init__(self, model, num_threads, mode, qsv_update_func):
        self.told = {"threads": num_threads, "mode": mode.name, "update": qsv_update_func.__name__}
    def calibrate(self, dataset, recipe):
        [(signature, images)] = dataset.items()
        count = len(list(images))  # as the real one does, before it begins
        seen = [image for entry in images for image in entry.values()]
        assert count == len(seen)
        self.told |= {"signature": signature, "images": count, "shape": list(seen[0].shape),
                      "dtype": str(seen[0].dtype), "low": float(min(i.min() for i in seen)),
                      "high": float(max(i.max() for i in seen)),
                      "sums": [float(i.astype("float64").sum()) for i in seen]}
    def get_model_qsvs(self):
        return self.told
"""

_QTYPING = """
import enum
TFLOperationName = enum.Enum("TFLOperationName", "ALL_SUPPORTED CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED")
QuantGranularity = enum.Enum("QuantGranularity", "TENSORWISE CHANNELWISE")
"""

_UPDATES = """
def min_max_update(one, other): ...
def moving_average_update(one, other): ...
"""


class StandIn:
    """The package under `folder`, and `python` that has it."""

    def __init__(self, folder: Path, int8: bytes) -> None:
        self.package = folder / "site" / "litert_quantizer"
        (self.package / "utils").mkdir(parents=True)
        files = {
            "__init__.py": "",
            "quantizer.py": _QUANTIZER,
            "calibrator.py": _CALIBRATOR,
            "qtyping.py": _QTYPING,
            "utils/__init__.py": "",
            "utils/qsv_utils.py": _UPDATES,
        }
        for name, text in files.items():
            (self.package / name).write_text(text, encoding="utf-8")
        self.gives(int8)
        facts = folder / "site" / f"litert_quantizer-{VERSION}.dist-info" / "METADATA"
        facts.parent.mkdir()
        facts.write_text(f"Metadata-Version: 2.1\nName: litert-quantizer\nVersion: {VERSION}\n", encoding="utf-8")
        self.python = folder / "python"
        self.python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder / "site"}" exec "{sys.executable}" "$@"\n')
        self.python.chmod(0o755)

    def gives(self, int8: bytes) -> None:
        """The file that every quantization will write."""
        (self.package / "int8.tflite").write_bytes(int8)

    @property
    def told(self) -> dict[str, Any]:
        """Recipe and calibration of the latest run."""
        found: dict[str, Any] = json.loads((self.package / "told.json").read_text())
        return found
