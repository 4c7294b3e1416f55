"""The hand-over of a camera between a run and a control in another process: a camera has one user at a time.

A control holds a lock beside the control record while it wants the camera; a run looks at it a few times a second, and
lets go of its camera as long as it is held. The lock goes with the process that holds it, however that ends.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

LEASE = "camera.lock"
LOOK_EVERY_S = 0.25


@contextmanager
def wanted(folder: Path) -> Iterator[None]:
    """Within the block a run whose control record is in `folder` lets go of its camera.

    Args:
        folder: of the control record, which exists.

    Raises:
        OSError: the lock cannot be made.
    """
    handle = os.open(folder / LEASE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # waits for a run that is just looking
        yield
    finally:
        os.close(handle)


class CameraLease:
    """Whether a control wants the camera, as the run asks it.

    Args:
        folder: of the control record; it need not exist.
        now: seconds, monotonic.

    >>> CameraLease(Path("/srv/nothing")).wanted()
    False
    """

    def __init__(self, folder: Path, now: Callable[[], float] = monotonic) -> None:
        self._path, self._now = folder / LEASE, now
        self._due, self._wanted = now(), False

    def wanted(self) -> bool:
        """Asked before every frame; looks at the lock every `LOOK_EVERY_S`."""
        if self._now() >= self._due:
            self._due = self._now() + LOOK_EVERY_S
            self._wanted = self._held()
        return self._wanted

    def _held(self) -> bool:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # no control was ever made here
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        finally:
            with suppress(OSError):
                os.close(handle)
        return False
