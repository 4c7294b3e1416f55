"""The status of the slots as a record."""

from typing import Any

from edge.bundle import bundle as bundles
from edge.bundle.trusted import TrustedKeys
from edge.errors import LeukoscopeError, UpdateError
from edge.update.slots import Place, Slots

_HISTORY = 10  # lines that `edge slots` shows


def described(slots: Slots, trust: TrustedKeys, *, allow_unsigned: bool = False) -> dict[str, Any]:
    """State, versions and history of the slots as one JSON object; every bundle in them is verified, none is run.

    Raises:
        UpdateError: what is there cannot be read.
    """
    state = slots.state()
    try:
        current, why = slots.current(), ""
    except UpdateError as error:
        current, why = None, str(error)
    places = {slot: slots.place(slot) for slot in ("a", "b")}
    found = {slot: _described(slots, place, trust, allow_unsigned) for slot, place in places.items()}
    serving = found[current.slot] if current is not None and places[current.slot] == current else None
    on_trial = current is not None and slots.on_trial(current, state)
    return {
        "folder": str(slots.folder),
        "populated": slots.populated,
        "current": None if current is None else str(current),
        "sound": serving is not None and serving["fault"] is None,
        "fault": why or None if current is None else (serving or {"fault": "nothing stands there"})["fault"],
        "on_trial": on_trial,
        "starts_on_trial": len(state.trial.starts) if on_trial and state.trial else 0,
        "slots": found,
        "floors": dict(state.floors),
        "rejected": [{"name": r.name, "version": r.version, "digest": r.digest, "why": r.why} for r in state.rejected],
        "history": slots.history.tail(_HISTORY),
    }


def _described(slots: Slots, place: Place | None, trust: TrustedKeys, allow_unsigned: bool) -> dict[str, Any] | None:
    if place is None:
        return None
    identity = slots.identity(place)
    found: dict[str, Any] = {
        "name": place.name,
        "version": identity.version if identity else None,
        "digest": identity.digest if identity else None,
        "signed_by": None,
        "fault": None,
    }
    try:
        bundle = bundles.load(slots.path(place), trust=trust, allow_unsigned=allow_unsigned, allow_uncertified=True)
    except LeukoscopeError as error:
        return {**found, "fault": str(error)}
    return {**found, "signed_by": bundle.provenance.signed_by}
