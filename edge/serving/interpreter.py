"""The interpreter that serves a bundle: on the Edge TPU that the profile names, or on the CPU."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from edge.bundle.bundle import Bundle
from edge.errors import BundleError, EdgeTpuUnavailable
from edge.inference.runtime.edgetpu_delegate import LIBRARY, TRIAL_S, device_name, slow_usb
from edge.inference.runtime.interpreters import Interpreter, open_interpreter
from edge.serving.isolation import examine
from edge.settings.model import ModelSettings
from edge.system.machine import Finding, Machine

_log = logging.getLogger(__name__)


def open_on_edgetpu(bundle: Bundle, model: ModelSettings) -> tuple[Interpreter, str]:
    """The interpreter of a bundle on the Edge TPU that `model.edgetpu` names.

    Returns:
        The interpreter, and why it is the CPU's with `model.tflite` after all; "" when it is not. Only
        `model.fallback` allows that.

    Raises:
        BundleError: no model for the Edge TPU is in the bundle.
        EdgeTpuUnavailable: it cannot be used, and falling back is not allowed.
        InterpreterUnavailable, ModelFileError: as `open_interpreter`.
    """
    assert model.edgetpu is not None
    if bundle.compiled is None:
        raise BundleError(
            f"{bundle.path}: holds no model compiled for the Edge TPU; make one with `convert compile --edgetpu BUNDLE`"
        )
    try:
        return open_edgetpu(bundle.compiled, model.edgetpu, runtime=model.runtime, threads=model.threads), ""
    except EdgeTpuUnavailable as error:
        if not model.fallback:
            raise
        _log.warning(f"{error}; the CPU does the work, as the profile allows (model.fallback)")
        return open_interpreter(bundle.model, runtime=model.runtime, threads=model.threads), str(error)


def open_edgetpu(
    model: bytes,
    device: str,
    *,
    runtime: str | None = None,
    threads: int = 1,
    machine: Machine | None = None,
    timeout_s: float = TRIAL_S,
) -> Interpreter:
    """Open a compiled model on the Edge TPU: first in a child, which a mismatch may end, then here.

    Raises:
        EdgeTpuUnavailable: as `load_delegate`, or library, runtime and model do not fit together.
    """
    machine = Machine() if machine is None else machine
    device_name(device)

    def trial(_: Machine) -> Sequence[Finding]:
        with suppress(EdgeTpuUnavailable):  # it will be raised again, here
            open_interpreter(model, runtime=runtime, threads=threads, edgetpu=device)
        return ()

    for finding in examine("Edge TPU", trial, machine, timeout_s):
        if "crashed" in finding.found or "no answer" in finding.found:
            raise EdgeTpuUnavailable(
                "mismatch",
                f"opening the Edge TPU failed: {finding.found}; {LIBRARY} and the interpreter do not fit together: "
                "use a libedgetpu built for this version of TensorFlow Lite, or --runtime tflite_runtime",
            )
    interpreter = open_interpreter(model, runtime=runtime, threads=threads, edgetpu=device)
    slow = slow_usb(device, machine)
    if slow:
        _log.warning(slow)
    return interpreter
