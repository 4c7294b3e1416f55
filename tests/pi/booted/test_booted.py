"""The instrument booted with its release's own systemd: it serves, is sandboxed, comes back, and updates itself.

The machine was provisioned by one command (`provisioned.py`), then switched off. Every test here may use it, in this
order; each but the last leaves a serving instrument behind.
"""

import json
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.pi.booted.instrument import AS_SERVICE, EDGE, RECORD, UNIT, goes_on, restarted, restarts, select
from tests.pi.debian import CannotBuildError
from tests.pi.machine import Booted, over, wait_until
from tests.pi.provisioned import provisioned
from tests.pi.signed_bundles import INSIDE, Bundles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
UNITS = (UNIT, "leukoscope-update.service", "leukoscope-retention.service", "leukoscope-failed.service")
MOST_EXPOSED = 2.5
PORT = 8642


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A machine whose file system cannot be written to but for its state, which lies elsewhere."""
    try:
        installed, layer = provisioned("trixie", "amd64"), tmp_path_factory.mktemp("read-only")
        with over(installed.lower, layer) as root:
            state = layer / "state"
            shutil.copytree(root.path / "var/lib/leukoscope", state, symlinks=True, copy_function=shutil.copy2)
            table = root.path / "etc/fstab"  # without this, systemd would make it writable again
            table.write_text(table.read_text().replace("defaults", "ro"))
            words = ("--read-only", f"--bind={state}:/var/lib/leukoscope")
            with root.booted(words=words) as machine:
                machine.run("chown", "-R", "leukoscope:leukoscope", "/var/lib/leukoscope")
                machine.run("systemctl", "restart", UNIT)
                yield machine
    except CannotBuildError as error:
        pytest.skip(f"no booted machine: {error}")


def slots(machine: Booted) -> str:
    return machine.run(*AS_SERVICE, EDGE, "slots", code=None).stdout


def version(machine: Booted) -> int:
    """Of the bundle that serves, as `edge slots` says."""
    told = json.loads(machine.run(*AS_SERVICE, EDGE, "slots", "--json").stdout)
    return int(told["slots"][told["current"].partition("/")[0]]["version"])


def update(machine: Booted, source: str, code: int = 0) -> str:
    """`edge update` as the update's unit would; what it said."""
    done = machine.run(*AS_SERVICE, EDGE, "update", source, code=code)
    return done.stdout + done.stderr


def test_after_switching_on_it_judges_by_itself(serving: Booted) -> None:
    assert serving.shown(UNIT, "Type") == "notify"
    wait_until(lambda: "answered" in serving.shown(UNIT, "StatusText"))
    assert serving.shown("leukoscope.target", "ActiveState") == "active"
    for timer in ("leukoscope-update.timer", "leukoscope-retention.timer"):
        assert serving.shown(timer, "ActiveState") == "active"
    goes_on(serving)
    assert version(serving) == 1


def test_it_runs_as_its_own_user_without_capabilities(serving: Booted) -> None:
    pid = serving.shown(UNIT, "MainPID")
    status = dict(line.split(":", 1) for line in serving.told("cat", f"/proc/{pid}/status").splitlines())
    user = serving.told("id", "-u", "leukoscope")
    assert user != "0"
    assert status["Uid"].split() == [user] * 4
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")


def test_it_sees_no_network(serving: Booted) -> None:
    pid = serving.shown(UNIT, "MainPID")
    inside = ("nsenter", "--target", pid, "--net")
    assert [line.split(":")[1].strip() for line in serving.told(*inside, "ip", "-o", "link").splitlines()] == ["lo"]
    assert serving.told("readlink", f"/proc/{pid}/ns/net") != serving.told("readlink", "/proc/1/ns/net")
    refused = serving.run(*inside, "ip", "route", "get", "192.0.2.1", code=None)
    assert refused.returncode != 0 and "unreachable" in refused.stderr


