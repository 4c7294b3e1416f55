"""One Protocol over the three TFLite interpreters.

| runtime | package | where |
|---|---|---|
| `litert` | `ai-edge-litert` | the default: x86-64 and aarch64, Python 3.11 to 3.13 |
| `tflite_runtime` | `tflite-runtime` | Python <= 3.11 with numpy < 2 |
| `tf_lite` | `tensorflow` | hosts that have TensorFlow anyway |

The seam narrows errors: whatever a runtime throws leaves as `ModelFileError`, `ContractError` or
`InterpreterUnavailable`, chained, in one line. Bytes are checked (`edge.inference.tflite.model_file`) before a
runtime sees them.
"""

import importlib
import importlib.util
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from edge.errors import ContractError, EdgeTpuUnavailable, InterpreterUnavailable, ModelFileError
from edge.inference.contract import Quantization
from edge.inference.runtime.arithmetic import EDGETPU, kind_of
from edge.inference.runtime.runtimes import MOST_THREADS, RUNTIMES
from edge.inference.tflite.child_process import ends_the_process
from edge.inference.tflite.model_file import check_model, is_vouched_for, may_abort_in_reference_kernels, read_model
from edge.system.streams import stderr_without

_Kernels = Literal["delegate", "builtin", "reference"]
_RESOLVERS: dict[_Kernels, str] = {  # names in the runtimes' OpResolverType
    "delegate": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
TRIAL_S = 120.0  # for a file with operators that no rule covers, to load and to run once
_EDGETPU_OP = "edgetpu-custom-op"
_GREETING = b"XNNPACK delegate for CPU"  # the runtimes say so at every load, from C++, and offer no switch for it
_THROWN = (ValueError, RuntimeError, TypeError, MemoryError, SystemError, OverflowError)  # by the runtimes


@dataclass(frozen=True)
class TensorSpec:
    """A model's input or output tensor: shape, axis order as in the file, and number format."""

    shape: tuple[int, ...]
    quantization: Quantization


class Interpreter(Protocol):
    """A loaded classifier that has run once. Not safe for concurrent `invoke` from several threads.

    Attributes:
        runtime: one of `RUNTIMES`.
        version: of the package that provides it.
        kind: the kind of arithmetic (`edge.inference.runtime.arithmetic`) that its int8 outputs belong to.
        threads: threads a single inference may use.
        input: shape (1, height, width, 3).
        output: shape (1, classes).
    """

    @property
    def runtime(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def input(self) -> TensorSpec: ...
    @property
    def output(self) -> TensorSpec: ...

    def invoke(self, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run one input.

        Args:
            tensor: `input.shape` in `input.quantization.dtype`.

        Returns:
            (classes,) in `output.quantization.dtype`, raw (not dequantized); the caller's own copy.

        Raises:
            ContractError: the tensor's shape or dtype is another.
            ModelFileError: the runtime fails on this model.
        """


def available_runtimes() -> tuple[str, ...]:
    """Runtimes that are installed, preferred first. Nothing is imported to find out."""
    return tuple(name for name in RUNTIMES if _BACKENDS[name].is_installed())


def open_interpreter(
    model: bytes | Path,
    *,
    runtime: str | None = None,
    threads: int = 1,
    xnnpack: bool = True,
    reference: bool = False,
    edgetpu: str | None = None,
) -> Interpreter:
    """Load a classifier, int8, uint8 or float32, and run it once on zeros.

    The first run proves that the model runs at all and leaves its one-time costs behind.

    Args:
        model: a TFLite file's bytes, or its path.
        runtime: one of `RUNTIMES`; None takes the first that is installed and can be imported.
        threads: >= 1, for one inference.
        xnnpack: False runs the interpreter's own kernels, without any delegate (`builtin`).
        reference: run the plain reference kernels instead (`reference`), some fifty times slower: what other machines
            answer is found out with them.
        edgetpu: a device such as usb:0 (`edge.inference.runtime.edgetpu_delegate.device_name`); `model` is a compiled
            one then.

    Raises:
        EdgeTpuUnavailable: `edgetpu` was named, and cannot be used.
        ModelFileError: not a TFLite file, damaged, uses operators the runtime lacks, or is no classifier: one
            input (1, H, W, 3) or (1, H, W, 1), one output (1, classes), (1, 1) of a sigmoid, fixed shapes, int8,
            uint8 or float32.
        InterpreterUnavailable: the runtime is not installed or cannot be imported; the message says what to
            install.
        ContractError: `threads` or `runtime` is none.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise ContractError(f"threads must be a whole number 1..{MOST_THREADS}; got {threads!r}")
    name = "model"
    if isinstance(model, Path):
        name, model = str(model), read_model(model)
    else:
        check_model(model, name)
    kernels: _Kernels = "reference" if reference else "delegate" if xnnpack else "builtin"
    if reference and may_abort_in_reference_kernels(model):
        raise ModelFileError(
            f"{name}: not run with the reference kernels: their SOFTMAX of 512 or more classes ends the process on "
            "outputs that are nearly equal"
        )
    backend = _choose(runtime)
    if edgetpu is None and not is_vouched_for(model):  # an Edge TPU serves one process at a time
        why = ends_the_process(lambda: _TFLite(backend, model, name, threads, kernels), TRIAL_S)
        if why:
            raise ModelFileError(f"{name}: {backend[0].name} cannot run it: tried in a process of its own, {why}")
    return _TFLite(backend, model, name, threads, kernels, edgetpu)


@dataclass(frozen=True)
class _Backend:
    name: str
    module: str  # holds Interpreter and OpResolverType
    distributions: tuple[str, ...]
    cure: str

    def is_installed(self) -> bool:
        try:
            return importlib.util.find_spec(self.module.partition(".")[0]) is not None
        except (ImportError, ValueError):
            return False

    def load(self) -> ModuleType:
        """The module, or InterpreterUnavailable saying what is missing."""
        if not self.is_installed():
            raise InterpreterUnavailable(f"runtime {self.name} is not installed: {self.cure}")
        try:
            if self.name == "tf_lite":  # its module is built lazily, and reached as an attribute only
                return cast(ModuleType, importlib.import_module("tensorflow").lite)
            with _own_symbols() if self.name == "tflite_runtime" else nullcontext():
                return importlib.import_module(self.module)
        except (
            ImportError,
            AttributeError,
            OSError,
        ) as error:  # numpy 2 under tflite-runtime: AttributeError
            raise InterpreterUnavailable(
                f"runtime {self.name} is installed but cannot be imported ({_line(error)}): {self.cure}"
            ) from error

    def version(self) -> str:
        for distribution in self.distributions:
            try:
                return metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
        return "unknown"


_BACKENDS = {
    backend.name: backend
    for backend in (
        _Backend(
            "litert",
            "ai_edge_litert.interpreter",
            ("ai-edge-litert",),
            "pip install '.[device]' in a clone of Leukoscope",
        ),
        _Backend(
            "tflite_runtime",
            "tflite_runtime.interpreter",
            ("tflite-runtime",),
            "pip install '.[device]' in a clone of Leukoscope on Python 3.11 with numpy < 2",
        ),
        _Backend(
            "tf_lite",
            "tensorflow.lite",
            ("tensorflow-cpu", "tensorflow"),
            "pip install '.[models]' in a clone of Leukoscope",
        ),
    )
}


def _choose(runtime: str | None) -> tuple[_Backend, ModuleType]:
    if runtime is not None:
        if runtime not in _BACKENDS:
            raise ContractError(f"runtime must be one of {', '.join(RUNTIMES)}; got {runtime!r}")
        return _BACKENDS[runtime], _BACKENDS[runtime].load()
    reasons = []
    for name in available_runtimes():
        try:
            return _BACKENDS[name], _BACKENDS[name].load()
        except InterpreterUnavailable as error:
            reasons.append(str(error))
    raise InterpreterUnavailable("; ".join(reasons) or f"no TFLite interpreter: {_BACKENDS['litert'].cure}")


class _TFLite:
    """Any of the three: their Python classes are the same apart from the module they live in."""

    def __init__(
        self,
        backend: tuple[_Backend, ModuleType],
        model: bytes,
        name: str,
        threads: int,
        kernels: _Kernels,
        edgetpu: str | None = None,
    ) -> None:
        chosen, module = backend
        self.runtime, self.version, self.threads = chosen.name, chosen.version(), threads
        self._name = name
        more = self._edgetpu(module, edgetpu)
        resolvers = _resolvers(module)
        resolver = getattr(resolvers, _RESOLVERS[kernels])
        with self._narrowed("cannot load"), stderr_without(_GREETING), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # tf.lite announces its own removal at every construction
            engine = module.Interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=resolver, **more
            )
            inputs, outputs = engine.get_input_details(), engine.get_output_details()
            # before allocation: a shape that is nonsense is named instead of being allocated
            self.input, self.output = _specs(name, inputs, outputs)
            engine.allocate_tensors()
        self._engine = engine
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        self._input_dtype, self._input_shape = np.dtype(self.input.quantization.dtype), self.input.shape
        self._output_shape = self.output.shape
        xnnpack, reference = kernels == "delegate", kernels == "reference"
        self.kind = kind_of(chosen.name, platform.machine(), self.output.quantization.dtype, xnnpack, reference)
        self.kind = EDGETPU if more else self.kind
        self.invoke(np.zeros(self.input.shape, self._input_dtype))

    def _edgetpu(self, module: ModuleType, device: str | None) -> dict[str, Any]:
        """Further arguments of the module's Interpreter: the delegate of the Edge TPU, when one is asked for."""
        self._on_edgetpu = device is not None
        if device is None:
            return {}
        from edge.inference.runtime.edgetpu_delegate import load_delegate

        delegate, version = load_delegate(module, device)
        self.version += f", Edge TPU runtime {version or 'unknown'}"
        return {"experimental_delegates": [delegate]}

    def invoke(self, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if tensor.dtype != self._input_dtype or tensor.shape != self._input_shape:
            raise ContractError(
                f"tensor must be {self._input_dtype} {self.input.shape}; got {tensor.dtype} {tensor.shape}"
            )
        try:  # not `_narrowed` itself: a context manager costs 1 % of a frame
            self._engine.set_tensor(self._input_index, tensor)
            self._engine.invoke()
            raw = cast(npt.NDArray[Any], self._engine.get_tensor(self._output_index))  # already a copy
        except _THROWN:
            with self._narrowed("cannot run"):
                raise
        if raw.shape != self._output_shape:
            raise ModelFileError(f"{self._name}: output shape changes while it runs; a classifier's is fixed")
        return cast(npt.NDArray[Any], raw[0])

    @contextmanager
    def _narrowed(self, what: str) -> Iterator[None]:
        try:
            yield
        except _THROWN as error:
            if isinstance(error, ModelFileError):
                raise
            message = _line(error)
            if self._on_edgetpu:
                from edge.inference.runtime.edgetpu_delegate import mismatch

                if unfit := mismatch(str(error)):
                    raise EdgeTpuUnavailable("mismatch", f"{self._name}: {unfit}") from error
                if what == "cannot run":
                    lost = f"the Edge TPU does not answer any more ({message}): plug it in again"
                    raise EdgeTpuUnavailable("lost", lost) from error
            if _EDGETPU_OP in message:
                message = "compiled for the Edge TPU: give its delegate, or the file it was compiled from"
            raise ModelFileError(f"{self._name}: {self.runtime} {what} it: {message}") from error


@contextmanager
def _own_symbols() -> Iterator[None]:
    """Let a library imported here prefer its own C++ symbols over those already loaded.

    TensorFlow loads its symbols globally; tflite-runtime 2.14 imported after TensorFlow 2.21 binds to them
    and then fails on every model with `std::bad_alloc` or `vector::reserve`.
    """
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | getattr(os, "RTLD_DEEPBIND", 0))  # glibc only
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


def _resolvers(module: ModuleType) -> Any:
    """`OpResolverType`, which tf.lite keeps under `experimental`."""
    return module.OpResolverType if hasattr(module, "OpResolverType") else module.experimental.OpResolverType


def _specs(name: str, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> tuple[TensorSpec, TensorSpec]:
    """The specs of a classifier's input and output, or ModelFileError saying how the model is none."""
    for side, details in (("input", inputs), ("output", outputs)):
        if len(details) != 1:
            raise ModelFileError(f"{name}: a classifier has one {side}; this model has {len(details)}")
    into, out = _spec(name, "input", inputs[0]), _spec(name, "output", outputs[0])
    if len(into.shape) != 4 or into.shape[0] != 1 or into.shape[3] not in (1, 3):
        raise ModelFileError(f"{name}: input must be (1, height, width, 3), or 1 channel; got {into.shape}")
    if len(out.shape) != 2 or out.shape[0] != 1 or out.shape[1] < 1:
        raise ModelFileError(f"{name}: output must be (1, classes); got {out.shape}")
    return into, out


def _spec(name: str, side: Literal["input", "output"], detail: dict[str, Any]) -> TensorSpec:
    shape = tuple(int(n) for n in detail["shape"])
    signature = tuple(int(n) for n in detail["shape_signature"])
    if any(n < 1 for n in (*shape, *signature)):
        raise ModelFileError(f"{name}: {side} shape must be fixed; got {signature or shape}")
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in ("int8", "uint8", "float32"):
        raise ModelFileError(f"{name}: {side} must be int8, uint8 or float32; got {dtype}")
    if dtype == "float32":
        return TensorSpec(shape, Quantization("float32"))
    parameters = detail["quantization_parameters"]
    if len(parameters["scales"]) != 1:
        raise ModelFileError(f"{name}: {side} must have one scale; got {len(parameters['scales'])}")
    scale, zero_point = float(parameters["scales"][0]), int(parameters["zero_points"][0])
    limits = np.iinfo(dtype)
    if not limits.min <= zero_point <= limits.max:
        raise ModelFileError(f"{name}: {side} zero point {zero_point} does not fit {dtype}")
    try:
        return TensorSpec(shape, Quantization(cast(Literal["int8", "uint8"], dtype), scale, zero_point))
    except ContractError as error:
        raise ModelFileError(f"{name}: {side}: {error}") from error


def _line(error: BaseException) -> str:
    """The first telling line of a runtime's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
