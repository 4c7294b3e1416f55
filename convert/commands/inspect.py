"""The `convert inspect` command: what is inside a file, and what becomes of it on the Edge TPU."""

from dataclasses import dataclass
from pathlib import Path

from convert.edgetpu.compiled import read_compiled
from convert.edgetpu.preflight import preflight
from convert.errors import BrokenModelError
from convert.tflite import inspection
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.tflite.model_file import LARGEST_MODEL_BYTES
from edge.system.files import read_at_most
from edge.system.option_values import optional_path


@dataclass(frozen=True)
class InspectRequest:
    """Say what is inside a TFLite file.

    >>> inspect("dots.tflite")
    InspectRequest(file=PosixPath('dots.tflite'), json=False)
    """

    file: Path
    json: bool

    def execute(self) -> Outcome:
        """Works on any TFLite file."""
        found = inspection.inspect_file(self.file)
        return Outcome(DONE, found.to_record(), found.to_text())


@dataclass(frozen=True)
class PreflightRequest:
    """Say what becomes of a file on the Edge TPU; of a compiled one, what is inside.

    Attributes:
        plain: the file that a compiled one should have been made from; None where nothing is to be compared.

    >>> inspect("dots.tflite", edgetpu=True)
    PreflightRequest(file=PosixPath('dots.tflite'), plain=None, json=False)
    """

    file: Path
    plain: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 0 when all of it runs on the Edge TPU, its executables can be read, and the twin, where one is given,
        belongs to it; else 1."""
        model = read_at_most(self.file, LARGEST_MODEL_BYTES, BrokenModelError)
        if self.plain is None and not inspection.inspect(model, str(self.file)).edgetpu_compiled:
            found = preflight(model, str(self.file))
            return Outcome(DONE if found.verdict == "mapped" else ANSWER_IS_NO, found.to_record(), found.to_text())
        twin = None if self.plain is None else read_at_most(self.plain, LARGEST_MODEL_BYTES, BrokenModelError)
        compiled = read_compiled(model, str(self.file), twin, str(self.plain))
        good = compiled.verdict == "mapped" and compiled.readable and compiled.belongs is not False
        return Outcome(DONE if good else ANSWER_IS_NO, compiled.to_record(), compiled.to_text())


def inspect(
    file: str, *, edgetpu: bool = False, plain: str = "", json: bool = False
) -> InspectRequest | PreflightRequest:
    """Say what is inside a TFLite file: operators, tensors, quantization, metadata.

    With --edgetpu: what Coral's compiler would make of it, operator by operator, with the rule and the cure; of a
    compiled file, what is inside. Exit 0 when all of it runs on the Edge TPU, 1 when a part or nothing does.

    Args:
        file: any .tflite.
        edgetpu: predict how it runs on a Coral Edge TPU.
        plain: the file that a compiled one should have been made from; exit 1 when it was not.
        json: print the record as JSON.
    """
    if plain and not edgetpu:
        raise UsageError("--plain names the twin of a compiled file: give --edgetpu too")
    if edgetpu:
        return PreflightRequest(Path(file), optional_path(plain), json)
    return InspectRequest(Path(file), json)
