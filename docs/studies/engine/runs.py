"""One quantizer in a process of its own: float TFLite file and images in, int8 file and its cost out.

Two engines. `tf` is what `convert.quantization.quantize` calls, TensorFlow's calibrator and MLIR quantizer, from the
float TFLite file on; `tf-measured` is its quantizer alone, with ranges measured by LiteRT's interpreter; both run under
this Python. `litert` is litert-quantizer, which is no dependency of this project and runs under a Python that the user
names (`docs/decisions/0022-engine.md`).
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import EngineUnavailable, QuantizationError
from edge.inference.contract import FLOAT32, InputContract, Pixels

Record = dict[str, Any]
MODULE = "litert_quantizer"
INSTALL = "python3 -m venv ENV; ENV/bin/pip install litert-quantizer; then --python ENV/bin/python"
LONGEST_REASON = 300

# How each row is made. `algorithm` chooses weight scales, `update` makes one range of the images', `calibrator` looks.
LITERT = {
    # as near to what TensorFlow does as it can be told: ranges reach around every image, dense layers per tensor
    "litert": {
        "algorithm": "MIN_MAX_UNIFORM_QUANT",
        "update": "min_max",
        "calibrator": "tensors",
        "dense": "TENSORWISE",
    },
    # its own recipe `static_wi8_ai8` and its own calibration, nothing told
    "litert-default": {
        "algorithm": "MIN_MAX_UNIFORM_QUANT",
        "update": "moving_average",
        "calibrator": "tensors",
        "dense": "CHANNELWISE",
    },
    "litert-profiler": {
        "algorithm": "MIN_MAX_UNIFORM_QUANT",
        "update": "min_max",
        "calibrator": "profiler",
        "dense": "TENSORWISE",
    },
    "litert-octav": {"algorithm": "OCTAV", "update": "min_max", "calibrator": "profiler", "dense": "TENSORWISE"},
    "litert-mse": {"algorithm": "MSE", "update": "min_max", "calibrator": "profiler", "dense": "TENSORWISE"},
}
ROWS = ("tf", "tf-measured", *LITERT)

_HEAD = """
import json, resource, sys, time
began = time.perf_counter()
import numpy as np
job = json.load(open(sys.argv[1]))
pixels, table = np.load(job["pixels"], mmap_mode="r"), np.load(job["table"])
model = open(job["float"], "rb").read()
def images():
    for image in pixels:
        yield table[image, np.arange(3)][None]
spent, at = {}, [began]
def lap(name):
    now = time.perf_counter()
    spent[name], at[0] = now - at[0], now
