"""TLS while the page runs: the context of its server, whose certificate is renewed in place."""

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge.errors import CertificateError
from edge.page.access.wire.certificate import RENEWED, Certificate, certificate_of

if TYPE_CHECKING:
    from edge.settings.page import PageSettings

_log = logging.getLogger(__name__)
LOOKED_AT_S = 3600.0


class PageTls:
    """The certificate that new connections get. A site replaces its own by writing the files anew.

    Args:
        settings: [page] of the profile; `settings.tls` is true.
        now: UTC; the clock's when None.

    Raises:
        CertificateError, OSError: as `certificate_of`.
    """

    def __init__(self, settings: "PageSettings", now: datetime | None = None) -> None:
        self._settings = settings
        self.certificate: Certificate = certificate_of(settings, now)
        self.context: ssl.SSLContext = self.certificate.context()

    def look(self, now: datetime | None = None) -> bool:
        """Look at the files again; True where there is another certificate, which new connections get from now on.

        What cannot be used changes nothing, and is said in the log.
        """
        now = now or datetime.now(UTC)
        try:
            found = certificate_of(self._settings, now)
            changed = found.fingerprint != self.certificate.fingerprint
            if changed:
                found.load_into(self.context)
        except (CertificateError, OSError) as error:
            _log.error(f"the page goes on with its certificate: {error}")
            return False
        if changed:
            _log.warning(f"the page has another certificate, SHA-256 {found.fingerprint}")
        elif found.expires - now < RENEWED:
            _log.warning(f"{found.certificate} ends on {found.expires:%Y-%m-%d}: renew it")
        self.certificate = found
        return changed

    async def keep(self, every_s: float = LOOKED_AT_S) -> None:
        """Look every hour, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self.look)
