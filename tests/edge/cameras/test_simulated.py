"""The virtual microscope: its frames, the truth about them, its scripted failures and the rules it obeys."""

import json
import math
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge.cameras.base import Camera, CameraSettings, Frame
from edge.cameras.simulation.settings import Fault, SimSettings, parse
from edge.cameras.simulation.simulated import RIGHT_COLOUR_GAINS, RIGHT_EXPOSURE_US, SimulatedCamera
from edge.cameras.simulation.stage import DRIFT_FRAMES, DRIFT_PERIOD, FRAMES_A_STOP, Stage
from edge.cameras.synthetic.laboratory import Laboratory
from edge.cameras.synthetic.smear import SYNTHETIC_NOTICE, SyntheticSmear
from edge.errors import CameraLost, CameraNotFound, CameraSettingsError, CameraTimeout, FrameCorrupt
from edge.inference.contract import Pixels

SIZE = (128, 96)
CLEAN = "motion=0&focus_drift=0&noise=0"
pytestmark = pytest.mark.usefixtures("drawn_once")


def started(uri: str, size: tuple[int, int] = SIZE, **settings: object) -> SimulatedCamera:
    camera = SimulatedCamera(uri)
    camera.open()
    camera.configure(CameraSettings(size=size, **settings))  # type: ignore[arg-type]
    return camera


def frames(uri: str, count: int, size: tuple[int, int] = SIZE, **settings: object) -> list[Frame]:
    with started(uri, size, **settings) as camera:
        return [camera.capture(1) for _ in range(count)]


def truth(frame: Frame) -> dict[str, object]:
    found: dict[str, object] = frame.metadata["truth"]
    return found


def sharpness(pixels: Pixels) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


@pytest.fixture(scope="module")
def scan() -> list[Frame]:
    """Ten stops of the default microscope, one of them beside the smear."""
    return frames("sim:Pre?seed=3", 10 * FRAMES_A_STOP, (160, 120))


# The URI


def test_every_key_is_read():
    settings = parse(
        "sim:Pre?seed=-3&fps=30&motion=0.2&focus_drift=0.5&exposure_error=-1&vignetting=0.3&noise=1&empty=0.25&debris=3"
        "&fail=stall@100,unplug@250:3,corrupt@40"
    )
    script = (Fault("corrupt", 40, 0), Fault("stall", 100, math.inf), Fault("unplug", 250, 3))
    assert settings == SimSettings("Pre", -3, 30, 0.2, 0.5, -1, 0.3, 1, 0.25, 3, script)


@pytest.mark.parametrize("uri", ["sim:", "sim:?", "sim:Benign"])
def test_everything_has_a_default(uri: str):
    assert parse(uri) == SimSettings()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("uvc:0", "camera must be sim:"),
        ("sim:pre", "did you mean Pre"),
        ("sim:Lymphoma", "there are Benign, Early, Pre, Pro"),
        ("sim:?focusdrift=1", "did you mean focus_drift"),
        ("sim:?sede=1", "did you mean seed"),
        ("sim:?seed=1&seed=1", "seed must be given once"),
        ("sim:?seed=1.5", "seed must be a whole number"),
        ("sim:?seed", "seed must be a whole number"),
        ("sim:?fps=0", "fps must be a number in 0.1..1000"),
        ("sim:?motion=1", "motion must be a number in 0..0.9"),
        ("sim:?focus_drift=nan", "focus_drift must be a number in 0..50"),
        ("sim:?exposure_error=5", "exposure_error must be a number in -4..4"),
        ("sim:?vignetting=1", "vignetting must be a number in 0..0.95"),
        ("sim:?noise=-1", "noise must be a number in 0..50"),
        ("sim:?empty=2", "empty must be a number in 0..1"),
        ("sim:?debris=x", "debris must be a number in 0..20"),
        ("sim:?fail=stal@1", "did you mean stall"),
        ("sim:?fail=stall", "KIND@FRAME"),
        ("sim:?fail=stall@-1", "KIND@FRAME"),
        ("sim:?fail=", "no failure is called"),
        ("sim:?fail=stall@1:x", "seconds must be a number"),
        ("sim:?fail=corrupt@1:2", "takes no seconds"),
        ("sim:?site=-1", "site must be in 0..1000000"),
        ("sim:?site=x", "site must be a whole number"),
        ("sim:?site=1&slde=2", "did you mean slide"),
        ("sim:?slide=2", "slide is of a drawn laboratory and needs site=NUMBER"),
        ("sim:?camera_no=1", "camera_no is of a drawn laboratory and needs site=NUMBER"),
        ("sim:leukemic", "no recipe is called 'leukemic'"),
    ],
)
def test_a_wrong_uri_is_named(uri: str, message: str):
    with pytest.raises(CameraSettingsError, match=message):
        SimulatedCamera(uri)


