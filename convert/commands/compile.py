"""The `convert compile` command."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.edgetpu.compiler import DEFAULT_TIMEOUT_S, Compilation, compile_model, find_compiler
from convert.errors import BrokenModelError
from convert.tflite.inspection import inspect
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.runtime.edgetpu_delegate import device_name
from edge.inference.tflite.model_file import LARGEST_MODEL_BYTES
from edge.system.files import read_at_most, require_writable
from edge.system.option_values import optional_path, whole_number

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompileRequest:
    """Compile a file, or the model of a bundle, with Coral's compiler.

    Attributes:
        model: a .tflite file, or a bundle's folder. compiler: its path, None for the one on PATH.
        out: folder for what is made; None is beside a file, and the bundle itself.
        measure: an Edge TPU that the bundle's golden images are answered on; None for none.

    >>> compile_("dots.tflite", edgetpu=True, timeout="60").timeout_s
    60
    """

    model: Path
    compiler: Path | None
    timeout_s: float
    out: Path | None
    json: bool
    measure: str | None = None

    def execute(self) -> Outcome:
        """Exit 0 when the whole model was mapped, 1 when a part or nothing was, or the compiler failed."""
        from convert.edgetpu.bundle import add_to_bundle, write_beside

        is_bundle = self.model.is_dir()
        if self.measure is not None and not is_bundle:
            raise UsageError(f"--measure certifies outputs in a bundle; {self.model} is none")
        source = self.model / "model.tflite" if is_bundle else self.model
        model = read_at_most(source, LARGEST_MODEL_BYTES, BrokenModelError)
        inspect(model, str(source))  # a file that is none is said before the compiler is looked for
        program = find_compiler(self.compiler)
        if self.out is not None:
            require_writable(self.out, "--out")
        _log.info(f"compiling {source} with {program}, {self.timeout_s:g} s at most")
        made = compile_model(model, str(source), program, self.timeout_s)
        written: list[Path] = []
        if made.model is not None:
            written = (
                add_to_bundle(self.model, made, self.out, self.measure)
                if is_bundle
                else write_beside(self.model, made, self.out)
            )
        code = DONE if made.verdict == "mapped" else ANSWER_IS_NO
        record: dict[str, Any] = {**made.to_record(), "written": [str(path) for path in written]}
        return Outcome(code, record, "\n".join([_text(made), *(f"wrote {path}" for path in written)]))


def _text(made: Compilation) -> str:
    kept = [] if made.model is not None else ["nothing was written"]
    return "\n".join([made.to_text(), *kept])


def compile_(
    model: str,
    *,
    edgetpu: bool = False,
    compiler: str = "",
    timeout: str = str(DEFAULT_TIMEOUT_S),
    out: str = "",
    measure: str = "",
    json: bool = False,
) -> CompileRequest:
    """Compile a model with Coral's own compiler, and check what it made.

    The compiler's table is compared with the prediction of `convert inspect --edgetpu`; its exit code decides nothing.
    Exit 0 when the whole model runs on the Edge TPU, 1 when a part or nothing does or the compiler fails, 4 without a
    compiler.

    Args:
        model: a bundle's folder, which gets the compiled model (and loses its signature), or a .tflite file.
        edgetpu: for a Coral Edge TPU; the one target there is.
        compiler: path of edgetpu_compiler; the one on PATH when left out.
        timeout: seconds, after which it is ended.
        out: folder for what is made: a copy of the bundle, or the compiled file.
        measure: an Edge TPU on this machine (usb, pci, usb:N, pci:N): certify what it answers to the golden images.
        json: print the record as JSON.
    """
    if not edgetpu:
        raise UsageError("convert compile needs --edgetpu, the one target there is")
    seconds = whole_number(timeout, "--timeout", at_least=1, at_most=86_400)
    device = device_name(measure, "--measure") if measure else None
    return CompileRequest(Path(model), optional_path(compiler), seconds, optional_path(out), json, device)
