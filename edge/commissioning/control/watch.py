"""The demand of controls while a run goes on: asked for every frame, and read anew when another process controls."""

from collections.abc import Callable, Iterator
from time import monotonic

from edge.commissioning.control.control_record import ControlRecord
from edge.commissioning.control.expiry import UNREADABLE, expired
from edge.commissioning.control.series import same_instrument
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.standing import OVERDUE, Standing, finite_hours, standing
from edge.errors import StoreError
from edge.inference.gates.base import Reading
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries
from edge.system.clock import Clock, boot_id

PASSED = "control_passed"  # an event: frames are answered again, or from the start
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

        Once a control is demanded, the first look says how it stands.
        """
        self._look_now()
        if not self._settings.demanded:
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
