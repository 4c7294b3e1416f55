"""The addresses under which this machine is reached: for its certificate, and to be printed."""

import array
import fcntl
import socket
import struct
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

_SIOCGIFCONF = 0x8912  # linux/sockios.h: every IPv4 address of every interface that is up
_IFREQ = 40  # bytes of a struct ifreq on 64-bit machines
_MOST = 64
_GLOBAL = 0x00  # scope in /proc/net/if_inet6; loopback is 0x10, one link 0x20
_INET6 = Path("/proc/net/if_inet6")


def addresses_of_machine() -> list[str]:
    """IPv4 addresses first, then global IPv6 ones; without loopback, and without those that hold on one link alone."""
    found = [*_ipv4(), *_ipv6()]
    return [each for each in dict.fromkeys(found) if not ip_address(each).is_loopback]


def _ipv4() -> list[str]:
    size = _IFREQ if struct.calcsize("P") == 8 else 32
    buffer = array.array("B", bytes(_MOST * size))
    address, _ = buffer.buffer_info()
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        filled = fcntl.ioctl(probe, _SIOCGIFCONF, struct.pack("iP", len(buffer), address))
        [used] = struct.unpack_from("i", filled)
        data = buffer.tobytes()[:used]
        # struct ifreq: 16 bytes of name, then struct sockaddr_in: family, port, address
        return [socket.inet_ntoa(data[at + 20 : at + 24]) for at in range(0, len(data) - size + 1, size)]
    return []


def _ipv6() -> list[str]:
    try:
        lines = _INET6.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, _, _, scope, *_ = line.split()
        if int(scope, 16) == _GLOBAL:
            found.append(str(IPv6Address(int(number, 16))))
    return found
