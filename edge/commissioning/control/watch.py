"""The demand of controls while a run goes on: asked for every frame, and read anew when another process controls."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from edge.commissioning.control.control_record import ControlRecord
from edge.commissioning.control.expiry import UNREADABLE, expired
from edge.commissioning.control.series import same_instrument
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import FAILED, OVERDUE, Standing, finite_hours, standing
from edge.errors import StoreError
from edge.inference.gates.base import Reading
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries
from edge.record.schema import DATABASE
from edge.record.store import Store
from edge.system.clock import Clock, boot_id

PASSED = "control_passed"  # an event: frames are answered again, or from the start
SEEN = "control_seen"  # an event: what a run at an accepted site goes by, where no control is demanded
_END = re.compile(r"; last in the control record: entry (\d+) of .*, digest ([0-9a-f]{16})")
LOOK_EVERY_S = 2.0


class ControlWatch:
    """Whether frames of a run may be answered.

    `look` is called by one thread, `withheld` by any.

    Args:
        record: of controls. under: bundle, camera and set-up of the run.
        accepted: this site accepted the bundle: an acceptance can expire.
        boot: id of the machine's start. now: seconds, monotonic.

    Attributes:
        expired: what the controls of this bundle, camera and set-up measured to have changed since it was accepted, as
            of the last look; "" where nothing did. The first look is made here.
    """

    def __init__(
        self,
        record: ControlRecord,
        settings: ControlSettings,
        under: ControlSeries,
        clock: Clock,
        *,
        accepted: bool = False,
        boot: str | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._record, self._settings, self._under, self._clock = record, settings, under, clock
        self._boot = boot_id() if boot is None else boot
        self._now, self._due = now, now()
        self._latest: tuple[ControlBody, ...] = ()  # one a slide, of this bundle, camera and set-up
        self._unreadable = ""
        self._told: str | None = "nothing yet"
        self._accepted = accepted
        self.expired = ""
        self._look_now()

    def look(self) -> Iterator[tuple[str, str]]:
        """Read what another process controlled, now and then; kind and sentence of an event where the answer changed.

        Once a control is demanded, the first look says how it stands. Where none is, and an acceptance can expire, each
        look that finds another one names it.
        """
        self._look_now()
        if not self._settings.demanded:
            named = self._named() if self._accepted else ""
            if named and named != self._told:
                self._told = named
                yield SEEN, f"controls were seen{named}"
            return
        found = self.standing()
        if found.reason != self._told:
            self._told = found.reason
            yield found.reason or PASSED, f"{found.detail}{self._named()}"

    def standing(self) -> Standing:
        """How it stands at this moment, by what the last look read."""
        if self._unreadable and self._settings.demanded:
            return Standing(OVERDUE, f"control overdue: {self._unreadable}")
        return standing(self._latest, self._settings, self._under, self._clock.now(), self._boot)

    def withheld(self) -> Reading | None:
        """Why a frame is not answered, as a gate says it; None where it may be."""
        if not self._settings.demanded:
            return None
        found = self.standing()
        if found.reason is None:
            return None
        limit = self._settings.valid_hours
        return Reading(found.reason, finite_hours(found.hours), limit, "hours", True, found.detail)

    def _look_now(self) -> None:
        """If it is time to, and anybody asks."""
        if self._now() >= self._due and (self._settings.demanded or self._accepted):
            self._due = self._now() + LOOK_EVERY_S
            self._read()

    def _read(self) -> None:
        try:
            if self._record.look() or self._unreadable:
                if self._accepted:
                    self.expired = expired(self._record.bodies, self._under) or ""
                last = {each.slide: each for each in self._record.bodies if same_instrument(each.series, self._under)}
                self._latest = tuple(last.values())
                self._unreadable = ""
        except (StoreError, OSError) as error:
            self._unreadable = str(error)
            if self._accepted:
                self.expired = UNREADABLE

    def _named(self) -> str:
        """The end of the control record, so that the run's record holds on to it."""
        if not self._record.controls:
            return ""
        row, body = self._record.controls[-1]
        return f"; last in the control record: entry {row.id} of {body.slide}, {body.outcome}, digest {row.digest[:16]}"


def lost_end(main: Store, controls: Path) -> str:
    """What of the controls that the runs of a record went by is not there any more; "" where all of it is, and where
    the control record is damaged, which whoever reads it finds.

    Args:
        main: the record of runs. controls: folder of the control record.
    """
    last = main.last_event((OVERDUE, FAILED, PASSED, SEEN))
    named = None if last is None else _END.search(last.detail)
    if named is None:
        return ""
    number = int(named[1])
    if (controls / DATABASE).exists():
        try:
            with Store.open(controls, read_only=True) as store:
                last_kept = min(number, store.head().id)
                rows = store.entries(after=number - 1, through=last_kept)
                if number <= store.base().id or any(row.digest.startswith(named[2]) for row in rows):
                    return ""
        except (StoreError, OSError):
            return ""
    return f"a run went by entry {number} of the control record (digest {named[2]}...), which is not there"
