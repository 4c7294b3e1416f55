"""Small parts that obey the real rules, to drive the pipeline without camera, model or disk."""

import threading
from collections.abc import Sequence
from time import monotonic_ns, sleep

import numpy as np

from edge.cameras.base import CameraMode, Frame
from edge.errors import EndOfFrames, StoreFull
from edge.inference.classifier import Verdict
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.base import Gates, Reading
from edge.inference.gates.measures import View
from edge.record.entries import Entry, Event, Stored

CONTRACT = InputContract(size=(32, 32), labels=("Benign", "Early", "Pre", "Pro"))
SIZE = (64, 48)


class CountingCamera:
    """Frames whose first pixel counts them (red the low byte, green the high one); ends after `frames`."""

    def __init__(self, frames: int | None = None, pace_s: float = 0.0) -> None:
        self.mode = CameraMode(SIZE, "test")
        self._frames, self._pace_s, self._next = frames, pace_s, 0
        self.buffers: set[int] = set()

    def capture(self, into: Pixels | None = None) -> Frame | None:
        if self._next == self._frames:
            raise EndOfFrames("the end")
        sleep(self._pace_s)
        assert into is not None and into.shape == (SIZE[1], SIZE[0], 3)
        self.buffers.add(into.ctypes.data)
        into[:] = (self._next % 256, self._next // 256, 0)
        self._next += 1
        return Frame(into, self._next - 1, monotonic_ns())


class NumberJudge:
    """Calls every frame by its number modulo 4; `seen` lists the numbers in order."""

    contract = CONTRACT

    def __init__(self, pace_s: float = 0.0) -> None:
        self.seen: list[int] = []
        self._pace_s = pace_s

    def classify_prepared(self, pixels: Pixels) -> Verdict:
        sleep(self._pace_s)
        number = int(pixels[0, 0, 0]) + 256 * int(pixels[0, 0, 1])
        self.seen.append(number)
        probabilities = tuple(float(index == number % 4) for index in range(4))
        return Verdict(CONTRACT.labels[number % 4], number % 4, probabilities, 1.0, 0.1)


class EveryThird:
    """A gate that refuses each frame whose number divides by three."""

    name = "every_third"

    def read(self, view: View) -> Reading:
        number = int(view.pixels[0, 0, 0]) + 256 * int(view.pixels[0, 0, 1])
        return Reading(self.name, float(number), 0.0, "frames", number % 3 == 0, f"frame {number} divides by 3")


class ListStore:
    """Keeps what is written in lists; `full` makes it refuse, as a full disk does."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.events: list[Event] = []
        self.batches: list[int] = []
        self.full = threading.Event()

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]:
        if self.full.is_set():
            raise StoreFull("no space left on device")
        first = len(self.stored) + 1
        written = [Stored(first + n, "S", first + n, entry, None, "") for n, entry in enumerate(entries)]
        self.stored += written
        self.events += events
        self.batches.append(len(entries))
        return written


def no_gates() -> Gates:
    return Gates(())


def drawn(frame: int) -> Pixels:
    return np.full((SIZE[1], SIZE[0], 3), frame, np.uint8)
