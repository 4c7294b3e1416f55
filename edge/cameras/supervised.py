"""A camera's life: opened, configured, read, and brought back when it stalls, goes away or freezes.

A camera is away from its first failure until it gives a sound frame again; each of both is one event, however
many tries lie between them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from edge.cameras.base import Camera, CameraMode, CameraSettings, Frame
from edge.errors import CameraError, CameraLost, CameraSetupError, CameraTimeout, EndOfFrames, FrameCorrupt
from edge.inference.contract import Pixels

T = TypeVar("T")
EventKind = Literal[
    "stall",
    "lost",
    "lent",
    "reopened",
    "corrupt_frame",
    "wrong_size",
    "frozen",
    "adjusted",
    "gave_up",
    "field_of_view",
]
MOST_BAD_FRAMES = 30  # in a row; then the camera, not the frame, is what is wrong
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_GLANCE_S = 0.2  # how soon a wait notices that `close` was called
_FRAMES_WAITED = 2.5  # of a long exposure: one that is under way, the next, and reading it
_FEWEST_REPEATS = 3  # a camera of one frame in ten seconds is not frozen because two are alike
_SAMPLE_SIDE = 64  # pixels a side that are compared from frame to frame


@dataclass(frozen=True)
class CameraEvent:
    """A change of a camera's state.

    Attributes:
        kind: "stall" (no frame in time), "lost" (went away), "lent" (another process asked for it), "frozen" (the same
            bytes for too long), "reopened" (it gives sound frames again), "gave_up" (told to stop while it was away),
            "adjusted" (does otherwise than asked), "field_of_view" (which part of the sensor frames show from now on),
            "corrupt_frame" and "wrong_size" (the first of such frames in a row; every one of a replay).
        detail: one sentence.
    """

    kind: EventKind
    detail: str


class SupervisedCamera:
    """Reads a camera, and brings it back.

    Args:
        camera: constructed, not opened.
        on_event: called for every change, on the thread that calls `start` or `capture`.
        timeout_s: the longest wait for a frame, seconds; the first after opening may take twice as long. It is longer
            where the settings ask for frames that take longer.
        clock: seconds. wait: waits so many seconds at most; true as soon as `stop` is set.
        stop: when set, `capture` returns None instead of trying on.
        lent: whether another process wants the camera: it is closed as long as that is so. Asked before every frame.

    >>> from edge.cameras.backends import open_camera
    >>> camera = SupervisedCamera(open_camera("sim:"), CameraSettings(size=(64, 48)), on_event=print)
    >>> camera.start().size
    (64, 48)
    >>> camera.capture().pixels.shape
    (48, 64, 3)
    >>> camera.close()
    """

    def __init__(
        self,
        camera: Camera,
        settings: CameraSettings,
        *,
        on_event: Callable[[CameraEvent], None],
        timeout_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        stop: threading.Event | None = None,
        lent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lent = lent
        self._camera, self._settings, self._on_event = camera, settings, on_event
        self.timeout_s = max(timeout_s, _FRAMES_WAITED * settings.slowest_frame_s)
        self._stop = stop or threading.Event()
        self._clock, self._wait = clock, wait or self._stop.wait
        self._closed = threading.Event()
        self._mode: CameraMode | None = None
        self._frozen = _FrozenWatch(settings.frozen_after_s)
        self._fresh = True  # no frame since the camera was configured
        self._bad = 0  # frames in a row that could not be used
        self._away_since: float | None = None
        self._down = False  # closed by us: to be opened before the next frame
        self._tries = 0
        self._gave_up = False
        self._asked: deque[tuple[Callable[[Camera], Any], Future[Any]]] = deque()
        self.alive_at = clock()  # when the camera's driver last returned, however it did

    @property
    def mode(self) -> CameraMode:
        """Of the last `configure`. RuntimeError before `start`."""
        if self._mode is None:
            raise RuntimeError("the camera was not started")
        return self._mode

    @property
    def away(self) -> bool:
        """It gives no sound frames now, and is being brought back."""
        return self._away_since is not None

    def start(self) -> CameraMode:
        """Open and configure. A camera that is missing now is an error; one that goes missing later comes back.

        Raises:
            CameraError: of `Camera.open` and `Camera.configure`; the camera is closed then.
        """
        self._closed.clear()
        try:
            self._bring_up()
        except BaseException:
            self._camera.close()
            raise
        return self.mode

    def capture(self, into: Pixels | None = None) -> Frame | None:
        """The next sound frame, however long its camera is away.

        Args:
            into: as `Camera.capture`; used when it has the mode's size, which can change when a camera comes back.

        Returns:
            The frame, of the mode's size; None once `stop` is set while the camera is away, or after `close`.

        Raises:
            EndOfFrames: a replay has ended. CameraSetupError: it came back, and does not confirm its set-up.
        """
        while not self._over():
            self.alive_at = self._clock()
            if self._camera.live and self._lent():
                self._lend()
                continue
            if self._down and not self._reopened():
                continue
            self._do_what_was_asked()
            self.alive_at = self._clock()
            try:
                frame = self._camera.capture(self.timeout_s * (2 if self._fresh else 1), self._fitting(into))
            except EndOfFrames:
                raise
            except FrameCorrupt as error:
                self._unusable("corrupt_frame", f"{error.reason}: {error}")
            except CameraTimeout as error:
                if self._camera.live:
                    self._lose("stall", str(error))
                elif self._stop.is_set():  # the frames of a replay wait: it is only paced slower than our patience
                    return None
            except CameraError as error:
                self._lose("lost", str(error))
            else:
                if self._sound(frame):
                    self._arrived()
                    return frame
        if self._away_since is not None and not self._gave_up:
            self._gave_up = True
            self._tell("gave_up", f"{self._camera.uri}: told to stop while it was away, {self._away_for()}")
        return None

    def ask(self, what: Callable[[Camera], T], timeout_s: float) -> T:
        """Have something done with the camera between two frames, by the thread that captures; what came of it.

        Raises:
            CameraTimeout: the thread did not come to it in time; it is not done then. CameraLost: the camera is away.
            Whatever `what` raises.
        """
        if self.away:
            raise CameraLost(f"{self._camera.uri}: is away, and is being brought back")
        asked: Future[T] = Future()
        self._asked.append((what, asked))
        try:
            return asked.result(timeout_s)
        except TimeoutError as error:
            if asked.cancel():
                raise CameraTimeout(f"{self._camera.uri}: was not free within {timeout_s:g} s") from error
            return asked.result(timeout_s)  # it is being done, or that is what it raised

    def reconfigure(self, settings: CameraSettings, timeout_s: float) -> CameraMode:
        """Go on with other settings, also once the camera was away; the frames keep their size.

        Raises:
            CameraTimeout, CameraLost: as `ask`; the settings stay. CameraError: the camera does not take them; it is
            opened again with those of before.
        """

        def change(camera: Camera) -> CameraMode:
            try:
                mode = camera.configure(settings)
            except CameraError as error:
                self._lose("lost", str(error))
                raise
            self._settings, self._mode, self._fresh = settings, mode, True
            return mode

        return self.ask(change, timeout_s)

    def _do_what_was_asked(self) -> None:
        while self._asked:
            what, asked = self._asked.popleft()
            if asked.set_running_or_notify_cancel():
                try:
                    asked.set_result(what(self._camera))
                except Exception as error:  # for who asked
                    asked.set_exception(error)

    def close(self) -> None:
        """End a `capture` on another thread, and give the camera back. More than once is fine."""
        self._closed.set()
        self._camera.close()

    # --- frames ---------------------------------------------------------------------------------------------

    def _fitting(self, into: Pixels | None) -> Pixels | None:
        size = self.mode.size
        return into if into is not None and size == (into.shape[1], into.shape[0]) else None

    def _sound(self, frame: Frame) -> bool:
        """Can this frame be used? If not, it is dealt with."""
        size, (height, width) = self.mode.size, frame.pixels.shape[:2]
        if size is not None and size != (width, height):
            self._unusable("wrong_size", f"{self._camera.uri}: a frame of {width}x{height}, not {size[0]}x{size[1]}")
            return False
        if self._camera.live and self._frozen.is_frozen(frame.pixels, self._clock()):
            detail = f"{self._camera.uri}: the same picture for {self._settings.frozen_after_s:g} s or longer"
            if self._away_since is not None:  # opened again, and still the picture it froze at
                self._unusable("frozen", detail)
            else:
                self._lose("frozen", detail)
            return False
        return True

    def _unusable(self, kind: EventKind, detail: str) -> None:
        """A frame that cannot be used: try the next one, but not for ever."""
        self._fresh = False
        self._bad += 1
        if not self._camera.live:  # each names another file, and its end bounds it
            self._tell(kind, detail)
        elif self._bad >= MOST_BAD_FRAMES:
            self._lose("lost", f"{self._camera.uri}: {self._bad} frames in a row could not be used; {detail}")
        elif self._bad == 1 and self._away_since is None:
            self._tell(kind, detail)

    def _arrived(self) -> None:
        self._fresh, self._bad = False, 0
        if self._away_since is not None:
            self._tell("reopened", f"{self._camera.uri}: back {self._away_for()}")
            self._away_since, self._tries = None, 0

    # --- away and back --------------------------------------------------------------------------------------

    def _lose(self, kind: EventKind, detail: str) -> None:
        """The camera is away: close it, to be opened again."""
        self._camera.close()
        self._down, self._bad = True, 0
        if self._away_since is None and not self._over():
            self._away_since = self._clock()
            self._tell(kind, detail)

    def _lend(self) -> None:
        """Let another process have the camera, for a moment at least."""
        if not self._down:
            self._lose("lent", f"{self._camera.uri}: lent to a control in another process")
        self._tries = 0
        self._rest(_GLANCE_S)

    def _reopened(self) -> bool:
        """Wait, longer from try to try, and try once; whether it worked."""
        self._rest(min(_FIRST_PAUSE_S * 2**self._tries, _LONGEST_PAUSE_S))
        self._tries = min(self._tries + 1, 30)
        if self._over():
            return False
        try:
            self._bring_up()
        except CameraError as error:
            self._camera.close()
            if isinstance(error, CameraSetupError):  # its frames would be judged as what they are not
                raise
            return False
        if self._closed.is_set():  # while we opened it
            self._camera.close()
            return False
        return True

    def _bring_up(self) -> None:
        before, field_before = (self._mode.adjusted, self._mode.field_of_view) if self._mode else ((), "")
        self._camera.open()
        self._mode = self._camera.configure(self._settings)
        self._down, self._fresh = False, True
        for sentence in self._mode.adjusted:
            if sentence not in before:
                self._tell("adjusted", f"{self._camera.uri}: {sentence}")
        if self._mode.field_of_view not in ("", field_before):
            self._tell("field_of_view", f"{self._camera.uri}: {self._mode.field_of_view}")

    def _rest(self, seconds: float) -> None:
        while seconds > 0 and not self._closed.is_set() and not self._wait(min(seconds, _GLANCE_S)):
            seconds -= _GLANCE_S
            self.alive_at = self._clock()

    def _over(self) -> bool:
        """Closed, or told to stop while the camera is away."""
        return self._closed.is_set() or (self._stop.is_set() and self._away_since is not None)

    def _away_for(self) -> str:
        assert self._away_since is not None
        tries = f"{self._tries} tr{'y' if self._tries == 1 else 'ies'}"
        return f"after {self._clock() - self._away_since:.1f} s, {tries} to open it"

    def _tell(self, kind: EventKind, detail: str) -> None:
        self._on_event(CameraEvent(kind, detail))


class _FrozenWatch:
    """Notices a live camera that gives one picture again and again.

    Some thousand pixels of each frame are compared with those of the frame before, in place. A sensor's noise
    changes them even over a still slide; only clipped pixels (0 and 255) have no noise, so that a picture of
    nothing else, a lamp too bright or a cap on the lens, is no sign of anything.

    Args:
        after_s: seconds; 0 never.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._kept: Pixels | None = None
        self._since, self._repeats = 0.0, 0

    def is_frozen(self, pixels: Pixels, now: float) -> bool:
        """Whether the picture has been this one for longer than allowed."""
        if self._after_s == 0:
            return False
        rows, columns = (max(1, side // _SAMPLE_SIDE) for side in pixels.shape[:2])
        sample = pixels[::rows, ::columns]
        if self._kept is None or self._kept.shape != sample.shape:
            self._kept = np.full_like(sample, 0)
        if not np.array_equal(sample, self._kept) or not ((sample > 0) & (sample < 255)).any():
            np.copyto(self._kept, sample)
            self._since, self._repeats = now, 0
            return False
        self._repeats += 1
        return self._repeats >= _FEWEST_REPEATS and now - self._since >= self._after_s
