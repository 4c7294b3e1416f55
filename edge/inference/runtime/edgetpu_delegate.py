"""The Coral Edge TPU as a delegate of the interpreter: which device, and what it is when it will not open.

The runtimes say `Failed to load delegate` for a missing device, a missing permission and a busy device alike, and a
library that does not fit the runtime ends the process. So what is there is looked up in /sys, and the first opening
happens in a child. Nothing here falls back by itself: `open_for` does, where the profile asks for it, and says so.

Sources: https://coral.ai/docs/accelerator/get-started/ (udev rule, USB ids), google-coral/edgetpu issues 44, 259, 435
(mismatches), tflite/public/edgetpu_c.h of google-coral/libedgetpu (`device` option, `edgetpu_version`).
"""

import ctypes
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from edge.errors import EdgeTpuUnavailable, SettingsError
from edge.system.machine import Machine

if TYPE_CHECKING:
    pass


LIBRARY = "libedgetpu.so.1"
USB_IDS = {("1a6e", "089a"): "not used since it was plugged in", ("18d1", "9302"): "in use before"}
USB3_MBIT = 5000
TRIAL_S = 90.0  # a device that was just plugged in takes its firmware, restarts on the bus, and is slow on USB 2
_INSTALL = "install it from Coral's package archive: apt install libedgetpu1-std (docs/how-to/run-on-a-coral.md)"
_MISMATCH = (
    "unsupported data type in custom op handler",
    "requires runtime version",
    "edgetpu-custom-op",
    "edgetpudelegateforcustomop",
    "failed to prepare for tpu",
)


@dataclass(frozen=True)
class Device:
    """An Edge TPU that is plugged in.

    Attributes:
        bus: as the delegate's option names it. name: how it is told to a person.
        node: its device file below the machine's root; it may be missing. usable: this process may read and write it.
        mbit: speed of the USB port; 0 where it is not known, and for PCIe.
    """

    bus: Literal["usb", "pci"]
    name: str
    node: Path
    usable: bool
    mbit: int = 0


def device_name(text: str, option: str = "edgetpu") -> str:
    """A device as the delegate takes it: usb or pci, alone or with a number from 0 on.

    Raises:
        SettingsError: it is none.
    """
    if not re.fullmatch(r"(usb|pci)(:\d{1,2})?", text):
        raise SettingsError(f"{option} must be usb, pci, usb:N or pci:N; got {text!r}")
    return text


def devices(machine: Machine) -> tuple[Device, ...]:
    """Every Edge TPU that the machine shows, USB first."""
    return (*_usb(machine), *_pci(machine))


def load_delegate(
    module: ModuleType, device: str, *, machine: Machine | None = None, library: str | None = None
) -> tuple[Any, str]:
    """The delegate, and the runtime version that its library tells ("" when it tells none).

    Args:
        module: an interpreter's, with `load_delegate`, in `experimental` for tf.lite.
        library: its path or soname; None is `LIBRARY`.

    Raises:
        EdgeTpuUnavailable: with `cause` "library", "device", "permission", "busy" or "runtime", and the cure.
    """
    library = LIBRARY if library is None else library
    version = _library_version(library)
    loader = getattr(module, "load_delegate", None)
    loader = loader or getattr(getattr(module, "experimental", None), "load_delegate", None)
    if loader is None:
        raise EdgeTpuUnavailable("runtime", f"{module.__name__} takes no delegates; use --runtime tflite_runtime")
    try:
        return loader(library, {"device": device_name(device)}), version
    except (ValueError, RuntimeError, OSError) as error:
        raise _refused(device, Machine() if machine is None else machine, error) from error


def mismatch(message: str) -> str:
    """Why library, runtime and model do not fit together, when a runtime's message tells that; else ""."""
    if not any(mark in message.lower() for mark in _MISMATCH):
        return ""
    newer = re.search(r"requires runtime version \((\d+)\).*?this runtime version \((\d+)\)", message)
    if newer:
        return (
            f"the model was compiled for Edge TPU runtime {newer[1]}, and {newer[2]} is installed: upgrade libedgetpu, "
            f"or compile with edgetpu_compiler -m {newer[2]}"
        )
    return (
        f"{LIBRARY} and the interpreter do not fit together ({message}): use a libedgetpu built for this version of "
        "TensorFlow Lite, or --runtime tflite_runtime"
    )


