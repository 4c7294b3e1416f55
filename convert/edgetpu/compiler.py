"""Coral's compiler, run with bounded time and output; its file is believed, not its exit code."""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convert.edgetpu.compiled import Compiled, read_compiled
from convert.edgetpu.compiler_log import LONGEST_LOG, CompilerLog, parse
from convert.edgetpu.graph import one_line
from convert.edgetpu.preflight import Preflight, preflight
from convert.edgetpu.rules import COMPILER
from convert.errors import BrokenModelError, CompilerUnavailable, EdgeTpuModelError

PROGRAM = "edgetpu_compiler"
DEFAULT_TIMEOUT_S = 600
LARGEST_OUTPUT_BYTES = 2**30
HOW_TO_GET_IT = "see docs/how-to/run-on-a-coral.md"
Verdict = Literal["mapped", "partly", "cpu", "refused", "failed"]
SAYS = {
    "mapped": "compiled, and the whole model runs on the Edge TPU",
    "partly": "compiled, and a part of the model runs on the CPU",
    "cpu": "compiled, and nothing of it runs on the Edge TPU",
    "refused": "refused by the compiler",
    "failed": "the compiler failed",
}
_REFUSALS = (
    *("invalid model", "model not quantized", "model could not be parsed", "static-sized", "unresolved custom op"),
    *("didn't find op", "builtin_code out of range", "large activation"),
)


@dataclass(frozen=True, eq=False)
class Compilation:
    """What came of a compilation.

    Attributes:
        verdict: by what it made; the compiler's exit code decides nothing. why: in a sentence.
        model: the compiled file, None unless the verdict is "mapped" or "partly".
        compiled: the same taken apart. predicted: the preflight of the plain file. log: what the compiler said.
        exit_code: the compiler's own, None when it was killed. seconds: it took.
        disagreements: where prediction and compiler differ.
    """

    verdict: Verdict
    why: str
    model: bytes | None
    compiled: Compiled | None
    predicted: Preflight
    log: CompilerLog
    exit_code: int | None
    seconds: float
    disagreements: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """As `convert compile --edgetpu --json` prints it."""
        return {
            "verdict": self.verdict,
            "why": self.why,
            "mapped": self.log.on_tpu if self.model is not None else 0,
            "cpu": self.log.on_cpu,
            "subgraphs": len(self.compiled.packages) if self.compiled else 0,
            "compiler": self.log.to_record(),
            "compiler_exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "predicted": {
                "verdict": self.predicted.verdict,
                "mapped": self.predicted.counts["mapped"],
                "cpu": self.predicted.counts["cpu"],
                "refused": self.predicted.counts["refused"],
            },
            "disagreements": list(self.disagreements),
            "compiled": self.compiled.to_record() if self.compiled else None,
        }

    def to_text(self) -> str:
        """For a person."""
        lines = [f"{self.verdict}: {self.why}"]
        if self.log.rows:
            lines += ["", f"{'operator':<30} {'count':>5}  status"]
            lines += [f"{row.operator:<30} {row.count:5d}  {row.status}" for row in self.log.rows]
        lines += [f"the compiler says: {line}" for line in self.log.complaints[:5]]
        if self.compiled is not None:
            lines += ["", *self.compiled.to_text().splitlines()]
        lines += [f"the prediction differs: {each}" for each in self.disagreements]
        if not self.disagreements:
            lines.append("the prediction agrees" if self.model is not None or self.verdict == "refused" else "")
        return "\n".join(one_line(line) for line in lines).rstrip()


def find_compiler(named: Path | None) -> Path:
    """The compiler's path: the one named, else the one on PATH.

    Raises:
        CompilerUnavailable: there is none, saying how to get it on this kind of machine.
    """
    if named is not None:
        if not named.is_file() or not os.access(named, os.X_OK):
            raise CompilerUnavailable(f"--compiler {named}: no such program, or it may not be run")
        return named.resolve()
    found = shutil.which(PROGRAM)
    if found is None:
        raise CompilerUnavailable(f"{PROGRAM} is not installed: {_how_to_get_it()}")
    return Path(found)


