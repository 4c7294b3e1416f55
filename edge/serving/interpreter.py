"""The interpreter that serves a bundle: on the Edge TPU that the profile names, or on the CPU."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import BundleError, EdgeTpuUnavailable
from edge.inference.interpreters import Interpreter, open_interpreter
from edge.system.machine import Machine

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle
from edge.inference.edgetpu_delegate import open_edgetpu

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """An interpreter, and why it is not the one that was asked for ("" when it is)."""

    interpreter: Interpreter
    instead: str = ""


def open_for(
    bundle: "Bundle",
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
