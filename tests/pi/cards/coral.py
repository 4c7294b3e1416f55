"""A stand-in for the Coral USB accelerator, and what the service's sandbox makes of it.

Runs on the board, by the device's own Python, standard library only. Root plugs in a USB gadget of the kernel's
(dummy_hcd: host and device in one) with the accelerator's identity; `coral.py probe` runs in a unit that has every
line of leukoscope.service's sandbox and looks for it with libusb, as libedgetpu does. Then the identity changes, as the
accelerator's does when its firmware is loaded.
"""

import ctypes
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BEFORE, AFTER = (0x1A6E, 0x089A), (0x18D1, 0x9302)
GADGET = Path("/sys/kernel/config/usb_gadget/coral")
STATE = Path("/var/lib/leukoscope")
FOUND, SWITCHED = STATE / "coral.json", STATE / "coral.switched"
UNIT = "leukoscope-coral.service"
NEITHER = ("ExecStart", "Type", "Restart", "WatchdogSec", "OnFailure", "ExecStopPost", "StandardOutput", "NotifyAccess")


def prove() -> dict[str, Any]:
    """As root: with the service's sandbox, and for comparison with one that allows no USB."""
    for module in ("dummy_hcd", "libcomposite", "usb_f_ss_lb"):
        subprocess.run(["modprobe", module], check=True)
    _make_gadget()
    _plug(BEFORE)
    told: dict[str, Any] = {"node": _node(BEFORE), "root": _opens(BEFORE, "root"), "nobody": _opens(BEFORE, "nobody")}
    told["forbidden"] = _probe(without="DeviceAllow=char-usb_device rw\n", switch=False)
    told["allowed"] = _probe(without="", switch=True)
    told["node_after"] = _node(AFTER)
    return told


def _make_gadget() -> None:
    subprocess.run(["mount", "-t", "configfs", "none", "/sys/kernel/config"], check=False, capture_output=True)
    for name in ("strings/0x409", "configs/c.1", "functions/SourceSink.0"):
        (GADGET / name).mkdir(parents=True)
    (GADGET / "strings/0x409/product").write_text("stand-in")
    (GADGET / "configs/c.1/SourceSink.0").symlink_to(GADGET / "functions/SourceSink.0")


def _plug(identity: tuple[int, int]) -> None:
    (GADGET / "idVendor").write_text(f"{identity[0]:#06x}")
    (GADGET / "idProduct").write_text(f"{identity[1]:#06x}")
    (GADGET / "UDC").write_text("dummy_udc.0")
    end = time.monotonic() + 60
    while not _path(identity) and time.monotonic() < end:
        time.sleep(0.5)
    subprocess.run(["udevadm", "settle"], check=False)


def _path(identity: tuple[int, int]) -> Path | None:
    for device in Path("/sys/bus/usb/devices").iterdir():
        try:
            found = tuple(int((device / name).read_text(), 16) for name in ("idVendor", "idProduct"))
            number = [int((device / name).read_text()) for name in ("busnum", "devnum")]
        except (OSError, ValueError):
            continue
        if found == identity:
            return Path(f"/dev/bus/usb/{number[0]:03}/{number[1]:03}")
    return None


def _node(identity: tuple[int, int]) -> str:
    told = subprocess.run(["stat", "-c", "%A %G", str(_path(identity))], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def _opens(identity: tuple[int, int], user: str) -> bool:
    words = ["setpriv", f"--reuid={user}", "--clear-groups", "dd", f"if={_path(identity)}", "of=/dev/null", "count=0"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def _probe(*, without: str, switch: bool) -> dict[str, Any]:
    """Start the probe in the service's sandbox, less one line; where `switch`, change identity while it looks."""
    for path in (FOUND, SWITCHED):
        path.unlink(missing_ok=True)
    lines = Path("/etc/systemd/system/leukoscope.service").read_text().replace(without, "")
    kept = [line for line in lines.splitlines() if line.partition("=")[0] not in NEITHER]
    run = f"[Service]\nType=exec\nExecStart=/usr/bin/python3 -I {Path(__file__).resolve()} probe{' switch' * switch}"
    unit = re.sub(r"^\[Service\]$", run, "\n".join(kept), flags=re.MULTILINE)
    (Path("/run/systemd/system") / UNIT).write_text(unit + "\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "start", UNIT], check=True)
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if FOUND.exists():
            told: dict[str, Any] = json.loads(FOUND.read_text())
            if told["done"]:
                return told
            if switch and not SWITCHED.exists():
                (GADGET / "UDC").write_text("\n")
                _plug(AFTER)
                SWITCHED.touch()
        time.sleep(0.5)
    said = subprocess.run(["journalctl", "-b", "-u", UNIT, "-o", "cat"], capture_output=True, text=True, check=False)
    return {"done": False, "said": said.stdout[-500:]}


# --- in the sandbox -----------------------------------------------------------------------------------------------


class Usb:
    """A context of libusb's."""

    def __init__(self) -> None:
        self._usb = ctypes.CDLL("libusb-1.0.so.0")
        self._context = ctypes.c_void_p()
        self._usb.libusb_open_device_with_vid_pid.restype = ctypes.c_void_p
        self._usb.libusb_get_device_list.restype = ctypes.c_ssize_t
        self.begun = self._usb.libusb_init(ctypes.byref(self._context))

    def sees(self, identity: tuple[int, int]) -> bool:
        """Whether it is among the devices that this context lists."""
        devices = ctypes.POINTER(ctypes.c_void_p)()
        count = self._usb.libusb_get_device_list(self._context, ctypes.byref(devices))
        found = []
        for index in range(max(0, count)):
            description = (ctypes.c_uint8 * 18)()
            self._usb.libusb_get_device_descriptor(ctypes.c_void_p(devices[index]), description)
            raw = bytes(description)
            found.append((int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")))
        self._usb.libusb_free_device_list(devices, 1)
        return identity in found

    def uses(self, identity: tuple[int, int]) -> bool:
        """Whether it opens, gives its first interface, and answers a bulk transfer."""
        handle = self._usb.libusb_open_device_with_vid_pid(self._context, *identity)
        if not handle:
            return False
        device = ctypes.c_void_p(handle)
        got, buffer = ctypes.c_int(), (ctypes.c_uint8 * 512)()
        claimed = self._usb.libusb_claim_interface(device, 0)
        moved = self._usb.libusb_bulk_transfer(device, 0x81, buffer, 512, ctypes.byref(got), 5000)
        self._usb.libusb_close(device)
        return (claimed, moved, got.value) == (0, 0, 512)


def probe(switch: bool) -> None:
    """What is seen and used, into the state folder, which is all that can be written to."""
    usb = Usb()
    told: dict[str, Any] = {"done": not switch, "sees": usb.sees(BEFORE), "uses": usb.uses(BEFORE)}
    _keep(told)
    if not switch:
        return
    while not SWITCHED.exists():
        time.sleep(0.2)
    time.sleep(5)
    told["same_sees"], fresh = usb.sees(AFTER), Usb()
    _keep(told | {"fresh_sees": fresh.sees(AFTER), "fresh_uses": fresh.uses(AFTER), "done": True})


def _keep(told: dict[str, Any]) -> None:
    aside = FOUND.with_suffix(".new")
    aside.write_text(json.dumps(told))
    aside.rename(FOUND)


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        probe("switch" in sys.argv)
    else:
        json.dump(prove(), sys.stdout)
