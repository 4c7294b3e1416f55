"""What waits to be sent to one browser: bounded, whatever the browser does not take."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

MOST_MESSAGES = 256
MOST_BYTES = 512 * 1024


@dataclass(frozen=True)
class Frame:
    """A preview as a browser gets it: header and JPEG.

    >>> Frame(7, b"...").sequence
    7
    """

    sequence: int
    data: bytes


class Watcher:
    """The outbox of one browser. Of state and meters only the newest waits; verdicts and acts wait in order, up to
    `MOST_MESSAGES`: of a browser that is behind by more they are dropped, and told from the record later.

    At most one preview is with the browser and not acknowledged; while it is, none waits: it gets a fresh one.

    >>> watcher = Watcher()
    >>> watcher.put('{"kind":"verdict"}'), watcher.take()
    (None, '{"kind":"verdict"}')
    """

    def __init__(self) -> None:
        self._messages: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._newest: dict[str, str] = {}
        self._frame: Frame | None = None
        self._woken = asyncio.Event()
        self.overrun = False  # some did not fit
        self.told = 0  # the newest entry of the record that it was told of
        self.wants_previews = True
        self.sent_at: float | None = None  # when the preview went out that is not acknowledged

    def put(self, text: str, entry: int = 0) -> None:
        """Something that must not be left out; `entry` is its number in the record, 0 without one."""
        if len(self._messages) >= MOST_MESSAGES or self._bytes + len(text) > MOST_BYTES:
            self.overrun = True
            self._messages.clear()
            self._bytes = 0
        else:
            self._messages.append((text, entry))
            self._bytes += len(text)
        self._woken.set()

    def put_newest(self, kind: str, text: str) -> None:
        """Something of which only the newest counts."""
        self._newest[kind] = text
        self._woken.set()

    def put_frame(self, frame: Frame) -> None:
        """A preview, if the browser is ready for one."""
        if self.ready:
            self._frame = frame
            self._woken.set()

    @property
    def ready(self) -> bool:
        """Whether a preview may be sent to it."""
        return self.wants_previews and self.sent_at is None and self._frame is None

    def acknowledge(self) -> None:
        """The browser has shown the preview that it was sent."""
        self.sent_at = None

    def late(self, seconds: float) -> bool:
        """Whether a preview has not been acknowledged for so long."""
        return self.sent_at is not None and time.monotonic() - self.sent_at > seconds

    def take(self) -> str | bytes | None:
        """What to send next; None where nothing waits. A preview counts as sent from now on."""
        if self._messages:
            text, entry = self._messages.popleft()
            self.told = max(self.told, entry)
            self._bytes -= len(text)
            return text
        if self._newest:
            return self._newest.pop(next(iter(self._newest)))
        frame, self._frame = self._frame, None
        if frame is None or not self.wants_previews:
            return None
        self.sent_at = time.monotonic()
        return frame.data

    async def wait(self, seconds: float) -> None:
        """Until something waits, `seconds` at most."""
        if not (self._messages or self._newest or self._frame):
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), seconds)
            except TimeoutError:
                return