# Frames


def test_a_frame_is_what_the_slide_draws_there():
    """Mosaic, tiles, crop and light against a field drawn at that place with its own light."""
    for uri, count in ((f"sim:Pre?seed=5&empty=0&{CLEAN}", 61), (f"sim:Benign?seed=1&empty=0&{CLEAN}", 41)):
        frame = frames(uri, count, (320, 240))[-1]
        settings, about = parse(uri), truth(frame)
        slide = SyntheticSmear(settings.seed, settings.recipe)
        field = slide.field(about["x_um"], about["y_um"], (320, 240), about["um_per_px"], noise=None)  # type: ignore[arg-type]
        inner = np.s_[8:-8, 8:-8]  # at its edge the field's blur guesses what the mosaic knows
        difference = np.abs(frame.pixels.astype(int) - field.frame)[inner]
        assert about["um_per_px"] * 240 == pytest.approx(80.64)  # type: ignore[operator]
        assert difference.mean() < 0.8
        assert np.mean(difference > 2) < 0.015  # rounding of positions, and of light before and after the blur
        assert difference.max() <= 12
        shifted = np.abs(frame.pixels[:, 1:].astype(int) - field.frame[:, :-1])  # control: one pixel beside
        assert np.mean(shifted > 2) > 0.05


def test_a_frame_is_what_the_laboratory_draws_there():
    """As above, of a laboratory's slide; the seed says which piece of it."""
    for seed in (0, 2):
        uri = f"sim:leukemic?site=3&slide=12&session=2&camera_no=1&seed={seed}&empty=0&{CLEAN}"
        frame = frames(uri, 41, (320, 240))[-1]
        about, laboratory = truth(frame), Laboratory(3)
        place = (about["x_um"], about["y_um"], (320, 240), about["um_per_px"])
        assert about["um_per_px"] == laboratory.um_per_px(1, 240)
        drawn = laboratory.smear("leukemic", 12, session=2, camera=1).field(*place, noise=None)  # type: ignore[arg-type]
        assert about["kinds"] == Counter(cell.kind for cell in drawn.white_cells)
        difference = np.abs(frame.pixels.astype(int) - drawn.frame)[8:-8, 8:-8]
        assert np.mean(difference > 2) < 0.02
        other = laboratory.smear("leukemic", 12, session=2, camera=0).field(*place, noise=None)  # type: ignore[arg-type]
        assert np.mean(np.abs(frame.pixels.astype(int) - other.frame) > 2) > 0.2  # control: the other camera
    pieces = [truth(frames(f"sim:?site=3&seed={k}&empty=0&{CLEAN}", 1)[0])["x_um"] for k in range(3)]
    assert pieces == sorted(pieces)
    assert min(np.diff(pieces)) > 300  # type: ignore[call-overload]


def test_a_laboratorys_camera_has_its_own_noise():
    assert parse("sim:?site=3&camera_no=1").noise == Laboratory(3).camera(1).noise
    assert parse("sim:?site=3&camera_no=1&noise=0.5").noise == 0.5