def done(data, version):
    open(job["out"], "wb").write(data)
    try:  # of this process alone; getrusage counts what its parent held before it began
        [peak] = [int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
    spent["processor"] = time.process_time()
    json.dump({"seconds": spent, "peak_mb": peak, "version": version}, open(job["report"], "w"))
"""

_TF = (
    _HEAD
    + """
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator
lap("import")
calibrated = Calibrator(model).calibrate(lambda: ([image] for image in images()))
lap("calibrate")
made = mlir_quantize(
    calibrated, input_data_type=tf.int8, output_data_type=tf.int8, disable_per_channel_for_dense_layers=True
)
lap("quantize")
done(bytes(made), tf.__version__)
"""
)

# TensorFlow's quantizer without its calibrator: ranges that LiteRT's interpreter shows are written into the float file.
_MEASURED = (
    _HEAD
    + """
import flatbuffers
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python.convert import mlir_quantize
lap("import")
engine = Interpreter(model_content=model, experimental_preserve_all_tensors=True, num_threads=1)
engine.allocate_tensors()
tree = schema.ModelT.InitFromPackedBuf(model, 0)
graph = tree.subgraphs[0]
wanted = sorted({operator.outputs[0] for operator in graph.operators} | set(graph.inputs))
low = np.full(max(wanted) + 1, np.inf)
high = -low
for image in images():
    engine.set_tensor(graph.inputs[0], image)
    engine.invoke()
    for index in wanted:
        values = engine.get_tensor(index)
        low[index], high[index] = min(low[index], values.min()), max(high[index], values.max())
for index in wanted:
    ranges = graph.tensors[index].quantization or schema.QuantizationParametersT()
    ranges.min, ranges.max = (np.array([end[index]], np.float32) for end in (low, high))
    graph.tensors[index].quantization = ranges
builder = flatbuffers.Builder(1024)
builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
lap("calibrate")
made = mlir_quantize(
    bytes(builder.Output()),
    input_data_type=tf.int8,
    output_data_type=tf.int8,
    disable_per_channel_for_dense_layers=True,
)
lap("quantize")
done(bytes(made), tf.__version__)
"""
)

_LITERT = (
    _HEAD
    + """
from importlib.metadata import version
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import calibrator, qtyping, quantizer
from litert_quantizer.utils import qsv_utils
lap("import")
made = quantizer.Quantizer(bytearray(model))
every, dense, grain = qtyping.TFLOperationName, qtyping.TFLOperationName.FULLY_CONNECTED, qtyping.QuantGranularity
made.add_static_config(".*", every.ALL_SUPPORTED, 8, 8)
algorithm = quantizer.AlgorithmName[job["algorithm"]]
for operator, by in ((every.CONV_2D, "CHANNELWISE"), (every.DEPTHWISE_CONV_2D, "CHANNELWISE"), (dense, job["dense"])):
    made.add_static_config(".*", operator, 8, 8, grain[by], algorithm)
[(signature, ends)] = Interpreter(model_content=model).get_signature_list().items()
[name] = ends["inputs"]
looks = {"tensors": "CALIBRATION_PRESERVE_ALL_TENSORS", "profiler": "CALIBRATION_PROFILER_BASED"}[job["calibrator"]]
seen = calibrator.Calibrator(
    model,
    num_threads=1,
    mode=calibrator.CalibrationMode[looks],
    qsv_update_func=getattr(qsv_utils, job["update"] + "_update"),
)
recipe = quantizer.recipe_manager.RecipeManager()
recipe.load_quantization_recipe(made.get_quantization_recipe())
class Inputs:  # gone through twice: once to be counted
    def __iter__(self):
        return ({name: image} for image in images())
seen.calibrate({signature: Inputs()}, recipe)
ranges = seen.get_model_qsvs()
lap("calibrate")
result = made.quantize(ranges, enable_progress_report=False)
lap("quantize")
done(bytes(result.quantized_model), version("litert-quantizer"))
"""
)


@dataclass(frozen=True)
class Made:
    """What an engine wrote, and at what cost.

    Attributes:
        model: the int8 file.
        version: of TensorFlow or litert-quantizer.
        seconds: "import", "calibrate", "quantize"; "processor", of the three; "whole", of the process with its start.
        peak_mb: greatest resident memory of the process.
    """

    model: bytes
    version: str
    seconds: Mapping[str, float]
    peak_mb: float


@dataclass(frozen=True)
class Inputs:
    """What both engines are given, as files in one folder."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, plain_model: bytes, pixels: Pixels, contract: InputContract) -> "Inputs":
        """Lay down the float file, the images uint8 (N, H, W, 3) RGB, and what makes real values of them."""
        (folder / "float.tflite").write_bytes(plain_model)
        ordered = pixels if contract.channel_order == "RGB" else pixels[..., ::-1]
        np.save(folder / "pixels.npy", np.ascontiguousarray(ordered))
        np.save(folder / "table.npy", real_values(contract))
        return cls(folder)

    def job(self, settings: Mapping[str, str]) -> Path:
        """The words of one run, in a file; its paths."""
        paths = {
            "float": "float.tflite",
            "pixels": "pixels.npy",
            "table": "table.npy",
            "out": "made.tflite",
            "report": "report.json",
        }
        for name in ("made.tflite", "report.json"):
            (self.folder / name).unlink(missing_ok=True)
        path = self.folder / "job.json"
        path.write_text(json.dumps({**{k: str(self.folder / v) for k, v in paths.items()}, **settings}))
        return path


def real_values(contract: InputContract) -> npt.NDArray[np.float32]:
    """(256, 3): the real value of every pixel value and channel, channels in the contract's order."""
    return np.asarray(contract.table(FLOAT32)[0], np.float32)


def check_engine(python: Path) -> str:
    """Version of the litert-quantizer that `python` imports.

    Raises:
        EngineUnavailable: no such Python, or it does not have it.
    """
    words = f"import {MODULE}; from importlib.metadata import version; print(version('litert-quantizer'))"
    try:
        done = subprocess.run([str(python), "-c", words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineUnavailable(f"--python {python}: {error.strerror or error}; to get one: {INSTALL}") from error
    if done.returncode != 0:
        raise EngineUnavailable(f"--python {python}: has no litert-quantizer ({_last(done.stderr)}); {INSTALL}")
    return done.stdout.strip()


def run_engine(row: str, python: Path, inputs: Inputs) -> Made:
    """Make one int8 file.

    Args:
        row: one of `ROWS`. python: that has litert-quantizer; TensorFlow's rows run under this one.

    Raises:
        QuantizationError: the engine failed; the message ends in its last line.
    """
    script = {"tf": _TF, "tf-measured": _MEASURED}.get(row, _LITERT)
    job = inputs.job(LITERT.get(row, {}))
    command = [str(python) if row in LITERT else sys.executable, "-c", script, str(job)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    report = inputs.folder / "report.json"
    if done.returncode != 0 or not report.is_file():
        raise QuantizationError(f"{row}: the engine failed: {_last(done.stderr)}")
    record: Record = json.loads(report.read_text())
    seconds = {**record["seconds"], "whole": whole}
    return Made((inputs.folder / "made.tflite").read_bytes(), record["version"], seconds, record["peak_mb"])


def _last(text: str) -> str:
    lines = text.strip().splitlines() or ["it said nothing"]
    return " ".join(lines[-1].split())[:LONGEST_REASON]
