"""`edge control` as users type it, on the virtual microscope; and what a run makes of it."""

import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from edge.cli import COMMANDS
from edge.commissioning.control.camera_lease import CameraLease, wanted
from edge.diagnostics.control import control as doctors_finding
from edge.record.store import Store
from edge.system.machine import Machine
from tests.commands import in_this_process
from tests.edge.bundle.acceptances import accept
from tests.edge.page.html.page_checks import faults
from tests.edge.record.records import tamper
from tests.paths import ROOT

EDGE = Path(sys.executable).with_name("edge")
STILL = "motion=0&focus_drift=0"
LAMP = 0.975  # of a new one: bright enough for the gates, and nothing is clipped
SLIDE = f"sim:Early?{STILL}&empty=0&lamp={LAMP}"
NO_SLIDE = f"sim:Early?{STILL}&empty=1&lamp={LAMP}"
BASELINE = 5
pytestmark = pytest.mark.usefixtures("drawn_once")


class Device:
    """Commands with one profile and record, on the smaller shipped bundle."""

    def __init__(self, folder, capsys, bundle):
        self.store, self.bundle, self.profile = folder / "record", bundle, folder / "edge.toml"
        self.demand("none")
        self._run = in_this_process(capsys, "edge", COMMANDS)

    def demand(self, word, more=""):
        self.profile.write_text(
            f'[camera]\nsize = [320, 240]\n[control]\ndemand = "{word}"\nbaseline = {BASELINE}\n{more}\n'
        )

    def control(self, *words, camera=SLIDE, slide="QC-1"):
        more = ["--seconds", 0, "--fields", 6, "--bundle", self.bundle, "--allow-unsigned", "--config", self.profile]
        return self._run("control", "--slide", slide, "--camera", camera, "--store", self.store, *more, *words)

    def run(self, *words, camera=f"{SLIDE}&fps=50", frames=4):
        more = ["--bundle", self.bundle, "--allow-unsigned", "--config", self.profile, "--json"]
        done = self._run("run", "--camera", camera, "--store", self.store, "--frames", frames, *more, *words)
        assert done.code == 0, done.err
        return [json.loads(line) for line in done.out.splitlines()]

    def __call__(self, *words):
        return self._run(*words)

    @property
    def machine(self):
        asked = self.profile.read_text().count('"daily"') == 1
        return Machine(store=self.store, camera=SLIDE, bundle=self.bundle, control_demanded=asked)


@pytest.fixture
def device(tmp_path, capsys):
    bundle = Path(shutil.copytree(ROOT / "models" / "bundles" / "custom_cnn-int8", tmp_path / "custom_cnn-int8"))
    return Device(tmp_path, capsys, bundle)


def events(store):
    with Store.open(store, read_only=True) as record:
        bodies = [json.loads(row.body) for row in record.entries(through=record.head().id)]
    return [body["kind"] for body in bodies if body["type"] == "event"]


def dimmed(percent):
    return f"sim:Early?{STILL}&empty=0&lamp={LAMP * (1 - percent / 100):.6f}"


def test_a_control_is_measured_recorded_verified_and_exported(device, tmp_path):
    done = device.control("--expected", "Early", "--json")
    assert done.code == 0, done.err
    said = done.record
    assert (said["outcome"], said["number"], said["baseline"], said["fields"]) == ("baseline", 1, BASELINE, 6)
    assert said["measures"]["agreement"] == 1.0 and said["measures"]["refused"] == 0.0
    assert 240 < said["measures"]["brightness"] < 250 and said["measures"]["stain"] < 1
    assert said["series"]["camera"] == "sim:" and said["targets"] == {} and said["checks"] == {}

    again = device.control()
    assert again.code == 0 and f"QC-1: building baseline 2 of {BASELINE}" in again.out  # the label is remembered
    assert "agreement with the expected label" in again.out

    verified = device("verify", "--store", device.store, "--json")
    assert verified.code == 0 and verified.record["control"]["controls"] == 2
    assert verified.record["control"]["verdicts"] == 12 and "verdicts" not in verified.record  # no run was made yet
    exported = device("export", "--slide", "QC-1", "--control", "--store", device.store, "--to", tmp_path / "out")
    assert exported.code == 0, exported.err
    rows = (tmp_path / "out" / "controls.csv").read_text().splitlines()
    assert len(rows) == 3 and rows[0].startswith("entry,utc,") and ",Early,baseline,1,5,6," in rows[1]
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False)
    assert sums.returncode == 0


