"""Previews: a camera's frame as a small JPEG, made once for all who look, and only while somebody does."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import cv2
import msgspec
import numpy as np

from edge.inference.contract import Pixels
from edge.instrument.socket.messages import Preview
from edge.system.clock import Instant

_log = logging.getLogger(__name__)

WIDEST = 800  # pixels
EVERY_S = 0.1
QUALITY, SUBSAMPLING = 80, "420"  # about 34 kB for 640x480; a preview is looked at, never judged
_NICE = 10
_EARLY_S = 0.005  # a camera of 10 frames a second keeps all of them


def shrunk_size(width: int, height: int) -> tuple[int, int, int]:
    """(width, height of a preview in pixels, the whole factor that shrinks to it).

    >>> shrunk_size(1280, 960), shrunk_size(800, 600), shrunk_size(4056, 3040)
    ((640, 480, 2), (800, 600, 1), (676, 506, 6))
    """
    factor = math.ceil(width / WIDEST)
    return width // factor, max(1, height // factor), factor


class Previews:
    """Frames in, JPEGs out, at most 10 a second. The frame is shrunk where it is offered, which is its one copy, and
    encoded by a thread of low priority; of frames that wait only the newest is kept.

    Args:
        wanted: whether anybody waits for a preview; asked by any thread.
        deliver: gets a preview and its JPEG, in the encoder's thread.
    """

    def __init__(self, wanted: Callable[[], bool], deliver: Callable[[Preview, bytes], None]) -> None:
        self._wanted, self._deliver = wanted, deliver
        self._due = 0.0  # time.monotonic()
        self._changed = threading.Condition()
        self._waiting: tuple[Pixels, Preview] | None = None
        self._spare: list[Pixels] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def wanted(self) -> bool:
        """A frame that is offered now would be shown. Costs less than a microsecond while nobody looks."""
        return self._wanted() and time.monotonic() >= self._due

    def offer(self, pixels: Pixels, sequence: int, at: Instant) -> None:
        """Show a frame, if it is `wanted`. The pixels may change as soon as this returns; never waits for the encoder.

        Args:
            pixels: uint8 (H, W, 3) RGB. sequence: the camera's frame number. at: when it was captured.
        """
        if not self.wanted() or self._closed:
            return
        self._due = time.monotonic() + EVERY_S - _EARLY_S
        small = self._shrink(pixels)
        preview = Preview(
            bytes=1,  # not known before it is encoded
            width=small.shape[1],
            height=small.shape[0],
            size=(pixels.shape[1], pixels.shape[0]),
            sequence=sequence,
            utc_ns=at.utc_ns,
            monotonic_ns=at.monotonic_ns,
        )
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._encode, name="previews", daemon=True)
                self._thread.start()
            if self._waiting is not None:
                self._spare.append(self._waiting[0])
            self._waiting = small, preview
            self._changed.notify()

    def close(self) -> None:
        """Encode no more. More than once is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _shrink(self, pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        wide, high, factor = shrunk_size(width, height)
        with self._changed:
            into = self._spare.pop() if self._spare else None
        if into is None or into.shape != (high, wide, 3):
            into = np.empty((high, wide, 3), np.uint8)
        if factor == 1:
            np.copyto(into, pixels)
        else:
            cropped = pixels[: high * factor, : wide * factor]
            cv2.resize(cropped, (wide, high), dst=into, interpolation=cv2.INTER_AREA)
        return into

    def _encode(self) -> None:
        import simplejpeg

        with suppress(OSError):  # Linux: of this thread alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                if self._closed:
                    return
                assert self._waiting is not None
                small, preview = self._waiting
                self._waiting = None
            try:
                if self._wanted():  # who waited may have left, or got the frame before
                    jpeg = simplejpeg.encode_jpeg(
                        small, quality=QUALITY, colorspace="RGB", colorsubsampling=SUBSAMPLING, fastdct=True
                    )
                    self._deliver(msgspec.structs.replace(preview, bytes=len(jpeg)), jpeg)
            except Exception as error:  # a preview that fails must not end those that follow
                _log.warning(f"no preview of frame {preview.sequence}: {error}")
            with self._changed:
                self._spare.append(small)
                del self._spare[2:]
