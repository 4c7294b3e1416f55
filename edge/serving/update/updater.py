"""The update: from a source to the idle slot, and the switch; every step durable before the next one begins.

| step | what is on the disk when it is done |
|---|---|
| clean | nothing unfinished of an earlier update |
| stage ... | `.staging/NAME` holds every file, synced; `current` and both slots are untouched |
| prove | (the staged bundle verified from the disk, and passed the self-test in a process of its own) |
| return | only where a bundle is on trial: `current` leads to the confirmed one again |
| clear | the idle slot is empty |
| place | the idle slot is the staged folder |
| mark | `state.json` says that this slot is on trial once `current` leads there |
| switch | `current` leads to it |
| note | the history says so |

A kill before `switch` leaves the old bundle serving, after it the new one, on trial. The next update cleans and begins
anew.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.provenance import signers
from edge.errors import MACHINE_LACKS, LeukoscopeError, UpdateError
from edge.serving.update.candidates import Candidate, Offer, PassedOver, Reason, Standing, Terms, choose
from edge.serving.update.slots import CLEARED, CURRENT, STAGING, STATE, Place, Slots
from edge.serving.update.state import Rejected, Trial

Prove = Callable[[Path], None]
QUIET: frozenset[Reason] = frozenset({"installed", "later"})
# A repository keeps what it offered before, and an older release in it is no attempt at anything.
QUIET_IN_A_REPOSITORY: frozenset[Reason] = QUIET | {"older"}
_AMONG_OTHERS = ("other", "older")  # no reason to complain where the right one is there too


@dataclass(frozen=True)
class Done:
    """What came of an update.

    Attributes:
        action: "installed", "nothing" or, where it was only asked, "would_install".
        offer: the bundle that this is about; None for nothing.
        place: where it stands now; None where nothing was installed.
        passed_over: candidates that were not taken.
        lax_policy: of what was installed, where it is laxer than the shipped one. acceptance: which site accepted what
            was installed.
        synthetic_certificate: synthetic images certified what was installed; None where nothing was, since a
            certificate is read on installing only.

    >>> Done("nothing", None, None, ()).action
    'nothing'
    """

    action: str
    offer: Offer | None
    place: Place | None
    passed_over: tuple[PassedOver, ...]
    synthetic_certificate: bool | None = None
    lax_policy: str | None = None
    acceptance: str | None = None


def update(
    slots: Slots,
    candidates: Callable[[], Iterable[Candidate]],
    terms: Terms,
    prove: Prove,
    *,
    source: str,
    quiet: frozenset[Reason] = QUIET,
    check: bool = False,
    allow_uncertified: bool = False,
    require_runnable: Callable[[Bundle], None] = lambda bundle: None,
) -> Done:
    """Install the newest acceptable candidate.

    Args:
        candidates: what the source offers; asked under the lock.
        prove: self-test of the bundle in a folder; UpdateError where it fails.
        source: for the history.
        quiet: reasons for which nothing is to be done and all is well; any other than these and "other" is a refusal.
        check: weigh, and change nothing.
        require_runnable: raises where a run could not start with a bundle that verifies.

    Raises:
        UpdateBusy: another update is under way.
        UpdateSourceError: the source cannot be read to its end.
        UpdateError: nothing acceptable is offered, or what is fails; nothing was changed.
        OSError: the disk is full or may not be written; nothing was changed.
    """
    with slots.updating():
        if not check:
            _clean(slots)
        standing = _standing(slots)
        offers, passed = choose(candidates(), terms, standing, slots.folder / STAGING)
        if not offers:
            if not any(each.reason in quiet for each in passed) or any(
                each.reason not in quiet and each.reason not in _AMONG_OTHERS for each in passed
            ):
                raise _refused(slots, source, passed, check)
            return Done("nothing", None, None, tuple(passed))
        names = sorted({offer.name for offer in offers})
        if len(names) > 1:
            raise UpdateError(f"{source}: offers {' and '.join(names)}; say which with --name")
        if check:
            return Done("would_install", offers[0], None, (*passed, *_outdone(offers[1:], offers[0])))
        for number, offer in enumerate(offers):
            try:
                place, bundle = _install(
                    slots, offer, terms, prove, standing, source, allow_uncertified, require_runnable
                )
            except LeukoscopeError as error:
                if error.exit_code == MACHINE_LACKS:  # no fault of this offer, and the next would meet it too
                    raise
                why = str(error).replace(str(slots.folder / STAGING / offer.name), offer.candidate.origin)
                _note_refusal(slots, source, why, offer)
                passed.append(PassedOver(offer.candidate.origin, "refused", f"{offer} was not installed: {why}"))
                continue
            finally:
                with suppress(OSError):  # what is left is cleaned by the next update
                    slots.durable.remove("tidy", slots.folder / STAGING)
            passed_over = (*passed, *_outdone(offers[number + 1 :], offer))
            return Done("installed", offer, place, passed_over, bundle.synthetic, bundle.lax_policy, bundle.accepted)
        raise UpdateError("; ".join(str(each) for each in passed if each.reason == "refused"))


def _outdone(offers: list[Offer], by: Offer) -> list[PassedOver]:
    return [PassedOver(each.candidate.origin, "older", f"is {each}; {by} is newer") for each in offers]


def roll_back(slots: Slots, prove: Prove, *, why: str) -> tuple[Place, Place | None]:
    """Switch to the other slot by hand.

    Returns:
        What serves now, and what served before.

    Raises:
        UpdateBusy: an update is under way. UpdateError: the other slot holds no good bundle; nothing was changed.
    """
    with slots.updating():
        current = _current(slots)
        other = slots.place(slots.idle(current))
        identity = slots.identity(other) if other else None
        if other is None or identity is None:
            raise UpdateError(f"{slots.folder}: there is no other good slot to go back to")
        rejection = slots.renew_damaged_state().rejection(identity.digest)
        if rejection is not None:
            raise UpdateError(
                f"{other}: there is no other good slot to go back to: this bundle was gone back from "
                f"({rejection.why}); `edge update SOURCE --retry` installs it again"
            )
        prove(slots.path(other))
        with slots.changing():
            left = slots.identity(current) if current else None
            state = replace(slots.renew_damaged_state(), trial=None)
            slots.switch("switch back", other)
            if current and left:
                state = state.reject(Rejected(current.name, left.version, left.digest, why))
            slots.save("reject", state)
            slots.note(
                "rolled_back",
                slot=other.slot,
                name=other.name,
                version=identity.version,
                digest=identity.digest,
                why=why,
            )
        return other, current


def _install(
    slots: Slots,
    offer: Offer,
    terms: Terms,
    prove: Prove,
    standing: Standing,
    source: str,
    allow_uncertified: bool,
    require_runnable: Callable[[Bundle], None],
) -> tuple[Place, Bundle]:
    folder = slots.folder / STAGING / offer.name
    files = offer.candidate.files()
    bundle = bundles.assemble(
        folder,
        files,
        trust=terms.trust,
        allow_unsigned=terms.allow_unsigned,
        allow_uncertified=True,
    )
    if not bundle.certified and not allow_uncertified:
        verdict = bundle.certificate["verdict"]
        raise UpdateError(f"its certificate says {verdict!r}, not 'pass': no such bundle is installed")
    if bundle.digest != offer.digest:  # the source changed between two looks
        raise UpdateError(f"{offer.candidate.origin}: changed while it was read")
    require_runnable(bundle)
    _stage(slots, folder, files)
    prove(folder)
    with slots.changing():
        if _standing(slots).digest != standing.digest:
            raise UpdateError("another bundle was switched to meanwhile; try again")
        current = _return_from_trial(slots)
        idle = slots.idle(current)
        _clear(slots, idle)
        slots.durable.rename("place", slots.folder / STAGING, slots.folder / idle)
        place = Place(idle, offer.name)
        state = slots.renew_damaged_state().accept(offer.digest)
        slots.save("mark", replace(state, trial=Trial(idle, offer.digest, starts=())))
        slots.switch("switch", place)
        lax = {"lax_policy": bundle.lax_policy} if bundle.lax_policy else {}
        slots.note(
            "installed", **_shown(offer), synthetic_certificate=bundle.synthetic, **lax, slot=idle, source=source
        )
    return place, bundle


def _stage(slots: Slots, folder: Path, files: Mapping[str, bytes]) -> None:
    durable = slots.durable
    durable.make_folder("stage", folder.parent)
    durable.make_folder("stage folder", folder)
    for name, data in files.items():
        durable.write_file(f"stage {name}", folder / name, data)
    durable.sync_folder("stage names", folder)


def _return_from_trial(slots: Slots) -> Place | None:
    """The current place; from one on trial the confirmed one is switched to first: it must not be overwritten."""
    current = _current(slots)
    state = slots.renew_damaged_state()
    if current is None or not slots.on_trial(current, state):
        return current
    confirmed = slots.place(slots.idle(current))
    if confirmed is None:
        return current
    slots.switch("return", confirmed)
    slots.save("end trial", replace(state, trial=None))
    slots.note("superseded", slot=current.slot, name=current.name, why="a newer bundle came while it was on trial")
    return confirmed


def _clear(slots: Slots, idle: str) -> None:
    """Empty the idle slot, in one step seen from outside."""
    if (slots.folder / idle).is_symlink() or (slots.folder / idle).exists():
        slots.durable.rename("clear", slots.folder / idle, slots.folder / CLEARED)
        slots.durable.remove("clear away", slots.folder / CLEARED)


def _clean(slots: Slots) -> None:
    """Remove what a killed update left."""
    for name in (STAGING, CLEARED, f".{STATE}.partial", f".{CURRENT}.partial"):
        slots.durable.remove(f"clean {name}", slots.folder / name)


def _standing(slots: Slots) -> Standing:
    state = slots.renew_damaged_state()
    current = _current(slots)
    identity = slots.identity(current) if current else None
    if current is None or identity is None:
        return Standing(state)
    return Standing(state, current.name, identity.version, identity.digest)


def _current(slots: Slots) -> Place | None:
    """Where the link leads; a link that leads nowhere good is replaced by this update, not obeyed."""
    try:
        return slots.current()
    except UpdateError:
        return None


def _refused(slots: Slots, source: str, passed: list[PassedOver], check: bool) -> UpdateError:
    reasons = "; ".join(str(each) for each in passed) or f"{source}: holds no bundle"
    if not check:
        _note_refusal(slots, source, reasons, None)
    return UpdateError(f"nothing was installed: {reasons}")


def _note_refusal(slots: Slots, source: str, why: str, offer: Offer | None) -> None:
    with suppress(OSError):  # a full disk is no second error
        slots.note("refused", **(_shown(offer) if offer else {}), source=source, why=why)


def _shown(offer: Offer) -> dict[str, object]:
    return {
        "name": offer.name,
        "version": offer.version,
        "digest": offer.digest,
        "signed_by": signers(offer.signed),
    }