def compile_model(model: bytes, name: str, program: Path, timeout_s: float) -> Compilation:
    """Compile a plain file and look at what came of it.

    Args:
        model: the bytes of a TFLite file. name: used in messages.
        program: the compiler. timeout_s: seconds, after which it is killed with all it started.

    Raises:
        BrokenModelError: not a TFLite file. EdgeTpuModelError: compiled already.
        CompilerUnavailable: the program cannot be run on this machine.
    """
    predicted = preflight(model, name)
    with tempfile.TemporaryDirectory(prefix="edgetpu-") as folder:
        place = Path(folder)
        (place / "model.tflite").write_bytes(model)
        started = time.monotonic()
        said, exit_code = _run([str(program), "-s", "-o", folder, "model.tflite"], place, timeout_s)
        seconds = time.monotonic() - started
        log = parse(_with_log_file(said, place / "model_edgetpu.log"))
        output = _output(place / "model_edgetpu.tflite")
    verdict, why, compiled = _judged(log, output, model, name, exit_code, timeout_s)
    kept = output if verdict in ("mapped", "partly") else None
    differences = tuple(_disagreements(predicted, log, verdict))
    return Compilation(verdict, why, kept, compiled, predicted, log, exit_code, seconds, differences)


def _judged(
    log: CompilerLog, output: bytes | None, model: bytes, name: str, exit_code: int | None, timeout_s: float
) -> tuple[Verdict, str, Compiled | None]:
    if exit_code is None:
        return "failed", f"no result in {timeout_s:g} s: it was ended (--timeout gives it longer)", None
    if not log.succeeded:
        refused = next((c for c in log.complaints if any(mark in c.lower() for mark in _REFUSALS)), None)
        if refused is not None:
            return "refused", refused, None
        said = log.complaints[-1] if log.complaints else "it said nothing that is known of it"
        return "failed", f"{said} (its exit code: {exit_code})", None
    if output is None:
        return "failed", "it says that it compiled the model, and left no file", None
    if log.contradiction:
        return "failed", f"its log contradicts itself: {log.contradiction}", None
    return _looked_at(log, output, model, name)


def _looked_at(log: CompilerLog, output: bytes, model: bytes, name: str) -> tuple[Verdict, str, Compiled | None]:
    """What the file itself bears out."""
    try:
        compiled = read_compiled(output, f"{name}, compiled", model, name)
    except EdgeTpuModelError:
        if log.subgraphs == 0 or log.on_tpu == 0:
            return "cpu", SAYS["cpu"], None
        return "failed", "it says that it compiled the model, and its file holds nothing for the Edge TPU", None
    except BrokenModelError as error:
        return "failed", f"it says that it compiled the model, and its file is broken: {error}", None
    if not compiled.belongs:
        wrong = next(check for check in compiled.twin or () if not check.agrees)
        return "failed", f"its file is not of this model: {wrong.name}: {wrong.detail}", None
    if log.on_cpu is not None and log.on_cpu != len(compiled.outside):
        outside = len(compiled.outside)
        return "failed", f"its log leaves {log.on_cpu} operators to the CPU, its file {outside}", None
    return compiled.verdict, SAYS[compiled.verdict], compiled


def _disagreements(predicted: Preflight, log: CompilerLog, verdict: Verdict) -> list[str]:
    """Where the preflight and the compiler differ."""
    if verdict == "failed":
        return []
    if (verdict == "refused") != (predicted.verdict == "refused"):
        return [f"{predicted.verdict} was predicted, and the compiler's answer is {verdict}"]
    if verdict == "refused" or not log.rows:
        return []
    ours, theirs = predicted.mapped_by_operator(), log.mapped_by_operator()
    return [
        f"{name}: {ours[name]} predicted on the Edge TPU, {theirs[name]} are"
        for name in sorted(ours.keys() | theirs.keys())
        if ours[name] != theirs[name]
    ]


def _run(command: list[str], folder: Path, timeout_s: float) -> tuple[str, int | None]:
    """What a program said, and its exit code; None when it was killed after `timeout_s`."""
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise CompilerUnavailable(f"{command[0]} cannot be run here ({reason}): {_how_to_get_it()}") from error
        try:
            exit_code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:  # also what it left running, and on Ctrl-C
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return said.read(LONGEST_LOG).decode("utf-8", "replace"), exit_code


def _with_log_file(said: str, path: Path) -> str:
    """The table stands in the log file when the compiler does not print it."""
    try:
        with path.open("rb") as stream:
            return said + "\n" + stream.read(LONGEST_LOG - min(len(said), LONGEST_LOG)).decode("utf-8", "replace")
    except OSError:
        return said


def _output(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST_OUTPUT_BYTES else None
    except OSError:
        return None


def _how_to_get_it() -> str:
    if platform.system() == "Linux" and platform.machine() in ("x86_64", "amd64"):
        return f"Coral's package archive has it for Debian and its derivatives ({COMPILER}); {HOW_TO_GET_IT}"
    machine = f"{platform.system()} on {platform.machine()}"
    return f"it exists for Linux on x86-64 only, and this is {machine}: compile on such a machine; {HOW_TO_GET_IT}"
