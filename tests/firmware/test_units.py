"""The units: clean, hardened by number, and what they run is what `edge` understands; the rules of udev."""

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.commands.command_line import INTERRUPTED, _parse
from tests.firmware.paper_roots import SCRIPTS
from tests.project.pages.commands_reference import COMMANDS

UNITS = sorted(path for path in (SCRIPTS / "systemd").glob("*.*") if path.suffix != ".sh")
SERVICES = [path for path in UNITS if path.suffix == ".service"]
MOST_EXPOSURE = 2.5
EDGE = "/opt/leukoscope/venv/bin/edge"
WHY = "/opt/leukoscope/why-it-ended.sh"
PAGE = SCRIPTS / "systemd/leukoscope-page.service"
NETWORK = "[Service]\nIPAddressAllow=10.0.0.0/8\nIPAddressAllow=192.168.0.0/16\nIPAddressAllow=fc00::/7\n"
analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


def section(path: Path, name: str) -> dict[str, list[str]]:
    """Keys of a section with all their values, in order."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == name and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def verify(folder: Path) -> str:
    """What systemd says of units; the programs they name are not installed here, so another stands in for them."""
    for path in folder.glob("*.service"):
        text = path.read_text(encoding="utf-8")
        for program in (EDGE, WHY, "/usr/bin/cage"):
            text = text.replace(program, "/bin/true")
        path.write_text(text)
    names = [str(path) for path in sorted(folder.glob("*.*"))]
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def exposure(path: Path) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path],
        capture_output=True,
        text=True,
        check=False,
    )
    [number] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    return float(number)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    folder.mkdir()
    for path in UNITS:
        shutil.copy(path, folder)
    return folder


@analyze
def test_systemd_finds_nothing_to_say(copies: Path) -> None:
    assert verify(copies) == ""


@analyze
@pytest.mark.parametrize(
    "path", ["image/grow-data.service", "config/root-below.service", "page/leukoscope-kiosk.service"]
)
def test_systemd_finds_nothing_to_say_of_a_card_s_units_and_of_the_kiosk(path: str, tmp_path: Path) -> None:
    text = (SCRIPTS / path).read_text().replace("ExecStart=/usr/bin/mount", "ExecStart=/bin/mount")
    (tmp_path / Path(path).name).write_text(text)
    assert verify(tmp_path) == ""


@analyze
def test_systemd_would_say_something(copies: Path) -> None:
    """Negative control: a key that is none."""
    unit = copies / "leukoscope.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in verify(copies)


@analyze
@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_exposure_is_low(path: Path, record_property: Callable[[str, object], None]) -> None:
    number = exposure(path)
    record_property("exposure", number)
    print(f"{path.name}: exposure {number}")
    assert number <= MOST_EXPOSURE


@analyze
def test_the_page_that_others_reach_is_no_more_exposed_than_that(tmp_path: Path) -> None:
    unit = tmp_path / PAGE.name
    unit.write_text(PAGE.read_text().replace("IPAddressAllow=localhost\n", f"IPAddressAllow=localhost\n{NETWORK[10:]}"))
    assert exposure(unit) <= MOST_EXPOSURE
    assert exposure(unit) > exposure(PAGE)  # it was read


@analyze
def test_a_weakened_unit_is_exposed(copies: Path) -> None:
    """Negative control, twice: without any hardening, and as root."""
    unit = copies / "leukoscope.service"
    text = unit.read_text()
    bare = re.sub(
        r"^(Protect|Private|Restrict|SystemCall|Capability|NoNew|Memory|Lock|IPAddress|Device).*\n",
        "",
        text,
        flags=re.M,
    )
    unit.write_text(bare)
    assert exposure(unit) > 5
    unit.write_text(text.replace("User=leukoscope\n", "").replace("CapabilityBoundingSet=\n", ""))
    assert exposure(unit) > MOST_EXPOSURE


def test_all_services_have_no_rights_and_two_have_a_network() -> None:
    networked = []
    for path in SERVICES:
        service = section(path, "Service")
        assert service.get("User") in (["leukoscope"], ["leukoscope-page"]) or service.get("DynamicUser") == ["yes"], (
            path.name
        )
        assert service["CapabilityBoundingSet"] == [""], path.name
        assert service["ProtectSystem"] == ["strict"], path.name
        assert service["NoNewPrivileges"] == ["yes"], path.name
        if service.get("PrivateNetwork") != ["yes"]:
            networked.append(path.name)
        else:
            assert service["IPAddressDeny"] == ["any"], path.name
            assert "AF_INET" not in service["RestrictAddressFamilies"][0], path.name
    assert networked == ["leukoscope-page.service", "leukoscope-update.service"]


def test_the_page_has_neither_cameras_nor_keys_nor_a_way_to_write_the_record() -> None:
    service = section(PAGE, "Service")
    assert (service["User"], service["Group"]) == (["leukoscope-page"], ["leukoscope-page"])
    assert "SupplementaryGroups" not in service and "DeviceAllow" not in service
    assert (service["PrivateDevices"], service["DevicePolicy"]) == (["yes"], ["closed"])
    assert service["ReadOnlyPaths"] == ["/var/lib/leukoscope"]
    assert "ReadWritePaths" not in service and service["StateDirectory"] == ["leukoscope/page"]
    hidden = {path.removeprefix("-") for path in service["InaccessiblePaths"][0].split()}
    assert {"/sys/class/video4linux", "/etc/leukoscope/trusted", "/etc/leukoscope/tuf"} <= hidden
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == (["any"], ["localhost"])
    assert {"MemoryMax", "CPUWeight", "Nice", "TasksMax"} <= set(service)
    assert int(service["CPUWeight"][0]) < 100 and int(service["Nice"][0]) > 0  # less than a service has by itself


def test_the_instrument_offers_its_socket_and_gets_no_network() -> None:
    dropin = section(SCRIPTS / "page/instrument-socket.conf", "Service")
    assert set(dropin) == {"RuntimeDirectory", "RuntimeDirectoryMode", "SupplementaryGroups", "SystemCallFilter"}
    assert dropin["SystemCallFilter"] == ["@chown"]  # or the socket could not be given to its group
    assert dropin["RuntimeDirectoryMode"] == ["0750"]
    instrument = section(SCRIPTS / "systemd/leukoscope.service", "Service")
    assert instrument["RestrictAddressFamilies"] == ["AF_UNIX AF_NETLINK"]
    assert instrument["PrivateNetwork"] == ["yes"]


def test_either_may_end_without_the_other() -> None:
    names = ("leukoscope.service", PAGE.name)
    for name, other in zip(names, reversed(names), strict=True):
        unit = section(SCRIPTS / "systemd" / name, "Unit")
        for bond in (
            "BindsTo",
            "Requires",
            "Requisite",
            "PartOf",
            "Conflicts",
            "PropagatesStopTo",
            "StopPropagatedFrom",
        ):
            assert other not in " ".join(unit.get(bond, [])), (name, bond)
        assert unit["PartOf"] == ["leukoscope.target"]
        assert section(SCRIPTS / "systemd" / name, "Install")["WantedBy"] == ["leukoscope.target"]


def test_the_page_comes_back_unless_coming_back_cannot_help() -> None:
    service = section(PAGE, "Service")
    assert (service["Type"], service["Restart"]) == (["notify"], ["always"])
    assert service["RestartPreventExitStatus"] == ["2"]
    assert section(PAGE, "Unit")["StartLimitIntervalSec"] == ["0"]
    assert int(service["WatchdogSec"][0]) > 0


def test_what_they_run_is_understood(tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text('[retention]\ndays = 7\n[update]\nsource = "https://updates.example.org"\n')
    commands = []
    for path in SERVICES:
        for line in section(path, "Service")["ExecStart"]:
            if line.startswith(EDGE):
                words = shlex.split(line.removeprefix(EDGE))
                _parse("edge", COMMANDS["edge"], [*words, "--config", str(profile)])
                commands.append(words[0])
    assert sorted(commands) == ["page", "prune", "run", "update"]


def test_the_service_comes_back_unless_coming_back_cannot_help() -> None:
    service = section(SCRIPTS / "systemd/leukoscope.service", "Service")
    assert service["Type"] == ["notify"]
    assert int(service["WatchdogSec"][0]) > 0
    assert service["Restart"] == ["always"]
    assert (service["StandardOutput"], service["StandardError"]) == (
        ["null"],
        ["journal"],
    )  # not inherited: nothing said
    assert service["RestartPreventExitStatus"] == ["1 2"]  # the answer is no, a wrong request: neither mends itself
    unit = section(SCRIPTS / "systemd/leukoscope.service", "Unit")
    assert unit["OnFailure"] == ["leukoscope-failed.service"]
    assert unit["StartLimitIntervalSec"] == ["0"]  # a camera may be away for days


def test_a_stop_before_a_command_is_done_is_no_failure() -> None:
    """A command that SIGTERM ends says 130 (`INTERRUPTED`), whatever unit runs it."""
    for path in SERVICES:
        service = section(path, "Service")
        if service["ExecStart"][0].startswith(EDGE):
            assert service["SuccessExitStatus"] == [str(INTERRUPTED)], path.name


def test_the_record_s_partition_is_grown_once_the_root_can_be_written() -> None:
    unit = section(SCRIPTS / "image/grow-data.service", "Unit")
    assert "systemd-remount-fs.service" in unit["After"][0].split()
    assert "var-lib-leukoscope.mount" in unit["Before"][0].split()


def test_the_daily_update_without_a_source_is_no_failure(tmp_path: Path) -> None:
    [condition] = section(SCRIPTS / "systemd/leukoscope-update.service", "Service")["ExecCondition"]
    words = [word.replace("/etc/leukoscope/edge.toml", str(tmp_path / "edge.toml")) for word in shlex.split(condition)]

    def holds(text: str) -> bool:
        (tmp_path / "edge.toml").write_text(text)
        return subprocess.run(words, check=False).returncode == 0

    assert holds('[update]\nsource = "https://updates.example.org"\n')
    assert not holds('[update]\n# source = "https://updates.example.org"\n')
    (tmp_path / "edge.toml").unlink()
    assert subprocess.run(words, check=False).returncode == 2  # grep's: systemd skips the unit, it does not fail


def test_the_drop_in_for_newer_releases_is_for_the_service() -> None:
    for path in ("systemd/newer/back-off.conf", "page/back-off.conf"):
        parser = configparser.ConfigParser()
        parser.read(SCRIPTS / path)
        assert set(parser["Service"]) == {"restartsteps", "restartmaxdelaysec"}


RULE = re.compile(
    r'^(?:[A-Z]+(?:\{[A-Za-z_/]+\})?(?:==|\+=|=)"[^"]+")(?:, [A-Z]+(?:\{[A-Za-z_/]+\})?(?:==|\+=|=)"[^"]+")*$'
)


def rules() -> list[str]:
    lines = [line for path in (SCRIPTS / "udev").glob("*.rules") for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_the_rules_give_devices_to_groups_and_to_nobody_else() -> None:
    assert len(rules()) == 6
    for rule in rules():
        assert RULE.match(rule), rule
        assert 'MODE="0660"' in rule
        assert re.search(r'GROUP="(plugdev|video)"', rule)


def test_the_coral_is_known_before_and_after_its_firmware() -> None:
    both = [rule for rule in rules() if 'SUBSYSTEM=="usb"' in rule]
    ids = [
        (re.findall(r'ATTR\{idVendor\}=="(\w+)"', rule) + re.findall(r'ATTR\{idProduct\}=="(\w+)"', rule))
        for rule in both
    ]
    assert ids == [["1a6e", "089a"], ["18d1", "9302"]]
