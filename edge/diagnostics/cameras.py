"""Cameras: what libcamera and picamera2 list, V4L2 devices, and the groups that may use them."""

import re
from collections.abc import Sequence
from pathlib import Path

from edge.system.machine import Finding, Machine

_VENV_CURE = "apt install python3-picamera2, and make the virtual environment with --system-site-packages"


def libcamera(machine: Machine) -> Sequence[Finding]:
    """The cameras that picamera2 sees, and whether the one that the settings name is among them."""
    wanted = machine.camera.partition("?")[0].partition(":")[2] if machine.camera.startswith("picamera2:") else None
    try:
        import libcamera as _  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
        from picamera2 import Picamera2
    except (ImportError, ValueError, OSError) as error:  # numpy 2 under an older simplejpeg: ValueError
        found = f"cannot be imported ({type(error).__name__}: {error})"
        if wanted is None:
            return [Finding("picamera2", "ok", f"{found}; only picamera2:N cameras need it")]
        return [Finding("picamera2", "missing", f"{found}; {machine.camera} needs it", _VENV_CURE)]
    cameras = list(enumerate(Picamera2.global_camera_info()))  # a camera's number is its place in this list
    listed = "; ".join(f"picamera2:{number} {c['Model']} ({c['Id']})" for number, c in cameras) or "no camera"
    if wanted is None:
        return [Finding("picamera2", "ok", listed)]
    if wanted in {str(number) for number, _ in cameras} | {c["Id"] for _, c in cameras}:
        return [Finding("picamera2", "ok", f"{listed}; {machine.camera} is there")]
    cure = "power off, reseat the ribbon cable at both ends; then `rpicam-hello --list-cameras` must show the camera"
    return [Finding("picamera2", "missing", f"{listed}; the settings name {machine.camera}", cure)]


def v4l2(machine: Machine) -> Sequence[Finding]:
    """USB microscopes and other V4L2 cameras. A Pi's own codecs and image processors are V4L2 devices too."""
    nodes = [d.name for d in machine.folders("sys/class/video4linux") if d.name.startswith("video")]
    cameras = [node for node in nodes if _is_camera(machine, node)]
    wanted = _wanted_node(machine.camera)
    refused = [node for node in cameras if not _may_use(machine, node)]
    names = {node: machine.text(f"sys/class/video4linux/{node}/name") or "unnamed" for node in cameras}
    listed = "; ".join(f"uvc:/dev/{node} {name}" for node, name in names.items()) or "no V4L2 camera"
    if len(cameras) < len(nodes):
        listed += f" ({len(nodes) - len(cameras)} other V4L2 devices of the board)"
    if wanted is not None and not (machine.root / "dev" / wanted).exists():
        cure = "plug it in, or name one of those listed; `dmesg | tail` says what USB makes of it"
        return [Finding("V4L2 cameras", "missing", f"{listed}; the settings name {machine.camera}", cure)]
    if wanted is not None and not _may_use(machine, wanted):
        return [Finding("V4L2 cameras", "missing", f"no permission on /dev/{wanted}", _group_cure(machine, "video"))]
    if refused:
        found = f"{listed}; no permission on {', '.join(refused)}"
        return [Finding("V4L2 cameras", "warning", found, _group_cure(machine, "video"))]
    return [Finding("V4L2 cameras", "ok", listed)]


def groups(machine: Machine) -> Sequence[Finding]:
    """Is this process in the groups that own cameras (video) and USB devices (plugdev)?"""
    if machine.uid == 0:
        return [Finding("groups", "ok", "root may use every device (a service should run as a user of its own)")]
    known = {}
    for line in (machine.text("etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():
            known[fields[0]] = int(fields[2])
    outside = [group for group in ("video", "plugdev") if group in known and known[group] not in machine.gids]
    if not outside:
        return [Finding("groups", "ok", "video and plugdev, where this system has them")]
    return [Finding("groups", "warning", f"not in {', '.join(outside)}", _group_cure(machine, ",".join(outside)))]


def _group_cure(machine: Machine, group: str) -> str:
    return f"`sudo usermod -aG {group} {machine.user}`, then log in again"


def _is_camera(machine: Machine, node: str) -> bool:
    """A capture node (index 0: a camera's others carry metadata) on USB, or the kernel's virtual test camera."""
    folder = machine.root / "sys/class/video4linux" / node
    on_usb = re.search(r"/usb\d", str((folder / "device").resolve())) is not None
    name = machine.text(f"sys/class/video4linux/{node}/name") or ""
    return (machine.number(f"sys/class/video4linux/{node}/index") or 0) == 0 and (on_usb or name.startswith("vivid"))


def _may_use(machine: Machine, node: str) -> bool:
    path: Path = machine.root / "dev" / node
    return not path.exists() or machine.may_use(path)


def _wanted_node(uri: str) -> str | None:
    """The name in /dev of the V4L2 camera that a URI names: `uvc:2` and `uvc:/dev/video2` are both video2."""
    scheme, _, device = uri.partition("?")[0].partition(":")
    if scheme != "uvc":
        return None
    return f"video{device}" if device.isdigit() else device.removeprefix("/dev/") or "video0"
