"""Repeated check that the serving bundle is still trusted, by keys and revocations as they stand now."""

import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from edge.bundle.policy import permit
from edge.bundle.trusted import TrustedKeys
from edge.errors import SignatureError, TrustError, TrustUnavailable

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0


class TrustWatch:
    """Asks anew, now and then, what was asked when the bundle was opened.

    Args:
        path, manifest, signature, allow_unsigned: as `permit` was given them.
        keys: the folder that the profile names; None is the machine's own.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        path: Path,
        manifest: bytes,
        signature: bytes | None,
        keys: Path | None,
        *,
        allow_unsigned: bool,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._path, self._manifest, self._signature = path, manifest, signature
        self._keys, self._allow_unsigned, self._now = keys, allow_unsigned, now
        self._due = now() + LOOK_EVERY_S
        self._said = False

    def withdrawn(self) -> str:
        """Why the bundle may not run any more, one sentence; "" while it may, and while it cannot be found out.

        A folder of keys that somebody is just changing, or has spoilt, stops nothing that runs: the next start
        will not overlook it.
        """
        if self._now() < self._due:
            return ""
        self._due = self._now() + LOOK_EVERY_S
        try:
            trust = TrustedKeys.load(self._keys)
            permit(self._path, self._manifest, self._signature, trust, allow_unsigned=self._allow_unsigned)
        except SignatureError as error:
            return str(error)
        except (TrustError, TrustUnavailable) as error:
            if not self._said:
                self._said = True
                _log.warning(f"whether the bundle may go on serving cannot be found out: {error}")
        return ""