def test_an_altered_control_is_found_by_verify_and_trusted_by_nobody(device):
    assert device.control("--expected", "Pre").code == 1
    assert device.control(slide="QC-2").code == 0
    device.demand("daily")
    assert {each["reason"] for each in device.run(frames=2)} == {"control_failed"}
    assert device("verify", "--store", device.store).code == 0
    tamper(
        device.store / "control",
        """UPDATE entries SET body = replace(body, '"failed"', '"passed"') WHERE type = 'control'""",
    )
    verified = device("verify", "--store", device.store)
    assert verified.code == 1 and "was altered" in verified.out
    [*_, last] = device.run(frames=2)
    assert last["reason"] == "control_overdue" and "altered" in last["detail"]
    [finding] = doctors_finding(device.machine)
    assert finding.state == "missing" and "altered" in finding.found
    assert device.control().code == 1  # nothing is judged by a record that was altered


def test_a_drifting_lamp_is_rejected_by_the_control_that_the_rules_say_and_warned_of_before(device):
    """A lamp that differs by half a percent from day to day, and then loses 0.32 % a control. Which control is rejected
    is computed here from the lamp alone, by the rules written down once more."""
    days, loss = (-0.5, -0.25, 0.0, 0.25, 0.5), 0.32
    for percent in days:
        assert device.control("--expected", "Early", camera=dimmed(percent)).code == 0
    z = [-loss * number / statistics.stdev(days) for number in range(1, 30)]
    expected = first_rejected(z)
    assert expected == 4, "the drift is slow enough that it is not one control's matter"

    device.demand("daily")
    for number in range(1, expected):
        done = device.control("--json", camera=dimmed(loss * number))
        assert (done.code, done.record["outcome"], done.record["broken"]) == (0, "passed", {}), number
        assert done.record["z"]["brightness"] == pytest.approx(z[number - 1], abs=0.4)
    passing, moving = doctors_finding(device.machine)
    assert passing.state == "ok" and (moving.name, moving.state) == ("control trend", "warning")
    assert "brightness between the cells is beyond 2 SD: one more on that side is rejected (2-2s)" in moving.found
    assert all(each["label"] for each in device.run(frames=2))

    failed = device.control("--json", camera=dimmed(loss * expected))
    assert failed.code == 1 and failed.record["outcome"] == "failed"
    assert failed.record["broken"] == {"brightness": ["1-3s", "2-2s"]}
    assert {each["reason"] for each in device.run(frames=2)} == {"control_failed"}
    state = doctors_finding(device.machine)[0]
    assert state.state == "missing" and "brightness between the cells breaks" in state.found

    worse = device.control("--json", camera=dimmed(loss * (expected + 1)))
    assert worse.code == 1, "repeating it does not mend the lamp"
    assert worse.record["trends"]["brightness"]["slope"] == pytest.approx(z[0], abs=0.15)
    assert device.control().code == 0, "a lamp that was turned up does"
    assert all(each["label"] for each in device.run(frames=2))


def first_rejected(z):
    """By Westgard's rules, written down once more: the number of the first control that one of them rejects."""
    for count in range(1, len(z) + 1):
        seen, now = z[:count], z[count - 1]
        pair, four, ten = seen[-2:], seen[-4:], seen[-10:]
        if (
            abs(now) > 3
            or (len(pair) == 2 and (min(pair) > 2 or max(pair) < -2))
            or (len(pair) == 2 and min(pair) < -2 and max(pair) > 2)
            or (len(four) == 4 and (min(four) > 1 or max(four) < -1))
            or (len(ten) == 10 and (min(ten) > 0 or max(ten) < 0))
        ):
            return count
    return None


def test_a_steady_lamp_is_not_rejected_in_as_many_controls(device):
    outcomes = [device.control("--expected", "Early", "--json").record["outcome"] for _ in range(BASELINE + 6)]
    assert outcomes == ["baseline"] * BASELINE + ["passed"] * 6
    assert [finding.state for finding in doctors_finding(device.machine)] == ["ok"]


