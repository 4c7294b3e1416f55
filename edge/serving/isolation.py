"""Probes in a child process, ended after a time limit."""

import tempfile
from dataclasses import asdict

from edge.inference.tflite.child_process import in_a_child
from edge.system.machine import Finding, Machine, Probe


def examine(name: str, probe: Probe, machine: Machine, timeout_s: float) -> list[Finding]:
    """What a probe finds, or one finding "unknown" saying why it found nothing. Never raises, never waits longer.

    The probe runs in a forked child: one that hangs in a driver is left behind, one that crashes (a runtime built
    for another processor) takes nothing with it, and what it imported is gone afterwards.

    Args:
        name: of the finding where the probe gives none.
        timeout_s: seconds, > 0.
    """
    try:
        with tempfile.TemporaryFile() as said:
            answer = in_a_child(lambda: [asdict(f) for f in probe(machine)], timeout_s, said.fileno())
            said.seek(0)
            lines = said.read()[-2000:].decode("utf-8", "replace").split("\n")
        if isinstance(answer, str):
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            return [Finding(name, "unknown", f"{answer}{f' ({last})' if last else ''}")]
        return [Finding(**record) for record in answer]
    except (OSError, ValueError, TypeError) as error:
        return [Finding(name, "unknown", f"the probe could not run: {error}")]
