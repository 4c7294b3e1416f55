"""What a service tells systemd: ready, alive, what it does, stopping (sd_notify(3)).

The protocol is one datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Without that variable, and
whatever becomes of the socket, nothing happens: an instrument does not stop because nobody listens.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from edge.system.streams import one_line

_LONGEST_STATUS = 400  # characters; `systemctl status` shows one line


class Notifier:
    """Tells the service manager what this process does.

    Args:
        address: an absolute path, or `@name` of the abstract namespace; "" and anything else: nobody is told.
        watchdog_s: seconds within which the manager wants to hear `alive` again, or it ends the process; None for no
            watchdog.

    >>> Notifier.from_environment({"WATCHDOG_USEC": "30000000"}).watchdog_s
    30.0
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address, self._socket = _bytes(address), None
        if self._address:
            with suppress(OSError):
                kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                self._socket = socket.socket(socket.AF_UNIX, kind)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """As systemd sets `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`."""
        watchdog = None
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with suppress(ValueError):
                watchdog = int(environment.get("WATCHDOG_USEC", "")) / 1e6
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog if watchdog and watchdog > 0 else None)

    def ready(self, status: str) -> None:
        """The service serves."""
        self._tell("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._tell(_status(status))

    def alive(self) -> None:
        """The watchdog's sign of life."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """The service is about to end."""
        self._tell("STOPPING=1", _status(status))

    def _tell(self, *lines: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # gone, or its queue is full: the next message says what counts then
                self._socket.sendto("\n".join(lines).encode(), self._address)


def _bytes(address: str) -> bytes:
    """As bind(2) takes it: `@` stands for the NUL that begins a name of the abstract namespace."""
    if address.startswith("@") and len(address) > 1:
        return b"\0" + os.fsencode(address[1:])
    return os.fsencode(address) if address.startswith("/") else b""


def _status(text: str) -> str:
    return f"STATUS={one_line(' '.join(text.split()))[:_LONGEST_STATUS]}"