def slow_usb(device: str, machine: Machine) -> str:
    """One sentence when the Edge TPU hangs on a USB port older than 3; else ""."""
    if device.startswith("pci"):
        return ""
    slow = [each for each in devices(machine) if each.bus == "usb" and 0 < each.mbit < USB3_MBIT]
    cure = "USB 2 makes each inference several times slower; use a USB 3 port and cable"
    return f"{slow[0].name}: {cure}" if slow else ""


def library_path(machine: Machine) -> Path | None:
    """Where the library lies below the machine's root."""
    folders = ("usr/lib", "usr/lib/aarch64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/local/lib", "lib")
    return next((path for folder in folders if (path := machine.root / folder / LIBRARY).exists()), None)


def _library_version(library: str) -> str:
    """Load the library before a Delegate does: a Delegate that finds none complains once more when it is collected."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        missing = str(error).partition(":")[0]
        if Path(missing).name == Path(library).name and "No such file" in str(error):
            raise EdgeTpuUnavailable("library", f"{library} is not installed: {_INSTALL}") from error
        raise EdgeTpuUnavailable("library", f"{library} cannot be loaded ({error}): {_INSTALL} again") from error
    if not hasattr(loaded, "tflite_plugin_create_delegate"):
        raise EdgeTpuUnavailable("library", f"{library} is no delegate of TensorFlow Lite: {_INSTALL} again")
    try:
        tell: Callable[[], bytes | None] = loaded.edgetpu_version
        loaded.edgetpu_version.restype = ctypes.c_char_p
        told = (tell() or b"").decode("utf-8", "replace")
    except AttributeError:
        return ""
    number = re.search(r"RuntimeVersion\((\d+)\)", told)
    return number[1] if number else ""


def _refused(device: str, machine: Machine, error: Exception) -> EdgeTpuUnavailable:
    """Why a device did not open: what the machine shows, since the runtime's message does not say."""
    bus, _, number = device.partition(":")
    there = [each for each in devices(machine) if each.bus == bus]
    if not there or (number and int(number) >= len(there)):
        shown = ", ".join(each.name for each in devices(machine)) or "none is plugged in"
        plug = "plug it in" if bus == "usb" else "check that the gasket driver is loaded"
        return EdgeTpuUnavailable("device", f"no Edge TPU {device}: {shown}; {plug}, or name another")
    chosen = there[int(number)] if number else there[0]
    if not any(each.usable for each in ([chosen] if number else there)):
        group = _group(chosen.node) or ("plugdev" if bus == "usb" else "apex")
        return EdgeTpuUnavailable(
            "permission",
            f"{chosen.name}: no permission; `sudo usermod -aG {group} {machine.user}`, log in again"
            + (", and plug it in again" if bus == "usb" else ""),
        )
    said = " ".join(str(error).split()) or type(error).__name__
    return EdgeTpuUnavailable(
        "busy", f"{chosen.name} does not open ({said}): end the process that uses it, or plug it in again"
    )


def _group(node: Path) -> str:
    """The group that may use a device file, when there is one beside root; else ""."""
    import grp

    with suppress(OSError, KeyError):
        status = node.stat()
        if status.st_gid and status.st_mode & 0o060 == 0o060:
            return grp.getgrgid(status.st_gid).gr_name
    return ""


def _usb(machine: Machine) -> list[Device]:
    found = []
    for folder in machine.folders("sys/bus/usb/devices"):
        path = f"sys/bus/usb/devices/{folder.name}"
        ids = (machine.text(f"{path}/idVendor") or "", machine.text(f"{path}/idProduct") or "")
        if ids not in USB_IDS:
            continue
        mbit = machine.number(f"{path}/speed") or 0
        bus, number = machine.number(f"{path}/busnum") or 0, machine.number(f"{path}/devnum") or 0
        node = machine.root / f"dev/bus/usb/{bus:03d}/{number:03d}"
        usable = not node.exists() or machine.may_use(node)
        found.append(Device("usb", f"{':'.join(ids)} ({USB_IDS[ids]}) on USB at {mbit} Mbit/s", node, usable, mbit))
    return found


def _pci(machine: Machine) -> list[Device]:
    nodes = sorted((machine.root / "dev").glob("apex_[0-9]*"))
    return [Device("pci", f"/dev/{node.name} (PCIe)", node, machine.may_use(node)) for node in nodes]
