"""A board's proof: what is measured, what is said where nothing can be, and the strict reading of its file."""

from pathlib import Path

import msgspec
import pytest

from docs.studies.boards import page
from edge.cameras.base import Camera, CameraSettings
from edge.cameras.picamera2 import Picamera2Camera
from edge.commands.doctor import ProofRequest, doctor
from edge.diagnostics.doctor import Finding
from edge.diagnostics.proof import cameras, load, measure
from edge.diagnostics.proof.record import (
    FORMAT,
    Board,
    CameraProof,
    LoadProof,
    PowerCut,
    Proof,
    SensorModeFound,
    read,
    read_file,
    read_power_cuts,
)
from edge.errors import InterpreterUnavailable, UsageError
from edge.settings.profile import parse
from edge.system.machine import Machine
from tests.edge.cameras.fake_picamera2 import FakeLibrary
from tests.paths import ROOT

BOARD = Board("Raspberry Pi 5 Model B Rev 1.0", 8062, "mmcblk0p2", "Debian GNU/Linux 13", "6.12.1", "aarch64", "3.13.5")
PROOF = Proof(
    format=FORMAT,
    taken="2026-11-30T12:00:00+00:00",
    software="0.1.0",
    board=BOARD,
    doctor=(Finding("power", "warning", "under-voltage has occurred", "another supply"),),
    load=LoadProof(
        seconds=300.0,
        invoke_fps=(90.0, 95.0, 88.5),
        temperature_c=(41.0, 83.1, 82.0),
        throttled_before=0,
        throttled_after=1 << 19 | 8,
        lowest_mhz=1500.0,
    ),
    cameras=(
        CameraProof(
            uri="picamera2:0",
            asked=(1280, 960),
            modes=(SensorModeFound((1640, 1232), 10, (0, 0, 3280, 2464), 41.85),),
            size=(1280, 960),
            pixel_format="BGR888",
            field_of_view="3280x2464 sensor pixels",
            seconds=20.0,
            frames=600,
            fps=30.0,
            interval_ms=(33.3, 34.1, 70.2),
        ),
        CameraProof(uri="uvc:/dev/video0", asked=(1280, 960), error="was unplugged"),
    ),
    power_cuts=(PowerCut(120, 124, 0), PowerCut(260, 258, 1)),
    not_measured=(measure.NO_EDGETPU,),
)


def test_the_file_is_read_as_it_was_written_and_nothing_else_is(tmp_path: Path) -> None:
    data = msgspec.json.encode(PROOF)
    assert read(data) == PROOF
    for wrong, said in (
        (data.replace(b'"taken"', b'"token"'), "unknown field|required field"),
        (data.replace(b'"memory_mib":8062', b'"memory_mib":"8062"'), "Expected `int`"),
        (data.replace(b'"software":"0.1.0"', b'"software":"0.1.0","software":"0.1.0"'), "a key is given twice"),
        (data.replace(b"proof 1", b"proof 2"), "Invalid enum value|Expected"),
        (b"[]", "must be a JSON object"),
    ):
        path = tmp_path / "board.json"
        path.write_bytes(wrong)
        with pytest.raises(UsageError, match=said) as caught:
            read_file(path)
        assert str(path) in str(caught.value)


def test_power_cuts_are_counted_by_what_was_printed() -> None:
    assert [cut.lost for cut in PROOF.power_cuts or ()] == [0, 2]


def test_a_file_of_power_cuts(tmp_path: Path) -> None:
    path = tmp_path / "cuts"
    path.write_text('{"announced": 5, "stored": 6, "verify": 0}\n')
    assert read_power_cuts(path) == (PowerCut(5, 6, 0),)
    path.write_text('{"announced": 5, "stored": 6}\n')
    with pytest.raises(UsageError, match="not a list of power cuts"):
        read_power_cuts(path)


def test_cameras_are_those_that_doctor_lists_and_the_profile_s_first() -> None:
    findings = [
        Finding("picamera2", "ok", "picamera2:0 imx708 (/base/x)"),
        Finding("V4L2 cameras", "ok", "uvc:/dev/video0 Scope; uvc:/dev/video2 Other (3 other V4L2 devices)"),
    ]
    found = ["picamera2:0", "uvc:/dev/video0", "uvc:/dev/video2"]
    assert cameras.listed(findings, "sim:?fps=30") == found
    assert cameras.listed(findings, "uvc:/dev/video2") == ["uvc:/dev/video2", "picamera2:0", "uvc:/dev/video0"]
    assert cameras.listed([Finding("V4L2 cameras", "ok", "no V4L2 camera")], "sim:") == []


def test_a_camera_s_frames_are_counted_and_its_modes_listed() -> None:
    def make(uri: str) -> Camera:
        return Picamera2Camera(uri, library=FakeLibrary())

    found = cameras.prove("picamera2:0", CameraSettings(size=(64, 48)), 0.2, make=make)
    assert (found.error, found.size, found.pixel_format) == ("", (64, 48), "BGR888")
    assert [mode.size for mode in found.modes] == [(640, 480), (1640, 1232), (1920, 1080), (3280, 2464)]
    assert found.modes[1].fps == 41.85 and "100% of the width" in found.field_of_view
    assert found.frames > 5 and found.skipped == found.unusable == 0 and found.fps and found.interval_ms
    assert found.fps == pytest.approx((found.frames - 1) / found.seconds, rel=0.02)


