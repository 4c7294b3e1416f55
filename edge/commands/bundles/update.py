"""The `edge update` command."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import DONE, UpdateError, UpdateSourceError, UsageError
from edge.system.option_values import optional_path
from edge.system.streams import one_line

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle
    from edge.serving.update.candidates import Candidate
    from edge.serving.update.sandboxed_selftest import Proof
    from edge.serving.update.slots import Slots
    from edge.serving.update.updater import Done
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdateRequest:
    """One update. `name` "" is the name of the bundle that serves, any where none does.

    >>> update("/media/stick", name="tiny-int8", check=True).check
    True
    """

    source: str
    settings: "Settings"
    slots: Path
    name: str
    root: Path | None
    proof: "Proof"
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
        from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC
        from edge.bundle.trusted import TrustedKeys
        from edge.serving.update.candidates import Terms
        from edge.serving.update.slots import Slots
        from edge.serving.update.sources import is_repository
        from edge.serving.update.updater import QUIET, QUIET_IN_A_REPOSITORY, update

        slots, trust = Slots(self.slots), TrustedKeys.load(self.settings.trust.keys)
        for warning in trust.warnings:
            _log.warning(warning)
        name = self.name or _name_that_serves(slots)
        done = update(
            slots,
            lambda: self._candidates(name),
            Terms(trust, name, self.allow_unsigned, self.allow_older, self.retry),
            self.proof,
            source=self.source,
            quiet=QUIET_IN_A_REPOSITORY if is_repository(self.source) else QUIET,
            check=self.check,
            require_runnable=self._require_runnable,
        )
        if done.action == "installed" and self.allow_unsigned and done.offer and done.offer.signed is None:
            _log.warning("this bundle is not signed: it serves only a run that says --allow-unsigned too")
        if done.synthetic_certificate:
            _log.warning(f"{done.offer} was {ON_SYNTHETIC}; its accuracy is not known")
        if done.lax_policy:
            _log.warning(f"{done.offer} was {BY_LAXER_POLICY}: {done.lax_policy}")
        return Outcome(DONE, _record(done), _text(done, self.slots))

    def _require_runnable(self, bundle: "Bundle") -> None:
        """BundleError where `edge run` could not start with the bundle: it has no gates and is not to run ungated, or
        the site of this device did not accept it."""
        from edge.serving.licensing import licence_of
        from edge.serving.serve import gates_of

        gates_of(bundle, ungated=self.settings.model.ungated)
        licence_of(bundle, self.settings.site)

    def _candidates(self, name: str) -> "Iterable[Candidate]":
        from edge.serving.update.rollout import device_id
        from edge.serving.update.sources import find, is_repository
        from edge.system.clock import kernel_synchronized

        if not is_repository(self.source):
            return find(self.source)
        try:
            from edge.serving.update.repository import Repository, bootstrap_root, offered
        except ImportError as error:
            raise UpdateSourceError(
                f"a repository needs tuf ({error}): pip install '.[device]' in a clone of Leukoscope"
            ) from error
        if kernel_synchronized() is False:
            _log.warning("nothing keeps this machine's clock: whether the repository is fresh is judged by it")
        device = device_id(self.settings.update.device)
        cache = self.slots.parent / "tuf"
        return offered(Repository(self.source, bootstrap_root(self.root), cache), device, name)


def update(
    source: str = "",
    *,
    name: str = "",
    check: bool = False,
    allow_older: bool = False,
    allow_unsigned: bool = False,
    retry: bool = False,
    root: str = "",
    config: str = "",
    slots: str = "",
    trusted: str = "",
    json: bool = False,
) -> UpdateRequest:
    """Install a bundle into the idle slot: verified, self-tested, switched to, on trial until it served healthily.

    What serves now is left as it is, and comes back by itself when the new one fails. Exit code 0 when it was installed
    or nothing is to be done, 1 when what is offered is refused, 4 when the source or the disk fails or another update
    is under way.

    Args:
        source: a bundle's folder or .zip file, a folder or stick with several, an https URL of a .zip, or the URL of a
            TUF repository; the profile's when left out.
        name: of the bundles wanted; the one that serves when left out.
        check: say what would be installed, and change nothing.
        allow_older: also a version that is not newer.
        allow_unsigned: also a bundle that no key trusted here signed; history and records say so.
        retry: also a bundle that this device went back from.
        root: root metadata of the repository; /etc/leukoscope/tuf/root.json when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        json: print one JSON object.
    """
    from edge.bundle.statement import BUNDLE_NAME
    from edge.serving.update.slots import slots_folder
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(trusted=trusted)
    source = source or settings.update.source
    if not source:
        raise UsageError("edge update needs a SOURCE, or [update] source in the profile")
    name = name or settings.update.name
    if name and not BUNDLE_NAME.fullmatch(name):
        raise UsageError(f"--name must be the name of a bundle, 1 to 64 of A-Z a-z 0-9 . _ -; got {name!r}")
    return UpdateRequest(
        source=source,
        settings=settings,
        slots=slots_folder(slots),
        name=name,
        root=optional_path(root) or settings.update.root,
        proof=proof_as_served(settings, config, allow_unsigned),
        allow_older=allow_older,
        allow_unsigned=allow_unsigned,
        retry=retry,
        check=check,
        json=json,
    )


def proof_as_served(settings: "Settings", config: str, allow_unsigned: bool) -> "Proof":
    """The self-test of a new bundle with the profile, keys and interpreter that the service has."""
    from edge.serving.update.sandboxed_selftest import Proof

    keys = settings.trust.keys
    return Proof(
        config=Path(config).absolute() if config else None,
        trusted=None if keys is None else keys.absolute(),
        runtime=settings.model.runtime,
        threads=settings.model.threads,
        allow_unsigned=allow_unsigned,
    )


def _name_that_serves(slots: "Slots") -> str:
    try:
        current = slots.current()
    except UpdateError:
        return ""
    return current.name if current else ""


def _record(done: "Done") -> dict[str, Any]:
    offer = done.offer
    return {
        "action": done.action,
        "name": offer.name if offer else None,
        "version": offer.version if offer else None,
        "digest": offer.digest if offer else None,
        "synthetic_certificate": done.synthetic_certificate,
        "lax_policy": done.lax_policy,
        "acceptance": done.acceptance,
        "current": str(done.place) if done.place else None,
        "passed_over": [{"origin": p.origin, "fate": p.reason, "why": p.why} for p in done.passed_over],
    }


def _text(done: "Done", slots: Path) -> str:
    first = {
        "installed": f"{done.offer} is installed as {done.place}; it serves, on trial, from the next start on",
        "would_install": f"{done.offer} would be installed from {done.offer.candidate.origin if done.offer else ''}",
        "nothing": f"nothing to do for {slots}",
    }[done.action]
    first += f"; {done.acceptance}" if done.acceptance else ""
    return "\n".join(map(one_line, [first, *(f"passed over: {each}" for each in done.passed_over)]))
