"""The bundles that a source offers, and the choice of the one that is installed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edge.bundle.envelope import Signed
from edge.bundle.policy import MANIFEST, SIGNATURE, permit
from edge.bundle.statement import BUNDLE_NAME
from edge.bundle.trusted import TrustedKeys
from edge.errors import MACHINE_LACKS, BundleError, LeukoscopeError
from edge.serving.update.state import NO_STATE, State

# Why a candidate is not installed. "installed": it serves already; "later": a rollout has not come to this device;
# "older": than what was confirmed here; "rejected": this device went back from it; "other": of another name;
# "refused": unsigned, altered, not readable.
Reason = Literal["installed", "later", "older", "rejected", "other", "refused"]


class Candidate(Protocol):
    """A bundle that a source offers; nothing of it is read before it is asked for."""

    @property
    def origin(self) -> str:
        """Where it lies, for people."""

    @property
    def folder(self) -> str:
        """The name of its folder."""

    @property
    def later(self) -> str:
        """Why it is not this device's turn yet; "" where it is, or there are no turns."""

    @property
    def announced(self) -> "Announced | None":
        """What a repository says of it; None where there is nothing but the bundle."""

    def head(self) -> Mapping[str, bytes]:
        """`manifest.json` and, where there is one, `manifest.sig`; LeukoscopeError where they cannot be had."""

    def files(self) -> Mapping[str, bytes]:
        """Every file by name, each within its limit; LeukoscopeError where they cannot be had."""


@dataclass(frozen=True)
class Announced:
    """A release as a repository announces it; the bundle's own signature must say the same.

    >>> Announced("tiny-int8", 3, "0" * 64).version
    3
    """

    name: str
    version: int
    digest: str


@dataclass(frozen=True)
class Terms:
    """What may be installed.

    Attributes:
        trust: keys that may have signed it.
        name: of the bundles wanted; "" for any.
        allow_unsigned, allow_older, retry: also unsigned ones; also older ones; also those once gone back from.

    >>> Terms(TrustedKeys(()), name="tiny-int8").allow_older
    False
    """

    trust: TrustedKeys
    name: str = ""
    allow_unsigned: bool = False
    allow_older: bool = False
    retry: bool = False


@dataclass(frozen=True)
class Offer:
    """A candidate whose manifest may run here: its name, signed version (None for unsigned) and digest.

    >>> from edge.serving.update.sources import FolderCandidate
    >>> str(Offer(FolderCandidate(Path("/media/stick/tiny-int8")), "tiny-int8", 3, "0" * 64, signed=None))
    'tiny-int8 version 3'
    """

    candidate: Candidate
    name: str
    version: int | None
    digest: str
    signed: Signed | None

    def __str__(self) -> str:
        return f"{self.name} version {self.version}" if self.version else f"{self.name} (unsigned)"


@dataclass(frozen=True)
class PassedOver:
    """A candidate that is not installed, and why.

    >>> str(PassedOver("/media/stick/tiny-int8", "installed", "serves here already"))
    '/media/stick/tiny-int8: serves here already'
    """

    origin: str
    reason: Reason
    why: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.why}"


@dataclass(frozen=True)
class Standing:
    """What the device has: its state, and name, version and digest of the current bundle, None without one.

    >>> Standing(name="tiny-int8", version=3, digest="0" * 64).state.trial is None
    True
    """

    state: State = NO_STATE
    name: str | None = None
    version: int | None = None
    digest: str | None = None


def choose(
    candidates: Iterable[Candidate], terms: Terms, standing: Standing, place: Path
) -> tuple[list[Offer], list[PassedOver]]:
    """Weigh every candidate by its manifest and signature; nothing else of it is read.

    Args:
        place: the folder that bundles are put into: the policy is asked about a bundle there, not where it comes from.

    Returns:
        The acceptable offers, newest first, and the others with the reason.
    """
    offers: list[Offer] = []
    passed: list[PassedOver] = []
    for candidate in candidates:
        if candidate.later:
            passed.append(PassedOver(candidate.origin, "later", candidate.later))
            continue
        try:
            offer = _offer(candidate, terms, place)
        except LeukoscopeError as error:
            if error.exit_code == MACHINE_LACKS:  # the source fails, not this candidate
                raise
            passed.append(PassedOver(candidate.origin, "refused", str(error).replace(f"{place}/", "")))
            continue
        against = _against(offer, terms, standing)
        if against is None:
            offers.append(offer)
        else:
            passed.append(PassedOver(candidate.origin, *against))
    offers.sort(key=lambda offer: offer.version or 0, reverse=True)
    return offers, passed


def _offer(candidate: Candidate, terms: Terms, place: Path) -> Offer:
    head = candidate.head()
    if MANIFEST not in head:
        raise BundleError(f"no {MANIFEST}, so this is no complete bundle")
    path = place / candidate.folder
    signed = permit(
        path, head[MANIFEST], head.get(SIGNATURE), terms.trust, allow_unsigned=terms.allow_unsigned, any_name=True
    )
    name = candidate.folder if signed is None else signed.statement.bundle
    if not BUNDLE_NAME.fullmatch(name):
        raise BundleError(f"an unsigned bundle is called as its folder, and {name!r} is no name of a bundle")
    version = None if signed is None else signed.statement.version
    digest = hashlib.sha256(head[MANIFEST]).hexdigest()
    announced = candidate.announced
    if announced is not None and (announced.name, announced.digest) != (name, digest):
        raise BundleError(f"is {name} {digest[:12]}; announced is {announced.name} {announced.digest[:12]}")
    if announced is not None and version not in (None, announced.version):
        raise BundleError(f"is version {version} by its signature and {announced.version} in the repository")
    return Offer(candidate, name, version, digest, signed)


def _against(offer: Offer, terms: Terms, standing: Standing) -> tuple[Reason, str] | None:
    """What speaks against an offer, if anything does."""
    if terms.name and offer.name != terms.name:
        return "other", f"is {offer}; wanted is {terms.name}"
    if offer.digest == standing.digest:
        trial = standing.state.trial
        serves = "is on trial here" if trial and trial.digest == offer.digest else "serves here already"
        return "installed", f"{offer} {serves}"
    rejected = standing.state.rejection(offer.digest)
    if rejected is not None and not terms.retry:
        return "rejected", f"{offer} was gone back from: {rejected.why}; --retry installs it again"
    return None if terms.allow_older else _older(offer, standing)


def _older(offer: Offer, standing: Standing) -> tuple[Reason, str] | None:
    """Whether an offer is not newer than what was confirmed here, or serves; an unsigned one has no version to tell."""
    if offer.version is None:
        return None
    floor = standing.state.floors.get(offer.name, 0)
    if offer.version < floor:
        return "older", f"{offer} is older than version {floor}, which was confirmed here; --allow-older installs it"
    if standing.name == offer.name and standing.version is not None and offer.version <= standing.version:
        which = "older than" if offer.version < standing.version else "another bundle under the same number as"
        return "older", f"{offer} is {which} version {standing.version}, which serves; --allow-older installs it"
    return None
