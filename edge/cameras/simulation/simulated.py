"""`sim:`, a virtual microscope: a camera over a drawn smear, for demonstration and tests.

It obeys what a real camera obeys: it must be opened and configured first, adjusts sizes, loses frames nobody takes
(with `fps`), stalls and goes away when its script says so. What it looks at depends on the seed and the frame's
number alone. `edge.cameras.simulation.settings` lists what the URI may say; every frame's metadata holds the notice
that it was drawn, and the truth about it.
"""

import math
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge.cameras.base import CameraMode, CameraSettings, Frame, Kind
from edge.cameras.simulation import counter_strip
from edge.cameras.simulation.settings import Fault, parse
from edge.cameras.simulation.view import Specimen, View, draw_specimen
from edge.cameras.synthetic.smear import SYNTHETIC_NOTICE
from edge.errors import CameraLost, CameraNotFound, CameraSettingsError, CameraTimeout, FrameCorrupt
from edge.inference.contract import Pixels

LARGEST_SIZE = (1920, 1440)  # of the virtual sensor, pixels
WIDEST = 2  # width / height: a field always is as high as a published one, and its width has to be drawn
RIGHT_EXPOSURE_US = 8000  # at gain 1; half of it gives half the light
RIGHT_COLOUR_GAINS = (1.9, 1.6)  # red and blue gains that make the lamp as it is on the published fields


@dataclass(frozen=True)
class _Running:
    """A configured camera: when its first frame was due, and what every frame's metadata says."""

    mode: CameraMode
    view: View
    fps: float | None
    started: float
    first: int
    metadata: dict[str, Any]


