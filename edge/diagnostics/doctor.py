"""`edge doctor`: what this machine has, what it lacks, and the cure. It looks, and changes nothing."""

import logging
import shutil
import sys
import textwrap
from collections.abc import Sequence

from msgspec import Struct

from edge.diagnostics import board, camera_setup, cameras, coral, page, selftest, slots, software, storage, trust
from edge.diagnostics import control as state
from edge.inference.runtime.runtimes import RUNTIMES
from edge.serving.isolation import examine
from edge.system.machine import Finding, Machine, Probe

_log = logging.getLogger(__name__)

PROBES: tuple[tuple[str, Probe, float], ...] = (  # name, probe, seconds it may take on a slow board
    ("system", board.system, 5),
    ("Python", software.python, 5),
    ("NumPy", software.numpy, 30),
    ("OpenCV", software.opencv, 30),
    ("simplejpeg", software.jpeg, 30),
    *((software.interpreter_name(runtime), software.interpreter(runtime), 90.0) for runtime in RUNTIMES),
    ("trust", trust.bundle, 90),
    ("slots", slots.slots, 30),
    ("self-test", selftest.last, 5),
    ("control", state.control, 30),
    ("Edge TPU", coral.coral, 5),
    ("picamera2", cameras.libcamera, 30),
    ("V4L2 cameras", cameras.v4l2, 5),
    ("groups", cameras.groups, 5),
    ("camera set-up", camera_setup.setup_and_trend, 30),
    ("disk", storage.disk, 20),
    ("retention", storage.retention, 20),
    ("page", page.page, 20),
    ("memory", board.memory, 5),
    ("clock", board.clock, 10),
    ("power", board.power, 10),
    ("temperature", board.temperature, 5),
)
_WIDTHS = (60, 120)  # columns, at least and at most: narrower, words stand alone; wider, lines are hard to read


class Report(Struct, frozen=True):
    """What `edge doctor --json` prints: the findings, and the names of those that are missing or warnings.

    >>> report([Finding("disk", "missing", "full", "make room")]).missing
    ('disk',)
    """

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]


def diagnose(machine: Machine, probes: Sequence[tuple[str, Probe, float]] = PROBES) -> list[Finding]:
    """The findings of all probes in their order. Never raises; takes no longer than the sum of their bounds."""
    findings: list[Finding] = []
    for name, probe, timeout_s in probes:
        if sys.stderr.isatty():
            _log.info(f"looking at {name} ...")
        findings += examine(name, probe, machine, timeout_s)
    if any(name.startswith(software.interpreter_name("")) for name, _, _ in probes):
        findings += software.any_interpreter(findings)
    return findings


def report(findings: Sequence[Finding]) -> Report:
    """The findings, sorted by state."""
    return Report(tuple(findings), _named(findings, "missing"), _named(findings, "warning"))


def table(findings: Sequence[Finding]) -> str:
    """One line a finding, aligned; the cure on the line after it."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        head = f"{finding.state:<8} {finding.name:<{width}}  "
        lines += _wrapped(head, finding.found)
        if finding.cure:
            lines += _wrapped(" " * len(head), f"-> {finding.cure}")
    counts = {state: sum(f.state == state for f in findings) for state in ("missing", "warning", "unknown", "ok")}
    return "\n".join([*lines, "", ", ".join(f"{count} {state}" for state, count in counts.items() if count)])


def _named(findings: Sequence[Finding], state: str) -> tuple[str, ...]:
    return tuple(finding.name for finding in findings if finding.state == state)


def _wrapped(head: str, text: str) -> list[str]:
    text = " ".join(text.split())
    least, most = _WIDTHS
    width = max(least, min(most, shutil.get_terminal_size((most, 24)).columns))
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
