"""The status of the slots: what stands in them, what serves, and what happened last."""

from typing import Any

from msgspec import Struct

from edge.bundle import bundle as bundles
from edge.bundle.trusted import TrustedKeys
from edge.errors import LeukoscopeError, UpdateError
from edge.serving.update.slots import Place, Slots
from edge.serving.update.state import Rejected

_HISTORY = 10  # lines that `edge slots` shows


class SlotStatus(Struct, frozen=True):
    """The bundle in a slot; `version` and `digest` None where its files do not say, `fault` None where it verifies.

    `synthetic_certificate`: synthetic images certified it; None where it does not verify. `lax_policy`: its policy,
    where that is laxer than the shipped one. `gates`: whether it says when it must not be asked, without which the
    service does not start; None where it does not verify. `acceptance`: which site accepted it and what it shows; None
    where it does not verify.

    >>> SlotStatus("tiny-int8", 3, "0" * 64, "unsigned", None, synthetic_certificate=False).version
    3
    """

    name: str
    version: int | None
    digest: str | None
    signed_by: str | None
    fault: str | None
    synthetic_certificate: bool | None
    lax_policy: str | None = None
    gates: bool | None = None
    acceptance: str | None = None


class SlotsStatus(Struct, frozen=True):
    """What `edge slots --json` prints.

    Attributes:
        current: SLOT/NAME that the link leads to. sound: it verifies; else `fault` says why not.
        starts_on_trial: starts of the service on trial that did not end cleanly.
        slots: by slot, None for an empty one. floors: highest version confirmed, by name of the bundle.
        history: the last lines of the history, oldest first.

    >>> from pathlib import Path
    >>> status(Slots(Path("/srv/nothing")), TrustedKeys(())).populated
    False
    """

    folder: str
    populated: bool
    current: str | None
    sound: bool
    fault: str | None
    on_trial: bool
    starts_on_trial: int
    slots: dict[str, SlotStatus | None]
    floors: dict[str, int]
    rejected: tuple[Rejected, ...]
    history: list[dict[str, Any]]


def status(slots: Slots, trust: TrustedKeys, *, allow_unsigned: bool = False) -> SlotsStatus:
    """State, versions and history of the slots; every bundle in them is verified, none is run.

    Raises:
        UpdateError: what is there cannot be read.
    """
    state = slots.state()
    try:
        current, fault = slots.current(), None
    except UpdateError as error:
        current, fault = None, str(error)
    places = {slot: slots.place(slot) for slot in ("a", "b")}
    found = {slot: _slot_status(slots, place, trust, allow_unsigned) for slot, place in places.items()}
    serving = found[current.slot] if current is not None and places[current.slot] == current else None
    if current is not None:
        fault = serving.fault if serving else "nothing stands there"
    on_trial = current is not None and slots.on_trial(current, state)
    return SlotsStatus(
        folder=str(slots.folder),
        populated=slots.populated,
        current=None if current is None else str(current),
        sound=serving is not None and serving.fault is None,
        fault=fault,
        on_trial=on_trial,
        starts_on_trial=len(state.trial.starts) if on_trial and state.trial else 0,
        slots=found,
        floors=state.floors,
        rejected=state.rejected,
        history=slots.history.tail(_HISTORY),
    )


def _slot_status(slots: Slots, place: Place | None, trust: TrustedKeys, allow_unsigned: bool) -> SlotStatus | None:
    if place is None:
        return None
    identity = slots.identity(place)
    signed_by = fault = synthetic = lax_policy = gates = acceptance = None
    try:
        bundle = bundles.load(slots.path(place), trust=trust, allow_unsigned=allow_unsigned, allow_uncertified=True)
        signed_by, synthetic = bundle.provenance.signed_by, bundle.synthetic
        lax_policy, gates, acceptance = bundle.lax_policy, bundle.gates is not None, bundle.accepted
    except LeukoscopeError as error:
        fault = str(error)
    return SlotStatus(
        name=place.name,
        version=identity.version if identity else None,
        digest=identity.digest if identity else None,
        signed_by=signed_by,
        fault=fault,
        synthetic_certificate=synthetic,
        lax_policy=lax_policy,
        gates=gates,
        acceptance=acceptance,
    )