def test_it_can_write_nowhere_but_in_its_state_folder(serving: Booted) -> None:
    inside = ("nsenter", "--target", serving.shown(UNIT, "MainPID"), "--mount", *AS_SERVICE, "touch")
    for path in ("/etc/leukoscope/edge.toml", "/opt/leukoscope/x", "/usr/x", "/var/x", "/home/x"):
        assert serving.run(*inside, path, code=None).returncode != 0, path
    root = serving.told(
        "nsenter", "--target", serving.shown(UNIT, "MainPID"), "--mount", "findmnt", "-no", "OPTIONS", "/"
    )
    assert "ro" in root.split(",")
    serving.run(*inside, "/var/lib/leukoscope/x")
    serving.run("rm", "/var/lib/leukoscope/x")


@pytest.mark.parametrize("unit", UNITS)
def test_its_systemd_finds_it_little_exposed(serving: Booted, unit: str) -> None:
    done = serving.run(
        "systemd-analyze", "security", "--no-pager", f"--threshold={MOST_EXPOSED * 10:.0f}", unit, code=None
    )
    assert done.returncode == 0, done.stdout[-400:]
    [level] = [line for line in done.stdout.splitlines() if "Overall exposure level" in line]
    assert float(level.split(":")[1].split()[0]) <= MOST_EXPOSED


def test_the_measure_of_exposure_can_fail(serving: Booted) -> None:
    done = serving.run("systemd-analyze", "security", "--no-pager", "--threshold=25", "dbus.service", code=None)
    assert done.returncode != 0


def test_its_systemd_finds_nothing_wrong_with_the_units(serving: Booted) -> None:
    done = serving.run("systemd-analyze", "verify", *UNITS, "leukoscope.target", "leukoscope-update.timer")
    assert "leukoscope" not in done.stderr + done.stdout


def test_killed_it_comes_back_and_nothing_announced_is_lost(serving: Booted, with_unit: Callable[[str], None]) -> None:
    with_unit(f"[Service]\nStandardOutput=append:/run/announced\nExecStart=\nExecStart={EDGE} run --json\n")
    goes_on(serving)
    wait_until(lambda: int(serving.told("grep", "-c", '"id"', "/run/announced")) >= 5)
    restarted(serving, lambda: serving.run("systemctl", "kill", "--signal=KILL", UNIT))
    announced = [json.loads(line) for line in serving.told("cat", "/run/announced").splitlines() if line.endswith("}")]
    kept = {(row[0], row[1]) for row in select(serving, "SELECT id, label FROM verdicts")}
    assert len(announced) >= 5
    assert {(each["id"], each["label"]) for each in announced} <= kept
    assert "sound" in serving.told(*AS_SERVICE, EDGE, "verify", "--store", RECORD)


def test_a_hung_process_is_killed_by_the_watchdog_and_started_again(
    serving: Booted, with_unit: Callable[[str], None]
) -> None:
    assert serving.shown(UNIT, "WatchdogUSec") == "30s"
    with_unit("[Service]\nWatchdogSec=4\nTimeoutAbortSec=2\n")  # the same, only sooner
    goes_on(serving)
    restarted(serving, lambda: serving.run("kill", "-STOP", serving.shown(UNIT, "MainPID")))
    assert "watchdog" in serving.journal(UNIT).lower()
    assert "sound" in serving.told(*AS_SERVICE, EDGE, "verify", "--store", RECORD)


@pytest.mark.parametrize(
    ("which", "why"),
    [("altered", "model.tflite"), ("forged", "none of them a trusted key"), ("wrong", "golden images differ")],
)
def test_a_bundle_that_must_not_run_is_refused_and_the_old_one_serves(serving: Booted, which: str, why: str) -> None:
    before, process = version(serving), serving.shown(UNIT, "MainPID")
    said = update(serving, Bundles.inside(which), code=1)
    assert why in said
    assert version(serving) == before == 1
    assert serving.shown(UNIT, "MainPID") == process
    goes_on(serving)


