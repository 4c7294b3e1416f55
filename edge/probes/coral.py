"""The Coral Edge TPU: delegate library, USB or PCIe device, and how fast the USB port is."""

from collections.abc import Sequence
from pathlib import Path

from edge.probes.base import Finding, Machine

USB_IDS = {("1a6e", "089a"): "not used since it was plugged in", ("18d1", "9302"): "in use before"}
PCIE_DEVICE = "dev/apex_0"
_LIBRARY_FOLDERS = ("usr/lib", "usr/lib/aarch64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/local/lib", "lib")
_USB3_MBIT = 5000


def coral(machine: Machine) -> Sequence[Finding]:
    """Library and devices; neither is needed."""
    library = _library(machine)
    devices = [*_usb(machine), *_pcie(machine)]
    if not devices:
        found = "no Coral device" + (f"; {library.name} is installed" if library else "; not needed")
        return [Finding("Edge TPU", "ok", found)]
    if library is None:
        cure = "install it from Coral's package archive: apt install libedgetpu1-std"
        missing = Finding(
            "Edge TPU delegate", "warning", "libedgetpu.so.1 is not installed: the CPU does the work", cure
        )
        return [missing, *devices]
    return [Finding("Edge TPU delegate", "ok", f"/{library.relative_to(machine.root)}"), *devices]


def _library(machine: Machine) -> Path | None:
    paths = (machine.root / folder / "libedgetpu.so.1" for folder in _LIBRARY_FOLDERS)
    return next((path for path in paths if path.exists()), None)


def _usb(machine: Machine) -> list[Finding]:
    return [
        f for d in machine.folders("sys/bus/usb/devices") for f in _usb_device(machine, f"sys/bus/usb/devices/{d.name}")
    ]


def _usb_device(machine: Machine, path: str) -> list[Finding]:
    ids = (machine.text(f"{path}/idVendor") or "", machine.text(f"{path}/idProduct") or "")
    if ids not in USB_IDS:
        return []
    speed = machine.number(f"{path}/speed") or 0
    found = f"{':'.join(ids)} ({USB_IDS[ids]}) on USB at {speed} Mbit/s"
    bus, number = machine.number(f"{path}/busnum"), machine.number(f"{path}/devnum")
    node = machine.root / f"dev/bus/usb/{bus or 0:03d}/{number or 0:03d}"
    if node.exists() and not machine.may_use(node):
        cure = (
            f"`sudo usermod -aG plugdev {machine.user}`, log in again, and plug it in again (udev rule of libedgetpu)"
        )
        return [
            Finding("Edge TPU device", "warning", f"{found}: no permission on /{node.relative_to(machine.root)}", cure)
        ]
    if speed < _USB3_MBIT:
        cure = "use a USB 3 port (blue) and a USB 3 cable: USB 2 makes each inference several times slower"
        return [Finding("Edge TPU device", "warning", f"{found}: USB 2" if speed else f"{found}: speed unknown", cure)]
    return [Finding("Edge TPU device", "ok", f"{found}: USB 3")]


def _pcie(machine: Machine) -> list[Finding]:
    node = machine.root / PCIE_DEVICE
    if not node.exists():
        return []
    if not machine.may_use(node):
        cure = f"`sudo usermod -aG apex {machine.user}`, log in again (udev rule of the gasket driver)"
        return [Finding("Edge TPU device", "warning", f"/{PCIE_DEVICE} (PCIe): no permission", cure)]
    return [Finding("Edge TPU device", "ok", f"/{PCIE_DEVICE} (PCIe)")]