# --- what is wrong with a control -------------------------------------------------------------------------------


def test_another_slide_than_expected_fails_by_name(device):
    done = device.control("--expected", "Pre", "--json")
    assert done.code == 1 and done.record["outcome"] == "failed"
    assert done.record["checks"] == {"wrong_label": "0 of 6 answered fields are Pre"} and done.record["broken"] == {}


def test_no_slide_at_all_fails_by_name(device):
    done = device.control("--json", camera=NO_SLIDE)
    assert done.code == 1 and list(done.record["checks"]) == ["none_answered"]
    assert "none of 6 fields was answered (6 empty_field)" in done.record["why"]
    assert done.record["measures"]["refused"] == 1.0 and done.record["measures"]["probability"] is None


def test_a_replay_with_too_few_fields_fails_by_name(device, tmp_path):
    (tmp_path / "fields").mkdir()
    device.run("--keep", "every", frames=3)
    for number, path in enumerate(sorted((device.store / "images").rglob("*.png"))[:3]):
        cv2.imwrite(str(tmp_path / "fields" / f"{number}.png"), cv2.imread(str(path)))
    done = device.control("--json", camera=f"replay:{tmp_path / 'fields'}")
    assert done.code == 1 and done.record["checks"]["too_few_fields"] == "3 of 6 fields; a control needs 5"
    assert done.record["series"]["camera"] == "replay:"


def test_a_camera_that_is_not_there_leaves_no_control(device):
    done = device.control(camera="uvc:/dev/video77")
    done.refused(4, "/dev/video77")
    assert device("control", "--history", "--store", device.store).code == 2


def test_a_control_that_is_interrupted_leaves_no_entry_and_gives_the_camera_back(device):
    words = ["control", "--slide", "QC-1", "--seconds", "60", "--camera", SLIDE, "--store", device.store]
    command = [str(word) for word in (EDGE, *words, "--bundle", device.bundle, "--allow-unsigned")]
    lease, deadline = CameraLease(device.store / "control", now=lambda: 1e9), time.monotonic() + 30
    running = subprocess.Popen([*command, "--config", str(device.profile)], stderr=subprocess.PIPE, text=True)
    try:
        while not lease._held() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)  # it waits for the slide to be moved
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 130 and said.splitlines()[-1].startswith("error: interrupted")
    assert not lease._held()
    device("control", "--history", "--store", device.store).refused(2, "no control was recorded")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--slide"),
        (["--slide", "Jane_Doe"], "patient"),
        (["--slide", "../x"], "slide must be 1 to 64"),
        (["--slide", "QC-1", "--fields", "4"], "--fields must be at least 5"),
        (["--slide", "QC-1", "--seconds", "often"], "--seconds must be a whole number"),
        (["--slide", "QC-1", "--lot", "Doe, Jane"], "patient"),
        (["--history", "--store", "/srv/nothing"], "no control was recorded"),
    ],
)
def test_wrong_requests_are_one_line(device, words, said):
    device("control", *words).refused(2, said)


def test_a_label_that_is_none_and_one_that_changes_are_refused(device):
    device.control("--expected", "early").refused(2, "did you mean Early?")
    assert device.control("--expected", "Early").code == 0
    device.control("--expected", "Benign").refused(2, "--expected must be Early, as in the controls of QC-1 before")


def test_a_new_lot_begins_a_new_baseline(device):
    for _ in range(BASELINE + 1):
        last = device.control("--json").record
    assert last["outcome"] == "passed"
    lot = device.control("--lot", "B7", "--json").record
    assert (lot["outcome"], lot["number"], lot["series"]["lot"]) == ("baseline", 1, "B7")
    assert device.control("--json").record["number"] == 2  # the lot is remembered


def test_two_controls_at_once_are_refused(device):
    with Store.open(device.store / "control"):
        device.control().refused(4, "writes to this record")


# --- a run that demands one -------------------------------------------------------------------------------------


def test_a_run_without_a_control_answers_nothing_asks_no_network_and_says_why(device):
    device.demand("daily")
    said = device.run()
    assert {each["reason"] for each in said} == {"control_overdue"}
    assert all(each["probabilities"] is None and each["label"] is None for each in said)
    assert all(each["gates"]["control_overdue"] == -1.0 and "out_of_focus" in each["gates"] for each in said)
    assert "control_overdue" in events(device.store)
    assert device("verify", "--store", device.store).code == 0
    device.demand("none")
    assert all(each["label"] for each in device.run())


