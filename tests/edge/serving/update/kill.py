"""Kill what changes the slots at every step, and look at what is left.

    python -m tests.edge.serving.update.kill SCENARIO FOLDER

Each round forks, kills the child with SIGKILL before, within or after one step, and then asks two things of copies of
what stands there: does a start of the service serve a bundle that is whole, and does the same work, done again,
come to its end. Prints one JSON object a round.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle import bundle as bundles
from edge.bundle.trusted import TrustedKeys
from edge.inference.gates.base import Gates
from edge.serving.boot import start
from edge.serving.serve import Served
from edge.serving.update.candidates import Terms
from edge.serving.update.slots import Place, Slots
from edge.serving.update.sources import FolderCandidate
from edge.serving.update.trial import CONFIRM_ANSWERS
from edge.serving.update.updater import roll_back, update
from edge.system.durable import Durable, Watch
from tests.edge.serving.update.world import NAME, World

Act = Callable[[Slots], None]


@dataclass(frozen=True)
class Scenario:
    """What stands there, what is done, and which versions may serve after a kill in the middle of it."""

    before: tuple[str, ...]
    act: str
    may_serve: frozenset[int]
    at_the_end: int
    falls_back: bool = False  # a start afterwards may have to; otherwise `current` always leads to what can serve
    confirmed: int | None = None  # the version that is; any other serves on trial
    boot: str = "boot-2"  # in which it is looked at afterwards; it was killed in boot-1


SCENARIOS = {
    "first": Scenario((), "update 1", frozenset({0, 1}), 1, True),  # 0: nothing was there, and nothing is yet
    "update": Scenario(("update 1", "confirm"), "update 2", frozenset({1, 2}), 2, confirmed=1),
    "over a slot": Scenario(
        ("update 1", "confirm", "update 2", "confirm"), "update 3", frozenset({2, 3}), 3, confirmed=2
    ),
    "over a trial": Scenario(("update 1", "confirm", "update 2"), "update 3", frozenset({1, 2, 3}), 3, confirmed=1),
    "roll back": Scenario(("update 1", "confirm", "update 2", "confirm"), "roll back", frozenset({1, 2}), 1),
    "confirm": Scenario(("update 1", "confirm", "update 2"), "confirm", frozenset({1, 2}), 2),
    "fall back": Scenario(
        ("update 1", "confirm", "update 2", "crash"), "start", frozenset({1}), 1, True, boot="boot-1"
    ),
    "stop": Scenario(("update 1", "confirm", "update 2"), "stop", frozenset({1, 2}), 2),
}
SAME_BOOT, NEXT_BOOT = "boot-1", "boot-2"


def world_slots(world: World, folder: Path, durable: Durable | None = None) -> Slots:
    return Slots(folder, durable=durable)


def perform(world: World, slots: Slots, act: str, boot: str = SAME_BOOT) -> None:
    """Do one thing to the slots."""
    word, _, version = act.partition(" ")
    if word == "update":
        terms = Terms(TrustedKeys.load(world.trusted), NAME)
        candidate = FolderCandidate(world.offer(int(version)))
        update(slots, lambda: [candidate], terms, lambda path: None, source=str(candidate.path))
    elif word == "roll":
        if served(slots, world)[0] != 1:  # done again, there is nothing left to go back from
            roll_back(slots, lambda path: None, why="by hand")
    else:
        begun = start(slots, opener(world, slots), boot=boot)
        if begun.trial is not None and word == "confirm":
            begun.trial.confirmed(CONFIRM_ANSWERS)
        if begun.trial is not None and word in ("stop", "start"):
            begun.trial.ended_cleanly()


def opener(world: World, slots: Slots) -> Callable[[Place], Served]:
    """Verifies a bundle in full, and runs nothing."""
    trust = TrustedKeys.load(world.trusted)
    return lambda place: Served(bundles.load(slots.path(place), trust=trust), None, Gates(()))  # type: ignore[arg-type]


def served(slots: Slots, world: World, boot: str = NEXT_BOOT) -> tuple[int, bool, bool]:
    """The version that a start of the service serves, verified from its files; whether it had to fall back; whether
    it is on trial.

    Version 0 where nothing was installed yet.
    """
    if not slots.populated:
        return 0, False, False
    begun = start(slots, opener(world, slots), boot=boot)
    signed = begun.served.bundle.signed
    assert signed is not None
    fell_back = any(kind == "bundle_fell_back" for kind, _ in begun.events)
    return signed.statement.version, fell_back, begun.trial is not None


def prepared(world: World, folder: Path, scenario: Scenario) -> Path:
    """The slots as they stand before the act."""
    folder.mkdir(parents=True)
    for act in scenario.before:
        if act == "crash":
            start(Slots(folder), opener(world, Slots(folder)), boot=SAME_BOOT)  # and ends without a word
        else:
            perform(world, Slots(folder), act)
    return folder


def steps_of(world: World, before: Path, work: Path, act: str) -> list[tuple[str, str]]:
    """Every (step, when) of an act, in order, as it calls the watch."""
    seen: list[tuple[str, str]] = []
    shutil.copytree(before, work, symlinks=True)
    perform(world, Slots(work, durable=Durable(lambda step, when: seen.append((step, when)))), act)
    shutil.rmtree(work)
    return seen


def killed_at(number: int) -> Watch:
    """A watch that ends the process when it is called for this time, counted from 0."""
    calls = iter(range(10_000))

    def watch(step: str, when: str) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def round_of(world: World, before: Path, work: Path, scenario: Scenario, number: int) -> dict[str, Any]:
    """Kill the act at its call number `number`, and see what is left."""
    shutil.copytree(before, work, symlinks=True)
    child = os.fork()
    if child == 0:
        try:
            perform(world, Slots(work, durable=Durable(killed_at(number))), scenario.act)
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    found: dict[str, Any] = {"killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}
    found |= looked_at(world, work, scenario)
    shutil.rmtree(work)
    return found


def looked_at(world: World, left: Path, scenario: Scenario) -> dict[str, Any]:
    """What serves from what was left, and what serves after the same work is done again."""
    again = left.with_name(f"{left.name}-again")
    shutil.copytree(left, again, symlinks=True)
    try:
        version, fell_back, on_trial = served(Slots(left), world, scenario.boot)
        found: dict[str, Any] = {"serves": version, "fell_back": fell_back, "on_trial": on_trial}
        perform(world, Slots(again), scenario.act, scenario.boot)
        found["serves_after"] = served(Slots(again), world, "boot-3")[0]
        found["left_over"] = sorted(p.name for p in again.iterdir() if p.name in (".staging", ".cleared"))
    except Exception as error:  # whatever it is, it is what the round found
        found = {"serves": None, "error": f"{type(error).__name__}: {error}"}
    finally:
        shutil.rmtree(again)
    return found


def main() -> None:
    """All rounds of a scenario, one JSON object each."""
    scenario, folder = SCENARIOS[sys.argv[1]], Path(sys.argv[2])
    world = World.load(folder)
    before = prepared(world, folder / "before", scenario)
    steps = steps_of(world, before, folder / "work", scenario.act)
    for number, (step, when) in enumerate(steps):
        print(json.dumps({"step": step, "when": when, **round_of(world, before, folder / "work", scenario, number)}))


if __name__ == "__main__":
    main()
