"""A control that measures another lamp expires the acceptance of the bundle that runs, at its start and meanwhile."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.record.entry_parts import ControlSeries
from edge.record.store import Store
from tests.edge.bundle.acceptances import accept
from tests.edge.commissioning.control.controls import at, control
from tests.edge.commissioning.control.test_control_record import append

EDGE = Path(sys.executable).with_name("edge")
CAMERA = "sim:Early?motion=0&focus_drift=0&empty=0&fps=30"
BROKEN = {"outcome": "failed", "broken": {"brightness": ("1-3s",)}}
AFTER = 24.0 * 7  # hours after which the controls are later than the acceptance


@pytest.fixture
def device(tiny_bundle: Path, tmp_path: Path) -> tuple[list[str], ControlSeries]:
    """A run at the site that accepted the tiny bundle with 60 leukemic slides; what its controls belong to."""
    bundle = accept(Path(shutil.copytree(tiny_bundle, tmp_path / "tiny-int8")), leukemic=60, verdict="pass")
    profile = tmp_path / "edge.toml"
    profile.write_text('[camera]\nsize = [64, 48]\n[site]\nname = "lab-3"\n')
    words = ["run", "--bundle", bundle.path, "--camera", CAMERA, "--config", profile, "--store", tmp_path / "record"]
    series = ControlSeries("S-1", bundle.name, bundle.digest, "sim:")
    return [str(word) for word in (EDGE, *words, "--allow-unsigned", "--json")], series


def bodies(folder):
    with Store.open(folder / "record", read_only=True) as record:
        return [json.loads(row.body) for row in record.entries(through=record.head().id)]


def test_a_run_begins_without_the_acceptance_that_a_control_expired(device, tmp_path):
    words, series = device
    append(tmp_path / "record" / "control", control(at(AFTER), series=series, **BROKEN))
    done = subprocess.run([*words, "--frames", "3"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    begun = bodies(tmp_path)[0]
    assert begun["acceptance"] == "lab-3: acceptance expired: lamp_changed"
    assert "benign is not answered" in done.stderr

    append(tmp_path / "record" / "control", control(at(AFTER + 1), series=series))  # the lamp was turned up
    done = subprocess.run([*words, "--frames", "3"], capture_output=True, text=True, check=False, timeout=60)
    runs = [body for body in bodies(tmp_path) if body["type"] == "run"]
    assert done.returncode == 0 and "expired" not in runs[-1]["acceptance"]

    shutil.rmtree(tmp_path / "record" / "control")  # and with it what the runs went by
    done = subprocess.run([*words, "--frames", "3"], capture_output=True, text=True, check=False, timeout=60)
    runs = [body for body in bodies(tmp_path) if body["type"] == "run"]
    assert done.returncode == 0 and runs[-1]["acceptance"] == "lab-3: acceptance expired: control_unreadable"


@pytest.mark.slow
def test_a_run_ends_in_order_when_a_control_expires_it(device, tmp_path):
    words, series = device
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None and running.stdout.readline()
        append(tmp_path / "record" / "control", control(at(AFTER), series=series, **BROKEN))
        running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 0
    end = bodies(tmp_path)[-1]
    assert end["type"] == "end" and end["why"] == "acceptance expired: lamp_changed"
    assert "acceptance_expired" in {body.get("kind") for body in bodies(tmp_path)}