def test_a_bundle_from_a_stick_serves_without_anyone_restarting_anything(serving: Booted) -> None:
    restarted(serving, lambda: update(serving, Bundles.inside("2")))
    assert version(serving) == 2
    told = (*AS_SERVICE, EDGE, "slots", "--json")  # having answered a hundred frames it is no longer on trial
    wait_until(lambda: json.loads(serving.run(*told).stdout)["on_trial"] is False)
    assert "older" in update(serving, Bundles.inside("1"), code=1)


def test_answers_that_fail_at_the_start_bring_the_old_bundle_back_in_that_start(serving: Booted) -> None:
    """As on a machine whose arithmetic changed after the update had proven it: the proof in a child is left out."""
    blind = (
        "import edge.serving.update.sandboxed_selftest as p, sys; p.Proof.__call__ = lambda *_: None; "
        "from edge.cli import main; "
        f"sys.argv = ['edge', 'update', {Bundles.inside('wrong')!r}]; sys.exit(main())"
    )
    before = restarts(serving)
    restarted(serving, lambda: serving.run(*AS_SERVICE, "/opt/leukoscope/venv/bin/python", "-c", blind))
    assert restarts(serving) == before + 1
    assert version(serving) == 2
    assert "golden images differ" in slots(serving)
    events = select(serving, "SELECT kind, detail FROM events WHERE kind = 'bundle_fell_back'")
    assert any("golden images differ" in detail for _, detail in events)
    assert "golden images differ" in serving.run(*AS_SERVICE, EDGE, "doctor", code=None).stdout


def test_the_daily_update_fetches_from_a_served_repository(serving: Booted) -> None:
    root = f"{INSIDE}/repository/metadata/1.root.json"
    serving.run("install", "-D", "-m", "644", root, "/etc/leukoscope/tuf/root.json")
    serving.run("sed", "-i", f's|^# source = .*|source = "http://127.0.0.1:{PORT}"|', "/etc/leukoscope/edge.toml")
    server = ("python3", "-m", "http.server", "--bind", "127.0.0.1", str(PORT), "--directory", f"{INSIDE}/repository")
    serving.run("systemd-run", "--unit=repository", *server)
    restarted(serving, lambda: serving.run("systemctl", "start", "leukoscope-update.service"))
    assert version(serving) == 3
    serving.run("systemctl", "start", "leukoscope-update.service")  # nothing newer: no failure
    serving.run("systemctl", "stop", "repository.service")
    assert serving.run("systemctl", "start", "leukoscope-update.service", code=None).returncode != 0
    goes_on(serving)


def test_the_retention_s_unit_runs_beside_the_service(serving: Booted) -> None:
    serving.run("systemctl", "start", "leukoscope-retention.service")
    assert serving.shown("leukoscope-retention.service", "Result") == "success"
    goes_on(serving)


def test_a_bundle_altered_on_the_disk_is_not_served_and_the_terminals_say_why(serving: Booted) -> None:
    """Last: both slots are damaged as somebody with the card in a reader would, and the instrument stays down."""
    change = 'printf x | dd of="$f" bs=1 seek=5000 conv=notrunc'
    change = f"for f in /var/lib/leukoscope/bundles/[ab]/*/model.tflite; do {change}; done"
    serving.run("bash", "-c", change)
    serving.run("systemctl", "restart", UNIT, code=None)
    wait_until(lambda: serving.shown(UNIT, "ActiveState") == "failed")
    assert serving.shown(UNIT, "ExecMainStatus") == "1"
    wait_until(
        lambda: (
            "does not serve" in serving.journal("leukoscope-failed.service")
            or "does not serve" in serving.told("journalctl", "--boot", "--output=cat", "-t", "leukoscope")
        )
    )
    assert restarts(serving) == 0 or serving.shown(UNIT, "ActiveState") == "failed"


def test_it_serves_with_a_root_that_nobody_can_write_to(read_only: Booted) -> None:
    for path in ("/etc/x", "/usr/x", "/opt/x", "/var/lib/x"):
        assert "Read-only file system" in read_only.run("touch", path, code=None).stderr
    goes_on(read_only)
    assert version(read_only) == 1
