"""The watchdog: signs of life for the service manager while the run works or has to wait, none when it hangs.

| what goes on | alive? |
|---|---|
| a stage waits for the stage before it, or for the one after it | yes |
| the camera is away and is being opened again and again | yes |
| the disk is full, and nothing is taken in | yes |
| a stage is at work on one thing for longer than the watchdog's time (the record's stage: RECORD_S) | no |
| the camera's driver has not returned for that time and twice the camera's own limit | no |
| nothing is captured for that time, and nothing above explains it | no |
"""

from collections.abc import Callable
from time import monotonic

from edge.cameras.supervised import SupervisedCamera
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.sd_notify import Notifier

UNWATCHED_S = 60.0  # before a hang is said where no watchdog is set
RECORD_S = 300.0  # retention may remove many entries at once, and a worn card takes its time
_STATUS_EVERY_S = 5.0


class Watchdog:
    """Looks after one run; `look` is called a few times a second by the thread that waits for its end.

    Args:
        on_hang: called once, with one sentence, when signs of life are withheld.
        timeout_s: the longest wait for a frame that the camera is asked for.
        now: seconds, monotonic.
        says: what comes before the counts in the status, "" for nothing.
    """

    def __init__(
        self,
        notifier: Notifier,
        pipeline: Pipeline,
        camera: SupervisedCamera,
        recorder: Recorder,
        *,
        on_hang: Callable[[str], None],
        timeout_s: float,
        now: Callable[[], float] = monotonic,
        says: Callable[[], str] = lambda: "",
    ) -> None:
        self._says = says
        self._notifier, self._pipeline, self._camera, self._recorder = notifier, pipeline, camera, recorder
        self._on_hang, self._now = on_hang, now
        self._limit_s = notifier.watchdog_s or UNWATCHED_S
        self._camera_limit_s = self._limit_s + 2 * timeout_s
        self._captured, self._captured_at = 0, now()
        self._status_due = now()
        self._said = False

    def look(self, *, stopping: bool = False) -> None:
        """Give a sign of life, or withhold it; and say now and then what goes on.

        Args:
            stopping: the run was told to end, so that no further frame is expected.
        """
        hang = self.hang(stopping=stopping)
        if not hang:
            self._notifier.alive()
        elif not self._said:
            self._said = True
            self._on_hang(hang)
        if self._now() >= self._status_due:
            self._status_due = self._now() + _STATUS_EVERY_S
            self._notifier.status(hang or self.status())

    def hang(self, *, stopping: bool = False) -> str:
        """What hangs, one sentence; "" while nothing does."""
        busy = self._pipeline.activity.busy()
        for stage, seconds in busy.items():
            if stage == "capture":
                seconds = min(seconds, self._now() - self._camera.alive_at)  # noqa: PLW2901  (it may try for days)
            limit = {"capture": self._camera_limit_s, "record": max(RECORD_S, self._limit_s)}.get(stage, self._limit_s)
            if seconds > limit:
                return f"the {stage} stage hangs: at work on one thing for {seconds:.0f} s"
        captured = self._pipeline.counts.captured
        if captured != self._captured or busy or stopping or self._recorder.full:
            self._captured, self._captured_at = captured, self._now()
        idle = self._now() - self._captured_at
        return f"no frame was taken for {idle:.0f} s, and nothing says why" if idle > self._limit_s else ""

    def status(self) -> str:
        """One line: what was judged so far, and what keeps the run from judging."""
        counts = self._pipeline.counts
        text = f"{counts.classified} answered, {counts.refused} abstained, {counts.stored} stored"
        if says := self._says():
            text = f"{says}; {text}"
        if self._camera.away:
            text = f"the camera is away; {text}"
        return f"not recording; {text}" if self._recorder.full else text
