"""The addresses under which a page is reached: by name and by number, since `.local` names fail in hospitals."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class Address:
    """One address. `by`: "number", "name", or "loopback" (this machine alone).

    >>> Address("https://192.0.2.7:8443/", "number").url
    'https://192.0.2.7:8443/'
    """

    url: str
    by: str


def addresses_of(host: str, port: int, *, tls: bool, names: Sequence[str] = ()) -> tuple[Address, ...]:
    """Where a page that listens on `host` and `port` is reached; numbers first, as they need no name service.

    Args:
        host: an address of this machine, an unspecified one ("0.0.0.0", "::") for all of them, or localhost.
        names: further names of the site's.

    >>> addresses_of("127.0.0.1", 8443, tls=False)
    (Address(url='http://127.0.0.1:8443/', by='loopback'),)
    """
    scheme = "https" if tls else "http"

    def url(of: str) -> str:
        return f"{scheme}://{f'[{of}]' if ':' in of else of}:{port}/"

    if host == "localhost" or ip_address(host).is_loopback:
        return (Address(url(host), "loopback"),)
    numbers = own_numbers() if ip_address(host).is_unspecified else [host]
    name = socket.gethostname().split(".")[0]
    named = [*names, *([f"{name}.local"] if name and name != "localhost" else [])]
    found = [Address(url(each), "number") for each in numbers]
    return (*found, *(Address(url(each), "name") for each in dict.fromkeys(named)))


def own_numbers() -> list[str]:
    """The IPv4 addresses of this machine that others reach, that of the default route first. Nothing is sent."""
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a route is looked up; no packet leaves
            found[probe.getsockname()[0]] = None
        except OSError:
            pass  # no default route: the names below may still say
    try:
        for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found[str(each[4][0])] = None
    except OSError:
        pass
    return [each for each in found if not ip_address(each).is_loopback]
