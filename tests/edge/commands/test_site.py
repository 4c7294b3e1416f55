"""What a device at a named site runs, and what it may say: by the acceptance in the bundle, in every command alike."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.trusted import TrustedKeys
from edge.cli import COMMANDS
from edge.commands.bundles.slots import _doubts
from edge.commands.bundles.update import update
from edge.commands.command_line import main
from edge.diagnostics import trust
from edge.errors import AcceptanceError
from edge.inference.licence import Licence
from edge.record.audit import verify
from edge.record.store import Store
from edge.serving.licensing import CAMERA_SETUP_CHANGED, expired, licence_of, under_setup
from edge.serving.update.status import SlotStatus
from edge.settings.site import SiteSettings
from edge.system.machine import Machine
from tests.edge.bundle.acceptances import accept

BENIGN, OTHER = "benign.png", "other.png"
SITE = '[site]\nname = "lab-3"\n'
STUDY = f"{SITE}study = true\n"


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny-int8"))


@pytest.fixture
def images(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """One image that the tiny network calls benign, and one that it does not."""
    folder, rng = tmp_path / "images", np.random.default_rng(5)
    folder.mkdir()
    for number in range(60):
        colour = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.png"), cv2.resize(colour, (64, 48), interpolation=cv2.INTER_NEAREST))
    words = ["classify", str(folder), "--bundle", str(bundle), "--allow-unsigned", "--json", "--ungated"]
    assert main("edge", COMMANDS, words) == 0
    said = {Path(r["path"]): r["label"] for r in map(json.loads, capsys.readouterr().out.splitlines())}
    chosen = {
        BENIGN: next(path for path, label in said.items() if label == "Benign"),
        OTHER: next(path for path, label in said.items() if label != "Benign"),
    }
    kept = tmp_path / "kept"
    kept.mkdir()
    for name, path in chosen.items():
        shutil.copy(path, kept / name)
    return kept


def load(path: Path) -> Bundle:
    return bundles.load(path, trust=TrustedKeys(Path("keys")), allow_unsigned=True)


class Device:
    """Commands with a profile, and what they print."""

    def __init__(self, bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.bundle, self.images, self.folder, self.capsys = bundle, images, tmp_path, capsys

    def __call__(self, name: str, profile: str = "", *more: str) -> tuple[int, str, str]:
        path = self.folder / "edge.toml"
        path.write_text(profile)
        store = self.folder / "record"
        words = {
            "classify": ["classify", str(self.images)],
            "run": ["run", "--camera", f"replay:{self.images}", "--store", str(store), "--slide", "s1"],
        }[name]
        words += ["--bundle", str(self.bundle), "--allow-unsigned", "--config", str(path), *more]
        self.capsys.readouterr()
        code = main("edge", COMMANDS, words)
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def said(self, name: str, profile: str = "") -> list[dict[str, Any]]:
        code, out, _ = self(name, profile, "--json")
        assert code == 0
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def device(bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Device:
    return Device(bundle, images, tmp_path, capsys)


@pytest.mark.parametrize("name", ["classify", "run"])
def test_without_a_site_every_verdict_says_that_no_site_accepted_it(name: str, device: Device) -> None:
    said = device.said(name)
    assert "Benign" in [each["label"] for each in said]
    assert {each["acceptance"] for each in said} == {"not accepted at any site"}
    code, out, _ = device(name)
    assert code == 0 and out.count("  (not accepted at any site)") == 2


@pytest.mark.parametrize("name", ["classify", "run"])
def test_a_device_that_names_its_site_refuses_what_the_site_did_not_accept(name: str, device: Device) -> None:
    code, out, error = device(name, SITE)
    assert (code, out) == (2, "") and error.count("error: ") == 1
    assert "is not accepted at lab-3: no slides of any site were judged with it" in error
    assert "`convert accept tiny-int8 --data DIR`" in error and "`study = true`" in error
    accept(device.bundle, leukemic=60, healthy=5, site="lab-4")
    code, out, error = device(name, SITE)
    assert (code, out) == (2, "") and "is not accepted at lab-3: it was accepted at lab-4" in error
    accept(device.bundle, leukemic=60, healthy=5, verdict="fail")
    code, out, error = device(name, SITE)
    assert (code, out) == (2, "") and "its acceptance there failed" in error


@pytest.mark.parametrize("name", ["classify", "run"])
def test_in_study_mode_it_runs_and_says_so(name: str, device: Device) -> None:
    said = device.said(name, STUDY)
    assert "Benign" in [each["label"] for each in said]
    assert {each["acceptance"] for each in said} == {"not accepted at any site"}
    accept(device.bundle, leukemic=60, healthy=5, site="lab-4")
    assert {each["acceptance"] for each in device.said(name, STUDY)} == {"not accepted here: lab-4 did"}


@pytest.mark.parametrize("profile", ["", SITE, STUDY])
@pytest.mark.parametrize("name", ["classify", "run"])
def test_twelve_slides_without_an_error_never_say_benign(name: str, profile: str, device: Device) -> None:
    accept(device.bundle, leukemic=12, healthy=5)
    for each in device.said(name, profile):
        assert each["label"] in (None, "suspicious") and each["probabilities"] is None
        if each["label"] is None:
            assert each["reason"] == "not_accepted" and "0 of 12 leukemic slides" in each["detail"]
            assert "22 %" in each["detail"]
    code, out, _ = device(name, profile)
    assert code == 0 and "Benign" not in out and "suspicious" in out and "22 %" in out


@pytest.mark.parametrize(
    ("slides", "missed", "percent"), [(29, 0, 10), (59, 0, 5), (149, 0, 2), (299, 0, 1), (46, 1, 10)]
)
def test_above_29_the_bound_stands_on_every_verdict(slides: int, missed: int, percent: int, device: Device) -> None:
    accept(device.bundle, leukemic=slides, healthy=5, missed=missed, verdict="pass")
    bound = f"lab-3: at most {percent} % of leukemic slides found benign ({missed} of {slides}, 95 % confidence)"
    for name in ("classify", "run"):
        said = device.said(name, SITE)
        assert {each["acceptance"] for each in said} == {bound} and "Benign" in [each["label"] for each in said]
        assert device(name, SITE)[1].count(f"  ({bound})") == 2


def test_a_run_ends_with_the_finding_that_the_bound_is_of(device: Device) -> None:
    assert "by the rule" not in device("run")[1], "nothing was accepted"
    accept(device.bundle, leukemic=29, healthy=5)
    assert "; slide s1: suspicious by the rule tenth-1" in device("run", SITE)[1]
    (device.images / OTHER).unlink()
    assert "by the rule" not in device("run", SITE)[1], "one field, where accepted slides had four"
    for number in range(3):
        shutil.copy(device.images / BENIGN, device.images / f"{number}.png")
    assert "; slide s1: benign by the rule tenth-1" in device("run", SITE)[1]
    accept(device.bundle, leukemic=12, healthy=5)
    assert "; slide s1: undecided by the rule tenth-1" in device("run", SITE)[1]


def test_the_record_and_the_export_keep_it(device: Device, tmp_path: Path) -> None:
    accept(device.bundle, leukemic=29, healthy=5)
    device("run", SITE)
    bound = "lab-3: at most 10 % of leukemic slides found benign (0 of 29, 95 % confidence)"
    with Store.open(tmp_path / "record", read_only=True) as store:
        run = store.last_run()
    assert run is not None and run.acceptance == bound
    words = ["export", "--slide", "s1", "--to", str(tmp_path / "out"), "--store", str(tmp_path / "record")]
    assert main("edge", COMMANDS, words) == 0
    out = tmp_path / "out"
    assert bound in (out / "README.txt").read_text() and bound in (out / "verdicts.csv").read_text()
    assert json.loads((out / "chain.json").read_text())["bundles"][0]["acceptance"] == bound


def test_another_set_up_of_the_camera_expires_it(device: Device, tmp_path: Path) -> None:
    accept(device.bundle, leukemic=29, healthy=5, camera_setups=("a" * 64,))
    (tmp_path / "edge.toml").write_text(SITE)
    words = ["run", "--camera", "sim:?fps=200", "--store", str(tmp_path / "record"), "--frames", "6", "--json"]
    words += ["--bundle", str(device.bundle), "--allow-unsigned", "--config", str(tmp_path / "edge.toml")]
    device.capsys.readouterr()
    assert main("edge", COMMANDS, words) == 0
    said = device.capsys.readouterr()
    records = [json.loads(line) for line in said.out.splitlines()]
    assert {each["acceptance"] for each in records} == {"lab-3: acceptance expired: camera_setup_changed"}
    assert {each["label"] for each in records} <= {None, "suspicious"}
    assert "warning: lab-3: acceptance expired: camera_setup_changed: benign is not answered" in said.err
    with Store.open(tmp_path / "record", read_only=True) as store:
        event = store.last_event(["acceptance_expired"])
    assert event is not None and event.detail == CAMERA_SETUP_CHANGED


@pytest.mark.parametrize("name", ["classify", "run"])
def test_gates_that_are_not_asked_expire_it(name: str, device: Device) -> None:
    accept(device.bundle, leukemic=29, healthy=5)
    code, out, error = device(name, SITE, "--ungated")
    assert code == 0 and out.count("(lab-3: acceptance expired: gates_off)") >= 1 and "Benign" not in out
    assert "warning: lab-3: acceptance expired: gates_off: benign is not answered" in error
    assert "expired" not in device(name, SITE)[1]


def test_the_licence_by_set_up_and_reason(bundle: Path) -> None:
    accept(bundle, leukemic=29, healthy=5, camera_setups=("", "a" * 64))
    loaded = load(bundle)
    here = licence_of(loaded, SiteSettings("lab-3"))
    assert here.accepted and here.answered("Benign") == "Benign"
    for same in ("", "a" * 64):
        assert under_setup(here, loaded, same) == here
    gone = under_setup(here, loaded, "b" * 64)
    assert (gone.expired, gone.accepted) == (CAMERA_SETUP_CHANGED, False)
    assert (gone.answered("Benign"), gone.answered("Pre")) == (None, "suspicious")
    assert expired(here, loaded, "lamp_changed").acceptance == "lab-3: acceptance expired: lamp_changed"
    study = licence_of(loaded, SiteSettings("lab-9", study=True))
    assert under_setup(study, loaded, "b" * 64) == study, "nothing was accepted that could expire"
    assert Licence().answered("Benign") == "Benign"


def test_doctor_says_what_the_bundle_may_say(bundle: Path) -> None:
    def finding(site: str = "", study: bool = False, camera: str = "") -> tuple[str, str]:
        found = trust.acceptance(Machine(site=site, study=study, camera=camera), load(bundle))
        assert bool(found.cure) == (found.state != "ok")
        return found.state, found.found

    assert finding()[0] == "ok" and finding()[1].startswith("not accepted at any site: ")
    assert finding("lab-3")[0] == "missing" and "is not accepted at lab-3" in finding("lab-3")[1]
    assert finding("lab-3", study=True) == ("warning", "not accepted at any site")
    accept(bundle, leukemic=12, healthy=5)
    assert finding("lab-3")[0] == "warning" and "benign is not answered" in finding("lab-3")[1]
    accept(bundle, leukemic=29, healthy=5, camera_setups=("a" * 64,))
    assert finding("lab-3")[0] == "ok"
    assert finding("lab-3", camera="replay:/srv")[0] == "ok"
    assert "gates_off" in trust.acceptance(Machine(site="lab-3", ungated=True), load(bundle)).found
    assert "acceptance expired: camera_setup_changed" in finding("lab-3", camera="sim:")[1]


def test_an_update_installs_nothing_that_the_site_did_not_accept(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(SITE)
    request = update(
        str(bundle), config=str(tmp_path / "edge.toml"), slots=str(tmp_path / "slots"), allow_unsigned=True
    )
    with pytest.raises(AcceptanceError, match="is not accepted at lab-3"):
        request._require_runnable(load(bundle))
    accept(bundle, leukemic=29, healthy=5)
    request._require_runnable(load(bundle))


def test_the_audit_of_the_record_counts_runs_by_acceptance(device: Device, tmp_path: Path) -> None:
    device("run")
    accept(device.bundle, leukemic=29, healthy=5)
    device("run", SITE, "--slide", "s2")
    report = verify(tmp_path / "record")
    assert report.sound and set(report.acceptances.values()) == {1} and len(report.acceptances) == 2
    assert "1 run: not accepted at any site" in report.text()
    assert "1 run: lab-3: at most 10 % of leukemic slides found benign" in report.text()


def test_the_slots_show_it() -> None:
    status = SlotStatus(
        "tiny-int8", 3, None, None, None, synthetic_certificate=False, acceptance="accepted at lab-3: x"
    )
    assert _doubts(status) == "accepted at lab-3: x"