def test_white_cells_in_view_are_the_slides(scan: list[Frame]):
    slide = SyntheticSmear(3, "Pre")
    seen = set()
    for frame in scan[10::FRAMES_A_STOP]:
        about = truth(frame)
        if about["empty"]:
            continue
        field = slide.field(about["x_um"], about["y_um"], (160, 120), about["um_per_px"])  # type: ignore[arg-type]
        kinds = Counter(cell.kind for cell in field.white_cells)
        assert about["kinds"] == kinds
        assert about["white_cells"] == kinds.total()
        seen.add(kinds.total())
    assert len(seen) > 2


def test_the_same_uri_gives_the_same_frames_and_another_seed_others():
    first, again = frames("sim:Pro?seed=2", 25), frames("sim:Pro?seed=2", 25)
    other = frames("sim:Pro?seed=3", 25)
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
        assert a.metadata == b.metadata
        assert not np.array_equal(a.pixels, c.pixels)


def test_no_two_frames_of_a_still_stage_are_equal_and_their_noise_is_as_asked():
    still = [frame.pixels for frame in frames("sim:?motion=0&focus_drift=0&noise=3&exposure_error=-1", FRAMES_A_STOP)]
    assert len({pixels.tobytes() for pixels in still}) == FRAMES_A_STOP
    assert np.std(np.array(still, float), axis=0).mean() == pytest.approx(3, rel=0.1)
    quiet = frames("sim:?motion=0&focus_drift=0&noise=0", 2)
    assert np.array_equal(quiet[0].pixels, quiet[1].pixels)


def test_metadata_is_json_and_says_that_frames_are_drawn(scan: list[Frame]):
    assert json.loads(json.dumps(scan[7].metadata)) == scan[7].metadata
    assert scan[7].metadata["notice"] == SYNTHETIC_NOTICE
    assert SimulatedCamera("sim:").notice == SYNTHETIC_NOTICE


# Stage, focus, light


def test_most_frames_are_still_and_moving_ones_are_smeared_along_the_way(scan: list[Frame]):
    moving = [truth(frame)["moving"] for frame in scan]
    assert sum(moving) == 9 * round(0.1 * FRAMES_A_STOP)  # type: ignore[arg-type]
    places = {(truth(f)["x_um"], truth(f)["y_um"]) for f, moves in zip(scan, moving, strict=True) if not moves}
    assert len(places) == 10
    for frame, moves in zip(scan, moving, strict=True):
        assert (truth(frame)["motion_um"] > 1.0) == moves  # type: ignore[operator]
    still, smeared = frames("sim:Pre?seed=3&motion=0.05&noise=0", FRAMES_A_STOP + 1)[-2:]  # moves along x

    def across(frame: Frame) -> float:
        gray = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY).astype(float)
        return float(np.abs(np.diff(gray, axis=0)).mean() / np.abs(np.diff(gray, axis=1)).mean())

    assert across(still) == pytest.approx(1, abs=0.25)
    assert across(smeared) > 1.35


@pytest.mark.parametrize("empty", [0.0, 0.3])
def test_the_scan_stays_on_the_mosaic(empty: float):
    stage = Stage(9, (100, 60), 0.5, 0, empty)
    poses = [stage.pose(frame) for frame in range(4000)]
    assert all(0 <= pose.x <= 200 and 0 <= pose.y <= 60 and min(pose.smear) == 0 for pose in poses)
    assert {pose.beside for pose in poses} == {False, empty > 0}
    stops = {pose.stop: pose.beside for pose in poses}  # the last pose of a stop is at rest
    assert sum(stops.values()) == round(empty * len(stops))


def test_focus_drifts_for_a_known_share_and_blur_follows_it():
    drifting = frames("sim:Pre?seed=1&motion=0&focus_drift=3&noise=0&empty=0", 2 * DRIFT_PERIOD)
    defocus = np.array([truth(frame)["defocus_um"] for frame in drifting], float)
    assert np.count_nonzero(defocus) == 2 * DRIFT_FRAMES
    assert 2.8 < defocus.max() <= 3
    assert -3 <= defocus.min() < -2.8
    at_stop = [frame for frame in drifting[120:140] if truth(frame)["defocus_um"]]  # one place, rising then falling
    at_stop.sort(key=lambda frame: truth(frame)["defocus_um"])  # type: ignore[arg-type, return-value]
    measured = [sharpness(frame.pixels) for frame in at_stop[::2]]
    assert measured == sorted(measured, reverse=True)
    assert sharpness(at_stop[-1].pixels) < 0.05 * sharpness(at_stop[0].pixels)


