"""The measurements of a board's proof, one after the other; what fails is named and the others go on."""

import logging
import os
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from edge.bundle.trusted import TrustedKeys
from edge.diagnostics import doctor
from edge.diagnostics.benchmark import bench
from edge.diagnostics.benchmark.record import BenchRecord
from edge.diagnostics.benchmark.timing import drawn_frame
from edge.diagnostics.proof import cameras, load
from edge.diagnostics.proof.record import FORMAT, Board, CameraProof, LoadProof, PowerCut, Proof
from edge.inference.tiles import prepare_field
from edge.serving.serve import serve
from edge.settings.profile import Settings
from edge.system.machine import Finding, Machine

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

NO_CAMERA = "cameras: none is connected that libcamera or V4L2 lists"
NO_EDGETPU = "Edge TPU: the profile names none ([model] edgetpu, with a bundle compiled for it)"
NO_RELAY = "power cuts: no relay was named (firmware_scripts/proof.sh --relay)"


def measure(
    machine: Machine,
    settings: Settings,
    *,
    camera_s: float,
    load_s: float,
    frames: int,
    allow_unsigned: bool,
    power_cuts: tuple[PowerCut, ...] | None = None,
) -> Proof:
    """Everything that can be measured here.

    Args:
        machine: the board. settings: its profile.
        camera_s: seconds for each camera. load_s: seconds of inferences. frames: rounds of each `edge bench`.
        power_cuts: counted before, by the script that made them.
    """
    missing: list[str] = [] if power_cuts is not None else [NO_RELAY]
    _log.info("looking at the machine (edge doctor)")
    findings = tuple(doctor.diagnose(machine))
    found = _cameras(findings, settings, camera_s, missing)
    timed = _tried("bench", missing, lambda: _bench(_on(settings, None), frames, allow_unsigned))
    loaded = _tried("load", missing, lambda: _load(_on(settings, None), machine, load_s, allow_unsigned))
    chip: BenchRecord | None = None
    if settings.model.edgetpu is None:
        missing.append(NO_EDGETPU)
    else:
        chip = _tried("Edge TPU", missing, lambda: _bench(settings, frames, allow_unsigned))
    return Proof(
        format=FORMAT,
        taken=datetime.now(UTC).isoformat(timespec="seconds"),
        software=metadata.version("leukoscope"),
        board=board_of(machine),
        doctor=findings,
        bench=timed,
        load=loaded,
        cameras=tuple(found),
        edgetpu=chip,
        power_cuts=power_cuts,
        not_measured=tuple(missing),
    )


def _on(settings: Settings, device: str | None) -> Settings:
    """The same profile with its inferences on another device; None is the CPU."""
    return replace(settings, model=replace(settings.model, edgetpu=device))


def board_of(machine: Machine) -> Board:
    """What this board is, from /proc, /etc and /sys."""
    release = dict(
        line.partition("=")[::2] for line in (machine.text("etc/os-release") or "").splitlines() if "=" in line
    )
    memory = 0
    for line in (machine.text("proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) // 1024
    return Board(
        model=machine.text("proc/device-tree/model") or "",
        memory_mib=memory,
        storage=_disk_of(machine.store),
        system=release.get("PRETTY_NAME", "").strip("\"'"),
        kernel=machine.text("proc/sys/kernel/osrelease") or "",
        architecture=machine.architecture,
        python=platform.python_version(),
    )


def _disk_of(folder: Path) -> str:
    """The kernel's name of the block device under a folder, such as mmcblk0p2; "" where there is none."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    device = folder.stat().st_dev
    with suppress(OSError):
        return Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve(strict=True).name
    return ""


def _cameras(
    findings: tuple[Finding, ...], settings: Settings, seconds: float, missing: list[str]
) -> list[CameraProof]:
    uris = cameras.listed(findings, settings.camera_uri)
    if not uris:
        missing.append(NO_CAMERA)
    found = []
    for uri in uris:
        _log.info(f"{uri}: frames for {seconds:g} s")
        proof = cameras.prove(uri, settings.camera, seconds)
        if proof.error:
            missing.append(f"{uri}: {proof.error}")
        found.append(proof)
    return found


def _bench(settings: Settings, frames: int, allow_unsigned: bool) -> BenchRecord:
    _log.info(f"timing inferences and the pipeline ({settings.model.edgetpu or 'CPU'})")
    settings.store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.store, prefix=".proof-") as folder:
        return bench.measure(
            settings,
            trust=TrustedKeys.load(settings.trust.keys),
            allow_unsigned=allow_unsigned,
            frames=frames,
            folder=Path(folder),
            mediapipe=None,
        )


def _load(settings: Settings, machine: Machine, seconds: float, allow_unsigned: bool) -> LoadProof:
    _log.info(f"inferences without a pause for {seconds:g} s")
    served = serve(settings.model, trust=TrustedKeys.load(settings.trust.keys), allow_unsigned=allow_unsigned)
    classifier = served.classifier
    pixels = prepare_field(classifier.contract, drawn_frame())
    return load.prove(lambda: classifier.classify_prepared(pixels), machine, seconds)


def _tried(what: str, missing: list[str], work: Callable[[], _T]) -> _T | None:
    """The result, or None with a line in `missing`: one part that fails takes no other with it."""
    try:
        return work()
    except Exception as error:  # whatever a driver or an interpreter raises
        said = " ".join(str(error).split()) or type(error).__name__
        missing.append(f"{what}: {said}")
        return None
