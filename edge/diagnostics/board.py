"""The board: model, memory, temperature, power events, clock."""

import subprocess
from collections.abc import Sequence

from edge.system.machine import Finding, Machine

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLED_BITS = {
    0: "under-voltage detected",
    1: "Arm frequency capped",
    2: "currently throttled",
    3: "soft temperature limit active",
    16: "under-voltage has occurred",
    17: "Arm frequency capping has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}
_SYSFS_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_VCGENCMD_TIMEOUT_S = 3.0
HOT_C = 80.0  # where a Pi 3, 4 or 5 begins to lower its clock, same page: "between 80 and 85"
LITTLE_MEMORY_MIB = 200  # `edge run` takes up to 140
_SUPPLY = "use the board's own power supply (5 V, 3 A; Pi 5: 5 A) and a short cable, and a powered USB hub"


def system(machine: Machine) -> Sequence[Finding]:
    """Board, distribution, kernel and processor."""
    model = machine.text("proc/device-tree/model") or "no device tree (not a Raspberry Pi)"
    release = {}
    for line in (machine.text("etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        release[key] = value.strip("\"'")
    kernel = machine.text("proc/sys/kernel/osrelease") or "?"
    found = f"{model}; {release.get('PRETTY_NAME', 'unknown system')}; Linux {kernel}; {machine.architecture}"
    if machine.bits == 32 or machine.architecture not in ("x86_64", "aarch64"):
        cure = "install a 64-bit system: interpreters exist for x86-64 and aarch64 only"
        return [Finding("system", "warning", f"{found}, {machine.bits}-bit Python", cure)]
    return [Finding("system", "ok", found)]


def memory(machine: Machine) -> Sequence[Finding]:
    """What a new process may still have."""
    sizes = {}
    for line in (machine.text("proc/meminfo") or "").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            sizes[words[0]] = int(words[1]) // 1024
    if "MemAvailable" not in sizes or "MemTotal" not in sizes:
        return [Finding("memory", "unknown", "/proc/meminfo does not say")]
    found = f"{sizes['MemAvailable']} of {sizes['MemTotal']} MiB available"
    if sizes["MemAvailable"] < LITTLE_MEMORY_MIB:
        return [
            Finding("memory", "warning", found, "end other programs (`ps aux --sort -rss`): edge run takes 140 MiB")
        ]
    return [Finding("memory", "ok", found)]


def temperature(machine: Machine) -> Sequence[Finding]:
    """The hottest thermal zone."""
    celsius = hottest_c(machine)
    if celsius is None:
        return [Finding("temperature", "unknown", "no thermal zone in /sys/class/thermal can be read")]
    if celsius >= HOT_C:
        cure = "cool the board (fan, heat sink, shade): it slows down from here on"
        return [Finding("temperature", "warning", f"{celsius:.1f} C", cure)]
    return [Finding("temperature", "ok", f"{celsius:.1f} C")]


def power(machine: Machine) -> Sequence[Finding]:
    """Under-voltage and throttling, now and since the board started."""
    bits, source = throttled(machine)
    if bits is None:
        return [Finding("power", "unknown", source)]
    if not bits:
        return [Finding("power", "ok", f"no under-voltage, no throttling since start ({source})")]
    said = ", ".join(text for bit, text in THROTTLED_BITS.items() if bits >> bit & 1) or "bits of unknown meaning"
    cures = []
    if bits & 0x10001:
        cures.append(_SUPPLY)
    if bits & 0x80008:
        cures.append("cool the board (fan, heat sink)")
    cure = "; ".join(cures) or "check power supply and cooling"
    return [Finding("power", "warning", f"{said} (0x{bits:x}, {source})", f"{cure}; then start it again")]


def supply(machine: Machine) -> Sequence[Finding]:
    """Under-voltage, by the kernel's sensor alone: `power` asks more, and what it reads is forgotten by being read.

    Nothing where there is no such sensor.
    """
    alarm = _supply_alarm(machine)
    if alarm is None:
        return []
    if not alarm:
        return [Finding("power", "ok", "no under-voltage (rpi_volt)")]
    return [Finding("power", "warning", "under-voltage (rpi_volt)", f"{_SUPPLY}; then start it again")]


def clock(machine: Machine) -> Sequence[Finding]:
    """Is the time right, and will it be after a power cut?"""
    from edge.system.clock import Clock

    synchronized = Clock().now().synchronized
    if synchronized:
        findings = [Finding("clock", "ok", "synchronized")]
    elif synchronized is None:
        findings = [Finding("clock", "unknown", "the kernel does not say whether it is synchronized")]
    else:
        cure = "`timedatectl set-ntp true` and a network; records say meanwhile that their times are uncertain"
        findings = [Finding("clock", "warning", "not synchronized", cure)]
    devices = machine.folders("sys/class/rtc")
    if devices:
        names = ", ".join(machine.text(f"sys/class/rtc/{d.name}/name") or d.name for d in devices)
        return [*findings, Finding("real-time clock", "ok", names)]
    cure = "fit one (Pi 5: a battery on J5), or wait for the network's time after each start"
    return [
        *findings,
        Finding("real-time clock", "warning", "none: after a power cut the time is wrong at first", cure),
    ]


def hottest_c(machine: Machine) -> float | None:
    """Degrees Celsius of the hottest thermal zone; None where none can be read."""
    zones = [z for z in machine.folders("sys/class/thermal") if z.name.startswith("thermal_zone")]
    milli = [machine.number(f"sys/class/thermal/{zone.name}/temp") for zone in zones]
    known = [m for m in milli if m is not None]
    return max(known) / 1000 if known else None


def throttled(machine: Machine) -> tuple[int | None, str]:
    """(bits of THROTTLED_BITS, where they come from); None and the reason where nothing says them.

    vcgencmd comes first: reading the kernel's file clears what has occurred since the last reading.
    """
    program = machine.root / "usr/bin/vcgencmd"
    if program.exists():
        try:
            command = [str(program), "get_throttled"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_VCGENCMD_TIMEOUT_S, check=False)
            return int(done.stdout.partition("=")[2], 16), "vcgencmd"
        except (OSError, ValueError, subprocess.SubprocessError):
            pass
    bits = machine.number(_SYSFS_THROTTLED, 16)
    if bits is not None:
        return bits, "kernel"
    alarm = _supply_alarm(machine)
    if alarm is not None:
        return (1 << 16 if alarm else 0), "rpi_volt: under-voltage only"
    return None, "neither vcgencmd nor the kernel says it (only a Raspberry Pi's firmware does)"


def _supply_alarm(machine: Machine) -> bool | None:
    """Whether the kernel's sensor of the supply saw under-voltage; None without one."""
    for sensor in machine.folders("sys/class/hwmon"):
        if machine.text(f"sys/class/hwmon/{sensor.name}/name") == "rpi_volt":
            alarm = machine.number(f"sys/class/hwmon/{sensor.name}/in0_lcrit_alarm")
            if alarm is not None:
                return bool(alarm)
    return None