class SimulatedCamera:
    """A virtual microscope; see the module and `edge.cameras.base.Camera`.

    Args:
        uri: `sim:RECIPE?KEY=VALUE&...`; nothing is drawn before `configure`.

    Raises:
        CameraSettingsError: the URI has an unknown word or a value out of range.

    >>> camera = SimulatedCamera("sim:Pre?seed=3")
    >>> camera.open()
    >>> camera.configure(CameraSettings(size=(64, 48))).size
    (64, 48)
    >>> camera.capture(2.0).pixels.shape
    (48, 64, 3)
    >>> camera.close()
    """

    kind: Kind = "sim"
    live = True
    notice = SYNTHETIC_NOTICE

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._settings = parse(uri)
        self._script: list[Fault] = list(self._settings.fail)
        self._drawn: tuple[tuple[int, int], Specimen] | None = None
        self._closed = threading.Event()
        self._closed.set()
        self._running: _Running | None = None
        self._next = self._opened_at = 0  # frame numbers: of the next frame, of the first since opening
        self._lost = False
        self._away_until = self._stalled_until = self._frozen_until = 0.0  # time.monotonic()
        self._frozen_at = self._counted_ms = 0

    def open(self) -> None:
        """Take the microscope; CameraNotFound while it is unplugged. Nothing happens when it is open."""
        if not self._closed.is_set():
            return
        left = self._away_until - time.monotonic()
        if left > 0:
            raise CameraNotFound(f"{self.uri}: unplugged, as its script says, for {left:.1f} s more")
        self._lost, self._running = False, None
        self._opened_at = self._next
        if self._stalled_until == math.inf:
            self._stalled_until = 0.0
        if self._frozen_until == math.inf:
            self._frozen_until = 0.0
        self._closed.clear()

    def configure(self, settings: CameraSettings) -> CameraMode:
        """Draw the slide (about a second for 1280x960; not again for the same size) and start.

        Raises:
            CameraLost: not open, or unplugged.
        """
        self._present("configure")
        size, adjusted = _size(settings.size)
        if settings.region is not None:
            adjusted.append(f"region: {settings.region} asked, the whole field given: this camera has no region")
        if settings.white_balance_k is not None:
            adjusted.append(f"white_balance_k: {settings.white_balance_k:g} asked, this camera has colour_gains")
        if settings.fourcc is not None:
            adjusted.append(f"fourcc: {settings.fourcc} asked, RGB given")
        fps = self._settings.fps or settings.frame_rate
        if settings.frame_rate not in (None, fps):
            adjusted.append(f"frame_rate: {settings.frame_rate:g} asked, {fps:g} given, as the camera's URI says")
        if self._drawn is None or self._drawn[0] != size:
            self._running = self._drawn = None  # gives the memory of the last size back first
            self._drawn = size, draw_specimen(self._settings, size)
        light: float = 2**self._settings.exposure_error
        exposure_us: float = round(RIGHT_EXPOSURE_US * light)
        ignored = self._settings.ignore
        gain = 1.0 if settings.gain is None or "gain" in ignored else settings.gain
        if settings.exposure_us is not None and "exposure" not in ignored:
            exposure_us = settings.exposure_us
            light *= settings.exposure_us / RIGHT_EXPOSURE_US
        light *= gain
        red, blue = RIGHT_COLOUR_GAINS if settings.colour_gains is None or "white" in ignored else settings.colour_gains
        tint = (red / RIGHT_COLOUR_GAINS[0], 1.0, blue / RIGHT_COLOUR_GAINS[1])
        view = View(self._settings, self._drawn[1], size, light, tint)
        controls = {"ExposureTime": exposure_us, "AnalogueGain": gain, "ColourGains": [red, blue]}
        mode = CameraMode(size, "RGB", tuple(adjusted), controls)
        metadata = {"notice": SYNTHETIC_NOTICE, **controls}
        self._running = _Running(mode, view, fps, time.monotonic(), self._next, metadata)
        return mode

    def capture(self, timeout_s: float, into: Pixels | None = None) -> Frame:
        """The newest frame with `fps`, the next one without; see `edge.cameras.base.Camera.capture`.

        Raises:
            CameraLost: also when it was not opened and configured, or is closed meanwhile.
            CameraSettingsError: timeout_s is not > 0.
        """
        if not timeout_s > 0:
            raise CameraSettingsError(f"timeout_s must be > 0 seconds; got {timeout_s}")
        self._present("capture")
        running = self._running
        if running is None:
            raise CameraLost(f"{self.uri}: not configured; configure() it before capture()")
        deadline = time.monotonic() + timeout_s
        self._wait(self._stalled_until, deadline, timeout_s)
        number, due = self._upcoming(running)
        fault = self._fault(number)
        if fault == "stall":
            return self.capture(timeout_s, into)  # which waits first
        self._wait(due, deadline, timeout_s)
        self._next = number + 1
        if fault == "corrupt":
            raise FrameCorrupt(f"{self.uri}: frame {number - self._opened_at} is corrupt, as its script says")
        shown = self._frozen_at if time.monotonic() < self._frozen_until else number
        pixels, truth = self._take(running, shown, into)
        if self._settings.counter:
            if shown == number:
                self._counted_ms = round((time.time() - time.monotonic() + due) * 1e3)
            counter_strip.draw(pixels, shown - self._opened_at, self._counted_ms)
        if fault == "size":
            pixels = np.ascontiguousarray(pixels[::2, ::2])
        metadata = {**running.metadata, "truth": truth}
        return Frame(pixels, number - self._opened_at, round(due * 1e9), metadata)

    def close(self) -> None:
        """Give the microscope back. A capture that waits ends with CameraLost."""
        self._closed.set()
        self._running = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _present(self, what: str) -> None:
        if self._closed.is_set():
            raise CameraLost(f"{self.uri}: not open; open() it before {what}()")
        if self._lost:
            raise CameraLost(f"{self.uri}: unplugged; close and open it again")

    def _upcoming(self, running: _Running) -> tuple[int, float]:
        """(number of the frame that is to be given next, when it is or was exposed)."""
        if running.fps is None:
            return self._next, time.monotonic()
        newest = running.first + math.floor((time.monotonic() - running.started) * running.fps)
        number = max(self._next, newest)
        return number, running.started + (number - running.first) / running.fps

    def _fault(self, number: int) -> str:
        """The failure that begins with this frame, begun; "" if none does."""
        if not self._script or self._script[0].frame > number:
            return ""
        fault = self._script.pop(0)
        until = time.monotonic() + fault.seconds
        if fault.kind == "stall":
            self._stalled_until = until
        elif fault.kind == "freeze":
            self._frozen_until, self._frozen_at = until, number
        elif fault.kind == "unplug":
            self._away_until, self._lost, self._next = until, True, number
            raise CameraLost(f"{self.uri}: unplugged at frame {number - self._opened_at}, as its script says")
        return fault.kind

    def _wait(self, until: float, deadline: float, timeout_s: float) -> None:
        pause = min(until, deadline) - time.monotonic()
        if pause > 0 and self._closed.wait(pause):
            raise CameraLost(f"{self.uri}: closed during a capture")
        if until > deadline:
            raise CameraTimeout(f"{self.uri}: no frame within {timeout_s:g} s")

    @staticmethod
    def _take(running: _Running, number: int, into: Pixels | None) -> tuple[Pixels, dict[str, object]]:
        assert running.mode.size is not None
        width, height = running.mode.size
        fits = (
            into is not None
            and into.shape == (height, width, 3)
            and into.dtype == np.uint8
            and into.flags.c_contiguous
            and into.flags.writeable
        )
        pixels = into if into is not None and fits else np.empty((height, width, 3), np.uint8)
        return pixels, running.view.draw(number, pixels)


def _size(asked: tuple[int, int]) -> tuple[tuple[int, int], list[str]]:
    """(the size given: even, at most LARGEST_SIZE and not wider than WIDEST, what was changed)."""
    height = min(asked[1], LARGEST_SIZE[1]) // 2 * 2
    width = min(asked[0], LARGEST_SIZE[0], WIDEST * height) // 2 * 2
    if (width, height) == tuple(asked):
        return (width, height), []
    return (width, height), [f"size: {asked[0]}x{asked[1]} asked, {width}x{height} given"]
