"""Where the page is found: by name and by number, with a QR code for a phone, and the certificate's fingerprint.

Names that end in `.local` fail in many hospitals' networks, so the numbers always stand beside them. All of it is asked
of this machine itself: there may be no network but the one that the device makes.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from edge.page.access.wire.addresses import addresses_of_machine
from edge.settings.announced_name import announced_name
from edge.settings.page import PageSettings, is_address


@dataclass(frozen=True)
class Address:
    """Where a page is served.

    Attributes:
        urls: by name first, then by number; one at least. by_number: the one that a phone is shown.
        fingerprint: SHA-256 of the certificate, as browsers show it; "" without TLS.

    >>> Address(("http://127.0.0.1:8443/",), "http://127.0.0.1:8443/", "").lines()
    ['bench page: http://127.0.0.1:8443/']
    """

    urls: tuple[str, ...]
    by_number: str
    fingerprint: str

    def lines(self, *, code: bool = False) -> list[str]:
        """For a terminal; with `code` the QR code of the number, light on dark."""
        said = [f"{'bench page' if n == 0 else '        or'}: {url}" for n, url in enumerate(self.urls)]
        if self.fingerprint:
            said.append(f"certificate: SHA-256 {self.fingerprint}")
            said.append("  compare it with what the browser shows before you log in for the first time")
        return [*said, *qr_lines(self.by_number)] if code else said


def address(
    settings: PageSettings,
    *,
    fingerprint: str = "",
    port: int | None = None,
    numbers: Sequence[str] | None = None,
    root: Path = Path("/"),
) -> Address:
    """Where the page of these settings is found.

    Args:
        fingerprint: of the certificate; "" without TLS. port: that is listened at, where [page] leaves it to the
            system. numbers: addresses of this machine; None looks. root: of this machine; "/" but in tests.

    >>> address(PageSettings()).urls
    ('http://127.0.0.1:8443/',)
    """
    scheme, served_at = "https" if settings.tls else "http", port or settings.port
    everywhere = is_address(settings.host) and ip_address(settings.host).is_unspecified
    here = addresses_of_machine() if numbers is None else numbers
    if everywhere:
        shown = [each for each in here if ":" not in each or ":" in settings.host] or ["127.0.0.1"]
    else:
        shown = [settings.host]
    names = [] if settings.loopback else [announced_name(root), *settings.names]
    named = [f"{scheme}://{name}:{served_at}/" for name in dict.fromkeys(names) if name and not is_address(name)]
    by_number = [f"{scheme}://{f'[{each}]' if ':' in each else each}:{served_at}/" for each in shown]
    return Address((*named, *by_number), by_number[0], fingerprint)


def qr_lines(text: str) -> list[str]:
    """A QR code of half blocks, two modules a character high; nothing where segno is not installed.

    >>> len(qr_lines("http://127.0.0.1:8443/")) > 10
    True
    """
    try:
        import segno
    except ImportError:
        return []
    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue().rstrip("\n").split("\n")
