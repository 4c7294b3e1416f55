"""A bundle on trial: what a start of the service makes of it, and what the next one makes of a start that failed."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import BundleError, GoldenMismatchError, InterpreterUnavailable, LeukoscopeError, UpdateError
from edge.serving.boot import Start, start
from edge.serving.serve import Served
from edge.serving.slot_watch import SlotWatch
from edge.serving.update.slots import Place, Slots
from edge.serving.update.trial import CONFIRM_ANSWERS, CONFIRM_S, MOST_BOOTS, RunningTrial
from edge.system.durable import Durable
from tests.edge.serving.update.kill import opener, perform
from tests.edge.serving.update.world import NAME, World


@pytest.fixture
def slots(world: World, tmp_path: Path) -> Slots:
    """Version 1 is confirmed in a, version 2 is on trial in b."""
    slots = Slots(tmp_path / "bundles")
    for act in ("update 1", "confirm", "update 2"):
        perform(world, slots, act)
    return slots


def failing(world: World, slots: Slots, error: type[LeukoscopeError], *places: str) -> Callable[[Place], Served]:
    """Opens a bundle unless it stands in one of these slots."""
    sound = opener(world, slots)

    def open_bundle(place: Place) -> Served:
        if place.slot in places:
            raise error(f"{place} is bad")
        return sound(place)

    return open_bundle


def version(begun: Start) -> int:
    signed = begun.served.bundle.signed
    assert signed is not None
    return signed.statement.version


def test_it_serves_and_the_start_is_noted_before_anything_of_it_is_opened(world: World, slots: Slots) -> None:
    noted = []

    def open_bundle(place: Place) -> Served:
        trial = slots.state().trial
        noted.append(trial and trial.starts)
        return opener(world, slots)(place)

    begun = start(slots, open_bundle, boot="x")
    assert version(begun) == 2 and begun.trial is not None
    assert noted == [("x",)]
    assert begun.events == (("bundle_on_trial", f"b/{NAME} serves on trial"),)


def test_one_that_answers_otherwise_is_left_in_the_same_start(world: World, slots: Slots) -> None:
    begun = start(slots, failing(world, slots, GoldenMismatchError, "b"), boot="x")
    assert version(begun) == 1 and begun.trial is None
    assert str(slots.current()) == f"a/{NAME}"
    [event] = begun.events
    assert event[0] == "bundle_fell_back" and "is bad" in event[1]
    last = slots.history.tail(1)[0]
    assert (last["what"], last["version"], last["why"]) == ("fell_back", 2, f"b/{NAME} is bad")
    digest = slots.identity(Place("b", NAME))
    assert digest is not None and slots.state().rejection(digest.digest) is not None


def test_one_whose_files_were_altered_is_left_and_may_come_again(world: World, slots: Slots) -> None:
    begun = start(slots, failing(world, slots, BundleError, "b"), boot="x")
    assert version(begun) == 1 and slots.state().rejected == ()
    perform(world, slots, "update 2")
    assert str(slots.current()) == f"b/{NAME}"


def test_one_that_ended_without_a_word_in_this_boot_is_left(world: World, slots: Slots) -> None:
    assert version(start(slots, opener(world, slots), boot="x")) == 2
    begun = start(slots, opener(world, slots), boot="x")
    assert version(begun) == 1 and "a crash, a hang or a kill" in begun.events[0][1]


def test_one_that_was_stopped_in_order_goes_on(world: World, slots: Slots) -> None:
    for _ in range(5):
        begun = start(slots, opener(world, slots), boot="x")
        assert version(begun) == 2 and begun.trial is not None
        begun.trial.ended_cleanly()
    assert slots.state().trial is not None and slots.state().trial.starts == ()


def test_a_machine_that_goes_down_again_and_again(world: World, slots: Slots) -> None:
    """Turned off soon after an update, twice, is nothing; a bundle that takes the machine with it is left."""
    for number in range(MOST_BOOTS):
        assert version(start(slots, opener(world, slots), boot=f"boot {number}")) == 2
    begun = start(slots, opener(world, slots), boot="one more")
    assert version(begun) == 1 and f"went down {MOST_BOOTS} times" in begun.events[0][1]


def test_a_start_that_fails_for_want_of_something_else_does_not_count(world: World, slots: Slots) -> None:
    for _ in range(5):
        with pytest.raises(InterpreterUnavailable):
            start(slots, failing(world, slots, InterpreterUnavailable, "a", "b"), boot="x")
    assert version(start(slots, opener(world, slots), boot="x")) == 2


def test_a_confirmed_one_that_was_tampered_with_falls_back_too(world: World, slots: Slots) -> None:
    perform(world, slots, "confirm")
    with (slots.folder / "b" / NAME / "model.tflite").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"\xff" * 16)
    begun = start(slots, opener(world, slots), boot="x")
    assert version(begun) == 1 and "model.tflite" in begun.events[0][1]


def test_two_bad_slots_serve_nothing(world: World, slots: Slots) -> None:
    with pytest.raises(UpdateError, match=r"no slot can serve.*b/.* is bad; a/.* is bad") as caught:
        start(slots, failing(world, slots, BundleError, "a", "b"), boot="x")
    assert (caught.value.exit_code, caught.value.concerns) == (1, "bundle")
    assert str(slots.current()) == f"b/{NAME}"


def test_bundles_that_all_answer_wrongly_are_not_called_the_cause(world: World, slots: Slots) -> None:
    """Two sound bundles do not break at once: it is the machine that fails its self-test."""
    with pytest.raises(GoldenMismatchError, match=r"no slot can serve.*b/.* is bad; a/.* is bad") as caught:
        start(slots, failing(world, slots, GoldenMismatchError, "a", "b"), boot="x")
    assert (caught.value.exit_code, caught.value.concerns) == (1, "selftest")
    assert str(slots.current()) == f"b/{NAME}"


def test_a_crash_with_nothing_to_fall_back_to_is_tried_again(world: World, tmp_path: Path) -> None:
    slots = Slots(tmp_path / "bundles")
    perform(world, slots, "update 1")
    for _ in range(4):
        assert version(start(slots, opener(world, slots), boot="x")) == 1
    assert slots.state().trial is not None and slots.state().trial.starts == ("x",)


@pytest.mark.parametrize("target", ["../elsewhere", "/etc", "c/x", "a", "a/../b/x", f"b/{NAME}x"])
def test_a_link_that_leads_elsewhere_is_not_followed(world: World, slots: Slots, target: str) -> None:
    (slots.folder / "current").unlink()
    (slots.folder / "current").symlink_to(target)
    assert version(start(slots, opener(world, slots), boot="x")) == 1
    assert str(slots.current()) == f"a/{NAME}"


def test_a_link_that_is_missing(world: World, slots: Slots) -> None:
    (slots.folder / "current").unlink()
    assert version(start(slots, opener(world, slots), boot="x")) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1, "trial": 3, "floors": {}, "rejected": []}']
)
def test_a_state_that_cannot_be_read(world: World, slots: Slots, text: str) -> None:
    """The bundle that serves is served, its version is the floor again, and the damaged file is kept to be seen."""
    (slots.folder / "state.json").write_text(text)
    assert version(start(slots, opener(world, slots), boot="x")) == 2
    assert slots.state().floors == {NAME: 2}
    assert (slots.folder / "state.json.damaged").read_text() == text
    assert slots.history.tail(1)[0]["what"] == "state_renewed"


class FullDisk(Durable):
    """Nothing can be written."""

    def _create(self, path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def _symlink(self, target: str, link: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(link))


def test_on_a_full_disk_the_confirmed_bundle_serves(world: World, slots: Slots) -> None:
    """A start on trial that cannot be noted would not be missed if it crashed."""
    full = Slots(slots.folder, durable=FullDisk())
    begun = start(full, opener(world, full), boot="x")
    assert version(begun) == 1 and begun.events[0][0] == "bundle_not_tried"
    assert str(slots.current()) == f"b/{NAME}"
    assert version(start(slots, opener(world, slots), boot="x")) == 2  # with room again


def test_on_a_full_disk_a_fall_back_serves_and_is_written_later(world: World, slots: Slots) -> None:
    perform(world, slots, "confirm")
    full = Slots(slots.folder, durable=FullDisk())
    begun = start(full, failing(world, full, GoldenMismatchError, "b"), boot="x")
    assert version(begun) == 1 and "not written yet" in begun.events[0][1]


# --- confirmation ----------------------------------------------------------------------------------------------------


def running(slots: Slots, clock: list[float]) -> RunningTrial:
    identity = slots.identity(Place("b", NAME))
    assert identity is not None
    return RunningTrial(slots, Place("b", NAME), identity.digest, 2, boot="x", now=lambda: clock[0])


@pytest.mark.parametrize(
    ("answers", "seconds", "confirmed"),
    [(CONFIRM_ANSWERS - 1, CONFIRM_S - 1, False), (CONFIRM_ANSWERS, 0.0, True), (0, CONFIRM_S, True)],
)
def test_it_is_confirmed_by_answers_or_by_time(slots: Slots, answers: int, seconds: float, confirmed: bool) -> None:
    clock = [5.0]
    trial = running(slots, clock)
    clock[0] += seconds
    assert bool(trial.confirmed(answers)) == confirmed
    assert (slots.state().trial is None) == confirmed
    assert slots.state().floors[NAME] == (2 if confirmed else 1)  # the floor rises on confirmation alone


def test_it_is_confirmed_once(slots: Slots) -> None:
    trial = running(slots, [0.0])
    assert trial.confirmed(CONFIRM_ANSWERS) and not trial.confirmed(CONFIRM_ANSWERS)
    assert [each["what"] for each in slots.history.tail(9)].count("confirmed") == 2  # this one, and that of version 1


def test_a_trial_that_was_superseded_meanwhile_confirms_nothing(world: World, slots: Slots) -> None:
    trial = running(slots, [0.0])
    perform(world, slots, "update 3")
    trial.confirmed(CONFIRM_ANSWERS)
    assert slots.state().floors == {NAME: 1} and slots.state().trial is not None


# --- while the service runs ------------------------------------------------------------------------------------------


def watched(world: World, slots: Slots) -> SlotWatch:
    return SlotWatch(slots, start(slots, opener(world, slots), boot="x"), named=False)


def test_a_switch_is_noticed(world: World, slots: Slots) -> None:
    perform(world, slots, "confirm")
    watch = watched(world, slots)
    assert list(watch.look(0)) == [] and watch.switched == ""
    perform(world, slots, "roll back")
    [(kind, said)] = watch.look(0)
    assert kind == "bundle_switched" and f"from b/{NAME} to a/{NAME}" in said and watch.switched


def test_an_update_during_a_trial_is_noticed_though_it_goes_into_the_slot_that_serves(
    world: World, slots: Slots
) -> None:
    watch = watched(world, slots)
    before = slots.current()
    perform(world, slots, "update 3")
    assert slots.current() == before
    [(kind, _)] = watch.look(0)
    assert kind == "bundle_switched" and watch.switched


def test_a_first_update_is_noticed_by_a_run_of_the_shipped_bundle(world: World, slots: Slots, tmp_path: Path) -> None:
    empty = Slots(tmp_path / "empty")
    served = opener(world, slots)(Place("a", NAME))
    watch, named = SlotWatch(empty, Start(served), named=False), SlotWatch(empty, Start(served), named=True)
    assert list(watch.look(0)) == []
    perform(world, empty, "update 1")
    assert [kind for kind, _ in watch.look(0)] == ["bundle_switched"]
    assert list(named.look(0)) == []  # a bundle that was named stays


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (None, False),
        (InterpreterUnavailable, False),
        (OSError, False),
        (KeyboardInterrupt, False),
        (GoldenMismatchError, True),
        (ZeroDivisionError, True),
    ],
)
def test_which_ends_count_against_a_bundle(
    world: World, slots: Slots, error: type[BaseException] | None, counts: bool
) -> None:
    watch = watched(world, slots)
    if error is None:
        with watch.serving():
            pass
    else:
        with pytest.raises(error), watch.serving():
            raise error("x")
    trial = slots.state().trial
    assert trial is not None and bool(trial.starts) == counts


def test_a_torn_line_of_the_history_is_passed_over(world: World, slots: Slots) -> None:
    before = len(slots.history.tail(100))
    with slots.history.path.open("ab") as stream:
        stream.write(b'{"utc": "2026-11-24T12:0')
    perform(world, slots, "confirm")
    assert len(slots.history.tail(100)) == before + 1
    lines = slots.history.path.read_bytes().splitlines()
    assert json.loads(lines[-1])["what"] == "confirmed"


def test_slots_that_were_copied_in_by_hand_get_a_floor(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "bundles"
    shutil.copytree(world.offer(2), folder / "a" / NAME)
    (folder / "current").symlink_to(f"a/{NAME}")
    slots = Slots(folder)
    assert version(start(slots, opener(world, slots), boot="x")) == 2
    assert slots.state().floors == {NAME: 2}
