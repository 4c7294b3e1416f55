"""Killed, or without power, at every step: one whole bundle serves afterwards, and the work can be done again."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.serving.update.slots import Slots
from edge.system.durable import Durable
from tests.edge.serving.update.kill import SCENARIOS, looked_at, perform, prepared
from tests.edge.serving.update.power_cut import Forgetful, Logged, after_a_cut, half_written
from tests.edge.serving.update.world import World
from tests.paths import ROOT

SLOW = ("first", "update", "over a slot", "stop")  # "over a trial" has every step of these


def scenarios() -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SCENARIOS]


@pytest.fixture
def folder(world: World) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=world.root) as folder:
        yield Path(folder)


def rounds(world: World, name: str) -> list[dict[str, Any]]:
    """Every round of a scenario, in a process of its own: it forks."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.edge.serving.update.kill", name, str(world.root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    shutil.rmtree(world.root / "before")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", scenarios())
def test_a_kill_at_any_step_leaves_a_whole_bundle_and_the_work_can_be_done_again(world: World, name: str) -> None:
    scenario = SCENARIOS[name]
    found = rounds(world, name)
    assert len(found) >= 6
    assert all(each["killed"] for each in found)
    wrong = [
        each
        for each in found
        if each["serves"] not in scenario.may_serve or each["serves_after"] != scenario.at_the_end or each["left_over"]
    ]
    assert wrong == []
    if scenario.confirmed is not None:  # a new bundle never serves without a trial
        assert [each for each in found if each["on_trial"] != (each["serves"] != scenario.confirmed)] == []
    if scenario.act.startswith("update"):  # each of the versions was met: the kills were before and after the switch
        assert {each["serves"] for each in found} >= {scenario.at_the_end}
        steps = {each["step"] for each in found}
        assert steps >= {"stage model.tflite", "stage names", "place", "mark", "switch", "note installed"}


def cut_everywhere(world: World, folder: Path, name: str, durable: type[Logged], chances: list[float]) -> list[str]:
    """Cut the power after each change of a scenario; what was wrong afterwards."""
    scenario, rng = SCENARIOS[name], random.Random(7)
    before, work, cut = folder / "before", folder / "work", folder / "cut"
    prepared(world, before, scenario)
    shutil.copytree(before, work, symlinks=True)
    logged = durable(work)
    perform(world, Slots(work, durable=logged), scenario.act)
    wrong = []

    def look(what: str) -> None:
        found = looked_at(world, cut, scenario)
        shutil.rmtree(cut)
        allowed = scenario.may_serve | ({2} if name == "fall back" else frozenset())  # the next boot gives it a chance
        sound = found["serves"] in allowed and found["serves_after"] in allowed and not found["left_over"]
        if not sound or (found["fell_back"] and not scenario.falls_back):
            wrong.append(f"{what}: {found}")

    for number in range(1, len(logged.log) + 1):
        change = logged.log[number - 1]
        for chance in chances:
            after_a_cut(before, logged.log[:number], cut, chance, rng)
            look(f"after {change.kind} {change.path}, {chance:.0%} of the rest kept")
        if half_written(before, logged.log[:number], cut, rng):
            look(f"in the middle of {change.kind} {change.path}")
    return wrong


@pytest.mark.parametrize("name", ["over a trial", "roll back", "fall back", "confirm"])
def test_a_power_cut_at_any_step_leaves_a_whole_bundle(world: World, folder: Path, name: str) -> None:
    """What was not synced is lost."""
    assert cut_everywhere(world, folder, name, Logged, [0.0]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_power_cut_that_keeps_any_part_leaves_a_whole_bundle(world: World, folder: Path, name: str) -> None:
    assert cut_everywhere(world, folder, name, Logged, [0.0, 0.3, 0.5, 0.7, 1.0]) == []


def test_names_that_are_not_synced_would_show(world: World, folder: Path) -> None:
    """The control: without the syncs of folders, a power cut leaves a link to a slot that is not whole."""
    assert any("'fell_back': True" in each for each in cut_everywhere(world, folder, "update", Forgetful, [0.6]))


class Hasty(Durable):
    """The control: switches before the slot holds anything."""

    def rename(self, step: str, source: Path, target: Path) -> None:
        if step == "place":
            self.point("switch", target.parent / "current", f"{target.name}/{next(source.iterdir()).name}")
            self._watch("hasty", "after")
        super().rename(step, source, target)


def test_a_switch_that_comes_too_early_would_show(world: World, folder: Path) -> None:
    scenario = SCENARIOS["over a slot"]
    before = prepared(world, folder / "before", scenario)

    class CutError(Exception):
        pass

    def cut(step: str, when: str) -> None:
        if step == "hasty":
            raise CutError

    with pytest.raises(CutError):
        perform(world, Slots(before, durable=Hasty(cut)), scenario.act)
    assert (before / "current").is_symlink() and not (before / "current").exists()
    found = looked_at(world, before, scenario)
    assert found["fell_back"] and not scenario.falls_back
