"""The self-test: does this machine still answer as certified, and about as fast? (docs/decisions/0017-self-test.md)

At every start of a run, once a day inside it, after an update, and by hand: the bundle's golden inputs are replayed on
the interpreter that serves, and inferences are timed.
"""

import hashlib
import logging
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.golden import Replay
from edge.bundle.provenance import UNGATED
from edge.inference.runtime.arithmetic import named
from edge.inference.runtime.interpreters import Interpreter
from edge.serving.selftest_state import LastTest, read_state, utc_now, write_state

_log = logging.getLogger(__name__)

TIMED = 10  # inferences; the replay has warmed everything up
FAR = 3.0  # times slower than expected, before it is said: a board that throttles runs at a third of its clock


@dataclass(frozen=True)
class Difference:
    """A golden image that is answered otherwise than expected.

    Attributes:
        image: its index. what: what it shows; None where the bundle does not say.
        difference: largest of its outputs, LSB. expected, answered: labels. allowed: the self-test passes all the same.

    >>> str(Difference(3, "noise", 2, "Pre", "Early", allowed=False))
    'noise: 2 LSB, Early instead of Pre  <- not allowed'
    """

    image: int
    what: str | None
    difference: int
    expected: str
    answered: str
    allowed: bool

    def __str__(self) -> str:
        answer = self.expected if self.answered == self.expected else f"{self.answered} instead of {self.expected}"
        what = self.what or f"image {self.image}"
        return f"{what}: {self.difference} LSB, {answer}{'' if self.allowed else '  <- not allowed'}"


@dataclass(frozen=True)
class SelfTest:
    """What one self-test found.

    Attributes:
        certified: kinds of arithmetic whose golden outputs the bundle holds.
        intact: the model's bytes in memory are the certified ones still.
        replay: of the golden inputs.
        invoke_ms: median of TIMED inferences; None where the replay had failed. expected_ms: what was expected, by
            `expected_by`; None where nothing is known yet.
        warnings: one sentence each; none of them fails the test.
        gates: names of those that are asked where it serves. ungated: none is, by the user's word.
    """

    bundle: Bundle
    runtime: str
    version: str
    kind: str
    threads: int
    certified: tuple[str, ...]
    intact: bool
    replay: Replay
    invoke_ms: float | None
    expected_ms: float | None
    expected_by: str
    warnings: tuple[str, ...]
    gates: tuple[str, ...] = ()
    ungated: bool = False

    @property
    def passed(self) -> bool:
        """Every golden image was answered as it must be, by a model that is what it was."""
        return self.replay.passed and self.intact

    @property
    def detail(self) -> str:
        """One sentence."""
        replay, runtime = self.replay, f"{self.runtime} {self.version}, {self.kind} arithmetic"
        if not self.intact:
            return f"{self.bundle.path}: the model's bytes in memory are not those that were certified ({runtime})"
        if not self.passed:
            return f"{bundles.golden_mismatch(self.bundle, replay, self.kind)} ({runtime})"
        how = "bit for bit as certified"
        if self.kind not in self.certified:
            kinds = ", ".join(self.certified) or "?"
            how = f"within {replay.max_difference} LSB of what {kinds} arithmetic answers ({replay.allowed} allowed)"
        elif not replay.exact:
            how = f"within {replay.max_difference} LSB, as on another architecture than certified"
        return f"{replay.images} golden images answered {how}; {self.invoke_ms:.1f} ms an inference ({runtime})"

    def differing(self) -> list["Difference"]:
        """The golden images that are answered otherwise than expected."""
        replay, labels, named = self.replay, self.bundle.contract.labels, _names(self.bundle)
        changed = (i for i in range(replay.images) if replay.expected[i] != replay.answered[i])
        failing = {*replay.beyond, *replay.reclassified}
        return [
            Difference(
                image=index,
                what=named[index] if index < len(named) else None,
                difference=replay.differences[index],
                expected=labels[replay.expected[index]],
                answered=labels[replay.answered[index]],
                allowed=index not in failing,
            )
            for index in sorted({*replay.differing, *changed})
        ]

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable."""
        replay = self.replay
        return {
            "passed": self.passed,
            "intact": self.intact,
            "bundle": self.bundle.name,
            "digest": self.bundle.digest,
            "runtime": self.runtime,
            "version": self.version,
            "kind": self.kind,
            "certified_kinds": list(self.certified),
            "threads": self.threads,
            "images": replay.images,
            "max_difference": replay.max_difference,
            "allowed": replay.allowed,
            "differing": [asdict(each) for each in self.differing()],
            "invoke_ms": _rounded(self.invoke_ms),
            "expected_ms": _rounded(self.expected_ms),
            "expected_by": self.expected_by or None,
            "warnings": list(self.warnings),
            "gates": list(self.gates),
            **({"ungated": True} if self.ungated else {}),
            "detail": self.detail,
        }

    def text(self) -> str:
        """For a person: the outcome, the images that differ, the warnings."""
        lines = [f"{'passed' if self.passed else 'FAILED'}: {self.detail}"]
        lines += [f"  {each}" for each in self.differing()]
        lines += [f"warning: {UNGATED}"] if self.ungated else [f"gates: {', '.join(self.gates) or 'none is asked'}"]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def examine(
    bundle: Bundle, interpreter: Interpreter, paces: Mapping[str, float], replay: Replay | None = None
) -> SelfTest:
    """Test a bundle on an interpreter; nobody else may use that meanwhile.

    Args:
        paces: fastest inference known so far on this machine, milliseconds by `pace`.
        replay: of the golden inputs on this interpreter where it was just made; made here when None.

    Raises:
        As `edge.bundle.bundle.replay_golden`.
    """
    replay = replay or bundles.judge_golden(bundle, interpreter)
    invoke_ms = _timed(bundle, interpreter) if replay.passed else None
    intact = hashlib.sha256(bundle.model).hexdigest() == bundle.certificate["int8_model"]["sha256"]
    expected_ms, expected_by = _expected(bundle, interpreter, paces)
    warnings = []
    if invoke_ms is not None and expected_ms is not None and invoke_ms > FAR * expected_ms:
        warnings.append(
            f"an inference took {invoke_ms:.1f} ms, {invoke_ms / expected_ms:.1f} times what {expected_by} says "
            f"({expected_ms:.1f} ms): see power and temperature in `edge doctor`, and what else runs"
        )
    return SelfTest(
        bundle=bundle,
        runtime=interpreter.runtime,
        version=interpreter.version,
        kind=interpreter.kind,
        threads=interpreter.threads,
        certified=bundles.golden_kinds(bundle),
        intact=intact,
        replay=replay,
        invoke_ms=invoke_ms,
        expected_ms=expected_ms,
        expected_by=expected_by,
        warnings=tuple(warnings),
    )


def pace(bundle: Bundle, interpreter: Interpreter) -> str:
    """What a pace is of: this bundle on this runtime with so many threads."""
    return f"{bundle.digest[:16]} {interpreter.runtime} {interpreter.version} x{interpreter.threads}"


class SelfTester:
    """Examines, and keeps the outcome beside a record.

    Args:
        folder: of the record. What cannot be written there is a warning, no failure.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def examine(self, bundle: Bundle, interpreter: Interpreter, replay: Replay | None = None) -> SelfTest:
        """As `examine`, by the paces of this machine."""
        paces = read_state(self._folder).paces
        found = examine(bundle, interpreter, paces, replay)
        about = (bundle.name, bundle.digest, found.runtime, found.version, found.kind, found.invoke_ms)
        last = LastTest(utc_now(), "passed" if found.passed else "failed", found.detail, *about)
        self._write(last, pace(bundle, interpreter), paces)
        return found

    def failed(self, bundle: str, error: Exception) -> None:
        """Keep that a bundle could not be tested, or was found to answer otherwise than certified."""
        last = LastTest(utc_now(), "failed", str(error), bundle, "", "", "", "?", None)
        self._write(last, "", read_state(self._folder).paces)

    def _write(self, last: LastTest, timed: str, paces: Mapping[str, float]) -> None:
        if not (self._folder.is_dir() or _may_make(self._folder)):
            return
        try:
            write_state(self._folder, last, timed, paces)
        except OSError as error:
            _log.warning(f"the self-test's outcome is not kept: {self._folder}: {error.strerror}")


