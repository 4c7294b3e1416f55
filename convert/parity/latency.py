"""Latency of two models, timed against each other in one run, so that a busy machine slows both alike."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from convert.errors import LatencyError
from edge.inference.runtime.interpreters import Interpreter
from edge.system.interleaved_timing import turns

Tensor = npt.NDArray[Any]
_WARM_UP = 3  # inferences of each, not counted: first touches of memory and the processor's clock


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds an inference on one thread, medians and minima; `ratio` is how many times as fast int8 is, by the
    medians, `ratio_min` by the minima: what is left when everything else on the machine is not."""

    float_ms: float
    float_min_ms: float
    int8_ms: float
    int8_min_ms: float
    repeats: int
    runtime: str
    version: str
    kind: str
    threads: int
    ratio: float
    ratio_min: float


def latency_ratio(
    float_interpreter: Interpreter,
    int8_interpreter: Interpreter,
    tensors: Sequence[tuple[Tensor, Tensor]],
    repeats: int = 50,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Latency:
    """Time both models alternately.

    Each repeat runs both on one frame; which goes first alternates, so that neither always finds the
    caches full of the other.

    Args:
        float_interpreter, int8_interpreter: same runtime, one thread each.
        tensors: a pair a frame: the float model's input tensor and int8's, used in turn; at least one.
        repeats: timed inferences of each model, >= 2.
        clock: nanoseconds, monotonic.

    Raises:
        LatencyError: an argument does not fit, by name.
    """
    _check(float_interpreter, int8_interpreter, tensors, repeats)
    interpreters = {"float": float_interpreter, "int8": int8_interpreter}
    spent: dict[str, list[int]] = {name: [] for name in interpreters}
    for name, repeat in turns(interpreters, repeats, warm_up=_WARM_UP, reorder=list.reverse):
        float_tensor, int8_tensor = tensors[max(repeat, 0) % len(tensors)]
        start = clock()
        interpreters[name].invoke(float_tensor if name == "float" else int8_tensor)
        elapsed = clock() - start
        if repeat >= 0:
            spent[name].append(elapsed)
    (float_ms, float_min), (int8_ms, int8_min) = (_milliseconds(times) for times in spent.values())
    return Latency(
        float_ms=float_ms,
        float_min_ms=float_min,
        int8_ms=int8_ms,
        int8_min_ms=int8_min,
        repeats=repeats,
        runtime=int8_interpreter.runtime,
        version=int8_interpreter.version,
        kind=int8_interpreter.kind,
        threads=int8_interpreter.threads,
        ratio=float_ms / int8_ms,
        ratio_min=float_min / int8_min,
    )


def _milliseconds(times: list[int]) -> tuple[float, float]:
    """(median, minimum); a clock too coarse to see an inference counts as one of its ticks."""
    return max(statistics.median(times), 1) / 1e6, max(min(times), 1) / 1e6


def _check(
    float_interpreter: Interpreter,
    int8_interpreter: Interpreter,
    tensors: Sequence[tuple[Tensor, Tensor]],
    repeats: int,
) -> None:
    if isinstance(repeats, bool) or not isinstance(repeats, int | np.integer) or repeats < 2:
        raise LatencyError(f"repeats must be a whole number >= 2; got {repeats!r}")
    if len(tensors) == 0:
        raise LatencyError("tensors must hold at least one pair of inputs; got none")
    for name, interpreter in (
        ("float_interpreter", float_interpreter),
        ("int8_interpreter", int8_interpreter),
    ):
        if interpreter.threads != 1:
            raise LatencyError(f"{name} must run on one thread; got {interpreter.threads}")
    if float_interpreter.runtime != int8_interpreter.runtime:
        raise LatencyError(
            "float_interpreter and int8_interpreter must be of one runtime; "
            f"got {float_interpreter.runtime} and {int8_interpreter.runtime}"
        )
