"""Whether controls say that a microscope is no longer the one a bundle was accepted at."""

from collections.abc import Sequence

from edge.commissioning.control.series import same_instrument
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries

STAIN, LAMP, CAMERA, RESTARTED = "stain_changed", "lamp_changed", "camera_changed", "control_restarted"
UNREADABLE = "control_unreadable"  # the control record is damaged: what it measured is not known
_POINTS_TO = {"stain": STAIN, "brightness": LAMP, "white": LAMP, "focus": CAMERA}


def expired(controls: Sequence[ControlBody], under: ControlSeries) -> str | None:
    """The name of what changed since a bundle was accepted, as its controls measured it; None where nothing did.

    A control that failed by a rule says that stain, lamp or camera are not as they were; one that passes again, by the
    same targets, says that they are. Where a baseline was begun while an older one was failing, nothing can be said to
    be as it was (RESTARTED): the new targets may be of the changed microscope. No clock is asked: controls of this
    bundle's digest are later than its acceptance, which is part of what the digest is of.

    Args:
        controls: all that were recorded, oldest first.
        under: bundle, camera and set-up; its slide, lot and label are not looked at.
    """
    last: dict[str, ControlBody] = {}
    for control in controls:
        if same_instrument(control.series, under):
            before = last.get(control.slide)
            if before is not None and before.series != control.series and before.broken:
                return RESTARTED
            last[control.slide] = control
    for control in last.values():
        for measure in control.broken:
            if measure in _POINTS_TO:
                return _POINTS_TO[measure]
    return None
