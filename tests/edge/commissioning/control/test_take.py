"""How a control gets its camera, and what the other slides of its run add."""

import threading

import pytest

from edge.cameras.base import CameraMode
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import why
from edge.commissioning.control.take import LET_GO_S, control_of, started
from edge.errors import CameraBusy
from edge.record.entry_parts import ControlSeries, ControlTarget
from tests.edge.commissioning.control.controls import at, control
from tests.edge.commissioning.control.test_control_record import append
from tests.edge.commissioning.control.test_targets import field
from tests.edge.record.records import INFO


class Held:
    """A camera that a run has, until it was asked so often."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.closed, self.seconds = refusals, 0, 0.0

    def start(self) -> CameraMode:
        if self.refusals:
            self.refusals -= 1
            raise CameraBusy("another process has it")
        return CameraMode((64, 48), "test")

    def capture(self, into=None):
        return None

    def close(self) -> None:
        self.closed += 1

    def wait(self, seconds: float) -> bool:
        self.seconds += seconds
        return False


def test_a_run_has_time_to_let_go_of_its_camera():
    camera = Held(refusals=3)
    with started(camera, camera.wait, now=lambda: camera.seconds):
        assert camera.refusals == 0 and camera.closed == 0
    assert camera.closed == 1


def test_a_camera_that_is_not_let_go_is_an_error():
    camera = Held(refusals=10**6)
    with pytest.raises(CameraBusy), started(camera, camera.wait, now=lambda: camera.seconds):
        pass
    assert LET_GO_S <= camera.seconds < LET_GO_S + 1
    stop = threading.Event()
    stop.set()
    with pytest.raises(CameraBusy), started(Held(refusals=10**6), stop.wait):
        pass


@pytest.mark.parametrize(("hours", "rules"), [(2.0, ("R-4s",)), (30.0, None)])
def test_r_4s_pairs_the_slides_of_one_day(tmp_path, hours, rules):
    """The other slide lay 2.5 deviations above its mean; this one lies as far below, two or thirty hours later."""
    target, steady = {"brightness": ControlTarget(230.0, 2.0)}, {"brightness": 230.0}
    high = control(series=series("QC-2"), measures={"brightness": 235.0}, targets=target)
    before = [control(at(n - 100), series=series(INFO.slide), measures=steady, outcome="baseline") for n in range(4)]
    last = control(at(-90), series=series(INFO.slide), measures=steady, targets=target, baseline=4)
    append(tmp_path, *before, last)
    append(tmp_path, high, slide="QC-2")
    found = control_of(
        tmp_path,
        1,
        INFO,
        [field(brightness=225.0, stain=None, white=None)] * 10,
        asked=10,
        lot="",
        expected="",
        settings=ControlSettings(),
        at=at(hours),
        boot="boot-1",
    )
    assert found.broken.get("brightness") == rules
    assert ("R-4s" in why(found)) == (rules is not None)


def series(slide):
    return ControlSeries(slide, INFO.bundle, INFO.bundle_digest, "sim:")
