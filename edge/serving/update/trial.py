"""The trial of a new bundle: how many starts it gets, and when it has served healthily.

Its answers were proven by the golden replay before it serves at all. What a trial finds out is whether the process
stays up with it: a runtime that crashes on this processor, a model too large or too slow, a hang.

**Starts.** A start that did not end cleanly is held against the bundle by the machine's boot id. In the same boot the
process died alone (a crash, the watchdog's kill): the next start goes back at once. In another boot the whole
machine went down, most likely by its switch, so that a bundle gets `MOST_BOOTS` of these: somebody who turns the
device off soon after an update loses nothing, and a bundle that takes the machine down with it (the hardware's
watchdog) is left after three. A start that was stopped in order does not count.

**Confirmation.** `CONFIRM_ANSWERS` answers of the model, or `CONFIRM_S` seconds where no slide lies under the
microscope. A hang shows within the watchdog's seconds and a leak in the memory long after, when a person is there and
`edge rollback` is at hand; an update at night is confirmed before the morning.
"""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from msgspec.structs import replace

from edge.errors import UpdateError
from edge.serving.update.slots import Place, Slots
from edge.serving.update.state import State, Trial

MOST_BOOTS = 3
CONFIRM_ANSWERS, CONFIRM_S = 100, 600.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Changes with every start of the machine, and with nothing else; "unknown" where the kernel does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"


def held_against(trial: Trial, boot: str) -> str:
    """Why a trial is over before it starts again, "" while it may go on."""
    if boot in trial.starts:
        return "the service ended without a word while it was on trial: a crash, a hang or a kill"
    if len(trial.starts) >= MOST_BOOTS:
        return f"the machine went down {len(trial.starts)} times while it was on trial"
    return ""


class RunningTrial:
    """The trial of the bundle that this process serves.

    Args:
        place, digest: the bundle. name, version: as signed; version None where nothing is signed.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        slots: Slots,
        place: Place,
        digest: str,
        version: int | None,
        *,
        boot: str,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._slots, self._place, self._digest, self._version = slots, place, digest, version
        self._boot, self._now, self._began = boot, now, now()
        self._open = True

    def confirmed(self, answers: int) -> str:
        """Confirm the bundle once it has served healthily.

        Args:
            answers: frames that the model was asked about so far.

        Returns:
            One sentence when that happened now, else "".

        Raises:
            OSError, UpdateError: it cannot be written; ask again later.
        """
        served = self._now() - self._began
        if not self._open or (answers < CONFIRM_ANSWERS and served < CONFIRM_S):
            return ""
        why = f"{answers} answers in {served:.0f} s"
        with self._slots.changing():
            if self._ours() is not None:
                state = self._slots.state().confirm(self._place.name, self._version)
                self._slots.save("confirm", state.accept(self._digest))
                self._slots.note(
                    "confirmed",
                    slot=self._place.slot,
                    name=self._place.name,
                    version=self._version,
                    digest=self._digest,
                    why=why,
                )
        self._open = False
        return f"{self._place} is confirmed after {why}"

    def ended_cleanly(self) -> None:
        """This start ended in order: it is not held against the bundle.

        Raises:
            OSError, UpdateError: it cannot be written, and so counts.
        """
        if not self._open:
            return
        self._open = False
        with self._slots.changing():
            state = self._ours()
            if state is not None and state.trial is not None:
                self._slots.save("end start", replace(state, trial=state.trial.without(self._boot)))

    def _ours(self) -> State | None:
        """The state, if its trial is this one still."""
        try:
            state = self._slots.state()
        except UpdateError:
            return None
        trial = state.trial
        return state if trial is not None and (trial.slot, trial.digest) == (self._place.slot, self._digest) else None
