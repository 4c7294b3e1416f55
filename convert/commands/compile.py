"""The `convert compile` command."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.edgetpu.compiler import Compilation, compile_model, find_compiler
from convert.errors import BrokenModelError
from convert.tflite.inspection import inspect
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.tflite.model_file import LARGEST_MODEL_BYTES
from edge.system.files import read_at_most, require_writable

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompileRequest:
    """Compile a file, or the model of a bundle, with Coral's compiler.

    Attributes:
        model: a .tflite file, or a bundle's folder. compiler: its path, None for the one on PATH.
        out: folder for what is made; None is beside a file, and the bundle itself.
        measure: an Edge TPU that the bundle's golden images are answered on; None for none.
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
