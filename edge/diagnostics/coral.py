"""The Coral Edge TPU: delegate library, USB or PCIe device, and how fast the USB port is."""

from collections.abc import Sequence

from edge.inference.runtime.edgetpu_delegate import LIBRARY, USB3_MBIT, Device, devices, library_path
from edge.system.machine import Finding, Machine


def coral(machine: Machine) -> Sequence[Finding]:
    """Library and devices; neither is needed unless the profile asks for an Edge TPU."""
    library, found = library_path(machine), devices(machine)
    asked = [each for each in found if each.bus == machine.edgetpu.partition(":")[0] and each.usable]
    if machine.edgetpu and (library is None or not asked):
        return [_lacking(machine, library is None), *(_device(machine, device) for device in found)]
    if not found:
        text = "no Coral device" + (f"; {library.name} is installed" if library else "; not needed")
        return [Finding("Edge TPU", "ok", text)]
    seen = [_device(machine, device) for device in found]
    if library is None:
        cure = "install it from Coral's package archive: apt install libedgetpu1-std"
        text = f"{LIBRARY} is not installed: the CPU does the work"
        return [Finding("Edge TPU delegate", "warning", text, cure), *seen]
    return [Finding("Edge TPU delegate", "ok", f"/{library.relative_to(machine.root)}"), *seen]


def _lacking(machine: Machine, no_library: bool) -> Finding:
    """What the profile asks for and is not there."""
    what = f"{LIBRARY} is not installed" if no_library else f"no {machine.edgetpu} that this user may use"
    text = f"the profile asks for {machine.edgetpu}: {what}"
    cure = "docs/how-to/run-on-a-coral.md"
    if machine.fallback:
        return Finding("Edge TPU", "warning", f"{text}; the CPU does the work", cure)
    return Finding("Edge TPU", "missing", text, cure)


def _device(machine: Machine, device: Device) -> Finding:
    node = f"/{device.node.relative_to(machine.root)}"
    if device.bus == "pci":
        cure = f"`sudo usermod -aG apex {machine.user}`, log in again (udev rule of the gasket driver)"
        lacks = Finding("Edge TPU device", "warning", f"{device.name}: no permission", cure)
        return Finding("Edge TPU device", "ok", device.name) if device.usable else lacks
    if not device.usable:
        cure = (
            f"`sudo usermod -aG plugdev {machine.user}`, log in again, and plug it in again (udev rule of libedgetpu)"
        )
        return Finding("Edge TPU device", "warning", f"{device.name}: no permission on {node}", cure)
    if device.mbit < USB3_MBIT:
        cure = "use a USB 3 port (blue) and a USB 3 cable: USB 2 makes each inference several times slower"
        speed = "USB 2" if device.mbit else "speed unknown"
        return Finding("Edge TPU device", "warning", f"{device.name}: {speed}", cure)
    return Finding("Edge TPU device", "ok", f"{device.name}: USB 3")
