"""The choice of the slot that serves, made at every start of the service.

| what the start finds | what serves |
|---|---|
| a bundle that was confirmed | it |
| one on trial | it, and the start is noted first, so that the next one knows of it |
| one on trial whose earlier start did not end cleanly (`edge.serving.update.trial`) | the other slot, switched to |
| one that does not verify, or answers otherwise than certified | the other slot, in this same start |
| both are bad | nothing: one line, exit code 1; the shipped bundle does not stand in for them |
| all verify and all answer otherwise than certified | nothing, likewise: this machine fails its self-test |
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from edge.errors import MACHINE_LACKS, GoldenMismatchError, LeukoscopeError, SettingsError, UpdateError
from edge.serving.serve import Served
from edge.serving.update.slots import Place, Slots
from edge.serving.update.state import NO_STATE, SLOTS, Rejected, State
from edge.serving.update.trial import MOST_BOOTS, RunningTrial, boot_id, held_against

_log = logging.getLogger(__name__)

Open = Callable[[Place], Served]


@dataclass(frozen=True)
class Start:
    """What a service starts with.

    Attributes:
        place: where the bundle stands; None for one that stands in no slot.
        trial: None for a bundle that was confirmed.
        events: (kind, detail) for the record: what happened to the slots in this start.
    """

    served: Served
    place: Place | None = None
    trial: RunningTrial | None = None
    events: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def start(slots: Slots, open_bundle: Open, *, boot: str | None = None) -> Start:
    """Serve the current slot, or the other one when it may not or cannot serve.

    Args:
        slots: populated.
        open_bundle: load, verify and prove the bundle at a place; raises LeukoscopeError when it may not serve.
        boot: id of this boot of the machine.

    Raises:
        UpdateError: neither slot serves; says why, for both.
        GoldenMismatchError: no slot serves, and every bundle answers otherwise than certified: this machine's fault.
        LeukoscopeError: the machine lacks something (exit code 4); nothing is held against the bundle.
    """
    return _Starter(slots, open_bundle, boot or boot_id()).start()


def _machine_lacks(error: LeukoscopeError) -> bool:
    """No fault of the bundle: an interpreter that is missing, a profile that cannot be read."""
    return error.exit_code == MACHINE_LACKS or isinstance(error, SettingsError)


class _Starter:
    def __init__(self, slots: Slots, open_bundle: Open, boot: str) -> None:
        self._slots, self._open_bundle, self._boot = slots, open_bundle, boot

    def start(self) -> Start:
        current, state, why = self._found()
        if current is None:
            return self._fall_back(None, why or "the link is missing")
        on_trial = self._slots.on_trial(current, state)
        if on_trial:
            assert state.trial is not None
            why = held_against(state.trial, self._boot)
            if why:
                with suppress(UpdateError):  # no other slot can serve: then this one goes on trying
                    return self._fall_back(current, why, reject=True)
            if not self._noted(state) and (other := self._other_for_now(current)) is not None:
                return other
        try:
            served = self._open_bundle(current)
        except LeukoscopeError as error:
            if _machine_lacks(error):
                self._take_back(on_trial)
                raise
            # An answer other than certified is the bundle's fault; altered files are not, and it may come again.
            wrong = isinstance(error, GoldenMismatchError)
            return self._fall_back(current, str(error), reject=wrong, wrong_answers=wrong)
        return self._serving(current, served, on_trial)

    # --- what is there ----------------------------------------------------------------------------------------

    def _found(self) -> tuple[Place | None, State, str]:
        """The current place, the state (begun anew where it is damaged), and why there is no place."""
        try:
            with self._slots.changing():
                state = self._slots.renew_damaged_state()
        except (OSError, UpdateError) as error:
            _log.warning(f"{self._slots.folder} cannot be written: {error}")
            state = self._read_state()
        try:
            return self._slots.current(), state, ""
        except UpdateError as error:
            return None, state, str(error)

    def _read_state(self) -> State:
        try:
            return self._slots.state()
        except UpdateError:
            return NO_STATE

    def _others(self, current: Place | None) -> list[Place]:
        """Where else a bundle stands, one that was gone back from last."""
        slots = SLOTS if current is None else (self._slots.idle(current),)
        state = self._read_state()

        def rejected(place: Place) -> bool:
            identity = self._slots.identity(place)
            return identity is None or state.rejection(identity.digest) is not None

        return sorted((place for slot in slots if (place := self._slots.place(slot)) is not None), key=rejected)

    # --- what comes of it -------------------------------------------------------------------------------------

    def _serving(self, place: Place, served: Served, on_trial: bool) -> Start:
        signed = served.bundle.signed
        version = None if signed is None else signed.statement.version
        if not on_trial:
            self._raise_floor(place.name, version)
            return Start(served, place, None)
        trial = RunningTrial(self._slots, place, served.bundle.digest, version, boot=self._boot)
        return Start(served, place, trial, (("bundle_on_trial", f"{place} serves on trial"),))

    def _fall_back(self, bad: Place | None, why: str, *, reject: bool = False, wrong_answers: bool = False) -> Start:
        """Serve another slot and switch to it for good; UpdateError where none can serve.

        GoldenMismatchError where every slot was opened and answered wrongly, the bad one too (`wrong_answers`).
        """
        failures = [f"{bad or 'current'}: {why}"]
        for other in self._others(bad):
            try:
                served = self._open_bundle(other)
            except LeukoscopeError as error:
                if _machine_lacks(error):
                    raise
                wrong_answers = wrong_answers and isinstance(error, GoldenMismatchError)
                failures.append(f"{other}: {error}")
                continue
            said = f"fell back from {bad or 'current'} to {other}: {why}"
            try:
                self._switch(bad, other, why, reject)
            except (OSError, UpdateError) as error:
                said += f" (the switch is not written yet: {error})"
            _log.info(said)
            return Start(served, other, None, (("bundle_fell_back", said),))
        if wrong_answers:
            raise GoldenMismatchError(
                f"{self._slots.folder}: no slot can serve, for every bundle answers otherwise here than certified: "
                + "; ".join(failures)
            )
        raise UpdateError(
            f"{self._slots.folder}: no slot can serve; install a sound bundle with `edge update SOURCE`: "
            + "; ".join(failures)
        )

    def _switch(self, bad: Place | None, other: Place, why: str, reject: bool) -> None:
        with self._slots.changing():
            identity = self._slots.identity(bad) if bad else None
            self._slots.switch("fall back", other)  # first: from here on the bad one serves no start
            state = replace(self._read_state(), trial=None)
            if reject and bad and identity:
                state = state.reject(Rejected(bad.name, identity.version, identity.digest, why))
            self._slots.save("reject", state)
            self._slots.note(
                "fell_back",
                slot=bad.slot if bad else None,
                name=bad.name if bad else None,
                version=identity.version if identity else None,
                digest=identity.digest if identity else None,
                why=why,
            )

    def _other_for_now(self, current: Place) -> Start | None:
        """The confirmed bundle, while a start cannot be noted and so a crash would not be noticed; None without one."""
        for other in self._others(current):
            with suppress(LeukoscopeError):
                served = self._open_bundle(other)
                said = f"{other} serves for now: the start of {current} on trial cannot be noted"
                _log.warning(f"{said} in {self._slots.folder}")
                return Start(served, other, None, (("bundle_not_tried", said),))
        return None

    # --- what is written ---------------------------------------------------------------------------------------

    def _noted(self, state: State) -> bool:
        """Note this start, durably, before anything of the bundle is opened; whether that was possible."""
        assert state.trial is not None
        others = tuple(each for each in state.trial.starts if each != self._boot)
        noted = replace(state, trial=replace(state.trial, starts=(*others, self._boot)[-MOST_BOOTS:]))
        try:
            with self._slots.changing():
                self._slots.save("note start", noted)
        except (OSError, UpdateError):
            return False
        return True

    def _take_back(self, on_trial: bool) -> None:
        """The start failed for want of something else: it does not count."""
        with suppress(OSError, UpdateError), self._slots.changing():
            state = self._read_state()
            if on_trial and state.trial is not None:
                self._slots.save("end start", replace(state, trial=state.trial.without(self._boot)))

    def _raise_floor(self, name: str, version: int | None) -> None:
        """What serves without a trial is confirmed: a floor that was lost, or never set, is set again."""
        if version is None or self._read_state().floors.get(name, 0) >= version:
            return
        with suppress(OSError, UpdateError), self._slots.changing():
            state = self._read_state()
            self._slots.save("raise floor", replace(state.confirm(name, version), trial=state.trial))
