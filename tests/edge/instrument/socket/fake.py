"""An instrument without camera, model and record, behind the real socket: for tests of whatever talks to one.

It obeys the table of modes, counts fields, and shows a drawn field that moves, with a counter. In automatic mode it
judges every `every_s` seconds while a slide is open; field 5, 10, ... are seen again, 4, 8, ... are refused by a gate.
Nothing is kept but in memory, so that `FakeInstrument(path, bench=old.bench)` is a restart that remembers.

`python -m tests.edge.instrument.socket.fake PATH` runs one until Ctrl-C.
"""

import functools
import secrets
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from edge.cameras.synthetic.smear import SyntheticSmear
from edge.inference.contract import Pixels
from edge.instrument.socket.commands import arguments
from edge.instrument.socket.messages import (
    Answer,
    Command,
    Correction,
    Event,
    Hello,
    Meters,
    Mode,
    SlideAct,
    State,
    Verdict,
)
from edge.instrument.socket.server import SocketServer
from edge.system.clock import Clock
from tests.edge.instrument.socket.samples import SAMPLES

LABELS = ("Benign", "Early", "Pre", "Pro")
ACTS: Any = {"open": "opened", "pause": "paused", "continue": "continued", "close": "closed", "reopen": "reopened"}
NEXT: dict[tuple[Mode, str], Mode] = {
    ("none", "open"): "open",
    ("none", "reopen"): "open",
    ("open", "pause"): "paused",
    ("paused", "continue"): "open",
    ("open", "close"): "none",
    ("paused", "close"): "none",
}


class FakeBench:
    """The state of a pretended instrument; what it does is in the attributes, for tests to look at.

    Attributes:
        verdicts, slides, corrections: told so far. done: answers by command id. commands: as they came in, also twice.
        slow_s: how long a command takes. on_message: gets what is to be published.
    """

    def __init__(self) -> None:
        self.mode: Mode = "none"
        self.slide: str | None = None
        self.why = ""
        self.automatic, self.locked = True, False
        self.camera = self.record = "ok"
        self.entry = 0
        self.verdicts: list[Verdict] = []
        self.slides: list[SlideAct] = []
        self.corrections: list[Correction] = []
        self.references: list[str] = []
        self.done: dict[str, Answer] = {}
        self.commands: list[Command] = []
        self.slow_s = 0.0
        self.frames = 0
        self.instrument = secrets.token_hex(16)
        self.publish: Any = lambda message: None
        self._lock = threading.RLock()
        self._clock = Clock()

    def hello(self) -> Hello:
        sample = SAMPLES[Hello]
        assert isinstance(sample, Hello)
        return Hello(
            **{name: getattr(sample, name) for name in sample.__struct_fields__} | {"instrument": self.instrument}
        )

    def state(self) -> State:
        at = self._clock.now()
        counted = [each for each in self.verdicts if each.slide == self.slide and each.seen is None]
        tally = {label: sum(each.label == label for each in counted) for label in LABELS}
        return State(
            mode=self.mode,
            slide=self.slide,
            why=self.why,
            automatic=self.automatic,
            exposure_locked=self.locked,
            camera=self.camera,
            record=self.record,
            withheld="",
            counters={"captured": self.frames, "stored": len(self.verdicts)},
            fps=10.0,
            tally={"fields": len(counted), "classes": tally} if self.slide else None,
            finding={"finding": "undecided", "enough": False} if self.slide else None,
            entry=self.entry,
            utc_ns=at.utc_ns,
            monotonic_ns=at.monotonic_ns,
        )

    def command(self, command: Command) -> Answer:
        self.commands.append(command)
        time.sleep(self.slow_s)
        with self._lock:
            if command.id in self.done:
                return self.done[command.id]
            answer = self._do(command)
            self.done[command.id] = answer
        self.publish(self.state())
        return answer

    def judge(self, asked_by: str = "") -> Verdict | None:
        """A verdict on the open slide; None without one."""
        with self._lock:
            if self.mode != "open" or self.slide is None:
                return None
            number = 1 + sum(each.slide == self.slide for each in self.verdicts)
            refused, label = number % 4 == 0, LABELS[number % len(LABELS)]
            self.entry += 1
            verdict = Verdict(
                id=self.entry,
                slide=self.slide,
                field=number,
                sequence=self.frames,
                label=None if refused else label,
                reason="focus" if refused else None,
                detail="focus 3.1, at least 12.5" if refused else None,
                probabilities=None if refused else {each: 0.91 if each == label else 0.03 for each in LABELS},
                gates={"focus": 3.1 if refused else 31.2, "exposure": 181.0},
                seen=number - 1 if number % 5 == 0 else None,
                asked_by=asked_by,
                utc=self._clock.now().utc,
                image=True,
            )
            self.verdicts.append(verdict)
        self.publish(verdict)
        self.publish(self.state())
        return verdict

    def event(self, event: str, detail: str) -> None:
        """Something that happened."""
        self.entry += 1
        self.publish(Event(id=self.entry, event=event, detail=detail, utc=self._clock.now().utc))

    def restarted(self) -> None:
        """As after a kill: another start, and an open slide is paused."""
        self.instrument = secrets.token_hex(16)
        if self.mode == "open":
            self.mode, self.why = "paused", "the instrument was started again"

    def _do(self, command: Command) -> Answer:
        given: Any = arguments(command)
        if command.name in ACTS:
            return self._turn(command, given.slide)
        if command.name == "judge":
            verdict = self.judge(command.by) if self.mode == "open" else None
            if verdict is None:
                problem: Any = "no_slide" if self.mode == "none" else "wrong_state"
                return Answer(id=command.id, ok=False, error=problem, detail="no slide is open")
            return Answer(id=command.id, ok=True, result={"entry": verdict.id, "field": verdict.field})
        if command.name == "correct":
            return self._correct(command, given)
        if command.name == "reference":
            if given.label not in LABELS:
                return Answer(id=command.id, ok=False, error="unknown_label", detail=f"no class {given.label}")
            self.references.append(given.label)
        elif command.name == "automatic":
            self.automatic = given.on
        elif command.name == "exposure":
            self.locked = given.locked
        self.entry += 1
        return Answer(id=command.id, ok=True, result={"entry": self.entry})

    def _turn(self, command: Command, named: str | None) -> Answer:
        opens = command.name in ("open", "reopen")
        if not opens and named not in (None, self.slide):
            return Answer(id=command.id, ok=False, error="wrong_state", detail=f"{named} is not the open slide")
        after = NEXT.get((self.mode, command.name))
        if after is None:
            problem: Any = "slide_open" if opens else "no_slide" if self.mode == "none" else "wrong_state"
            return Answer(id=command.id, ok=False, error=problem, detail=f"slides are {self.mode}")
        known = any(each.slide == named for each in self.slides)
        if opens and known != (command.name == "reopen"):
            problem = "wrong_state" if known else "unknown_slide"
            return Answer(
                id=command.id, ok=False, error=problem, detail=f"{named} is {'known' if known else 'unknown'}"
            )
        self.slide, self.mode, self.why = named if opens else self.slide, after, ""
        assert self.slide is not None
        self.entry += 1
        act = SlideAct(
            id=self.entry,
            slide=self.slide,
            act=ACTS[command.name],
            by=command.by,
            command=command.id,
            why="",
            finding={"finding": "undecided"} if command.name == "close" else {},
            utc=self._clock.now().utc,
        )
        self.slides.append(act)
        if self.mode == "none":
            self.slide = None
        self.publish(act)
        return Answer(id=command.id, ok=True, result={"entry": act.id, "slide": act.slide})

    def _correct(self, command: Command, given: Any) -> Answer:
        of = [each for each in self.verdicts if (each.slide, each.field) == (given.slide, given.field)]
        if not of:
            known = any(each.slide == given.slide for each in self.slides)
            problem: Any = "unknown_field" if known else "unknown_slide"
            return Answer(id=command.id, ok=False, error=problem, detail=f"{given.slide} {given.field}")
        self.entry += 1
        correction = Correction(
            id=self.entry,
            slide=given.slide,
            field=given.field,
            verdict=of[0].id,
            by=command.by,
            label=given.label,
            agrees=given.agrees,
            note=given.note,
            command=command.id,
            utc=self._clock.now().utc,
        )
        self.corrections.append(correction)
        self.publish(correction)
        return Answer(id=command.id, ok=True, result={"entry": correction.id})


