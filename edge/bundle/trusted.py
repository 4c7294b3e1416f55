"""The folder of trusted keys, `/etc/leukoscope/trusted`: who may sign here, and what was taken back.

| name | what it holds |
|---|---|
| `NAME.pub` | a public key, PEM |
| `NAME.revoked` | lines `key HEX` and `bundle HEX`, 64 hexadecimal digits each; what follows a `#` is a comment |

Whatever else lies there is an error, not passed over: a key that is not read is one that somebody believes is. Names
that begin with a dot are ignored.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.bundle.keys import LARGEST_KEY_BYTES, PublicKey
from edge.errors import TrustError
from edge.system.folders import read_named

DEFAULT_KEYS = Path("/etc/leukoscope/trusted")
DEFAULT_PROFILE = Path(
    "/etc/leukoscope/edge.toml"
)  # read by `edge.settings.profile`, which is not imported for its name
MOST_FILES = 64
LARGEST_REVOCATION_BYTES = 256 * 2**10
_REVOKED = re.compile(r"(key|bundle)\s+([0-9a-f]{64})")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class TrustedKeys:
    """The keys that a machine trusts.

    Attributes:
        folder: where they were looked for.
        keys: those that verify, by id; revoked ones are not among them.
        revoked_keys, revoked_bundles: key ids and bundle digests.
        held: the folder holds keys or revocations: only signed bundles run here, though every key may be revoked.
        warnings: what is doubtful about the folder, a sentence each.

    >>> TrustedKeys(Path("keys")).held  # a folder without keys: unsigned bundles may run
    False
    """

    folder: Path
    keys: Mapping[str, PublicKey] = field(default_factory=dict)
    revoked_keys: frozenset[str] = frozenset()
    revoked_bundles: frozenset[str] = frozenset()
    held: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: Path | None = None) -> "TrustedKeys":
        """Read a folder of keys.

        Args:
            folder: one that a profile or a person names: it must be there and hold a key. None is `DEFAULT_KEYS`, which
                may be missing or empty: then no key is held.

        Raises:
            TrustError: the folder cannot be read, or something in it is no key and no revocation; names the file.
            TrustUnavailable: there are keys and `cryptography` is not installed.
        """
        named, folder = folder is not None, folder or DEFAULT_KEYS
        if not named and not os.path.lexists(folder):
            return cls(folder)
        names, warnings = _names(folder)
        if named and not names:
            raise TrustError(f"{folder}: holds no key (NAME.pub)")
        found: dict[str, PublicKey] = {}
        revoked: dict[str, set[str]] = {"key": set(), "bundle": set()}
        for name in names:
            path = folder / name
            if path.suffix == ".pub":
                key = _read_key(folder, name)
                found.setdefault(key.id, key)
            else:
                for what, digest in _read_revocations(folder, name):
                    revoked[what].add(digest)
        keys = {key_id: key for key_id, key in found.items() if key_id not in revoked["key"]}
        return cls(folder, keys, frozenset(revoked["key"]), frozenset(revoked["bundle"]), bool(names), tuple(warnings))


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """The names of key and revocation files, sorted, and warnings about who may write here."""
    try:
        entries = sorted((e for e in os.scandir(folder) if not e.name.startswith(".")), key=lambda entry: entry.name)
        modes = {str(folder): folder.stat().st_mode} | {e.path: e.stat().st_mode for e in entries}
    except OSError as error:
        raise TrustError(f"{error.filename or folder}: {error.strerror}") from error
    if len(entries) > MOST_FILES:
        raise TrustError(f"{folder}: holds more than {MOST_FILES} files")
    for entry in entries:
        if Path(entry.name).suffix not in (".pub", ".revoked"):
            cure = "; a private key must not be on a device" if entry.name.endswith(".key") else ""
            raise TrustError(f"{entry.path}: neither a key (NAME.pub) nor a revocation (NAME.revoked){cure}")
    warnings = [
        f"{path} can be written by others than its owner, who could so choose whose bundles run here; "
        "take that away: chmod go-w"
        for path, mode in modes.items()
        if mode & _OTHERS_MAY_WRITE
    ]
    return [entry.name for entry in entries], warnings


def _read_key(folder: Path, name: str) -> PublicKey:
    data = read_named(folder, name, LARGEST_KEY_BYTES, TrustError)
    try:
        return PublicKey.from_pem(data, Path(name).stem, str(folder / name))
    except ValueError as error:
        raise TrustError(str(error)) from error


def _read_revocations(folder: Path, name: str) -> list[tuple[str, str]]:
    data = read_named(folder, name, LARGEST_REVOCATION_BYTES, TrustError)
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise TrustError(f"{folder / name}: not a text file") from error
    found = []
    for number, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        match = _REVOKED.fullmatch(said)
        if match is None:
            raise TrustError(
                f"{folder / name}, line {number}: must be `key` or `bundle` and 64 hexadecimal digits; got {said!r:.90}"
            )
        found.append((match[1], match[2]))
    return found
