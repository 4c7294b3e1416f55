"""`edge doctor` on machines laid out as files: a Pi 4, a Pi 5 with a Coral on USB 2, one that is throttled."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.bundle import bundle as bundles
from edge.bundle.golden import Golden
from edge.commands.doctor import DoctorRequest
from edge.diagnostics import board, cameras, coral, software, storage
from edge.diagnostics.doctor import PROBES, diagnose, report, table
from edge.errors import DONE, MACHINE_LACKS
from edge.serving.isolation import examine
from edge.system.machine import Finding, Machine
from tests.tiny_bundle import certified

PI_4 = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/sys/kernel/osrelease": "6.12.25+rpt-rpi-v8\n",
    "proc/meminfo": "MemTotal:        3884584 kB\nMemFree:          120000 kB\nMemAvailable:    3215000 kB\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "etc/group": "root:x:0:\nvideo:x:44:pi\nplugdev:x:46:pi\n",
    "sys/class/thermal/thermal_zone0/temp": "47225\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/class/video4linux/video10/name": "bcm2835-codec-decode\n",
    "sys/class/video4linux/video10/index": "0\n",
}
CORAL = "sys/bus/usb/devices/1-1"
PI_5_CORAL_ON_USB_2 = {
    **PI_4,
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "sys/class/rtc/rtc0/name": "rpi-rtc soc:rpi_rtc\n",
    "usr/lib/aarch64-linux-gnu/libedgetpu.so.1": "library",
    f"{CORAL}/idVendor": "18d1\n",
    f"{CORAL}/idProduct": "9302\n",
    f"{CORAL}/speed": "480\n",
    f"{CORAL}/busnum": "1\n",
    f"{CORAL}/devnum": "4\n",
    "dev/bus/usb/001/004": "",
    "sys/bus/usb/devices/usb1/idVendor": "1d6b\n",
    "sys/bus/usb/devices/usb1/idProduct": "0002\n",
}


def machine(root: Path, files: dict[str, str], **more: Any) -> Machine:
    """A machine whose /sys, /proc, /dev, /etc and /usr hold `files` and nothing else."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    given = {
        "architecture": "aarch64",
        "bits": 64,
        "user": "pi",
        "uid": 1000,
        "gids": frozenset({1000, 44, 46}),
        **more,
    }
    return Machine(root=root, store=root, **given)


def states(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


# --- boards -----------------------------------------------------------------------------------------------------


def test_a_sound_pi_4(tmp_path: Path) -> None:
    pi = machine(tmp_path, PI_4)
    [system] = board.system(pi)
    assert system.state == "ok"
    assert "Raspberry Pi 4 Model B Rev 1.4; Debian GNU/Linux 12 (bookworm); Linux 6.12.25" in system.found
    assert states(board.memory(pi)) == {"memory": "ok"} and "3139 of 3793 MiB" in board.memory(pi)[0].found
    assert board.temperature(pi) == [Finding("temperature", "ok", "47.2 C")]
    assert states(board.power(pi)) == {"power": "ok"}
    assert states(coral.coral(pi)) == {"Edge TPU": "ok"}
    assert states(cameras.groups(pi)) == {"groups": "ok"}
    assert cameras.v4l2(pi)[0].found == "no V4L2 camera (1 other V4L2 devices of the board)"


def test_a_32_bit_system_on_a_64_bit_board(tmp_path: Path) -> None:
    [system] = board.system(machine(tmp_path, PI_4, bits=32))
    assert system.state == "warning" and "64-bit" in system.cure


def test_hot_and_short_of_memory(tmp_path: Path) -> None:
    meminfo = "MemTotal: 1000000 kB\nMemAvailable: 90000 kB\n"
    zones = {"sys/class/thermal/thermal_zone1/temp": "82000", "sys/class/thermal/cooling_device0/temp": "99000"}
    pi = machine(tmp_path, {**PI_4, "proc/meminfo": meminfo, **zones})
    assert states(board.memory(pi)) == {"memory": "warning"}
    assert board.temperature(pi)[0].state == "warning" and board.temperature(pi)[0].found == "82.0 C"


def test_nothing_readable_is_unknown_and_says_so(tmp_path: Path) -> None:
    bare = machine(tmp_path, {})
    for probe in (board.memory, board.temperature, board.power):
        [finding] = probe(bare)
        assert finding.state == "unknown" and finding.found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("50005", "under-voltage detected, currently throttled, under-voltage has occurred, throttling has occurred"),
        ("0x80008", "soft temperature limit active, soft temperature limit has occurred"),
        ("20000", "Arm frequency capping has occurred"),
    ],
)
def test_a_throttled_pi(tmp_path: Path, text: str, said: str) -> None:
    pi = machine(tmp_path, {**PI_4, "sys/devices/platform/soc/soc:firmware/get_throttled": f"{text}\n"})
    [power] = board.power(pi)
    assert power.state == "warning" and power.found.startswith(said) and power.cure
    assert ("power supply" in power.cure) == ("under-voltage" in said or "capping" in said)


