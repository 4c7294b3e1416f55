"""The throttle of logins: wrong ones are answered later and later, from elsewhere without holding up who is known."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

FREE = 5  # wrong passwords before a delay
LONGEST_S = 60.0
LONGEST_KNOWN_S = 8.0  # for a known device and the machine itself: a person is there, who waits
FORGOTTEN_S = 900.0  # without a wrong one
MOST_KEYS = 4096  # some 500 kB


@dataclass
class _Count:
    failures: int
    last: float
    not_before: float


class Throttle:
    """Delays by key. Its state is bounded: the key unused longest is forgotten for a new one.

    >>> throttle = Throttle(now=lambda: 0.0)
    >>> waits = [throttle.take(["user anna"], 60.0) for _ in range(8)]
    >>> waits
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, most: int = MOST_KEYS) -> None:
        self._now, self._most = now, most
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, keys: list[str], longest_s: float) -> float:
        """Seconds until an attempt may be made, and 0 where it may be made now, which counts as wrong until `forgive`.

        So attempts that are made at the same time do not pass together.
        """
        now = self._now()
        known = [self._counts[key] for key in keys if key in self._counts and self._fresh(self._counts[key], now)]
        wait = max((count.not_before - now for count in known), default=0.0)
        if wait > 0:
            return wait
        for key in keys:
            count = self._counts.get(key)
            failures = count.failures + 1 if count is not None and self._fresh(count, now) else 1
            delay = min(2.0 ** (failures - FREE), longest_s) if failures >= FREE else 0.0
            self._counts[key] = _Count(failures, now, now + delay)
            self._counts.move_to_end(key)
        while len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return 0.0

    def forgive(self, key: str, *, wholly: bool) -> None:
        """After a right password: forget the key, or only the attempt that was right."""
        count = self._counts.get(key)
        if count is None:
            return
        count.failures -= 1
        count.not_before = 0.0 if count.failures < FREE else count.not_before
        if wholly or count.failures <= 0:
            del self._counts[key]

    def _fresh(self, count: _Count, now: float) -> bool:
        return now - count.last < FORGOTTEN_S + (count.not_before - count.last)


def network_of(address: str) -> str:
    """Who an address stands for: an IPv4 address, the /64 network of an IPv6 one, "" for what is none.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2:3:4"), network_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)


def is_local(address: str) -> bool:
    """Whether an address is this machine's own loopback.

    >>> is_local("127.0.0.1"), is_local("::1"), is_local("192.0.2.7")
    (True, True, False)
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return found.is_loopback or bool(
        isinstance(found, IPv6Address) and found.ipv4_mapped and found.ipv4_mapped.is_loopback
    )
