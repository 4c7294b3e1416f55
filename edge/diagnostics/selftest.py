"""The last self-test that this machine made: its outcome and its age."""

from collections.abc import Sequence

from edge.serving.selftest_state import LastTest, read_state
from edge.system.machine import Finding, Machine

OLD_S = 48 * 3600.0  # a run tests itself once a day unless its profile says otherwise
_NAME = "self-test"
_NOW = "`edge selftest` tests it now"


def last(machine: Machine) -> Sequence[Finding]:
    """What is kept beside the record, and how old that is."""
    kept = read_state(machine.store).last
    if kept is None:
        return [Finding(_NAME, "unknown", f"none is kept in {machine.store}", f"{_NOW}; `edge run` does at its start")]
    found = f"{kept.outcome} {_when(kept)}: {kept.bundle}: {kept.detail}"
    if not kept.passed:
        cure = f"{_NOW}; if it fails again, go back (`edge rollback`), or change card, power supply or board"
        return [Finding(_NAME, "missing", found, f"{cure}; nothing is judged meanwhile")]
    age_s = kept.age_s()
    if age_s is None or age_s > OLD_S:
        return [Finding(_NAME, "warning", found, f"{_NOW}; a run does it at its start and once a day")]
    return [Finding(_NAME, "ok", found)]


def _when(kept: LastTest) -> str:
    """`3.2 h ago (2026-11-24T15:07:07Z)`; a clock that was set back since makes it the time alone."""
    age_s = kept.age_s()
    if age_s is None or age_s < 0:
        return f"at {kept.utc}"
    for unit, seconds in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if age_s >= 2 * seconds:
            return f"{age_s / seconds:.1f} {unit} ago ({kept.utc})"
    return f"{age_s:.0f} s ago ({kept.utc})"