class FakeInstrument:
    """A `FakeBench` that is served on `path` and shows frames, until it is closed.

    Args:
        fps: frames a second. every_s: between two verdicts in automatic mode; None for none but by command.
        bench: of an instrument that was closed or killed; this one goes on with it. group: as `SocketServer`.

    >>> import tempfile
    >>> from edge.instrument.socket.blocking import BlockingClient
    >>> with tempfile.TemporaryDirectory() as folder, FakeInstrument(Path(folder) / "s") as instrument:
    ...     with BlockingClient(instrument.path) as client:
    ...         client.command("open", "anna", {"slide": "s1"}).ok
    True
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float = 20.0,
        every_s: float | None = None,
        bench: FakeBench | None = None,
        group: str = "",
    ) -> None:
        self.path, self.bench = path, bench or FakeBench()
        if bench is not None:
            bench.restarted()
        self.server = SocketServer(path, self.bench, group=group)
        self.bench.publish = self.server.publish
        self._fps, self._every_s = fps, every_s
        self._stop = threading.Event()
        self._camera = threading.Thread(target=self._run, name="fake camera", daemon=True)

    def start(self) -> None:
        self.server.start()
        self._camera.start()

    def close(self) -> None:
        self._stop.set()
        self._camera.join(5)
        self.server.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        clock, field, judged = Clock(), drawn(), time.monotonic()
        while not self._stop.wait(1 / self._fps):
            self.bench.frames += 1
            frame, at = self.bench.frames, clock.now()
            if self.server.wants_preview():
                self.server.preview(framed(field, frame), frame, at)
            if self.server.watched:
                sharp = 25.0 + 10.0 * np.sin(frame / 20)
                self.server.publish(
                    Meters(
                        sequence=frame,
                        gates={"focus": sharp, "exposure": 181.0},
                        refused="focus" if sharp < 18 else "",
                        still=frame % 40 > 8,
                        seen=None,
                        brightness=181.0,
                        sharpness=sharp,
                        utc_ns=at.utc_ns,
                        monotonic_ns=at.monotonic_ns,
                    )
                )
            if self._every_s and self.bench.automatic and time.monotonic() - judged >= self._every_s:
                judged = time.monotonic()
                self.bench.judge()


@functools.cache
def drawn() -> Pixels:
    """A drawn field, uint8 (480, 800, 3), wider than what is shown of it; to be read only."""
    return SyntheticSmear(seed=7, recipe="Pre").field(0.0, 0.0, (800, 480)).frame


def framed(field: Pixels, number: int) -> Pixels:
    """Frame `number` of it, uint8 (480, 640, 3): it moves along, and its number is written on it."""
    left = abs(number % 320 - 160)
    frame = field[:, left : left + 640].copy()
    cv2.putText(frame, str(number), (12, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 20), 2)
    return frame


if __name__ == "__main__":
    with FakeInstrument(Path(sys.argv[1]), every_s=1.0):
        threading.Event().wait()
