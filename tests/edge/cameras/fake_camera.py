"""A camera that does what a script says, by the rules of `edge.cameras.base.Camera`, and notes what was done to it."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.errors import CameraLost, CameraTimeout, EndOfFrames, FrameCorrupt
from edge.inference.contract import Pixels

SIZE = (32, 24)


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


class FakeCamera:
    """Each capture takes one step of the script: "frame", "same" (the bytes of the one before), "black", "wrong"
    (another size), "corrupt", "stall", "lost", "end"; an exception to be raised; after the script, frames.

    Args:
        steps: for `capture`. opens: for `open`, exceptions or None; after them it opens.
        modes: what `configure` answers, the last one from then on; None is SIZE and nothing adjusted.
        clock: a frame takes 0.1 s of it and a time-out its own length.
    """

    kind: Kind = "uvc"
    notice = ""

    def __init__(
        self,
        steps: Iterable[Any] = (),
        *,
        opens: Iterable[Exception | None] = (),
        modes: Iterable[CameraMode] = (),
        live: bool = True,
        clock: FakeClock | None = None,
    ) -> None:
        self.uri, self.live = "uvc:7", live
        self.clock = clock or FakeClock()
        self.log: list[str] = []
        self.state = "closed"
        self._steps, self._opens = iter(steps), iter(opens)
        self._modes: Iterator[CameraMode] = iter(modes)
        self._mode = CameraMode(SIZE, "fake")
        self._sequence = 0
        self._last = 7

    def open(self) -> None:
        self.log.append("open")
        assert self.state == "closed", "a device must be given back before it is taken again"
        problem = next(self._opens, None)
        if problem is not None:
            raise problem
        self.state, self._sequence = "open", 0

    def configure(self, settings: CameraSettings) -> CameraMode:
        self.log.append("configure")
        assert self.state == "open"
        self._mode = next(self._modes, self._mode)
        self.state = "running"
        return self._mode

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        assert timeout_s > 0
        if self.state != "running":
            raise CameraLost("not running")
        self.clock.now += 0.1
        step = next(self._steps, "frame")
        if isinstance(step, Exception):
            raise step
        if step == "stall":
            self.clock.now += timeout_s
            raise CameraTimeout(f"no frame within {timeout_s:g} s")
        if step == "lost":
            raise CameraLost("unplugged")
        if step == "corrupt":
            raise FrameCorrupt("no JPEG")
        if step == "end":
            raise EndOfFrames("over")
        if step == "frame":
            self._last = self._last % 200 + 1  # never the same twice running, never clipped
        assert self._mode.size is not None
        width, height = (48, 48) if step == "wrong" else self._mode.size
        if into is None or into.shape != (height, width, 3):
            into = np.empty((height, width, 3), np.uint8)
        into[:] = 0 if step == "black" else self._last
        self._sequence += 1
        return Frame(into, self._sequence - 1, int(self.clock.now * 1e9))

    def close(self) -> None:
        self.log.append("close")
        self.state = "closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
