"""What time it is, how far that can be trusted, and whether the clock was set meanwhile."""

import ctypes
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JUMP_S = 1.0
_SECOND_NS = 1_000_000_000
_UNSYNCHRONIZED_US = 16_000_000  # NTP_PHASE_LIMIT: what the kernel says of a clock that nobody keeps


@dataclass(frozen=True)
class Instant:
    """One moment on both clocks.

    Attributes:
        utc_ns: nanoseconds since 1970-01-01T00:00Z by the wall clock, which may be wrong and may be set.
        monotonic_ns: time.monotonic_ns(): never set, starts anew at boot.
        synchronized: whether the kernel held the wall clock to be synchronized; None where it does not say.

    >>> Instant(1_000_000_007, 5, None).utc
    '1970-01-01T00:00:01.000000007Z'
    """

    utc_ns: int
    monotonic_ns: int
    synchronized: bool | None

    @property
    def utc(self) -> str:
        """ISO 8601 with nanoseconds: 2026-11-03T12:34:56.789012345Z."""
        seconds, rest = divmod(self.utc_ns, _SECOND_NS)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class Clock:
    """The machine's clocks.

    Args:
        wall, monotonic: nanoseconds. synchronized: see `Instant`. Tests give their own.

    >>> Clock(wall=lambda: 0, monotonic=lambda: 7, synchronized=lambda: True).now()
    Instant(utc_ns=0, monotonic_ns=7, synchronized=True)
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
        synchronized: Callable[[], bool | None] | None = None,
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._synchronized = synchronized or kernel_synchronized
        self._offset = wall() - monotonic()

    def now(self) -> Instant:
        """This moment; costs about 3 us."""
        return Instant(self._wall(), self._monotonic(), self._synchronized())

    def jumped(self) -> float | None:
        """Seconds by which the wall clock moved against the monotonic one since this was last asked.

        None when that is at most `JUMP_S` either way: a clock that NTP slews is no clock that jumped. Negative
        when it was set back. A suspended machine counts as a jump, for the monotonic clock stands still then.
        """
        offset = self._wall() - self._monotonic()
        moved, self._offset = (offset - self._offset) / _SECOND_NS, offset
        return moved if abs(moved) > JUMP_S else None


class _Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)); the kernel fills the rest, whose size differs by architecture."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_byte * 512),
    )


def kernel_synchronized() -> bool | None:
    """Whether the kernel's clock is synchronized: maximum error below 16 s, the rule of systemd's `timedatectl`.

    STA_UNSYNC is not asked: it may be set only to keep the kernel's hands off the real-time clock
    (systemd, src/basic/time-util.c, ntp_synced).
    """
    adjtimex = _adjtimex()
    status = _Timex()  # modes = 0: read only
    if adjtimex is None or adjtimex(ctypes.byref(status)) == -1:  # forbidden in some sandboxes
        return None
    return bool(status.maxerror < _UNSYNCHRONIZED_US)


@functools.cache
def boot_id() -> str:
    """The id of this start of the machine, within which monotonic clocks of all processes agree; "" where it has none.

    Source: proc_sys_kernel(5), random/boot_id.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@functools.cache
def _adjtimex() -> Any:
    return getattr(ctypes.CDLL(None), "adjtimex", None)