def test_vcgencmd_comes_before_the_kernel_and_a_broken_one_after(tmp_path: Path) -> None:
    pi = machine(tmp_path, {**PI_4, "usr/bin/vcgencmd": "#!/bin/sh\necho throttled=0x50000\n"})
    (tmp_path / "usr/bin/vcgencmd").chmod(0o755)
    assert board.throttled(pi) == (0x50000, "vcgencmd")
    (tmp_path / "usr/bin/vcgencmd").write_text("#!/bin/sh\necho VCHI initialization failed\n")
    assert board.throttled(pi) == (0, "kernel")


def test_power_where_only_the_voltage_sensor_tells(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon2/name": "rpi_volt\n", "sys/class/hwmon/hwmon2/in0_lcrit_alarm": "1\n"}
    [power] = board.power(machine(tmp_path, files))
    assert power.state == "warning" and "under-voltage has occurred" in power.found


def test_clock_and_real_time_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.system import clock

    for synchronized, state in ((True, "ok"), (False, "warning"), (None, "unknown")):
        monkeypatch.setattr(clock.Clock, "now", lambda _, s=synchronized: SimpleNamespace(synchronized=s))
        assert states(board.clock(machine(tmp_path, {}))) == {"clock": state, "real-time clock": "warning"}
    found = board.clock(machine(tmp_path, PI_5_CORAL_ON_USB_2))
    assert found[1] == Finding("real-time clock", "ok", "rpi-rtc soc:rpi_rtc")


# --- Coral ------------------------------------------------------------------------------------------------------


def test_a_coral_on_usb_2_is_told_apart_from_usb_3(tmp_path: Path) -> None:
    pi = machine(tmp_path, PI_5_CORAL_ON_USB_2)
    pi.root.joinpath("dev/bus/usb/001/004").chmod(0o666)
    delegate, device = coral.coral(pi)
    assert delegate == Finding("Edge TPU delegate", "ok", "/usr/lib/aarch64-linux-gnu/libedgetpu.so.1")
    assert device.state == "warning" and "480 Mbit/s: USB 2" in device.found and "USB 3 port" in device.cure
    (tmp_path / CORAL / "speed").write_text("5000\n")
    assert coral.coral(pi)[1].state == "ok"


def test_a_coral_without_library_or_permission(tmp_path: Path) -> None:
    pi = machine(tmp_path, {**PI_5_CORAL_ON_USB_2, f"{CORAL}/speed": "5000\n"})
    node = tmp_path / "dev/bus/usb/001/004"
    node.chmod(0o660)
    stranger = replace(pi, uid=node.stat().st_uid + 1, gids=frozenset({node.stat().st_gid + 1}))
    device = coral.coral(stranger)[1]
    assert device.state == "warning" and "no permission on /dev/bus/usb/001/004" in device.found
    assert "plugdev" in device.cure
    assert coral.coral(replace(stranger, gids=frozenset({node.stat().st_gid})))[1].state == "ok"
    (tmp_path / "usr/lib/aarch64-linux-gnu/libedgetpu.so.1").unlink()
    assert states(coral.coral(pi))["Edge TPU delegate"] == "warning"


def test_a_coral_on_pcie(tmp_path: Path) -> None:
    pi = machine(tmp_path, {**PI_4, "dev/apex_0": "", "usr/lib/libedgetpu.so.1": ""})
    (tmp_path / "dev/apex_0").chmod(0o666)
    assert coral.coral(pi)[1] == Finding("Edge TPU device", "ok", "/dev/apex_0 (PCIe)")


# --- cameras ----------------------------------------------------------------------------------------------------


def with_microscope(root: Path, **more: Any) -> Machine:
    """A Pi with a USB microscope: two nodes, of which the second carries metadata only."""
    device = root / "sys/devices/platform/scb/usb1/1-1/1-1:1.0"
    device.mkdir(parents=True)
    pi = machine(root, {**PI_4, "dev/video0": "", "dev/video1": ""}, **more)
    for index in (0, 1):
        node = root / f"sys/class/video4linux/video{index}"
        node.mkdir(parents=True)
        (node / "name").write_text("USB Microscope: USB Microscope\n")
        (node / "index").write_text(f"{index}\n")
        (node / "device").symlink_to(device)
        (root / f"dev/video{index}").chmod(0o660)
    return pi


def test_usb_microscopes_by_name_and_permission(tmp_path: Path) -> None:
    pi = with_microscope(tmp_path, camera="uvc:0")
    owner = replace(pi, gids=frozenset({(tmp_path / "dev/video0").stat().st_gid}))
    [found] = cameras.v4l2(owner)
    assert found.state == "ok"
    assert found.found.startswith("uvc:/dev/video0 USB Microscope") and "(2 other" in found.found
    stranger = replace(pi, uid=54321, gids=frozenset({54321}))
    [refused] = cameras.v4l2(stranger)
    assert refused.state == "missing" and refused.cure == "`sudo usermod -aG video pi`, then log in again"
    assert cameras.v4l2(replace(stranger, camera=""))[0].state == "warning"


@pytest.mark.parametrize(("uri", "state"), [("uvc:/dev/video7", "missing"), ("uvc:7", "missing"), ("sim:", "ok")])
def test_a_named_camera_that_is_not_there(tmp_path: Path, uri: str, state: str) -> None:
    assert cameras.v4l2(machine(tmp_path, PI_4, camera=uri))[0].state == state


def with_picamera2(monkeypatch: pytest.MonkeyPatch, listing: Any) -> None:
    picamera2 = SimpleNamespace(Picamera2=SimpleNamespace(global_camera_info=listing))
    monkeypatch.setitem(sys.modules, "libcamera", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)


def test_cameras_that_picamera2_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pi = machine(tmp_path, PI_4, camera="picamera2:0")
    with_picamera2(monkeypatch, lambda: [{"Model": "imx477", "Num": 0, "Id": "/base/soc/i2c0mux"}])
    [found] = cameras.libcamera(pi)
    assert found.state == "ok" and found.found.startswith("picamera2:0 imx477 (/base/soc/i2c0mux)")
    assert cameras.libcamera(replace(pi, camera="picamera2:1"))[0].state == "missing"
    with_picamera2(monkeypatch, list)
    assert cameras.libcamera(pi)[0].state == "missing" and cameras.libcamera(replace(pi, camera=""))[0].state == "ok"


def test_picamera2_missing_matters_only_to_who_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)  # importing it raises ImportError
    assert cameras.libcamera(machine(tmp_path, PI_4))[0].state == "ok"
    [missing] = cameras.libcamera(machine(tmp_path, PI_4, camera="picamera2:0"))
    assert missing.state == "missing" and "--system-site-packages" in missing.cure


