"""The `convert pack` command."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE, LeukoscopeError, UsageError
from edge.system.files import write_whole

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackRequest:
    """Write `bundle` as the zip file `to`.

    >>> pack("dots-int8", to="dots.zip").to
    PosixPath('dots.zip')
    """

    bundle: Path
    to: Path
    json: bool

    def execute(self) -> Outcome:
        """Code 0. Record: `bundle`, `to`, `digest`, `bytes`, `signed`.

        Raises:
            BundleError: it is not whole. UsageError: `to` holds something else. OSError: it cannot be written.
        """
        from convert.signing import signing
        from edge.system.files import read_at_most

        bundle, data = signing.pack(self.bundle)
        if self.to.exists() and read_at_most(self.to, signing.LARGEST_ZIP_BYTES, LeukoscopeError) != data:
            raise UsageError(f"--to must name a new file; {self.to} exists and holds something else")
        write_whole(self.to, data)
        signed = bundle.signature is not None
        if not signed:
            _log.warning(f"{bundle.name} is not signed: a device that holds trusted keys refuses it")
        record = {
            "bundle": bundle.name,
            "to": str(self.to),
            "digest": bundle.digest,
            "bytes": len(data),
            "signed": signed,
        }
        return Outcome(DONE, record, f"{self.to}: {bundle.name}, bundle {bundle.digest[:12]}, {len(data)} bytes")


def pack(bundle: str, *, to: str, json: bool = False) -> PackRequest:
    """Write a bundle as one zip file, for a USB stick. Equal bundles give equal files.

    Args:
        bundle: its folder.
        to: the file, NAME.zip.
        json: print one JSON object.
    """
    return PackRequest(Path(bundle), Path(to), json)
