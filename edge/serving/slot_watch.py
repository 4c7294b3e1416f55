"""The slots as a running service sees them: the trial of what it serves, and a switch to something else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import GoldenMismatchError, LeukoscopeError, UpdateError
from edge.serving.boot import Start
from edge.serving.update.slots import Place, Slots

_log = logging.getLogger(__name__)


class SlotWatch:
    """Looks after the slots while a service runs.

    Args:
        named: the bundle was named, by an option or a profile, and so the slots are nothing to it.

    Attributes:
        switched: one sentence once `current` leads to another bundle than the one that serves: the service ends then,
            and the next start serves what it leads to. "" until then.
    """

    def __init__(self, slots: Slots, start: Start, *, named: bool) -> None:
        self._slots, self._start, self._named = slots, start, named
        self._led_to = self._current()  # the other slot may serve while the link cannot be written
        self._told = False
        self.switched = ""

    def look(self, answers: int) -> Iterator[tuple[str, str]]:
        """What happened since the last look, as kind and sentence for the record.

        Args:
            answers: frames that the model was asked about so far.
        """
        if self._named or self.switched:
            return
        if self._start.trial is not None:
            try:
                if confirmed := self._start.trial.confirmed(answers):
                    yield "bundle_confirmed", confirmed
            except (OSError, UpdateError) as error:
                if not self._told:
                    self._told = True
                    _log.warning(f"the bundle on trial cannot be confirmed: {error}")
        current = self._current()
        if current not in (None, self._led_to):
            before = self._start.place or "the shipped bundle"
            self.switched = f"the slots were switched from {before} to {current[0]}, {current[1][:12]}"
            yield "bundle_switched", f"{self.switched}; the run ends, and the next one serves it"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The time that the bundle serves.

        Left in order, or by an error that is not the bundle's, a start on trial does not count against it; left in any
        other way it does.
        """
        try:
            yield
        except (LeukoscopeError, OSError, KeyboardInterrupt) as error:
            if not isinstance(error, GoldenMismatchError):
                self._ended()
            raise
        self._ended()

    def _ended(self) -> None:
        if self._start.trial is not None:
            try:
                self._start.trial.ended_cleanly()
            except (OSError, UpdateError) as error:
                _log.warning(f"the end of a start on trial is not noted: {error}")

    def _current(self) -> tuple[Place, str] | None:
        """Where `current` leads and the digest of what stands there; None where nothing can be read.

        An update while a bundle is on trial goes into the very slot that serves, under the same name: the place alone
        would not tell.
        """
        try:
            place = self._slots.current()
        except UpdateError:
            return None
        identity = None if place is None else self._slots.identity(place)
        return None if place is None or identity is None else (place, identity.digest)
