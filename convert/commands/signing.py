"""The requests of `convert keygen`, `sign`, `verify` and `pack`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.signing.keys import generate, load_private, load_public, read_passphrase
from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, BundleError, LeukoscopeError, UsageError
from edge.system.files import write_whole

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeygenRequest:
    """Make the pair `name` in `folder`."""

    name: str
    folder: Path
    passphrase_file: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Code 0. Record: `id`, `key` and `public` (paths), `encrypted`."""
        passphrase = read_passphrase(self.passphrase_file)
        key, public, made = generate(self.name, self.folder, passphrase)
        if passphrase is None:
            _log.warning(f"{key} is not encrypted: who can read it can sign; --passphrase-file encrypts one")
        record = {"id": made.id, "key": str(key), "public": str(public), "encrypted": passphrase is not None}
        return Outcome(DONE, record, f"key {made.id}\n{key} signs: keep it\n{public} verifies: install it on devices")


@dataclass(frozen=True)
class SignRequest:
    """Sign the bundle in the folder `bundle`."""

    bundle: Path
    key: Path
    version: int | None
    passphrase_file: Path | None
    add: bool
    replace: bool
    allow_uncertified: bool
    json: bool

    def execute(self) -> Outcome:
        """Code 0. Record: `bundle` (name), `version`, `digest`, `signed_at`, `keys` (all that have signed)."""
        from convert.signing.signing import sign

        key = load_private(self.key, read_passphrase(self.passphrase_file))
        signed = sign(
            self.bundle,
            key,
            version=self.version,
            add=self.add,
            replace=self.replace,
            allow_uncertified=self.allow_uncertified,
        )
        said = signed.statement
        record = {
            "bundle": said.bundle,
            "version": said.version,
            "digest": said.manifest_sha256,
            "signed_at": said.signed_at,
            "keys": list(signed.keys),
        }
        keys = " and ".join(each[:12] for each in signed.keys)
        text = f"{said.bundle}, version {said.version}, bundle {said.manifest_sha256[:12]}: signed by {keys}"
        return Outcome(DONE, record, text)


@dataclass(frozen=True)
class VerifyRequest:
    """Is `bundle`, a folder or zip file, signed by one of the keys in `public`, files or one folder of trusted keys?"""

    bundle: Path
    public: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """Code 0 valid, 1 not.

        Record: `path`, `valid`, `reason` (null when valid); and `bundle`, `version`, `digest`, `signed_at`, `keys` (ids
        of those that hold), `verdict` (the certificate's), all null where not valid.

        Raises:
            UsageError: no such bundle. KeyFileError, TrustError: keys that cannot be read.
        """
        from convert.signing.signing import verify

        trust = self._trust()
        if not self.bundle.exists():
            raise UsageError(f"{self.bundle}: no such folder or zip file")
        record: dict[str, Any] = {"path": str(self.bundle), "valid": False, "reason": None}
        record |= dict.fromkeys(("bundle", "version", "digest", "signed_at", "keys", "verdict"))
        try:
            found = verify(self.bundle, trust)
        except BundleError as error:
            return Outcome(ANSWER_IS_NO, {**record, "reason": str(error)}, f"not valid: {error}")
        assert found.signed is not None  # keys are held: `verify` raises otherwise
        said, keys = found.signed.statement, found.signed.keys
        record |= {
            "valid": True,
            "bundle": said.bundle,
            "version": said.version,
            "digest": found.digest,
            "signed_at": said.signed_at,
            "keys": list(keys),
            "verdict": found.certificate["verdict"],
        }
        names = " and ".join(f"{trust.keys[key].name} ({key[:12]})" for key in keys)
        text = (
            f"valid: {said.bundle}, version {said.version}, bundle {found.digest}\nsigned by {names}, {said.signed_at}"
        )
        if not found.certified:
            text += f"\nits certificate says {found.certificate['verdict']!r}: devices refuse it"
        return Outcome(DONE, record, text)

    def _trust(self) -> TrustedKeys:
        from convert.signing.signing import public_keys

        if len(self.public) == 1 and self.public[0].is_dir():
            return TrustedKeys.load(self.public[0])
        return public_keys(tuple(load_public(path) for path in self.public))


@dataclass(frozen=True)
class PackRequest:
    """Write `bundle` as the zip file `to`."""

    bundle: Path
    to: Path
    json: bool

    def execute(self) -> Outcome:
        """Code 0. Record: `bundle`, `to`, `digest`, `bytes`, `signed`.

        Raises:
            BundleError: it is not whole. UsageError: `to` holds something else. OSError: it cannot be written.
        """
        from convert.signing.signing import LARGEST_ZIP_BYTES, pack
        from edge.system.files import read_at_most

        bundle, data = pack(self.bundle)
        if self.to.exists() and read_at_most(self.to, LARGEST_ZIP_BYTES, LeukoscopeError) != data:
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
