"""The keys of a repository's four roles: files `ROLE.key` or `ROLE-NAME.key`, as `convert keygen` makes them.

| role | signs | where its key belongs |
|---|---|---|
| root | who may sign what | offline, several people, a threshold of them |
| targets | which releases there are, and for which part of the devices | offline; taken out to release |
| snapshot, timestamp | that this is the newest of it | on the machine that refreshes the repository |
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from convert.errors import PublishError
from convert.signing.keys import PrivateKey, generate, load_private

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = ROLES = ("root", "targets", "snapshot", "timestamp")
MOST_KEYS = 16


@dataclass(frozen=True)
class RoleKeys:
    """Private keys by role; a role without any is missing."""

    folder: Path
    keys: Mapping[str, tuple[PrivateKey, ...]]

    @classmethod
    def load(cls, folder: Path, passphrase: bytes | None, roles: Collection[str] = ROLES) -> "RoleKeys":
        """Read the keys of `roles` that a folder holds.

        Raises:
            PublishError: no folder, or none of these keys. KeyFileError: a file that is no key.
        """
        if not folder.is_dir():
            raise PublishError(f"{folder}: no such folder of keys")
        found: dict[str, tuple[PrivateKey, ...]] = {}
        for role in roles:
            paths = sorted(path for path in folder.glob(f"{role}*.key") if _role_of(path) == role)
            if paths:
                found[role] = tuple(load_private(path, passphrase) for path in paths)
        if not found:
            raise PublishError(f"{folder}: holds no key of {', '.join(roles)} (ROLE.key or ROLE-NAME.key)")
        return cls(folder, found)

    def of(self, role: str) -> tuple[PrivateKey, ...]:
        """The keys of a role; PublishError where there is none."""
        if role not in self.keys:
            raise PublishError(f"{self.folder}: holds no {role} key ({role}.key or {role}-NAME.key)")
        return self.keys[role]


def generate_all(folder: Path, roots: int, passphrase: bytes | None) -> RoleKeys:
    """Make a key for each role, `roots` of them for root; UsageError where one of the files exists."""
    names = [f"{ROOT}-{number}" for number in range(1, roots + 1)] + [TARGETS, SNAPSHOT, TIMESTAMP]
    for name in names:
        generate(name, folder, passphrase)
    return RoleKeys.load(folder, passphrase)


def _role_of(path: Path) -> str:
    return path.stem.partition("-")[0]
