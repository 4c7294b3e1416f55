"""The device's state: what `edge doctor` would find, as far as the page's user can see it, in words with the cure.

The page has neither camera nor keys, so cameras, interpreters and signatures are not looked at: the instrument says how
they are by its state. Nothing is written, and nothing is read that is forgotten by being read.
"""

import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec import UNSET

from edge.diagnostics import board, camera_setup, control, page, selftest, storage
from edge.errors import LeukoscopeError
from edge.page.asking import ask
from edge.page.device.answers import BundleOut, ClockOut, DeviceOut, DiskOut, FindingOut, SelfTestOut, State
from edge.record.entries import RunBody
from edge.record.schema import DATABASE
from edge.serving.run_info import software
from edge.serving.selftest_state import read_state
from edge.system.clock import Clock
from edge.system.machine import Finding, Machine, Probe

PROBES: tuple[tuple[str, Probe], ...] = (
    ("system", board.system),
    ("bench socket", page.bench_socket),
    ("page's certificate", page.certificate),
    ("self-test", selftest.last),
    ("control", control.control),
    ("camera set-up", camera_setup.setup_and_trend),
    ("disk", storage.room),
    ("retention", storage.retention),
    ("memory", board.memory),
    ("clock", board.clock),
    ("power", board.supply),
    ("temperature", board.temperature),
)
_ORDER: tuple[State, ...] = ("missing", "warning", "ok")  # the worst first; "unknown" is no news

_log = logging.getLogger(__name__)


def look(machine: Machine, probes: Sequence[tuple[str, Probe]] = PROBES) -> DeviceOut:
    """The state now. A probe that fails is a finding "unknown" that says why."""
    findings = [finding for name, probe in probes for finding in _found(name, probe, machine)]
    now = Clock().now()
    return DeviceOut(
        at=now.utc,
        state=next((state for state in _ORDER if any(each.state == state for each in findings)), "unknown"),
        findings=[FindingOut(name=f.name, state=f.state, found=f.found, cure=f.cure) for f in findings],
        selftest=_selftest(machine),
        bundle=_bundle(machine),
        software=software(),
        temperature_c=board.hottest_c(machine),
        disk=_disk(machine),
        clock=ClockOut(utc=now.utc, synchronized=now.synchronized),
        uptime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
    )


def _found(name: str, probe: Probe, machine: Machine) -> Sequence[Finding]:
    try:
        return probe(machine)
    except (LeukoscopeError, OSError, ValueError) as error:
        return [Finding(name, "unknown", " ".join(str(error).split()))]
    except Exception:
        _log.exception(f"the probe {name!r} failed")
        return [Finding(name, "unknown", "the probe failed; the log of the page says how")]


def _selftest(machine: Machine) -> SelfTestOut | None:
    last = read_state(machine.store).last
    if last is None:
        return None
    return SelfTestOut(utc=last.utc, outcome=last.outcome, detail=last.detail, bundle=last.bundle, age_s=last.age_s())


def _bundle(machine: Machine) -> BundleOut | None:
    run = None
    if (machine.store / DATABASE).exists():
        with suppress(LeukoscopeError):
            run = ask(machine.store, lambda record: record.last_run())
    return None if run is None else _of_run(run)


def _of_run(run: RunBody) -> BundleOut:
    return BundleOut(
        name=run.bundle,
        digest=run.bundle_digest,
        version=run.bundle_version,
        signed_by=run.signed_by,
        certified=run.certified,
        synthetic_certificate=run.synthetic_certificate,
        acceptance="" if run.acceptance is UNSET else run.acceptance,
        runtime=f"{run.runtime} {run.runtime_version}",
        since=run.utc,
    )


def _disk(machine: Machine) -> DiskOut | None:
    try:
        usage = shutil.disk_usage(storage.existing(machine.store.absolute()))
    except OSError:
        return None
    return DiskOut(free_bytes=usage.free, total_bytes=usage.total)
