"""The device asks the bundle's gates and no others, in every command alike; without gates it wants to be told."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle as bundles
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.diagnostics import trust
from edge.inference.domain import ANY
from edge.inference.gates.gates_file import GatesFile, GatesSource, QualityLimit
from edge.system.machine import Machine
from tests.tiny_bundle import certified

CAMERA = "sim:?fps=200&seed=3"


def gates(size: tuple[int, int], **limits: float) -> bytes:
    quality = {name: QualityLimit(limit, 9, 0.01, 1.0, 0) for name, limit in limits.items()}
    source = GatesSource("tests", {"fitted": 9}, "parts", {})
    return GatesFile(1, ANY, size, quality, {}, source, None).to_bytes()


@pytest.fixture
def made(bundle_parts: dict[str, Any], tmp_path: Path) -> Callable[[bytes | None], Path]:
    """The tiny bundle with other gates, or none."""

    def make(data: bytes | None) -> Path:
        parts = certified({**bundle_parts, "gates": data}, interpreter={"kind": "xnnpack"})
        return bundles.write(tmp_path / "own-int8", **parts).path

    return make


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """One image that is bright, one that is dark."""
    folder = tmp_path / "images"
    folder.mkdir()
    noise = np.random.default_rng(2).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    for name, level in (("bright.png", 190), ("dark.png", 0)):
        cv2.imwrite(str(folder / name), noise + level)
    return folder


def command(name: str, bundle: Path, images: Path, tmp_path: Path) -> list[str]:
    words = {
        "classify": ["classify", str(images)],
        "run": ["run", "--camera", f"replay:{images}", "--store", str(tmp_path / "record"), "--keep", "none"],
        "bench": ["bench", "--frames", "10"],
        "selftest": ["selftest", "--store", str(tmp_path / "record")],
    }[name]
    return [*words, "--bundle", str(bundle), "--json", "--allow-unsigned"]


EVERY = ("classify", "run", "bench", "selftest")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One slice of the benchmark, a drawn frame that is not drawn, a record that is not the user's."""
    monkeypatch.setattr("edge.diagnostics.benchmark.pipeline.SLICES", 1)
    monkeypatch.setattr("edge.diagnostics.benchmark.bench.drawn_frame", lambda: np.full((960, 1280, 3), 200, np.uint8))
    monkeypatch.setattr("edge.record.location.default_store", lambda: tmp_path / "record")


