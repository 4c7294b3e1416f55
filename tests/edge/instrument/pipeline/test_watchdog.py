"""What systemd is told, message by message, and what counts as a hang."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.cameras.base import Frame
from edge.inference.contract import Pixels
from edge.instrument.pipeline.counters import Counts
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.sd_notify import Notifier
from edge.instrument.pipeline.stage_activity import StageActivity
from edge.instrument.pipeline.watchdog import RECORD_S, UNWATCHED_S, Watchdog
from edge.record.image_sampling import ImageSampler
from edge.system.clock import Clock
from tests.edge.instrument.pipeline.parts import CountingCamera, ListStore, NumberJudge, no_gates
from tests.edge.serving.service_manager import Manager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@leukoscope-test-{os.getpid()}-{tmp_path.name}"
    made = Manager(name)
    yield made
    made.close()


def test_messages_are_as_systemd_reads_them(manager: Manager) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000000"})
    assert notifier.watchdog_s == 30.0
    notifier.ready("tiny serves")
    notifier.alive()
    notifier.status("two\nlines " + "x" * 1000)
    notifier.stopping("done")
    assert manager.heard() == "READY=1\nSTATUS=tiny serves"
    assert manager.heard() == "WATCHDOG=1"
    status = manager.heard()
    assert status is not None and status.startswith("STATUS=two lines xxx") and "\n" not in status and len(status) < 500
    assert manager.heard() == "STOPPING=1\nSTATUS=done"
    notifier.status("/srv/st\udcffx: a\nMAINPID=1\x1b[2J")  # no UTF-8, and no line of its own
    assert manager.heard() == "STATUS=/srv/st\\xffx: a MAINPID=1\\x1b[2J"


def test_without_a_watchdog_no_sign_of_life_is_sent(manager: Manager) -> None:
    for environment in (
        {},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)},
    ):
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address, **environment})
        assert notifier.watchdog_s is None
        notifier.alive()
    assert manager.heard(0.1) is None


@pytest.mark.parametrize("address", ["", "@", "relative", "vsock:2:1234", "/nowhere/notify", "/" + "x" * 500])
def test_nobody_who_listens_stops_nothing(address: str) -> None:
    notifier = Notifier(address, 1.0)
    for _ in range(3):
        notifier.ready("x")
        notifier.alive()
        notifier.stopping("x")


def test_a_manager_that_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """Its queue is full after a few messages; the run goes on."""
    deaf = Manager(str(tmp_path / "notify"))
    notifier = Notifier(deaf.address, 1.0)
    for _ in range(10_000):
        notifier.alive()
    deaf.close()


# --- the watchdog's table


class Silent(CountingCamera):
    """A driver that does not return."""

    def __init__(self, frames: int) -> None:
        super().__init__(frames)
        self.released = threading.Event()

    def capture(self, into: Pixels | None = None) -> Frame | None:
        if self._next == self._frames:
            self.released.wait(30)
            return None
        return super().capture(into)


def watched(busy: dict[str, float], *, captured: int = 0, full: bool = False, alive_at: float = 0.0) -> Any:
    """A watchdog over stages that say so, at 1000 s."""
    now = [1000.0]
    pipeline = SimpleNamespace(activity=SimpleNamespace(busy=lambda: busy), counts=Counts(captured=captured))
    camera = SimpleNamespace(alive_at=alive_at, away=False)
    hangs: list[str] = []
    watchdog = Watchdog(
        Notifier(),
        pipeline,  # type: ignore[arg-type]
        camera,  # type: ignore[arg-type]
        SimpleNamespace(full=full),  # type: ignore[arg-type]
        on_hang=hangs.append,
        timeout_s=2.0,
        now=lambda: now[0],
    )
    return watchdog, now, hangs


@pytest.mark.parametrize(
    ("busy", "more", "hangs"),
    [
        ({"classify": UNWATCHED_S - 1}, {}, False),
        ({"classify": UNWATCHED_S + 1}, {}, True),
        ({"gate": UNWATCHED_S + 1}, {}, True),
        ({"record": UNWATCHED_S + 1}, {}, False),  # a large retention, a worn card
        ({"record": RECORD_S + 1}, {}, True),
        ({"capture": 86400.0}, {"alive_at": 999.0}, False),  # being opened again and again
        ({"capture": UNWATCHED_S + 3}, {}, False),  # the driver may take as long as it was allowed
        ({"capture": UNWATCHED_S + 5}, {}, True),
        ({"capture": 86400.0}, {"alive_at": 900.0}, True),  # a driver that never returned
    ],
)
def test_what_counts_as_a_hang(busy: dict[str, float], more: dict[str, Any], hangs: bool) -> None:
    watchdog, _, said = watched(busy, **more)
    for _ in range(3):
        watchdog.look()
    assert bool(watchdog.hang()) is hangs
    assert len(said) == int(hangs), "said once"


@pytest.mark.parametrize(("full", "stopping"), [(False, False), (True, False), (False, True)])
def test_nothing_captured_for_no_reason_is_a_hang(full: bool, stopping: bool) -> None:
    """A buffer that was lost: every stage waits, and none is at work."""
    watchdog, now, _ = watched({}, captured=7, full=full)
    assert watchdog.hang(stopping=stopping) == ""
    now[0] += UNWATCHED_S + 1
    hang = watchdog.hang(stopping=stopping)
    assert hang == "" if full or stopping else "no frame was taken for 61 s" in hang


def test_a_stage_s_work_is_seen_in_the_real_pipeline() -> None:
    camera, store = Silent(3), ListStore()
    recorder = Recorder(store, 1, clock=Clock(), on_stored=lambda _: None, on_state=lambda _: None, wait_s=0.01)
    pipeline = Pipeline(
        camera, no_gates(), NumberJudge(), recorder, sampler=ImageSampler("none"), clock=Clock(), every=True
    )
    pipeline.start()
    deadline = time.monotonic() + 20
    while pipeline.counts.stored < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(pipeline.activity.busy()) == {"capture"}
    camera.released.set()
    while not pipeline.join(0.1):
        pass
    assert pipeline.activity.busy() == {} and pipeline.counts.stored == 3


def test_work_that_fails_is_over() -> None:
    activity = StageActivity()
    with pytest.raises(KeyError), activity.at_work("gate"):
        assert activity.busy()["gate"] >= 0
        raise KeyError
    assert activity.busy() == {}