@pytest.mark.slow
def test_a_run_answers_once_another_process_controlled_and_lends_its_camera_meanwhile(device):
    device.demand("daily")
    words = ["run", "--camera", f"{SLIDE}&fps=20", "--store", device.store, "--config", device.profile, "--json"]
    command = [str(word) for word in (EDGE, *words, "--bundle", device.bundle, "--allow-unsigned")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None and running.stderr is not None
        assert json.loads(running.stdout.readline())["reason"] == "control_overdue"
        with wanted(device.store / "control") if (device.store / "control").is_dir() else _made(device.store):
            time.sleep(1.0)
        assert device.control("--expected", "Early").code == 0
        deadline = time.monotonic() + 20
        said = {"label": None}
        while said["label"] is None and time.monotonic() < deadline:
            said = json.loads(running.stdout.readline())
        assert said["label"] == "Early"
        assert device.control("--expected", "Early", camera=NO_SLIDE).code == 1
        while said["label"] is not None and time.monotonic() < deadline:
            said = json.loads(running.stdout.readline())
        assert said["reason"] == "control_failed"
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 0
    kinds = events(device.store)
    assert [kind for kind in kinds if kind.startswith("control_")] == [
        "control_overdue",
        "control_passed",
        "control_failed",
    ]
    assert "lent" in kinds and kinds.index("reopened") > kinds.index("lent")
    assert device("verify", "--store", device.store).code == 0


def _made(store):
    (store / "control").mkdir()
    return wanted(store / "control")


# --- history and charts -----------------------------------------------------------------------------------------


def test_history_prints_every_control_and_draws_the_charts(device, tmp_path):
    for _ in range(BASELINE + 1):
        device.control("--expected", "Early")
    device.control(camera=dimmed(2))
    device.control("--expected", "Early", camera=NO_SLIDE)
    done = device("control", "--history", "--slide", "QC-1", "--store", device.store, "--out", tmp_path / "charts")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[1] for line in lines[1 : BASELINE + 4]] == ["QC-1"] * (BASELINE + 3)
    assert "brightness between the cells breaks 1-3s" in done.out and "none of 6 fields was answered" in done.out
    as_json = device("control", "--history", "--store", device.store, "--json")
    assert len(as_json.out.splitlines()) == BASELINE + 3

    charts = json.loads((tmp_path / "charts" / "control.json").read_text())["slides"][0]["charts"]
    brightness = next(chart for chart in charts if chart["measure"] == "brightness")
    assert [point["kind"] for point in brightness["points"]] == ["baseline"] * BASELINE + ["in", "out", "unsound"]
    html = (tmp_path / "charts" / "control.html").read_text()
    assert faults(html) == [] and "Research use only" in html and "Control failed" in html
    assert html.count("data:image/svg+xml") == len(charts)
    picture = cv2.imread(str(tmp_path / "charts" / "control.png"))
    assert picture is not None and picture.shape[1] > 1200


def test_the_record_of_a_control_says_no_benign_that_a_device_may_not(tmp_path, capsys):
    bundle = shutil.copytree(ROOT / "models" / "bundles" / "mobilenet_v2-int8", tmp_path / "mobilenet_v2-int8")
    device = Device(tmp_path, capsys, bundle)  # the smaller one calls no drawn slide benign
    camera = SLIDE.replace("Early", "Benign")
    said = []
    for slides in (12, 60):
        accept(device.bundle, leukemic=slides, healthy=5)
        assert device.control("--expected", "Benign", camera=camera, slide=f"QC-{slides}").code == 0
        with Store.open(device.store / "control", read_only=True) as record:
            rows = [json.loads(row.body) for row in record.slide_entries(f"QC-{slides}", through=record.head().id)]
        control = next(row for row in rows if row["type"] == "control")
        assert control["measures"]["agreement"] > 0.5  # the network's own answers are what is followed
        said.append({row.get("label") or row.get("reason") for row in rows if row["type"] == "verdict"})
    withheld, licensed = said
    assert "not_accepted" in withheld and "Benign" not in withheld and "Benign" in licensed
