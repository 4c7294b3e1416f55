"""The bench page on a booted machine: its account and sandbox, the instrument's socket, and either without the other.

The machine is the provisioned one, to which install.sh adds the page: by its words alone, after the profile was given
the lines that it asked for. Every test leaves instrument and page serving.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pi.booted.instrument import AS_SERVICE, EDGE, RECORD, UNIT, select
from tests.pi.debian import CannotBuildError
from tests.pi.machine import Booted, over, wait_until
from tests.pi.offline_folder import offline_folder
from tests.pi.provisioned import binds, command, provisioned
from tests.pi.signed_bundles import signed_bundles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
PAGE, ACCOUNT, SOCKET = "leukoscope-page.service", "leukoscope-page", "/run/leukoscope/instrument.sock"
AS_PAGE = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", "--no-new-privs")
WORDS = ("--page", "--page-host", "0.0.0.0")
# Root's Python asks the page over TLS, whatever its certificate.
ASK = """
import json, ssl, sys, urllib.error, urllib.request
context = ssl._create_unverified_context()
request = urllib.request.Request("https://127.0.0.1:8443" + sys.argv[1])
try:
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        print(json.dumps([answer.status, answer.read().decode()[:2000]]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()[:2000]]))
"""
# The instrument asked over its socket, as the page's account: one command, and its answer.
COMMAND = """
import json, secrets, socket, sys
link = socket.socket(socket.AF_UNIX)
link.settimeout(20)
link.connect("/run/leukoscope/instrument.sock")
lines = link.makefile("rwb")
asked = secrets.token_hex(16)
body = {"kind": "command", "id": asked, "name": sys.argv[1], "by": "anna", "arguments": json.loads(sys.argv[2])}
lines.write(json.dumps(body).encode() + b"\\n")
lines.flush()
for line in lines:
    said = json.loads(line)
    if said["kind"] == "answer" and said["id"] == asked:
        print(json.dumps(said))
        break
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A provisioned machine, switched on, to which the page was added."""
    try:
        installed, offline, bundles = (
            provisioned("trixie", "amd64"),
            offline_folder("trixie", "amd64"),
            signed_bundles(),
        )
        with (
            over(installed.lower, tmp_path_factory.mktemp("page")) as root,
            root.booted(binds(offline, bundles)) as machine,
        ):
            machine.first = machine.run(*command(offline, *WORDS))  # type: ignore[attr-defined]
            said = machine.first.stdout  # type: ignore[attr-defined]
            lines = said[said.index("[bench]") :].split("[5/")[0]
            machine.run("bash", "-c", 'printf "\\n%s\\n" "$1" >> /etc/leukoscope/edge.toml', "-", lines)
            machine.second = machine.run(*command(offline, *WORDS))  # type: ignore[attr-defined]
            machine.run("systemctl", "restart", UNIT, PAGE)
            yield machine
    except CannotBuildError as error:
        pytest.skip(f"no booted machine: {error}")


@pytest.fixture
def serving(bench: Booted) -> Booted:
    for unit in (UNIT, PAGE):
        wait_until(lambda unit=unit: bench.shown(unit, "ActiveState") == "active")
    wait_until(lambda: bench.run("test", "-S", SOCKET, code=None).returncode == 0)
    return bench


def ask(machine: Booted, path: str) -> tuple[int, str]:
    status, body = json.loads(machine.told("/opt/leukoscope/venv/bin/python", "-I", "-c", ASK, path))
    return status, body


def command_to(machine: Booted, name: str, arguments: dict[str, Any], who: tuple[str, ...] = AS_PAGE) -> dict[str, Any]:
    words = ("/opt/leukoscope/venv/bin/python", "-I", "-c", COMMAND, name, json.dumps(arguments))
    answer: dict[str, Any] = json.loads(machine.told(*who, *words))
    return answer


def judged(machine: Booted, slide: str) -> int:
    return int(select(machine, f"SELECT count(*) FROM verdicts WHERE slide = '{slide}'")[0][0])


def test_the_page_is_installed_beside_the_instrument(serving: Booted) -> None:
    assert "exists and is left as it is" in serving.first.stdout  # type: ignore[attr-defined]
    said = serving.second.stdout  # type: ignore[attr-defined]
    assert "bench page: https://" in said and "certificate: SHA-256 " in said
    groups = serving.told("id", "-Gn", ACCOUNT).split()
    assert set(groups) == {ACCOUNT, "leukoscope"}
    assert serving.told("stat", "-c", "%U:%G %a", SOCKET) == f"leukoscope:{ACCOUNT} 660"
    assert serving.told("stat", "-Lc", "%U:%G %a", "/var/lib/leukoscope-page") == f"{ACCOUNT}:{ACCOUNT} 700"


def test_it_serves_over_tls_and_asks_for_a_login(serving: Booted) -> None:
    wait_until(lambda: ask(serving, "/api/v1/session")[0] == 200)
    assert ask(serving, "/api/v1/state")[0] == 401
    assert ask(serving, "/api/v1/slides")[0] == 401


def test_it_has_no_rights(serving: Booted) -> None:
    pid = serving.shown(PAGE, "MainPID")
    status = dict(line.split(":", 1) for line in serving.told("cat", f"/proc/{pid}/status").splitlines())
    assert status["Uid"].split() == [serving.told("id", "-u", ACCOUNT)] * 4
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    inside = ("nsenter", "--target", pid, "--mount", *AS_PAGE)
    for path in (f"{RECORD}/x", "/var/lib/leukoscope/x", "/etc/leukoscope/edge.toml", "/usr/x", "/run/leukoscope/x"):
        assert serving.run(*inside, "touch", path, code=None).returncode != 0, path
    for path in ("/etc/leukoscope/trusted", "/sys/class/video4linux"):
        assert serving.run(*inside, "ls", path, code=None).returncode != 0, path
    serving.run(*inside, "touch", "/var/lib/leukoscope-page/x")
    serving.run(*inside, "rm", "/var/lib/leukoscope-page/x")
    done = serving.run("systemd-analyze", "security", "--no-pager", "--threshold=25", PAGE, code=None)
    assert done.returncode == 0, done.stdout[-400:]


def test_the_instrument_still_has_no_network_and_others_cannot_ask_it(serving: Booted) -> None:
    pid = serving.shown(UNIT, "MainPID")
    links = serving.told("nsenter", "--target", pid, "--net", "ip", "-o", "link").splitlines()
    assert [line.split(":")[1].strip() for line in links] == ["lo"]
    stranger = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    reader = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=leukoscope")  # may read the record, not command
    for who in (stranger, reader):
        words = ("/opt/leukoscope/venv/bin/python", "-I", "-c", COMMAND, "close", "{}")
        refused = serving.run(*who, *words, code=None)
        assert refused.returncode != 0 and "PermissionError" in refused.stderr, refused.stderr[-300:]


def test_a_slide_is_read_through_the_socket_and_either_may_end_meanwhile(serving: Booted) -> None:
    opened = command_to(serving, "open", {"slide": "booted-1"})
    assert opened["ok"], opened
    wait_until(lambda: judged(serving, "booted-1") > 0)
    serving.run("systemctl", "kill", "--signal=KILL", PAGE)  # the instrument does not notice
    before = judged(serving, "booted-1")
    wait_until(lambda: judged(serving, "booted-1") > before)
    assert int(serving.shown(UNIT, "NRestarts")) == 0
    wait_until(lambda: serving.shown(PAGE, "ActiveState") == "active")
    restarts = int(serving.shown(PAGE, "NRestarts"))
    serving.run("systemctl", "kill", "--signal=KILL", UNIT)  # the page stays
    assert ask(serving, "/api/v1/session")[0] == 200
    wait_until(lambda: serving.shown(UNIT, "ActiveState") == "active")
    wait_until(lambda: serving.run("test", "-S", SOCKET, code=None).returncode == 0)
    assert int(serving.shown(PAGE, "NRestarts")) == restarts
    taken_up = command_to(serving, "continue", {})
    assert taken_up["ok"], taken_up  # it was paused: somebody may have changed the glass
    assert command_to(serving, "close", {})["ok"]
    assert serving.run(*AS_SERVICE, EDGE, "verify", "--store", RECORD, code=None).returncode == 0


def test_doctor_finds_the_bench_in_order(serving: Booted) -> None:
    told = json.loads(serving.run(EDGE, "doctor", "--json", code=None).stdout)
    found = {finding["name"]: finding for finding in told["findings"]}
    for name in ("bench socket", "page", "page's record", "page's certificate"):
        assert found[name]["state"] == "ok", found[name]
    serving.run("systemctl", "stop", PAGE)
    serving.run("chmod", "600", f"{RECORD}/record.sqlite")
    try:
        told = json.loads(serving.run(EDGE, "doctor", "--json", code=None).stdout)
        found = {finding["name"]: finding for finding in told["findings"]}
        assert found["page"]["state"] == "missing" and "inactive" in found["page"]["found"]
        assert found["page's record"]["state"] == "missing" and "record.sqlite" in found["page's record"]["found"]
    finally:
        serving.run("chmod", "640", f"{RECORD}/record.sqlite")
        serving.run("systemctl", "start", PAGE)


def test_the_same_command_again_changes_nothing(serving: Booted) -> None:
    again = serving.run(*command(offline_folder("trixie", "amd64"), *WORDS))
    assert again.stdout.splitlines()[-1] == "nothing changed: all of it was so already"


def test_uninstall_takes_the_page_away(serving: Booted) -> None:
    """Last: nothing serves after it."""
    serving.run("bash", "/media/offline/firmware_scripts/uninstall.sh")
    assert serving.run("systemctl", "cat", PAGE, code=None).returncode != 0
    assert serving.run("test", "-e", "/var/lib/leukoscope-page", code=None).returncode != 0
    assert serving.run("test", "-e", "/etc/systemd/system/leukoscope.service.d", code=None).returncode != 0
    assert serving.run("pgrep", "-u", ACCOUNT, code=None).returncode != 0
