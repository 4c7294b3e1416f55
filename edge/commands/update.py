"""`edge update`, `edge rollback` and `edge slots`: requests, and what they print."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle.statement import BUNDLE_NAME
from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UpdateError, UpdateSourceError, UsageError
from edge.settings.profile import Settings, load
from edge.system.clock import kernel_synchronized
from edge.system.option_values import switch
from edge.update.candidates import Candidate, Terms
from edge.update.rollout import device_id
from edge.update.sandboxed_selftest import Proof
from edge.update.slots import Slots, default_slots
from edge.update.sources import find, is_repository
from edge.update.status import described
from edge.update.updater import QUIET, QUIET_IN_A_REPOSITORY, Done, roll_back, update

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdateRequest:
    """One update. `name` "" is the name of the bundle that serves, any where none does."""

    source: str
    settings: Settings
    slots: Path
    name: str
    trusted: Path | None
    root: Path | None
    cache: Path
    proof: Proof
    allow_older: bool
    allow_unsigned: bool
    retry: bool
    check: bool
    json: bool

    def execute(self) -> Outcome:
        """Install what the source offers, or say what would be.

        Returns:
            Code 0 when it was installed, or nothing is to be done.

        Raises:
            UpdateError: what is offered is refused (1), the source or the disk fails (4), another update runs (4).
        """
        slots, trust = Slots(self.slots), TrustedKeys.load(self.trusted)
        for warning in trust.warnings:
            _log.warning(f"{warning}")
        terms = Terms(trust, self._name(slots), self.allow_unsigned, self.allow_older, self.retry)
        done = update(
            slots,
            lambda: self._candidates(terms.name),
            terms,
            self.proof,
            source=self.source,
            quiet=QUIET_IN_A_REPOSITORY if is_repository(self.source) else QUIET,
            check=self.check,
        )
        if done.action == "installed" and self.allow_unsigned and done.offer and done.offer.signed is None:
            _log.warning("this bundle is not signed: it serves only a run that says --allow-unsigned too")
        return Outcome(DONE, _record(done), _text(done, self.slots))

    def _name(self, slots: Slots) -> str:
        name = self.name or self.settings.update.name
        if not name:
            try:
                current = slots.current()
            except UpdateError:
                current = None
            name = current.name if current else ""
        return name

    def _candidates(self, name: str) -> Iterable[Candidate]:
        if not is_repository(self.source):
            return find(self.source)
        try:
            from edge.update.repository import Repository, bootstrap_root, offered
        except ImportError as error:
            raise UpdateSourceError(f"a repository needs tuf ({error}): pip install 'leukoscope[device]'") from error
        if kernel_synchronized() is False:
            _log.warning("nothing keeps this machine's clock: whether the repository is fresh is judged by it")
        device = device_id(self.settings.update.device)
        root = bootstrap_root(self.root or self.settings.update.root)
        return offered(Repository(self.source, root, self.cache), device, name)


@dataclass(frozen=True)
class RollbackRequest:
    """Go back to the other slot."""

    slots: Path
    proof: Proof
    why: str
    json: bool

    def execute(self) -> Outcome:
        """Switch; UpdateError (1) where there is nothing good to go back to."""
        now, before = roll_back(Slots(self.slots), self.proof, why=self.why)
        record = {"action": "rolled_back", "current": str(now), "before": str(before) if before else None}
        text = f"{now} serves from the next start of the service on" + (f"; {before} served before" if before else "")
        return Outcome(DONE, record, text)


@dataclass(frozen=True)
class SlotsRequest:
    """Show the slots."""

    slots: Path
    trusted: Path | None
    allow_unsigned: bool
    json: bool

    def execute(self) -> Outcome:
        """Code 0, or 1 when the current slot does not verify."""
        slots = Slots(self.slots)
        record = described(slots, TrustedKeys.load(self.trusted), allow_unsigned=self.allow_unsigned)
        code = ANSWER_IS_NO if record["populated"] and not record["sound"] else DONE
        return Outcome(code, record, "\n".join(_lines(record)))


def update_request(
    source: str,
    *,
    config: str,
    slots: str,
    trusted: str,
    root: str,
    name: str,
    allow_older: object,
    allow_unsigned: object,
    retry: object,
    check: object,
    json: object,
) -> UpdateRequest:
    """The request that the words of a command line make, over the profile; UsageError where they make none."""
    settings = load(Path(config) if config else None)
    source = source or settings.update.source
    if not source:
        raise UsageError("edge update needs a SOURCE, or [update] source in the profile")
    wanted = name or settings.update.name
    if wanted and not BUNDLE_NAME.fullmatch(wanted):
        raise UsageError(f"--name must be the name of a bundle, 1 to 64 of A-Z a-z 0-9 . _ -; got {wanted!r}")
    folder = Path(slots) if slots else default_slots()
    unsigned = switch(allow_unsigned, "--allow-unsigned")
    keys = Path(trusted) if trusted else settings.trust.keys
    return UpdateRequest(
        source=source,
        settings=settings,
        slots=folder,
        name=wanted,
        trusted=keys,
        root=Path(root) if root else None,
        cache=folder.parent / "tuf",
        proof=_proof(settings, config, keys, unsigned),
        allow_older=switch(allow_older, "--allow-older"),
        allow_unsigned=unsigned,
        retry=switch(retry, "--retry"),
        check=switch(check, "--check"),
        json=switch(json, "--json"),
    )


def rollback_request(
    *, config: str, slots: str, trusted: str, why: str, allow_unsigned: object, json: object
) -> RollbackRequest:
    """The request that the words of a command line make."""
    settings = load(Path(config) if config else None)
    keys = Path(trusted) if trusted else settings.trust.keys
    proof = _proof(settings, config, keys, switch(allow_unsigned, "--allow-unsigned"))
    return RollbackRequest(
        Path(slots) if slots else default_slots(), proof, why or "rolled back by hand", switch(json, "--json")
    )


def slots_request(*, config: str, slots: str, trusted: str, allow_unsigned: object, json: object) -> SlotsRequest:
    """The request that the words of a command line make."""
    settings = load(Path(config) if config else None)
    return SlotsRequest(
        Path(slots) if slots else default_slots(),
        Path(trusted) if trusted else settings.trust.keys,
        switch(allow_unsigned, "--allow-unsigned"),
        switch(json, "--json"),
    )


def _proof(settings: Settings, config: str, trusted: Path | None, allow_unsigned: bool) -> Proof:
    return Proof(
        config=Path(config).absolute() if config else None,
        trusted=None if trusted is None else trusted.absolute(),
        runtime=settings.model.runtime,
        threads=settings.model.threads,
        allow_unsigned=allow_unsigned,
    )


def _record(done: Done) -> dict[str, Any]:
    offer = done.offer
    return {
        "action": done.action,
        "name": offer.name if offer else None,
        "version": offer.version if offer else None,
        "digest": offer.digest if offer else None,
        "current": str(done.place) if done.place else None,
        "passed_over": [{"origin": p.origin, "fate": p.fate, "why": p.why} for p in done.passed_over],
    }


def _text(done: Done, slots: Path) -> str:
    first = {
        "installed": f"{done.offer} is installed as {done.place}; it serves, on trial, from the next start on",
        "would_install": f"{done.offer} would be installed from {done.offer.candidate.origin if done.offer else ''}",
        "nothing": f"nothing to do for {slots}",
    }[done.action]
    return "\n".join([first, *(f"passed over: {each}" for each in done.passed_over)])


def _lines(record: Mapping[str, Any]) -> list[str]:
    """For a person."""
    if not record["populated"]:
        return [f"{record['folder']}: nothing was installed; the bundle of this installation runs"]
    lines = []
    for slot, bundle in record["slots"].items():
        if bundle is None:
            lines.append(f"  {slot}  empty")
            continue
        serves = record["current"] == f"{slot}/{bundle['name']}"
        mark = ("on trial" if record["on_trial"] else "serves") if serves else "spare"
        version = f"version {bundle['version']}" if bundle["version"] else "unsigned"
        line = f"{'*' if serves else ' '} {slot}  {bundle['name']} {version}  {mark}  {bundle['fault'] or ''}"
        lines.append(line.rstrip())
    if record["fault"]:
        lines.append(f"fault: {record['fault']}")
    lines += [f"gone back from: {r['name']} version {r['version']}: {r['why']}" for r in record["rejected"]]
    lines += [
        f"{each['utc'][:19]}Z  {each['what']:<12}{each.get('name') or ''} {each.get('version') or ''}  "
        f"{each.get('why') or each.get('source') or ''}".rstrip()
        for each in record["history"]
    ]
    return lines