def test_groups(tmp_path: Path) -> None:
    [found] = cameras.groups(machine(tmp_path, PI_4, gids=frozenset({1000, 46})))
    assert (found.state, found.found) == ("warning", "not in video") and "usermod -aG video pi" in found.cure
    assert cameras.groups(machine(tmp_path, PI_4, uid=0, gids=frozenset({0})))[0].state == "ok"


# --- disk -------------------------------------------------------------------------------------------------------


def test_disk_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    store = tmp_path / "not" / "yet"
    room, speed = storage.disk(Machine(store=store))
    assert room.state in ("ok", "warning") and f"to be made in {tmp_path}" in room.found
    assert "a commit takes" in speed.found and list(tmp_path.iterdir()) == []


def test_a_full_and_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> tuple[float, float]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(storage, "_speed", refuse)
    assert storage.disk(Machine(store=tmp_path))[1].state == "missing"
    for free, state in ((5 * 2**20, "missing"), (500 * 2**20, "warning"), (50 * 2**30, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert storage.disk(Machine(store=tmp_path))[0].state == state


# --- interpreters -----------------------------------------------------------------------------------------------


def test_an_interpreter_is_named_with_its_kind(tiny_bundle: Path) -> None:
    found = software.interpreter("litert")(Machine(bundle=tiny_bundle))
    assert (
        found[0].state == "ok"
        and "xnnpack arithmetic" in found[0].found
        and "all 6 golden outputs identical" in found[0].found
    )
    assert software.any_interpreter(found) == []


def test_an_interpreter_that_answers_otherwise_is_none(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    """Negative control: golden outputs that this model does not give."""
    golden = bundle_parts["golden"]
    shifted = Golden(golden.inputs, np.roll(golden.outputs, 1, axis=1))
    kind = bundle_parts["certificate"]["kind"]
    wrong = certified({**bundle_parts, "golden": shifted}, kind=kind)
    path = bundles.write(tmp_path / "wrong-int8", **wrong).path
    found = software.interpreter("litert")(Machine(bundle=path))
    assert found[0].state == "warning" and "golden images" in found[0].found
    assert states(software.any_interpreter(found)) == {"interpreter": "missing"}


def test_a_jpeg_decoder_that_passes_over_damage_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import simplejpeg

    assert states(software.jpeg(Machine())) == {"simplejpeg": "ok"}
    strict = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda data, colours, **words: strict(data, colours, strict=False))
    assert states(software.jpeg(Machine())) == {"simplejpeg": "missing"}
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda data, colours, **words: strict(data, "BGR", **words))
    assert states(software.jpeg(Machine())) == {"simplejpeg": "warning"}
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert states(software.jpeg(Machine())) == {"simplejpeg": "missing"}


def test_no_interpreter_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.inference.runtime.interpreters.available_runtimes", tuple)
    probes = [probe for probe in PROBES if probe[0].startswith("interpreter")]
    findings = diagnose(Machine(), probes)
    assert report(findings).missing == ("interpreter",)
    monkeypatch.setattr("edge.diagnostics.doctor.PROBES", tuple(probes))
    monkeypatch.setattr("edge.diagnostics.doctor.diagnose", lambda machine: diagnose(machine, probes))
    assert DoctorRequest(Machine(), json=True).execute().code == MACHINE_LACKS


# --- bounds -----------------------------------------------------------------------------------------------------


def test_a_probe_that_hangs_is_left_behind() -> None:
    start = time.monotonic()
    [found] = examine("slow", lambda _: time.sleep(600) or [], Machine(), timeout_s=0.2)
    assert found == Finding("slow", "unknown", "no answer in 0.2 s")
    assert time.monotonic() - start < 60  # not 600


def test_a_probe_that_crashes_or_raises_says_why() -> None:
    def crash(_: Machine) -> list[Finding]:
        os.write(2, b"libfoo: out of memory\n")
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        return []

    def leave(_: Machine) -> list[Finding]:
        raise SystemExit("a package's own idea")

    def fail(_: Machine) -> list[Finding]:
        raise RuntimeError("no such\ncamera")

    [crashed] = examine("crash", crash, Machine(), 10)
    assert crashed == Finding("crash", "unknown", "it crashed: SIGKILL (libfoo: out of memory)")
    assert examine("leave", leave, Machine(), 10)[0].found == "SystemExit: a package's own idea"
    assert examine("fail", fail, Machine(), 10)[0].found == "RuntimeError: no such camera"


def test_a_probe_leaves_nothing_imported() -> None:
    def probe(_: Machine) -> list[Finding]:
        import wave  # any module that nobody else here needs

        return [Finding("loaded", "ok", wave.__name__)]

    sys.modules.pop("wave", None)
    assert examine("loaded", probe, Machine(), 10) == [Finding("loaded", "ok", "wave")]
    assert "wave" not in sys.modules


# --- the whole --------------------------------------------------------------------------------------------------


def test_the_table_puts_a_cure_below_what_it_cures() -> None:
    findings = [Finding("Python", "ok", "3.11.2"), Finding("Edge TPU device", "warning", "on USB 2", "use USB 3")]
    lines = table(findings).splitlines()
    assert lines[0] == "ok       Python           3.11.2"
    assert lines[1] == "warning  Edge TPU device  on USB 2"
    assert lines[2] == "                          -> use USB 3"
    assert lines[-1] == "1 warning, 1 ok"


def test_a_whole_pi_5(tmp_path: Path) -> None:
    """All that is read from files, through the bounded children and JSON, as the command does it."""
    pi = machine(tmp_path, PI_5_CORAL_ON_USB_2)
    fast = [p for p in PROBES if p[0] in ("system", "Edge TPU", "V4L2 cameras", "groups", "disk", "memory", "power")]
    findings = diagnose(pi, fast)
    assert report(findings).missing == () and "Edge TPU device" in report(findings).warnings
    assert "unknown" not in states(findings).values()


def test_the_doctor_here() -> None:
    """This machine, in a fresh process: an interpreter is there, so the answer is 0 with every probe heard."""
    program = (
        "import json, sys; from pathlib import Path; import edge.inference.runtime.interpreters; "
        # TensorFlow takes many seconds to import
        "edge.inference.runtime.interpreters.available_runtimes = lambda: ('litert',); "
        "from edge.commands.doctor import DoctorRequest; "
        "from edge.system.machine import Machine; "
        "done = DoctorRequest(Machine(store=Path(sys.argv[1])), True).execute(); "
        "print(json.dumps({'code': done.code, **done.record})); assert 'tensorflow' not in sys.modules"
    )
    command = [sys.executable, "-c", program, str(Path.cwd())]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    answer = json.loads(done.stdout)
    assert answer["code"] == DONE and answer["missing"] == []
    names = [finding["name"] for finding in answer["findings"]]
    assert {"Python", "NumPy", "OpenCV", "simplejpeg", "interpreter litert", "disk speed", "clock"} <= set(names)