def _may_make(folder: Path) -> bool:
    """Whether the record's folder may be made here: by root only among root's own, or the service could not write."""
    if os.geteuid() != 0:
        return True
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    with suppress(OSError):
        return there.stat().st_uid == 0
    return False


def _timed(bundle: Bundle, interpreter: Interpreter) -> float:
    """Median milliseconds of TIMED inferences."""
    quantization, golden = interpreter.input.quantization, bundle.golden.inputs
    tensors = [bundle.contract.encode(pixels, quantization) for pixels in golden[: min(TIMED, len(golden))]]
    times = []
    for number in range(TIMED):
        start = perf_counter()
        interpreter.invoke(tensors[number % len(tensors)])
        times.append((perf_counter() - start) * 1e3)
    return median(times)


def _expected(bundle: Bundle, interpreter: Interpreter, paces: Mapping[str, float]) -> tuple[float | None, str]:
    """(Milliseconds, who says so): the certificate of a machine like this one, else this device's own fastest."""
    certificate = bundle.certificate
    latency, machine = certificate.get("latency"), certificate.get("machine")
    if isinstance(latency, dict) and isinstance(machine, dict) and machine.get("architecture") == platform.machine():
        measured = (latency.get("runtime"), named(str(latency.get("kind"))), latency.get("threads"))
        milliseconds = _pace_in(latency.get("int8_ms"))
        if measured == (interpreter.runtime, interpreter.kind, interpreter.threads) and milliseconds is not None:
            return milliseconds, "the certificate"
    known = paces.get(pace(bundle, interpreter))
    return (None, "") if known is None else (known, "this device's fastest self-test")


def _pace_in(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def _names(bundle: Bundle) -> list[str | None]:
    """What the certificate calls the golden images; none in bundles of before."""
    golden = bundle.certificate.get("golden")
    images = golden.get("images") if isinstance(golden, dict) else None
    if not isinstance(images, list) or len(images) != len(bundle.golden.inputs):
        return []
    return [str(each["what"]) if isinstance(each, dict) and "what" in each else None for each in images]


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
