"""The service manager's end of systemd's notification socket."""

import socket
import time
from contextlib import suppress


class Manager:
    """Hears what a service says. `address`: a path, or `@name` of the abstract namespace."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self, timeout_s: float = 10.0) -> str | None:
        """The next message, None when none comes in time."""
        self._socket.settimeout(timeout_s)
        with suppress(TimeoutError):
            return self._socket.recv(4096).decode()
        return None

    def until(self, line: str, timeout_s: float = 30.0) -> list[str]:
        """Everything up to the message that holds `line`."""
        messages: list[str] = []
        deadline = time.monotonic() + timeout_s
        while (message := self.heard(max(0.01, deadline - time.monotonic()))) is not None:
            messages.append(message)
            if line in message:
                return messages
        raise AssertionError(f"{line} was not heard; {messages[-3:]}")

    def close(self) -> None:
        self._socket.close()
