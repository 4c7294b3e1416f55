"""The `convert keygen` and `convert sign` commands."""

import logging
from dataclasses import dataclass
from pathlib import Path

from convert.signing.keys import generate, load_private, read_passphrase
from edge.bundle.provenance import BY_LAXER_POLICY
from edge.bundle.statement import LARGEST_VERSION
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.option_values import optional_path, whole_number

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeygenRequest:
    """Make the pair `name` in `folder`.

    >>> keygen("laboratory-2026").folder
    PosixPath('.')
    """

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


def keygen(name: str, *, to: str = ".", passphrase_file: str = "", json: bool = False) -> KeygenRequest:
    """Make a pair of keys: NAME.key signs bundles, NAME.pub lets devices verify them. Neither is ever overwritten.

    Args:
        name: of the files: of whoever signs, and when the key was made.
        to: folder for both; this one when left out.
        passphrase_file: file or pipe whose first line encrypts NAME.key.
        json: print one JSON object.
    """
    return KeygenRequest(name, Path(to), optional_path(passphrase_file), json)


@dataclass(frozen=True)
class SignRequest:
    """Sign the bundle in the folder `bundle`.

    >>> sign("dots-int8", key="laboratory.key", version="7").version
    7
    """

    bundle: Path
    key: Path
    version: int | None
    passphrase_file: Path | None
    add: bool
    replace: bool
    allow_uncertified: bool
    allow_synthetic: bool
    json: bool

    def execute(self) -> Outcome:
        """Code 0. Record: `bundle` (name), `version`, `digest`, `signed_at`, `keys` (all that have signed),
        `lax_policy` (of the certificate, where it is laxer than the shipped one; else null), `acceptance`."""
        from convert.signing import signing

        key = load_private(self.key, read_passphrase(self.passphrase_file))
        signed = signing.sign(
            self.bundle,
            key,
            version=self.version,
            add=self.add,
            replace=self.replace,
            allow_uncertified=self.allow_uncertified,
            allow_synthetic=self.allow_synthetic,
        )
        said = signed.statement
        if signed.lax_policy:
            _log.warning(f"{said.bundle} was {BY_LAXER_POLICY}, as devices and records will say: {signed.lax_policy}")
        record = {
            "bundle": said.bundle,
            "version": said.version,
            "digest": said.manifest_sha256,
            "signed_at": said.signed_at,
            "keys": list(signed.keys),
            "lax_policy": signed.lax_policy,
            "acceptance": signed.accepted,
        }
        keys = " and ".join(each[:12] for each in signed.keys)
        text = f"{said.bundle}, version {said.version}, bundle {said.manifest_sha256[:12]}: signed by {keys}"
        text += f"\n{signed.accepted}"
        return Outcome(DONE, record, text)


def sign(
    bundle: str,
    *,
    key: str,
    version: str = "",
    passphrase_file: str = "",
    add: bool = False,
    replace: bool = False,
    allow_uncertified: bool = False,
    allow_synthetic: bool = False,
    json: bool = False,
) -> SignRequest:
    """Sign a bundle: manifest.sig says that this bundle, in this version, may run where the key is trusted.

    The bundle is checked in full before. The name that is signed is the folder's.

    Args:
        bundle: its folder.
        key: NAME.key of `convert keygen`.
        version: whole number, above that of every bundle of this name before; the time in UTC when left out, such as
            20261124143000 for 14:30:00 on 24 November 2026.
        passphrase_file: file or pipe whose first line decrypts the key.
        add: put a signature beside those that are there, for the same version.
        replace: sign anew what is signed already, with a higher version.
        allow_uncertified: sign although the certificate does not say "pass".
        allow_synthetic: sign although the certificate rests on synthetic images only; devices and records say so.
        json: print one JSON object.
    """
    if add and replace:
        raise UsageError("--add keeps the signatures that are there and --replace does not: give one of them")
    return SignRequest(
        Path(bundle),
        Path(key),
        whole_number(version, "--version", at_least=1, at_most=LARGEST_VERSION) if version else None,
        optional_path(passphrase_file),
        add,
        replace,
        allow_uncertified,
        allow_synthetic,
        json,
    )
