"""Taking a control: fields of a control slide through the camera, judged by the device's own path, into the record."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter
from typing import Protocol

from edge.cameras.base import CameraMode, Frame
from edge.commissioning.control.control_record import ControlRecord
from edge.commissioning.control.measures import FieldNumbers, novelty_of, numbers_of, summary
from edge.commissioning.control.series import same_instrument, series_of
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import age_ns
from edge.commissioning.control.targets import checks_of, judge, newest_z
from edge.errors import CameraBusy, EndOfFrames
from edge.inference.answer import answer_field, licensed
from edge.inference.classifier import Classifier
from edge.inference.contract import Pixels
from edge.inference.gates.base import Gates
from edge.inference.licence import UNBOUND, Licence
from edge.record.entries import ControlBody, Entry, RunInfo
from edge.record.entry_parts import moment
from edge.record.store import Store
from edge.system.clock import Clock, Instant, boot_id
from edge.system.progress import Progress

LET_GO_S = 15.0  # that a run has to let go of its camera
_TRY_EVERY_S = 0.5
_HOUR_NS = 3600 * 10**9


class Source(Protocol):
    """What a control needs of `edge.cameras.supervised.SupervisedCamera`."""

    def start(self) -> CameraMode: ...
    def capture(self, into: Pixels | None = None) -> Frame | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Judges:
    """What answers a field: the gates that are asked, all gates of the bundle for measuring, the network, and what the
    record may say of its answer. The measures are of the network's own."""

    gates: Gates
    measuring: Gates
    classifier: Classifier
    licence: Licence = UNBOUND


@contextmanager
def started(camera: Source, wait: Callable[[float], bool], now: Callable[[], float] = monotonic) -> Iterator[Source]:
    """The camera, started; a run that has it is given `LET_GO_S` to let go.

    Args:
        wait: waits so many seconds at most; true when the control is to end.

    Raises:
        CameraError: as `Camera.open` and `Camera.configure`.
    """
    deadline = now() + LET_GO_S
    while True:
        try:
            camera.start()
            break
        except CameraBusy:
            if now() >= deadline or wait(_TRY_EVERY_S):
                raise
    try:
        yield camera
    finally:
        camera.close()


def take_fields(
    camera: Source,
    judges: Judges,
    *,
    count: int,
    pause_s: float,
    expected: int | None,
    clock: Clock,
    stop: threading.Event,
) -> tuple[list[Entry], list[FieldNumbers]]:
    """Look at fields until there are `count`, a replay ends, or `stop` is set.

    Args:
        pause_s: seconds from one field to the next, in which the slide is moved.
        expected: index of the label that the slide should get, or None.
    """
    entries: list[Entry] = []
    numbers: list[FieldNumbers] = []
    contract, novelty = judges.classifier.contract, novelty_of(judges.measuring)
    with Progress("control fields", count) as progress:
        while len(entries) < count and not stop.is_set():
            if entries and pause_s and stop.wait(pause_s):
                break
            start = perf_counter()
            try:
                frame = camera.capture()
            except EndOfFrames:
                break
            if frame is None:
                break
            at, captured = clock.now(), perf_counter()
            answer = answer_field(judges.gates, judges.classifier, frame.pixels)
            milliseconds = {"capture": (captured - start) * 1e3, "answer": (perf_counter() - captured) * 1e3}
            said = licensed(answer, judges.licence)
            entries.append(Entry.of(said, at, frame.sequence, frame.source, milliseconds))
            view = judges.measuring.view(contract.prepare(frame.pixels))
            numbers.append(numbers_of(view, novelty, answer, expected))
            progress.advance()
    return entries, numbers


def control_of(
    folder: Path,
    run: int,
    info: RunInfo,
    numbers: Sequence[FieldNumbers],
    *,
    asked: int,
    lot: str,
    expected: str,
    settings: ControlSettings,
    at: Instant,
    boot: str | None = None,
) -> ControlBody:
    """The entry of a control, judged by those in the record before it.

    Args:
        folder: of the control record. run: in it. info: its beginning. asked: how many fields were to be looked at.
        at: when it was judged.

    Raises:
        StoreError: the controls before it cannot be read.
    """
    boot = boot_id() if boot is None else boot
    record = ControlRecord(folder)
    record.look()
    series = series_of(info, lot=lot, expected=expected)
    measures = summary(numbers, expected) if numbers else {}
    checks = checks_of(numbers, expected, asked)
    judged = judge(
        [each for each in record.bodies if each.series == series],
        measures,
        len(numbers),
        checks,
        settings.baseline,
        _within_run(
            [each for each in record.bodies if same_instrument(each.series, series) and each.slide != series.slide],
            at,
            boot,
            settings.valid_hours,
        ),
    )
    return ControlBody(
        run=run,
        slide=info.slide,
        **moment(at),
        series=series,
        fields=len(numbers),
        measures=measures,
        outcome=judged.outcome,
        number=judged.number,
        baseline=judged.baseline,
        targets=judged.targets,
        broken=judged.broken,
        checks=checks,
        boot=boot,
    )


def record_control(store: Store, run: int, entries: Sequence[Entry], control: ControlBody, at: Instant) -> int:
    """Store the fields of a control, the control and the end of its run; the control's entry number."""
    store.write(run, entries)
    with store.transaction() as transaction:
        number = transaction.append(control).id
    answered = sum(entry.label is not None for entry in entries)
    counters = {"captured": len(entries), "classified": answered, "refused": len(entries) - answered}
    store.end(run, at, counters, "complete")
    return number


def _within_run(
    others: Sequence[ControlBody], at: Instant, boot: str, valid_hours: float
) -> Mapping[str, Sequence[float]]:
    """Newest z-scores of other slides, by measure: those that were controlled since the demand was last met."""
    newest = {each.slide: each for each in others}
    found: dict[str, list[float]] = {}
    for control in newest.values():
        age = age_ns(control, at, boot)
        if age is None or age > valid_hours * _HOUR_NS:
            continue
        for name, z in newest_z(control).items():
            found.setdefault(name, []).append(z)
    return found
