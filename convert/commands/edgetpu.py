"""What `convert inspect --edgetpu` and `convert compile --edgetpu` do: frozen requests, checked when made."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.edgetpu.compiled import read_compiled
from convert.edgetpu.compiler import Compilation, compile_model, find_compiler
from convert.edgetpu.preflight import preflight
from convert.errors import BrokenModelError
from convert.tflite.inspection import inspect
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.tflite.model_file import LARGEST_MODEL_BYTES
from edge.system.files import read_at_most, require_writable

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreflightRequest:
    """Say what becomes of a file on the Edge TPU; of a compiled one, what is inside.

    Attributes:
        plain: the file that a compiled one should have been made from; None where nothing is to be compared.
    """

    file: Path
    plain: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 0 when all of it runs on the Edge TPU, its executables can be read, and the twin, where one is given,
        belongs to it; else 1."""
        model = read_at_most(self.file, LARGEST_MODEL_BYTES, BrokenModelError)
        if self.plain is None and not inspect(model, str(self.file)).edgetpu_compiled:
            found = preflight(model, str(self.file))
            return Outcome(DONE if found.verdict == "mapped" else ANSWER_IS_NO, found.to_record(), found.to_text())
        twin = None if self.plain is None else read_at_most(self.plain, LARGEST_MODEL_BYTES, BrokenModelError)
        compiled = read_compiled(model, str(self.file), twin, str(self.plain))
        good = compiled.verdict == "mapped" and compiled.readable and compiled.belongs is not False
        return Outcome(DONE if good else ANSWER_IS_NO, compiled.to_record(), compiled.to_text())


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