@pytest.mark.parametrize("defocus", [0.4, 1.2, 2.8])
def test_out_of_focus_is_as_the_slide_draws_it(defocus: float):
    """Each way of blurring (whole, half and quarter size) against the slide's own."""
    size = (640, 480)
    frame = frames(f"sim:Pre?empty=0&{CLEAN.replace('focus_drift=0', 'focus_drift=3')}", 136, size)
    about = min((truth(f) | {"pixels": f.pixels} for f in frame), key=lambda t: abs(t["defocus_um"] - defocus))  # type: ignore[operator]
    place = about["x_um"], about["y_um"], size, about["um_per_px"], about["defocus_um"]
    field = SyntheticSmear(0, "Pre").field(*place, noise=None)  # type: ignore[arg-type]
    inner = np.s_[40:-40, 40:-40]  # at the frame's edge both guess what lies outside
    difference = np.abs(about["pixels"][inner].astype(int) - field.frame[inner])  # type: ignore[index]
    assert abs(about["defocus_um"] - defocus) < 0.15  # type: ignore[operator]
    assert difference.mean() < 1.0
    assert np.mean(difference > 4) < 0.01


def test_light_follows_exposure_gain_and_the_error():
    right, under, over = (frames(f"sim:?{CLEAN}&exposure_error={e}", 1)[0] for e in (0, -1, 1.5))
    assert under.pixels.mean() == pytest.approx(right.pixels.mean() / 2, rel=0.02)
    assert np.mean(over.pixels == 255) > 0.8
    assert [truth(f)["exposure"] for f in (right, under)] == [1.0, 0.5]
    by_hand = frames(f"sim:?{CLEAN}", 1, exposure_us=RIGHT_EXPOSURE_US // 4, gain=2.0)[0]
    assert np.array_equal(by_hand.pixels, under.pixels)
    assert by_hand.metadata["ExposureTime"] == RIGHT_EXPOSURE_US // 4
    assert by_hand.metadata["AnalogueGain"] == 2.0


def test_colour_gains_tint_the_frame():
    right = frames(f"sim:?{CLEAN}", 1)[0].pixels.mean(axis=(0, 1))
    red, blue = RIGHT_COLOUR_GAINS
    tinted = frames(f"sim:?{CLEAN}", 1, colour_gains=(red / 2, blue))[0].pixels.mean(axis=(0, 1))
    assert tinted / right == pytest.approx([0.5, 1, 1], abs=0.01)


def test_vignetting_darkens_the_corners_only():
    plain, dark = (frames(f"sim:?{CLEAN}&empty=1&vignetting={v}", 1)[0].pixels.astype(float) for v in (0, 0.5))
    ratio = dark / plain
    assert ratio[44:52, 60:68].mean() == pytest.approx(1, abs=0.02)
    assert ratio[:3, :3].mean() == pytest.approx(0.5, abs=0.04)


def test_beside_the_smear_there_is_no_cell(scan: list[Frame]):
    at_rest = [frame for frame in scan if not truth(frame)["moving"]]
    empty = [frame for frame in at_rest if truth(frame)["empty"]]
    assert len(empty) == 18  # one stop of ten, without its two moving frames
    assert all(truth(frame)["white_cells"] == 0 for frame in empty)
    contrast = {bool(truth(f)["empty"]): np.std(cv2.medianBlur(f.pixels, 5)[..., 1]) for f in at_rest}
    assert contrast[True] < 3
    assert contrast[False] > 15


def test_debris_adds_to_the_plane_and_leaves_the_white_cells():
    plain, dusty = (frames(f"sim:?{CLEAN}&debris={d}", 1)[0] for d in (1, 20))
    assert truth(plain)["kinds"] == truth(dusty)["kinds"]
    assert np.mean(np.any(plain.pixels != dusty.pixels, axis=2)) > 0.01


# Rules of a real camera


def test_it_is_a_camera():
    camera: Camera = SimulatedCamera("sim:?seed=4")
    assert (camera.uri, camera.kind, camera.live) == ("sim:?seed=4", "sim", True)


def test_a_capture_needs_open_and_configure():
    camera = SimulatedCamera("sim:")
    with pytest.raises(CameraLost, match="not open"):
        camera.capture(1)
    with pytest.raises(CameraLost, match="not open"):
        camera.configure(CameraSettings())
    camera.open()
    with pytest.raises(CameraLost, match="not configured"):
        camera.capture(1)
    camera.configure(CameraSettings(size=SIZE))
    with pytest.raises(CameraSettingsError, match="timeout_s must be > 0"):
        camera.capture(0)
    assert camera.capture(1).sequence == 0
    camera.close()
    camera.close()
    with pytest.raises(CameraLost, match="not open"):
        camera.capture(1)


def test_sequence_begins_anew_when_opened_again_and_the_scan_goes_on():
    camera = started("sim:")
    first = [camera.capture(1) for _ in range(3)]
    camera.close()
    camera.open()
    with pytest.raises(CameraLost, match="not configured"):
        camera.capture(1)
    camera.configure(CameraSettings(size=SIZE))
    second = camera.capture(1)
    assert [frame.sequence for frame in (*first, second)] == [0, 1, 2, 0]
    assert truth(second)["frame"] == 3


@pytest.mark.parametrize(
    ("asked", "given"),
    [((128, 96), (128, 96)), ((131, 97), (130, 96)), ((4000, 50), (100, 50)), ((64, 2000), (64, 1440))],
)
def test_sizes_are_adjusted_and_read_back(asked: tuple[int, int], given: tuple[int, int]):
    with SimulatedCamera("sim:") as camera:
        mode = camera.configure(CameraSettings(size=asked))
        assert mode.size == given
        assert len(mode.adjusted) == (asked != given)
        assert camera.capture(1).pixels.shape == (given[1], given[0], 3)


def test_what_it_cannot_do_is_reported():
    with SimulatedCamera("sim:?fps=100") as camera:
        mode = camera.configure(CameraSettings(size=SIZE, region=(0, 0, 64, 64), fourcc="MJPG", frame_rate=50))
    assert [line.split(":")[0] for line in mode.adjusted] == ["region", "fourcc", "frame_rate"]


def test_into_is_filled_where_it_fits():
    camera = started("sim:")
    into = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    assert camera.capture(1, into).pixels is into
    for wrong in (into[:, ::2], into[:-1], into.astype(np.int8)):
        assert camera.capture(1, wrong).pixels.shape == into.shape


def test_no_buffer_of_a_frames_size_is_allocated():
    camera = started("sim:Pre", (640, 480))
    into = np.empty((480, 640, 3), np.uint8)

    def peak(count: int, target: Pixels | None) -> int:
        tracemalloc.start()
        for _ in range(count):
            camera.capture(1, target)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for _ in range(DRIFT_PERIOD):  # all that is kept is there after a period of the focus
        camera.capture(1, into)
    assert peak(DRIFT_PERIOD, into) < 50_000
    assert peak(2, None) >= into.nbytes


def test_frames_nobody_takes_are_lost():
    camera = started("sim:?fps=200")
    first = camera.capture(1)
    time.sleep(0.05)
    late = camera.capture(1)
    after = camera.capture(1)
    assert late.sequence >= first.sequence + 9
    assert after.sequence > late.sequence
    assert after.monotonic_ns - late.monotonic_ns == pytest.approx(5e6 * (after.sequence - late.sequence), abs=2)
    assert truth(late)["frame"] == late.sequence


def test_a_wait_for_a_slow_camera_is_bounded():
    camera = started("sim:", frame_rate=2.0)
    camera.capture(1)
    with pytest.raises(CameraTimeout, match=r"within 0\.02 s"):
        camera.capture(0.02)
    assert camera.capture(2).sequence == 1


def test_closing_ends_a_capture_that_waits():
    camera = started("sim:?fail=stall@0")
    timer = threading.Timer(0.05, camera.close)
    timer.start()
    with pytest.raises(CameraLost, match="closed during a capture"):
        camera.capture(30)
    timer.join()


# Scripted failures


def reopened(camera: SimulatedCamera) -> SimulatedCamera:
    camera.close()
    camera.open()
    camera.configure(CameraSettings(size=SIZE))
    return camera


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    """A camera that has given two frames and fails at the next."""
    with started(f"sim:?fail={request.param}") as camera:
        assert [camera.capture(1).sequence for _ in range(2)] == [0, 1]
        yield camera


@pytest.mark.parametrize("failing", ["stall@2"], indirect=True)
def test_a_stall_lasts_until_it_is_opened_again(failing: SimulatedCamera):
    for _ in range(3):
        with pytest.raises(CameraTimeout):
            failing.capture(0.01)
    assert truth(reopened(failing).capture(1))["frame"] == 2


@pytest.mark.parametrize("failing", ["stall@2:0.8"], indirect=True)
def test_a_timed_stall_passes_and_reopening_does_not_help(failing: SimulatedCamera):
    with pytest.raises(CameraTimeout):
        failing.capture(0.01)
    with pytest.raises(CameraTimeout):
        reopened(failing).capture(0.01)
    assert failing.capture(10).sequence == 0


@pytest.mark.parametrize("failing", ["unplug@2:0.1"], indirect=True)
def test_an_unplugged_camera_is_lost_then_not_found_then_back(failing: SimulatedCamera):
    for _ in range(2):
        with pytest.raises(CameraLost, match="unplugged"):
            failing.capture(1)
    failing.close()
    with pytest.raises(CameraNotFound, match="unplugged"):
        failing.open()
    time.sleep(0.11)
    assert reopened(failing).capture(1).sequence == 0


@pytest.mark.parametrize("failing", ["corrupt@2"], indirect=True)
def test_a_corrupt_frame_is_one_frame(failing: SimulatedCamera):
    with pytest.raises(FrameCorrupt, match="frame 2"):
        failing.capture(1)
    assert failing.capture(1).sequence == 3


@pytest.mark.parametrize("failing", ["size@2"], indirect=True)
def test_a_frame_of_the_wrong_size_is_one_frame(failing: SimulatedCamera):
    into = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    assert failing.capture(1, into).pixels.shape == (SIZE[1] // 2, SIZE[0] // 2, 3)
    assert failing.capture(1, into).pixels is into


@pytest.mark.parametrize("failing", ["freeze@2"], indirect=True)
def test_a_frozen_camera_repeats_its_bytes_until_it_is_opened_again(failing: SimulatedCamera):
    frozen = [failing.capture(1) for _ in range(30)]
    assert len({frame.pixels.tobytes() for frame in frozen}) == 1
    assert [frame.sequence for frame in frozen] == list(range(2, 32))
    after = reopened(failing).capture(1)
    assert not np.array_equal(after.pixels, frozen[0].pixels)


@pytest.mark.parametrize("failing", ["freeze@2:0.05"], indirect=True)
def test_a_timed_freeze_thaws(failing: SimulatedCamera):
    first = failing.capture(1)
    time.sleep(0.06)
    assert not np.array_equal(failing.capture(1).pixels, first.pixels)


@pytest.mark.parametrize("failing", ["corrupt@2,corrupt@3,unplug@4:0,corrupt@2"], indirect=True)
def test_each_failure_of_a_script_happens_once_and_in_order(failing: SimulatedCamera):
    for expected in (FrameCorrupt, FrameCorrupt, FrameCorrupt, CameraLost):
        with pytest.raises(expected):
            failing.capture(1)
    assert reopened(failing).capture(1).sequence == 0
