"""The outcome of the last self-test, and how fast this machine was: a small file beside the record's database.

It is no part of the chain and proves nothing; the record's events do. It is what `edge doctor` and the next self-test
look at, and what a run without a record can leave.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edge.errors import StoreError
from edge.system.files import read_at_most, write_whole

FILE = "selftest.json"
FORMAT: Literal[1] = 1
MOST_PACES = 32  # bundles and runtimes whose pace is remembered
_LARGEST_BYTES = 2**20


class LastTest(Struct, frozen=True):
    """One self-test, as it is kept.

    Attributes:
        utc: ISO 8601, when it ended. outcome: "passed" or "failed". detail: one sentence.
        bundle, digest: its name, and the sha256 of its manifest. runtime, version, kind: of the interpreter.
        invoke_ms: median of one inference, milliseconds; None where it was not timed.

    >>> last = LastTest("2026-11-24T12:00:00Z", "passed", "", "tiny-int8", "0" * 64, "litert", "2.3", "xnnpack", 4.0)
    >>> last.passed, last.age_s(now=1795521600.0 + 3600)
    (True, 3600.0)
    """

    utc: str
    outcome: str
    detail: str
    bundle: str
    digest: str
    runtime: str
    version: str
    kind: str
    invoke_ms: float | None

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.outcome == "passed"

    def age_s(self, now: float | None = None) -> float | None:
        """Seconds since, by the wall clock; None where its time cannot be read."""
        with suppress(ValueError):
            return (now or time.time()) - datetime.fromisoformat(self.utc).timestamp()
        return None


class SelfTestState(Struct, frozen=True):
    """What the file holds: the last self-test, and the fastest pace seen by what was timed (milliseconds).

    >>> read_state(Path("/srv/nothing")) == NO_STATE
    True
    """

    format: Literal[1]
    last: LastTest | None
    paces: dict[str, float]


NO_STATE = SelfTestState(FORMAT, None, {})


def read_state(folder: Path) -> SelfTestState:
    """The state beside a record; `NO_STATE` where there is none, or none that can be read."""
    try:
        state = msgspec.json.decode(read_at_most(folder / FILE, _LARGEST_BYTES, StoreError), type=SelfTestState)
    except (StoreError, msgspec.MsgspecError, ValueError, RecursionError):
        return NO_STATE
    return replace(state, paces={name: ms for name, ms in state.paces.items() if ms > 0})


def write_state(folder: Path, last: LastTest, pace: str, paces: Mapping[str, float]) -> None:
    """Replace the state, whole or not at all.

    Args:
        pace: what was timed; its fastest is kept, and forgotten last.
        paces: those known so far.

    Raises:
        OSError: it cannot be written.
    """
    others = [(name, ms) for name, ms in paces.items() if name != pace]
    known = [ms for ms in (paces.get(pace), last.invoke_ms) if ms is not None]
    kept = dict(others[1 - MOST_PACES :]) | ({pace: min(known)} if known else {})
    folder.mkdir(parents=True, exist_ok=True)
    record = msgspec.to_builtins(SelfTestState(FORMAT, last, kept))
    write_whole(folder / FILE, json.dumps(record, indent=1, allow_nan=False) + "\n")


def utc_now() -> str:
    """This moment, ISO 8601, seconds, Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