@pytest.mark.parametrize("name", EVERY)
def test_a_bundle_without_gates_is_refused_in_one_line(
    name: str, made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = made(None)
    words = command(name, bundle, images, tmp_path)
    assert main("edge", COMMANDS, words) == 2
    captured = capsys.readouterr()
    [error] = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert f"`convert gates {bundle} --data DIR`" in error and "--ungated" in error and captured.out == ""
    assert main("edge", COMMANDS, [*words, "--ungated"]) == 0
    captured = capsys.readouterr()
    assert "warning: own-int8 runs ungated: it judges every frame" in captured.err
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert len(records) == (2 if name in ("classify", "run") else 1)
    said = [record["details"] if name == "bench" else record for record in records]
    assert all(each["ungated"] is True for each in said)


@pytest.mark.parametrize("name", EVERY)
def test_the_profile_can_say_ungated_too(
    name: str, made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text("[model]\nungated = true\n")
    assert main("edge", COMMANDS, [*command(name, made(None), images, tmp_path), "--config", str(profile)]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["details"] if name == "bench" else first)["ungated"] is True


def test_every_line_of_classify_says_it(
    made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("classify", made(gates((32, 32), under_exposed=0.0)), images, tmp_path)
    words.remove("--json")
    for more, said in (((), 0), (("--ungated",), 2)):
        assert main("edge", COMMANDS, [*words, *more]) == 0
        assert capsys.readouterr().out.count("(ungated)") == said


def answers(capsys: pytest.CaptureFixture[str]) -> list[tuple[str | None, list[str]]]:
    """(Reason, gates) of each line, by name of its image: a refused frame can be recorded before the one ahead."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lines.sort(key=lambda line: Path(line.get("path") or line["source"]).name)
    assert all("ungated" not in line for line in lines)
    return [(line["reason"], sorted(line["gates"])) for line in lines]


@pytest.mark.parametrize("name", ["classify", "run"])
def test_the_bundles_own_limits_decide(
    name: str, made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same images and network, three sets of gates; at 32x32, where `edge classify` used to drop all gates."""
    asked = ["no_contrast", "under_exposed"]
    for limits, refused in (
        ({"under_exposed": 100.0, "no_contrast": 0.0}, [None, "under_exposed"]),
        ({"under_exposed": 0.0, "no_contrast": 0.0}, [None, None]),
        ({"under_exposed": 0.0, "no_contrast": 127.0}, ["no_contrast", "no_contrast"]),
    ):
        assert main("edge", COMMANDS, command(name, made(gates((32, 32), **limits)), images, tmp_path)) == 0
        assert answers(capsys) == [(reason, asked) for reason in refused], limits


@pytest.mark.parametrize("name", EVERY)
def test_gates_that_the_profile_turns_off_are_off_everywhere(
    name: str, made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = made(gates((32, 32), under_exposed=100.0, motion_blur=20.0))
    profile = tmp_path / "edge.toml"
    profile.write_text("[gates]\noff = ['under_exposed', 'empty_field']\n")  # a bundle need not have what is off
    words = [*command(name, bundle, images, tmp_path), "--config", str(profile)]
    assert main("edge", COMMANDS, words) == 0
    captured = capsys.readouterr()
    assert "warning: the profile turns the gate under_exposed off" in captured.err
    assert "empty_field off" not in captured.err
    records = [json.loads(line) for line in captured.out.splitlines()]
    if name in ("classify", "run"):
        assert [record["reason"] for record in records] == [None, None]
        assert [list(record["gates"]) for record in records] == [["motion_blur"], ["motion_blur"]]
    else:
        asked = records[0]["details"]["gates"] if name == "bench" else records[0]["gates"]
        assert asked == ["motion_blur"]
    profile.write_text("[gates]\noff = ['under_exposd']\n")
    assert main("edge", COMMANDS, words) == 2
    assert "no gate is called 'under_exposd'; did you mean under_exposed?" in capsys.readouterr().err


def test_an_ungated_run_is_told_by_its_record_and_its_export(
    made: Callable[[bytes | None], Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, out = tmp_path / "record", tmp_path / "export"
    words = [word for word in command("run", made(None), images, tmp_path) if word != "--json"]
    assert main("edge", COMMANDS, [*words, "--slide", "s1", "--ungated"]) == 0
    heading, _, *verdicts, _ = capsys.readouterr().out.splitlines()
    assert "ungated: it judges every frame" in heading and len(verdicts) == 2
    assert all(line.endswith("(ungated)") for line in verdicts)
    assert main("edge", COMMANDS, ["verify", str(record)]) == 0
    assert "1 run without gates" in capsys.readouterr().out
    assert main("edge", COMMANDS, ["export", "s1", "--to", str(out), "--store", str(record)]) == 0
    assert "UNGATED: at least one run asked no gate" in (out / "README.txt").read_text()
    header, first, *_ = (out / "verdicts.csv").read_text().splitlines()
    assert dict(zip(header.split(","), first.split(","), strict=True))["ungated"] == "true"
    [bundle] = json.loads((out / "chain.json").read_text())["bundles"]
    assert bundle["ungated"] is True
    kinds = [json.loads(line)["entry"].get("kind") for line in (out / "record.jsonl").read_text().splitlines()]
    assert "ungated" in kinds


def test_doctor_tells_of_the_gates(made: Callable[[bytes | None], Path], bundle_parts: dict[str, Any]) -> None:
    bundle = bundles.load(made(gates((32, 32), under_exposed=1.0)), trust=bundles.NO_KEYS, allow_unsigned=True)
    machine = Machine()
    assert trust.gates(machine, bundle).state == "ok"
    off = trust.gates(replace(machine, gates_off=("under_exposed",)), bundle)
    assert off.state == "warning" and "turns off under_exposed" in off.found
    ungated = trust.gates(replace(machine, ungated=True), bundle)
    assert ungated.state == "warning" and "own-int8 runs ungated" in ungated.found
    none = trust.gates(machine, bundles.load(made(None), trust=bundles.NO_KEYS, allow_unsigned=True))
    assert none.state == "missing" and "convert gates" in none.cure
