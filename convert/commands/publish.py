"""The `convert publish` command: one change to a repository of bundles a call."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from convert.errors import RejudgedError
from convert.signing.keys import read_passphrase
from convert.signing.repository import Publication, Published, utc_now
from convert.signing.repository_keys import SNAPSHOT, TARGETS, TIMESTAMP, RoleKeys, generate_all
from edge.bundle.policy import MANIFEST
from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.files import read_at_most, require_writable
from edge.system.option_values import optional_path, whole_number

MOST_DAYS = 3650
MOST_BYTES = 2**26


@dataclass(frozen=True)
class PublishRequest:
    """One change: exactly one of `init`, `bundle`, `release`, `refresh` and `rotate` is given.

    >>> publish("repository", keys="keys", release="dots-int8/7", rollout="10").release
    ('dots-int8', 7)
    """

    repository: Path
    keys: Path
    passphrase_file: Path | None
    init: bool
    roots: int
    threshold: int
    bundle: Path | None
    release: tuple[str, int] | None
    rollout: int
    refresh: bool
    rotate: Path | None
    expires: int
    json: bool
    rejudged: Path | None = None

    def execute(self) -> Outcome:
        """Code 0. Record: `action`, `root` (path), `versions` and `expires` by role, `releases`."""
        require_writable(self.repository, "REPO")
        passphrase = read_passphrase(self.passphrase_file)
        if self.init:
            keys = generate_all(self.keys, self.roots, passphrase)
            publication = Publication.new(self.repository, keys, self.threshold, utc_now())
            publication.write(keys, self.expires)
            said = f"an empty repository; give {publication.root_file} to devices, as root.json"
            return self._outcome("init", publication, f"{said}; take root and targets keys offline")
        publication = Publication.load(self.repository, utc_now())
        if self.rotate is not None:
            return self._rotated(publication, passphrase)
        if self.refresh:
            publication.refresh()
            publication.write(RoleKeys.load(self.keys, passphrase, (SNAPSHOT, TIMESTAMP)), self.expires)
            return self._outcome("refresh", publication, "refreshed")
        keys = RoleKeys.load(self.keys, passphrase, (TARGETS, SNAPSHOT, TIMESTAMP))
        changed = self._changed(publication)
        publication.write(keys, self.expires)
        said = f"{changed.name} version {changed.version} is offered to {changed.rollout} % of devices"
        return self._outcome("bundle" if self.bundle else "rollout", publication, said)

    def _changed(self, publication: Publication) -> Published:
        if self.bundle is not None:
            if self.rejudged is not None:
                require_passed(self.rejudged, self.bundle)
            return publication.add(self.bundle, self.rollout)
        assert self.release is not None  # one of the actions is given
        return publication.roll_out(*self.release, self.rollout)

    def _rotated(self, publication: Publication, passphrase: bytes | None) -> Outcome:
        assert self.rotate is not None
        new = RoleKeys.load(self.rotate, passphrase)
        old = RoleKeys.load(self.keys, passphrase)
        roles = publication.rotate(new)
        publication.write(RoleKeys(self.keys, {**old.keys, **new.keys}), self.expires, old_root=old)
        return self._outcome("rotate", publication, f"new keys for {', '.join(roles)}")

    def _outcome(self, action: str, publication: Publication, said: str) -> Outcome:
        releases = [{**msgspec.to_builtins(each), **publication.certified(each)} for each in publication.releases]
        record: dict[str, Any] = {
            "action": action,
            "root": str(publication.root_file),
            "versions": publication.versions,
            "expires": publication.expires,
            "releases": releases,
        }
        lines = [said, *(f"  {_line(release)}" for release in releases)]
        return Outcome(DONE, record, "\n".join([*lines, f"valid until {publication.expires[TIMESTAMP]}"]))


def publish(
    repo: str,
    *,
    keys: str,
    init: bool = False,
    roots: str = "3",
    threshold: str = "2",
    bundle: str = "",
    release: str = "",
    rollout: str = "",
    refresh: bool = False,
    rotate: str = "",
    expires: str = "30",
    passphrase_file: str = "",
    rejudged: str = "",
    json: bool = False,
) -> PublishRequest:
    """Write or change a TUF repository of signed bundles: static files, for any web server, that devices update from.

    One of --init, --bundle, --release, --refresh and --rotate a call. What is there is verified before anything is
    signed on top of it.

    Args:
        repo: its folder.
        keys: folder of the roles' private keys, ROLE.key or ROLE-NAME.key; --init makes them.
        init: begin an empty repository in a new folder.
        roots: root keys that --init makes.
        threshold: how many of them have to sign a new root.
        bundle: signed bundle to offer.
        release: NAME/VERSION that is offered, to give it another --rollout.
        rollout: percentage of devices a release is for, 0 to 100; all of them when left out with --bundle.
        refresh: say anew that this is the newest there is; needs the snapshot and timestamp keys only.
        rotate: folder with new keys for some of the roles, or all; --keys holds the old ones.
        expires: days until devices refuse the repository unless it is refreshed or changed.
        passphrase_file: file or pipe whose first line decrypts, or with --init encrypts, all keys.
        rejudged: rejudge.json of `edge rejudge` of this bundle: only one that passed is offered.
        json: print one JSON object.
    """
    actions = {"--init": init, "--bundle": bundle, "--release": release, "--refresh": refresh, "--rotate": rotate}
    given = [option for option, value in actions.items() if value]
    if len(given) != 1:
        raise UsageError(f"give one of {', '.join(actions)}; got {' and '.join(given) or 'none of them'}")
    if rollout and not (bundle or release):
        raise UsageError("--rollout goes with --bundle or --release")
    if release and not rollout:
        raise UsageError("--release needs --rollout, the percentage of devices it is now for")
    if rejudged and not bundle:
        raise UsageError("--rejudged goes with --bundle")
    count = whole_number(roots, "--roots", at_least=1, at_most=9)
    return PublishRequest(
        repository=Path(repo),
        keys=Path(keys),
        passphrase_file=optional_path(passphrase_file),
        init=init,
        roots=count,
        threshold=whole_number(threshold, "--threshold", at_least=1, at_most=count),
        bundle=optional_path(bundle),
        release=_release(release) if release else None,
        rollout=whole_number(rollout or "100", "--rollout", at_most=100),
        refresh=refresh,
        rotate=optional_path(rotate),
        expires=whole_number(expires, "--expires", at_least=1, at_most=MOST_DAYS),
        json=json,
        rejudged=optional_path(rejudged),
    )


def require_passed(rejudged: Path, bundle: Path) -> None:
    """UsageError unless the record of `edge rejudge` is of this bundle; RejudgedError unless it passed."""
    digest = hashlib.sha256(read_at_most(bundle / MANIFEST, MOST_BYTES, UsageError)).hexdigest()
    try:
        record = msgspec.json.decode(read_at_most(rejudged, MOST_BYTES, UsageError), type=_Rejudged)
    except msgspec.DecodeError as error:
        raise UsageError(f"--rejudged {rejudged}: not what `edge rejudge --out` writes: {error}") from error
    if record.bundle_digest != digest:
        raise UsageError(f"--rejudged {rejudged}: is of another bundle, {record.bundle} {record.bundle_digest[:16]}")
    if record.verdict != "pass":
        why = "; ".join(check.why for check in record.checks if check.verdict != "pass")
        raise RejudgedError(f"{bundle}: is not offered: {rejudged} says {record.verdict!r}: {why}")


class _RejudgedCheck(msgspec.Struct):
    verdict: str
    why: str


class _Rejudged(msgspec.Struct):
    bundle: str
    bundle_digest: str
    verdict: str
    checks: list[_RejudgedCheck]


def _line(release: dict[str, Any]) -> str:
    doubts = f", {ON_SYNTHETIC}" if release["synthetic_certificate"] else ""
    doubts += f", {BY_LAXER_POLICY}: {release['lax_policy']}" if release["lax_policy"] else ""
    return f"{release['name']} version {release['version']}: {release['rollout']} %{doubts}"


def _release(text: str) -> tuple[str, int]:
    name, _, version = text.rpartition("/")
    if not name:
        raise UsageError(f"--release must be NAME/VERSION; got {text!r}")
    return name, whole_number(version, "--release NAME/VERSION", at_least=1)
