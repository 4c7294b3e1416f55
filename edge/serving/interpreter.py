"""The interpreter that serves a bundle: on the Edge TPU that the profile names, or on the CPU."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from edge.bundle.bundle import Bundle
from edge.errors import BundleError, EdgeTpuUnavailable
from edge.inference.edgetpu_delegate import LIBRARY, TRIAL_S, device_name, slow_usb
from edge.inference.interpreters import Interpreter, open_interpreter
from edge.system.isolation import examine
from edge.system.machine import Finding, Machine

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """An interpreter, and why it is not the one that was asked for ("" when it is)."""

    interpreter: Interpreter
    instead: str = ""


def open_for(
    bundle: Bundle,
    *,
    device: str | None,
    fallback: bool = False,
    runtime: str | None = None,
    threads: int = 1,
    machine: Machine | None = None,
) -> Opened:
    """The interpreter that a bundle is to run on.

    Args:
        device: None for the CPU, else as `device_name` takes it.
        fallback: run `model.tflite` on the CPU when the Edge TPU cannot be used; said, and in `Opened.instead`.

    Raises:
        BundleError: no model for the Edge TPU is in the bundle.
        EdgeTpuUnavailable: it cannot be used, and falling back was not asked for.
        InterpreterUnavailable, ModelFileError: as `open_interpreter`.
    """
    if device is None:
        return Opened(open_interpreter(bundle.model, runtime=runtime, threads=threads))
    if bundle.compiled is None:
        raise BundleError(
            f"{bundle.path}: holds no model compiled for the Edge TPU; make one with `convert compile --edgetpu BUNDLE`"
        )
    found = Machine() if machine is None else machine
    try:
        return Opened(open_edgetpu(bundle.compiled, device, runtime=runtime, threads=threads, machine=found))
    except EdgeTpuUnavailable as error:
        if not fallback:
            raise
        _log.warning(f"{error}; the CPU does the work, as the profile allows (model.fallback)")
        return Opened(open_interpreter(bundle.model, runtime=runtime, threads=threads), str(error))


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
        _log.warning(f"{slow}")
    return interpreter
