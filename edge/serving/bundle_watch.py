"""The check during a run that the bundle on disk is still the one in memory."""

import hashlib

from edge.bundle.bundle import Bundle


class BundleWatch:
    """Notices that the bundle on disk is no longer the one in memory, which goes on running."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest, self._digest, self._said = bundle.path / "manifest.json", bundle.digest, False

    def change(self) -> str:
        """One sentence, once; "" while all is as it was."""
        try:
            same = hashlib.sha256(self._manifest.read_bytes()).hexdigest() == self._digest
        except OSError:
            same = False
        if same or self._said:
            return ""
        self._said = True
        return f"{self._manifest.parent} was changed on disk; the run goes on with bundle {self._digest[:12]} in memory"
