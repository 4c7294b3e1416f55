"""`edge collect` and `edge export --reference` on drawn slides: what is stored, what is refused, what survives."""

import csv
import hashlib
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras.synthetic.laboratory import Laboratory
from edge.cli import COMMANDS
from edge.commissioning.fields_table import read_table
from edge.commissioning.reference.record import collected, reference_folder
from edge.record.audit import verify
from edge.record.retention import Retention, apply
from edge.record.store import Store
from edge.system.clock import Clock
from models.site.fields import load_site
from tests.commands import Run, command, in_this_process, shell
from tests.edge.record.records import later, tamper

STILL = "focus_drift=0&motion=0&empty=0"
PROFILE = "[camera]\nsize = [320, 240]\n"


@pytest.fixture
def edge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    profile = tmp_path / "edge.toml"
    profile.write_text(PROFILE)
    run = in_this_process(capsys, "edge", COMMANDS)

    def collect_or(*words: object) -> Any:
        first, *others = words
        if first == "collect":
            return run("collect", "--config", profile, "--store", tmp_path / "record", "--wait", "60", *others)
        return run(first, "--store", tmp_path / "record", *others)

    return collect_or


def camera(slide: int, label: str = "healthy", more: str = STILL) -> str:
    return f"sim:{label}?site=3&slide={slide}&{more}"


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn fields of one slide that have no piece in common, as files."""
    folder, laboratory = tmp_path_factory.mktemp("fields"), Laboratory(3)
    for number in range(12):
        frame = laboratory.field("healthy", 1, number, size=(320, 240)).frame
        cv2.imwrite(str(folder / f"{number:02}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_fields_are_stored_counted_and_the_same_command_goes_on(edge: Run, tmp_path: Path) -> None:
    words = ["--slide", "S-0412", "--reference", "healthy", "--camera", camera(1), "--operator", "JD", "--json"]
    first = edge("collect", *words, "--fields", 2)
    assert first.code == 0, first.err
    lines = objects(first.out)
    assert [(line["field"], line["stored"], line["wanted"]) for line in lines] == [(1, 1, 2), (2, 2, 2)]
    assert lines[0]["operator"] == "JD" and lines[0]["simulated"] and lines[0]["camera"] == "sim:?site=3"
    again = edge("collect", *words, "--fields", 2)
    assert (again.code, again.out) == (0, "")
    more = edge("collect", *words, "--fields", 4)
    assert [line["field"] for line in objects(more.out)] == [3, 4]
    bodies = collected(tmp_path / "record")
    assert [body.field for body in bodies] == [1, 2, 3, 4]
    assert {body.reference.session for body in bodies} == {f"{bodies[0].reference.day}-1"}
    assert bodies[0].reference.camera_settings["controls"]["ExposureTime"] == 8000
    assert bodies[0].reference.camera_settings["asked"]["size"] == [320, 240]
    assert "truth" not in bodies[0].reference.camera_settings["frame"]
    assert "fields came" not in more.err
    report = edge("verify", "--json").record["reference"]
    assert report["sound"] and report["references"] == 4 and report["images"] == 4


@pytest.mark.slow
def test_no_piece_of_a_slide_is_stored_twice_across_commands(edge: Run, tmp_path: Path) -> None:
    """Their places, which the virtual microscope knows, do not overlap by 5 %; one place has room for a few only."""
    words = ["--slide", "S-1", "--reference", "healthy", "--camera", camera(1, more=f"{STILL}&places=1")]
    done = edge("collect", *words, "--fields", 3)
    assert done.code == 0
    rest = edge("collect", *words, "--fields", 30, "--wait", 4)
    assert rest.code == 3
    assert "nothing new came for a while" in rest.out and "seen_before" in rest.out
    fields = [np.array(cv2.imread(str(path))) for path in sorted((tmp_path / "record").rglob("*.png"))]
    assert 3 <= len(fields) <= 6
    again = edge("collect", *words[:1], "S-2", *words[2:], "--fields", 1)
    assert again.code == 0  # another slide's fields are not compared


def test_a_first_look_at_a_replay_takes_no_frame_away(edge: Run, fields: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    blunt = cv2.GaussianBlur(cv2.imread(str(fields / "00.png")), (0, 0), 2.5)
    cv2.imwrite(str(folder / "a.png"), blunt)
    for name in ("00.png", "01.png", "02.png"):
        (folder / f"b{name}").symlink_to(fields / name)
    done = edge("collect", "--slide", "S-1", "--reference", "healthy", "--camera", f"replay:{folder}", "--fields", 5)
    assert done.code == 3
    assert "3 of 5 fields" in done.out and "out_of_focus 1" in done.out and "no more frames" in done.out
    bodies = collected(tmp_path / "record")
    assert [Path(body.reference.source).name for body in bodies] == ["b00.png", "b01.png", "b02.png"]
    assert {body.reference.camera for body in bodies} == {""}


def test_classes_are_asked_for_in_turn_and_giveaways_said_at_once(edge: Run) -> None:
    first = edge("collect", "--slide", "S-1", "--reference", "healthy", "--camera", camera(1), "--fields", 1)
    assert "a slide of another class than healthy" in first.out
    assert "all fields of healthy so far (1) came in session" in first.err
    words = ["--slide", "S-2", "--reference", "leukemic", "--camera", camera(2, "leukemic")]
    other = edge("collect", *words, "--fields", 1, "--session", "evening", "--json")
    [line] = objects(other.out)
    found = {(each["name"], each["class"]) for each in line["giveaways"]}
    assert ("class_is_session", "leukemic") in found and ("one_day", "leukemic") in found
    assert "the session gives the class away" in other.err
    assert line["next_class"] == "healthy"
    third = edge("collect", *words, "--fields", 2, "--session", "evening")
    assert "next, in this session (evening): a slide of healthy" in third.out


def test_a_slide_has_one_class(edge: Run, fields: Path, tmp_path: Path) -> None:
    words = ["--slide", "S-1", "--camera", f"replay:{fields}", "--fields", 1]
    assert edge("collect", *words, "--reference", "healthy").code == 0
    wrong = edge("collect", *words, "--reference", "leukemic")
    wrong.refused(2, "S-1 has fields of healthy, and leukemic was given", "a slide has one class")
    same = ["--camera", f"replay:{fields}", "--fields", 1]
    edge("collect", "--slide", "s-1", *same, "--reference", "leukemic").refused(
        2, "--slide must be written as before, S-1"
    )
    capital = edge("collect", "--slide", "S-2", *same, "--reference", "Healthy")
    capital.refused(2, "--reference must be written as before, healthy; got 'Healthy', which differs in capitals only")
    assert len(collected(tmp_path / "record")) == 1
    assert edge("collect", "--slide", "S-2", *same, "--reference", "healthy").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slide", "Jane Doe", "--reference", "healthy"], "--slide must not name a patient"),
        (["--slide", "Jane_Doe", "--reference", "healthy"], "such as S-0412"),
        (["--slide", "2019-03-07", "--reference", "healthy"], "a date, which may be one of birth"),
        (["--slide", "../S", "--reference", "healthy"], "--slide must be 1 to 64 of"),
        (["--slide", "S-1", "--reference", "a/b"], "--reference must be 1 to 64 of"),
        (["--slide", "S-1", "--reference", "healthy", "--operator", "Schmidt"], "initials (JD)"),
        (["--slide", "S-1", "--reference", "healthy", "--session", "Doe_Jane"], "--session must not name a patient"),
        (["--slide", "S-1", "--reference", "healthy", "--fields", "0"], "--fields must be at least 1"),
        (["--slide", "S-1", "--reference", "healthy", "--camera", "simm:"], "did you mean sim:"),
        (["--slide", "S-1"], "needs REFERENCE"),
    ],
)
def test_wrong_requests_store_nothing(edge: Run, tmp_path: Path, words: list[str], said: str) -> None:
    edge("collect", *words).refused(2, said)
    assert not (tmp_path / "record").exists()


def test_no_camera(edge: Run, tmp_path: Path) -> None:
    none = edge("collect", "--slide", "S-1", "--reference", "healthy", "--camera", "uvc:/dev/video93")
    none.refused(4, "/dev/video93")
    assert collected(tmp_path / "record") == []


def test_a_full_disk_loses_no_stored_field(disk_of: Callable[[str], Path], fields: Path, tmp_path: Path) -> None:
    disk = disk_of("1m")
    profile = tmp_path / "edge.toml"
    profile.write_text(PROFILE)
    words = [
        "--config",
        profile,
        "--store",
        disk / "record",
        "--slide",
        "S-1",
        "--reference",
        "healthy",
        "--wait",
        "60",
    ]
    done = shell("edge", "collect", *words, "--camera", f"replay:{fields}", "--fields", "200", "--json")
    assert done.returncode == 4
    assert "No space left" in done.stderr.splitlines()[-1]
    said = objects(done.stdout)
    report = verify(reference_folder(disk / "record"))
    assert report.sound and report.references == len(said) >= 2


def test_a_killed_collection_loses_no_stored_field_and_goes_on(edge: Run, fields: Path, tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(PROFILE)
    words = [
        "--config",
        tmp_path / "edge.toml",
        "--store",
        tmp_path / "record",
        "--slide",
        "S-1",
        "--reference",
        "healthy",
    ]
    said: list[dict[str, Any]] = []
    for wanted in (3, 6):
        with subprocess.Popen(
            [
                *command("edge"),
                "collect",
                *map(str, words),
                "--camera",
                f"replay:{fields}?fps=8",
                "--fields",
                "200",
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as running:
            assert running.stdout is not None
            while len(said) < wanted:
                said.append(json.loads(running.stdout.readline()))
            time.sleep(0.05)
            running.kill()
            said += [
                json.loads(line) for line in running.stdout.read().splitlines(keepends=True) if line.endswith("\n")
            ]
    report = verify(reference_folder(tmp_path / "record"))
    assert report.sound and report.references >= len(said)
    bodies = collected(tmp_path / "record")
    assert [body.field for body in bodies] == list(range(1, len(bodies) + 1))
    assert {line["image_sha256"] for line in said} <= {body.image.sha256 for body in bodies}
    total = len(bodies) + 1
    done = edge(
        "collect",
        "--slide",
        "S-1",
        "--reference",
        "healthy",
        "--camera",
        f"replay:{fields}?fps=8",
        "--fields",
        total,
        "--json",
    )
    assert (done.code, [line["stored"] for line in objects(done.out)]) == (0, [total])


def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(PROFILE)
    words = [
        "--config",
        tmp_path / "edge.toml",
        "--store",
        tmp_path / "record",
        "--slide",
        "S-1",
        "--reference",
        "healthy",
    ]
    with subprocess.Popen(
        [*command("edge"), "collect", *map(str, words), "--camera", camera(1), "--fields", "200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,  # noqa: PLW1509
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 3
    assert "stopped; the same command goes on" in out and "Traceback" not in err
    with Store.open(reference_folder(tmp_path / "record"), read_only=True) as store:
        event = store.last_event(("collecting", "collected"))
    assert event is not None and event.kind == "collected" and event.detail.startswith("stopped: ")


def test_the_export_is_a_site_that_can_be_read(edge: Run, tmp_path: Path) -> None:
    for slide, label in ((1, "healthy"), (2, "leukemic")):
        words = ["--slide", f"S-{slide}", "--reference", label, "--camera", camera(slide, label)]
        assert edge("collect", *words, "--fields", 2).code == 0
    done = edge("export", "--reference", "--to", tmp_path / "site", "--json")
    assert done.code == 0
    assert done.record["classes"]["healthy"] == {"fields": 2, "slides": 1, "sessions": 1, "days": 1}
    assert "came in session" in done.err
    rows = read_table(tmp_path / "site/fields.csv")
    assert [row.file for row in rows] == [
        f"{label}/S-{slide}_{number:06d}.png" for slide, label in ((1, "healthy"), (2, "leukemic")) for number in (1, 2)
    ]
    for row in rows:
        assert hashlib.sha256((tmp_path / "site" / row.file).read_bytes()).hexdigest() == row.sha256
    assert {row.camera for row in rows} == {"sim:?site=3"} and {row.session for row in rows} == {f"{rows[0].date}-1"}
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "site", capture_output=True, check=False)
    assert sums.returncode == 0
    site = load_site(tmp_path / "site")
    assert (site.labels, list(site.slides)) == (("healthy", "leukemic"), ["S-1", "S-2"])
    assert "Research use only" in (tmp_path / "site/README.txt").read_text()
    with (tmp_path / "site/fields.csv").open() as table:
        assert next(csv.reader(table)) == [
            "file",
            "slide",
            "label",
            "session",
            "camera",
            "date",
            "sha256",
            "camera_setup",
        ]


def test_an_altered_image_is_named_and_left_out(edge: Run, fields: Path, tmp_path: Path) -> None:
    words = ["--slide", "S-1", "--reference", "healthy", "--camera", f"replay:{fields}"]
    assert edge("collect", *words, "--fields", 2).code == 0
    image = reference_folder(tmp_path / "record") / "images/S-1/000/000001.png"
    image.write_bytes(image.read_bytes() + b"x")
    checked = edge("verify")
    assert checked.code == 1 and "000001.png: was altered" in checked.out
    done = edge("export", "--reference", "--to", tmp_path / "site")
    assert done.code == 1 and "000001.png: was altered" in done.out and "nothing was marked" in done.out
    assert [row.file for row in read_table(tmp_path / "site/fields.csv")] == ["healthy/S-1_000002.png"]
    edge("collect", *words, "--fields", 3).refused(1, "000001.png: was altered; see `edge verify`")


def test_an_altered_entry_is_found(edge: Run, fields: Path, tmp_path: Path) -> None:
    assert (
        edge("collect", "--slide", "S-1", "--reference", "healthy", "--camera", f"replay:{fields}", "--fields", 1).code
        == 0
    )
    folder = reference_folder(tmp_path / "record")
    tamper(folder, "UPDATE entries SET body = replace(body, '\"healthy\"', '\"leukemic\"')")
    assert edge("verify").code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--reference", "--to", "{}/site"], "no reference fields were collected here"),
        (["--reference", "--slide", "S-1", "--to", "{}/site"], "--slide or --reference"),
        (["--reference"], "needs --to"),
        (["--to", "{}/site"], "needs --slide, or --reference"),
    ],
)
def test_exports_that_cannot_be(edge: Run, tmp_path: Path, words: list[str], said: str) -> None:
    edge("export", *(word.format(tmp_path) for word in words)).refused(2, said)


def test_retention_removes_no_reference_field_before_its_export(edge: Run, fields: Path, tmp_path: Path) -> None:
    words = ["--slide", "S-1", "--reference", "healthy", "--camera", f"replay:{fields}"]
    assert edge("collect", *words, "--fields", 2).code == 0
    folder = reference_folder(tmp_path / "record")
    everything = Retention(gigabytes=1e-9, only_exported=False)

    def pruned() -> int:
        with Store.open(folder) as store:
            return apply(store, everything, later(0)).images

    assert pruned() == 0 and verify(folder).references == 2
    assert edge("export", "--reference", "--to", tmp_path / "site").code == 0
    assert pruned() == 2 and verify(folder).sound


def test_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    """An image whose entry was never written: the next start moves it away, and the record is sound."""
    with Store.open(tmp_path) as store:
        store.begin_collection("S-1", Clock().now(), "2 fields of healthy")
        store.images.save("S-1", [(1, ".png", b"half a field")])
    assert verify(tmp_path).sound and verify(tmp_path).unrecorded == 1
    with Store.open(tmp_path):
        pass
    report = verify(tmp_path)
    assert report.sound and (report.unrecorded, report.left_over) == (0, 1)


def test_one_collection_at_a_time(edge: Run, tmp_path: Path) -> None:
    with Store.open(reference_folder(tmp_path / "record")):
        busy = edge("collect", "--slide", "S-1", "--reference", "healthy", "--camera", camera(1), "--fields", 1)
    busy.refused(4, "writes to this record")
