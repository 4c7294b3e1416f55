"""A bench in this process: a camera over fields that the test chooses, the shipped network, and no socket's client."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle.trusted import TrustedKeys
from edge.cameras.base import CameraMode, CameraSettings, Frame
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.errors import CameraLost
from edge.inference.contract import Pixels
from edge.instrument.bench.desk import Desk
from edge.instrument.bench.selector import FieldSelector
from edge.instrument.hooks import Hooks
from edge.instrument.pipeline.sd_notify import Notifier
from edge.instrument.session import Plan, Session
from edge.instrument.socket.messages import Answer, Command, State
from edge.record.entries import Stored, VerdictBody, read_body
from edge.record.store import Store
from edge.serving.boot import Start
from edge.serving.serve import Served, serve
from edge.serving.slot_watch import SlotWatch
from edge.serving.update.slots import Slots
from edge.settings.bench import BenchSettings
from edge.settings.model import ModelSettings
from edge.settings.profile import Settings
from tests.paths import ROOT

SIZE = (320, 240)
SETTINGS = Settings(camera=CameraSettings(size=SIZE), bench=BenchSettings(still_s=0.1))


@lru_cache
def drawn(place: int, defocus_um: float = 0.0) -> Pixels:
    """A field of one slide, uint8 (240, 320, 3), without noise; places have nothing in common."""
    smear = SyntheticSmear(3, "Early")
    return smear.field(300.0 * place, 0.0, SIZE, 80.64 / SIZE[1], defocus_um, noise=None).frame


class StageCamera:
    """Shows the place that the test sets, with a sensor's noise; `place` None is a camera that is lost.

    Attributes:
        place, defocus_um, shift: what is in view; the last in pixels. taken: frames so far.
    """

    kind, live, notice, uri = "sim", True, "a drawn slide", "sim:"

    def __init__(self, fps: float = 100.0) -> None:
        self.place: int | None = 0
        self.defocus_um, self.shift, self.taken = 0.0, 0, 0
        self.asked: list[CameraSettings] = []
        self._pause_s = 1 / fps
        self._noise = np.random.default_rng(0).integers(-3, 4, (8, SIZE[1], SIZE[0], 3)).astype(np.int16)

    def open(self) -> None:
        if self.place is None:
            raise CameraLost("unplugged")

    def configure(self, settings: CameraSettings) -> CameraMode:
        self.asked.append(settings)
        exposure = settings.exposure_us or 8000.0
        return CameraMode(SIZE, "RGB", (), {"ExposureTime": exposure, "AnalogueGain": settings.gain or 1.0})

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        time.sleep(self._pause_s)
        if self.place is None:
            raise CameraLost("unplugged")
        field = np.roll(drawn(self.place, self.defocus_um), self.shift, axis=1)
        pixels = np.clip(field + self._noise[self.taken % 8], 0, 255).astype(np.uint8)
        self.taken += 1
        said = {"ExposureTime": 8000.0, "AnalogueGain": 1.0}
        return Frame(pixels, self.taken - 1, time.monotonic_ns(), said)

    def close(self) -> None:
        return

    def __enter__(self) -> "StageCamera":
        return self

    def __exit__(self, *_: object) -> None:
        return


class Told(Hooks):
    """Keeps what a session tells."""

    def __init__(self) -> None:
        self.verdicts: list[Stored] = []
        self.events: list[str] = []

    def stored(self, stored: list[Stored]) -> None:
        self.verdicts += stored

    def happened(self, kind: str, detail: str) -> None:
        self.events.append(kind)


class Running:
    """A bench that runs.

    Attributes:
        camera, desk, session, told: its parts. error: what ended it otherwise than in order.
    """

    def __init__(self, camera: StageCamera, session: Session, desk: Desk, told: Told) -> None:
        self.camera, self.session, self.desk, self.told = camera, session, desk, told
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.until(lambda: camera.taken > 2)

    def _serve(self) -> None:
        try:
            self.session.serve()
        except BaseException as error:
            self.error = error

    @property
    def state(self) -> State:
        return self.desk.state()

    def command(self, name: str, id: str = "", by: str = "anna", **arguments: Any) -> Answer:
        return self.desk.command(Command(id=id or secrets.token_hex(16), name=name, by=by, arguments=arguments))  # type: ignore[arg-type]

    def done(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        """The result of a command that goes well."""
        answer = self.command(name, **arguments)
        assert answer.ok, answer
        return answer.result

    def frames(self, number: int) -> None:
        """Wait for so many further frames."""
        until = self.camera.taken + number
        self.until(lambda: self.camera.taken >= until)

    def until(self, true: Callable[[], bool], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline and self._thread.is_alive(), (self.state, self.error)
            time.sleep(0.005)

    def judged(self, number: int) -> None:
        """Wait until so many verdicts were stored in all."""
        self.until(lambda: len(self.told.verdicts) >= number)

    def end(self) -> None:
        self.session.stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@lru_cache
def network() -> Served:
    return serve(
        ModelSettings(ROOT / "models" / "bundles" / "custom_cnn-int8"),
        trust=TrustedKeys(Path("/none")),
        allow_unsigned=True,
    )


@contextmanager
def bench(
    folder: Path, settings: Settings = SETTINGS, *, slide: str = "", camera: StageCamera | None = None
) -> Iterator[Running]:
    """A bench on the record in `folder / "record"`, ended in order."""
    camera = camera or StageCamera()
    settings = replace(settings, record=replace(settings.record, folder=folder / "record"))
    started, slots = Start(network()), Slots(folder / "slots")
    with Store.open(settings.store) as store:
        selector = FieldSelector(settings.bench.still_s)
        watch = SlotWatch(slots, started, named=True)
        plan = Plan(settings, None, allow_unsigned=True)
        session = Session(plan, started, watch, camera, store, threading.Event(), Notifier(), selector=selector)  # type: ignore[arg-type]
        told = Told()
        desk = Desk(session, selector, folder / "socket", told)
        desk.take_up(slide)
        running = Running(camera, session, desk, told)
        try:
            yield running
        finally:
            running.end()


def verdicts(folder: Path) -> list[VerdictBody]:
    """Of the record of a bench in `folder`."""
    with Store.open(folder / "record", read_only=True) as store:
        bodies = [read_body(row.body) for row in store.entries(through=store.head().id)]
    return [body for body in bodies if isinstance(body, VerdictBody)]