def test_a_pace_is_measured() -> None:
    found = cameras.prove("sim:?fps=20", CameraSettings(size=(64, 48)), 1.0)
    assert found.fps == pytest.approx(20, rel=0.25) and found.modes == ()


def test_a_camera_that_is_not_there_is_said() -> None:
    def make(uri: str) -> Camera:
        return Picamera2Camera(uri, library=FakeLibrary(cameras=()))

    found = cameras.prove("picamera2:7", CameraSettings(), 1.0, make=make)
    assert (found.frames, found.fps) == (0, None) and "no camera picamera2:7" in found.error


def test_load_by_hand(tmp_path: Path) -> None:
    """Ten inferences of a second: temperature and clock are looked at after each."""
    zone, clock = tmp_path / "sys/class/thermal/thermal_zone0", tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    for folder in (zone, clock):
        folder.mkdir(parents=True)
    seconds = [0.0]

    def infer() -> None:
        seconds[0] += 1
        (zone / "temp").write_text(str(int(1000 * (40 + seconds[0] * (seconds[0] < 8)))))
        (clock / "scaling_cur_freq").write_text("1500000" if seconds[0] == 5 else "2400000")

    (zone / "temp").write_text("39000")
    found = load.prove(infer, Machine(tmp_path), 10, now=lambda: seconds[0])
    assert found.seconds == 10 and found.invoke_fps == (1.0, 1.0, 1.0)
    assert found.temperature_c == (39.0, 47.0, 40.0) and found.lowest_mhz == 1500
    assert found.throttled_after is None
    bare = load.prove(infer, Machine(tmp_path / "nowhere"), 2, now=lambda: seconds[0])
    assert (bare.temperature_c, bare.lowest_mhz) == (None, None)


def test_a_machine_with_nothing_says_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise InterpreterUnavailable("no interpreter\nis installed")

    monkeypatch.setattr(measure.doctor, "diagnose", lambda _: [Finding("V4L2 cameras", "ok", "no V4L2 camera")])
    monkeypatch.setattr(measure.bench, "measure", unavailable)
    monkeypatch.setattr(measure, "serve", unavailable)
    settings = parse({"record": {"folder": str(tmp_path / "record")}})
    machine = Machine(tmp_path, store=tmp_path / "record")
    proof = measure.measure(machine, settings, camera_s=1, load_s=1, frames=20, allow_unsigned=False)
    assert proof.not_measured == (
        measure.NO_RELAY,
        measure.NO_CAMERA,
        "bench: no interpreter is installed",
        "load: no interpreter is installed",
        measure.NO_EDGETPU,
    )
    assert (proof.board.model, proof.cameras, proof.bench, proof.power_cuts) == ("", (), None, None)
    assert read(msgspec.json.encode(proof)) == proof


def test_the_command_s_words() -> None:
    asked = doctor(proof="/srv/board.json", seconds="5", load_seconds="60", store="/srv/record")
    assert isinstance(asked, ProofRequest)
    assert (asked.camera_s, asked.load_s, asked.settings.store) == (5, 60, Path("/srv/record"))
    for words in ({"power_cuts": "x"}, {"allow_unsigned": True}, {"proof": "x", "seconds": "0"}):
        with pytest.raises(UsageError):
            doctor(**words)  # type: ignore[arg-type]


def test_the_page_says_that_no_board_was_measured(tmp_path: Path) -> None:
    assert "**No board has been measured yet.**" in page.page(tmp_path)
    assert (ROOT / "docs/reference/boards.md").read_text() == page.page(ROOT / "docs/reference/boards")


def test_the_page_of_a_board_says_what_its_file_does(tmp_path: Path) -> None:
    (tmp_path / "pi5.json").write_bytes(msgspec.json.encode(PROOF))
    text = page.page(tmp_path)
    assert "No board has been measured" not in text
    for said in (
        "## pi5: Raspberry Pi 5 Model B Rev 1.0",
        "`edge doctor`: power: under-voltage has occurred",
        "300 s of inferences: 90.0 a second (95.0 at first, 88.5 at last); 41.0 C, at most 83.1, then 82.0; clock not "
        "below 1500 MHz; soft temperature limit active, soft temperature limit has occurred",
        "30.00 frames/s of BGR888 for 20 s; between two frames 33.3 ms, 95 % within 34.1, longest 70.2",
        "sensor modes 1640x1232 (41.85/s)",
        "`uvc:/dev/video0`, 1280x960: was unplugged",
        "2 power cuts in a run: 2 of 260 printed verdicts lost, 1 records that did not verify",
        f"not measured: {measure.NO_EDGETPU}",
    ):
        assert said in text, said
