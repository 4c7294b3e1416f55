"""How the daily control stands, as `edge doctor` says it: passed, failed or overdue, and what moves before it fails."""

import hashlib
from collections.abc import Sequence

from edge.bundle.policy import MANIFEST
from edge.commissioning.control.charts import slides_of, trends_of
from edge.commissioning.control.control_record import ControlRecord, control_folder
from edge.commissioning.control.series import of_instrument, same_instrument
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import standing
from edge.errors import LeukoscopeError
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries
from edge.system.clock import Clock, boot_id
from edge.system.machine import Finding, Machine, State

_NAME, _TREND = "control", "control trend"
_TAKE = "`edge control --slide NAME` takes one"
_LOOK = "look at lamp, condenser, focus and stain"
_MEND = f"{_LOOK}, mend what changed, then control again"


def control(machine: Machine) -> Sequence[Finding]:
    """What the profile's demand comes to now, and a finding for each measure that moves; nothing where no control is
    demanded and none was taken."""
    record = ControlRecord(control_folder(machine.store))
    try:
        record.look()
    except LeukoscopeError as error:
        state: State = "missing" if machine.control_demanded else "warning"
        cure = "`edge verify` names the damage; put back a copy, or move the folder away and begin new baselines"
        return [Finding(_NAME, state, str(error), cure)]
    if not record.controls and not machine.control_demanded:
        return []
    under = _under(machine)
    if isinstance(under, str):
        return [Finding(_NAME, "unknown", under)]
    demand = ControlSettings("daily", machine.control_slides, machine.control_hours)
    found = standing(record.bodies, demand, under, Clock().now(), boot_id())
    if found.reason is None:
        return [Finding(_NAME, "ok", found.detail), *_trends(record.bodies, under)]
    cure = _MEND if "failed" in found.reason else _TAKE
    if not machine.control_demanded:
        return [Finding(_NAME, "warning", found.detail, cure), *_trends(record.bodies, under)]
    held = "; `edge run` answers no frame meanwhile"
    return [Finding(_NAME, "missing", found.detail, f"{cure}{held}"), *_trends(record.bodies, under)]


def _trends(controls: Sequence[ControlBody], under: ControlSeries) -> list[Finding]:
    of_this = [each for each in controls if same_instrument(each.series, under)]
    moving = {slide.series.slide: trends_of(slide.charts) for slide in slides_of(of_this)}
    return [Finding(_TREND, "warning", f"{slide}: {'; '.join(said)}", _LOOK) for slide, said in moving.items() if said]


def _under(machine: Machine) -> ControlSeries | str:
    """Bundle, camera and set-up that a run would have; why that cannot be said."""
    from edge.cameras.setup.set_up_camera import open_set_up, setup_digest
    from edge.serving.serve import bundle_to_run

    try:
        bundle = machine.bundle or bundle_to_run()
        digest = hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()
        setup = setup_digest(open_set_up(machine.camera, machine.camera_setup)) if machine.camera else ""
    except (LeukoscopeError, OSError) as error:
        return f"which bundle or camera a run would have is not known: {error}"
    return of_instrument(bundle.name, digest, machine.camera, setup)
