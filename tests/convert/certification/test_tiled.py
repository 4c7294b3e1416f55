"""A network whose contract has tiles, through every step: fields are judged, tiles calibrate, and the device agrees."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.calibration.calibration_set import frames_of_tiles
from convert.cli import COMMANDS
from convert.quantization.quantize import network_inputs
from edge.bundle import bundle as bundles
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS as EDGE
from edge.commands.command_line import main
from edge.inference.classifier import Classifier
from edge.inference.contract import FLOAT32, InputContract
from edge.inference.images import read_image
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tiles import pool, tiles_of
from edge.settings.trusted_keys import machine_keys
from models.cli import COMMANDS as MODELS
from models.data.dataset import load_pixels, scan
from models.data.split import Split
from tests.small_world import LABELS, SIZE, World, draw, write_split

A_CLASS = 24


@pytest.fixture(scope="module")
def fields(world: World) -> World:
    """The small world with fields of 2x2 drawn images, one of them of another class, and a contract that cuts them."""
    data = world.root / "fields"
    for label in LABELS:
        (data / label).mkdir(parents=True)
        for number in range(A_CLASS):
            others = [LABELS[(LABELS.index(label) + number) % 4], label, label, label]
            tiles = [draw(each, 4000 + 4 * number + k) for k, each in enumerate(others)]
            field = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
            cv2.imwrite(str(data / label / f"{number:03d}.png"), cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    split = write_split(data, world.root / "fields.csv")
    return World(world.root, world.variant("tiled", tiles=[2, 2], pooling="mean-1"), data, split, world.policy)


@pytest.fixture(scope="module")
def made(fields: World) -> Path:
    out = fields.root / "bundles"
    options = [*fields.images, "--policy", str(fields.policy), "--out", str(out)]
    assert main("convert", COMMANDS, ["quantize", "--int8", str(fields.model), *options]) == 0
    return out / "tiled-int8"


def test_the_certificate_is_of_fields_and_says_how_they_were_cut(fields: World, made: Path) -> None:
    certificate = json.loads((made / "certificate.json").read_text())
    assert certificate["verdict"] == "pass" and certificate["judged"] == "labels"
    assert (certificate["contract"]["tiles"], certificate["contract"]["pooling"]) == ([2, 2], "mean-1")
    assert certificate["parity"]["images"] == 4 * A_CLASS // 2
    page = " ".join((made / "report.html").read_text().split())
    assert "2 x 2 a field, pooled by mean-1" in page
    calibration = json.loads((made / "calibration.json").read_text())
    files = {sample.sha256 for sample in scan(fields.data, LABELS).samples}
    assert calibration["images"] == 4 * A_CLASS // 2 and {each["sha256"] for each in calibration["files"]} < files
    golden = bundles.load(made, trust=machine_keys(), allow_unsigned=True).golden
    assert golden.inputs.shape[1:] == (SIZE, SIZE, 3)  # what the network is fed: no tiles there


def test_parity_counts_what_tiles_answered_one_by_one_pool_to(fields: World, made: Path) -> None:
    """Every figure again from the network without tiles, asked about parts cut out here."""
    from models.networks.loading import load_network
    from models.networks.prediction import predictor

    network, contract = load_network(fields.model.parent)
    alone = predictor(network, contract.untiled())
    bundle = bundles.load(made, trust=machine_keys(), allow_unsigned=True)
    device = Classifier(bundle.contract.untiled(), open_interpreter(bundle.model))
    image_set = scan(fields.data, LABELS)
    samples = Split.load(fields.split).samples(image_set, "test")
    truth = np.array([LABELS.index(sample.label) for sample in samples])
    frames = [read_image(sample.path) for sample in samples]
    cut = [[f[y : y + SIZE, x : x + SIZE] for y in (0, SIZE) for x in (0, SIZE)] for f in frames]
    before = np.array([np.mean(alone(np.stack(parts)).astype(np.float64), axis=0) for parts in cut])
    after = np.array(
        [np.mean([device.probabilities(part).astype(np.float64) for part in parts], axis=0) for parts in cut]
    )
    parity = json.loads((made / "certificate.json").read_text())["parity"]
    assert parity["agreed"] == int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
    assert parity["accuracy_float"] == pytest.approx((before.argmax(axis=1) == truth).mean())
    assert parity["accuracy_int8"] == pytest.approx((after.argmax(axis=1) == truth).mean())
    assert parity["drift_worst"] == pytest.approx(np.abs(after - before).max(), abs=1e-6)
    whole = alone(np.stack([contract.prepare(frame) for frame in frames]))  # negative control: not the squeezed field
    assert np.abs(whole - before).max() > 0.1


def test_the_device_answers_as_parity_was_measured(
    fields: World, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundles.load(made, trust=machine_keys(), allow_unsigned=True)
    classifier = Classifier(bundle.contract, open_interpreter(bundle.model))
    samples = scan(fields.data, LABELS).samples[::7]
    prepared = load_pixels(samples, bundle.contract)
    paths = [str(sample.path) for sample in samples]
    assert main("edge", EDGE, ["classify", *paths, "--bundle", str(made), "--allow-unsigned", "--json"]) == 0
    for line, pixels in zip(capsys.readouterr().out.splitlines(), prepared, strict=True):
        said = json.loads(line)
        assert np.array_equal(
            np.array(list(said["probabilities"].values()), np.float32), classifier.probabilities(pixels)
        )
        tiles = np.array([list(tile["probabilities"].values()) for tile in said["tiles"]])
        assert np.array_equal(pool(tiles), classifier.probabilities(pixels))


def test_every_command_about_the_network_takes_its_fields(fields: World, made: Path, tmp_path: Path) -> None:
    judged = ["parity", str(fields.model), str(made), *fields.images, "--policy", str(fields.policy)]
    assert main("convert", COMMANDS, judged) == 0
    said = ["diagnose", str(fields.model), str(made), *fields.images, "--out", str(tmp_path / "diagnosis")]
    assert main("convert", COMMANDS, said) == 0
    gates = ["gates", str(made), *fields.images]
    assert main("convert", COMMANDS, gates) in (0, 1)
    assert json.loads((made / "gates.json").read_text())["size"] == [SIZE, SIZE]
    model = str(fields.model.parent)
    assert main("models", MODELS, ["evaluate", model, *fields.images, "--out", str(tmp_path / "e.json")]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["images"] == 4 * A_CLASS // 2
    assert (
        main("models", MODELS, ["explain", model, str(next(fields.data.rglob("*.png"))), "--out", str(tmp_path)]) == 0
    )


def test_a_bundle_of_tiles_is_not_that_of_the_whole_field(
    world: World, fields: World, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("convert", COMMANDS, ["parity", str(world.model), str(made), *fields.images]) == 2
    assert "the bundle's contract is not the model's: tiles (2, 2), not None" in capsys.readouterr().err


def test_fields_too_small_for_the_tiles_are_named(
    world: World, fields: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fields.variant("fine", tiles=[8, 8])
    assert main("convert", COMMANDS, ["quantize", "--int8", str(model), *fields.images, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "frame must give each of 8x8 tiles 16x16 pixels" in said and ".png: " in said and not any(tmp_path.iterdir())


def test_pareto_compares_networks_that_see_a_whole_field(
    fields: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pareto", str(fields.model), *fields.images, "--out", str(tmp_path)]
    assert main("convert", COMMANDS, words) == 2
    assert "networks must see a whole field; the contract of tiled has tiles (2, 2)" in capsys.readouterr().err


# --- calibration


def test_each_tile_calibrates() -> None:
    tiled = InputContract((SIZE, SIZE), LABELS, tiles=(2, 2))
    mosaics = np.random.default_rng(0).integers(0, 256, (3, 2 * SIZE, 2 * SIZE, 3), dtype=np.uint8)
    views = network_inputs(mosaics, tiled)
    assert views.shape == (12, SIZE, SIZE, 3) and np.array_equal(views, tiles_of(tiled, mosaics))
    assert network_inputs(views, tiled) is views
    encoded: Any = tiled.encode(views[5], FLOAT32)
    assert np.array_equal(encoded, tiled.untiled().encode(mosaics[1, :SIZE, SIZE:], FLOAT32))


def test_drawn_fields_of_tiles_are_drawn_frames_side_by_side() -> None:
    frames = [frame for _, frame in synthetic_fields(8, 3, (64, 48))]
    tiled = InputContract((SIZE, SIZE), LABELS, tiles=(2, 1))
    fields = list(frames_of_tiles(frames, tiled))
    assert len(fields) == 8 and all(field.shape == (48, 128, 3) for field in fields)
    assert np.array_equal(fields[1][:, :64], frames[1]) and np.array_equal(fields[1][:, 64:], frames[5])  # same recipe
    assert all(a is b for a, b in zip(frames_of_tiles(frames, tiled.untiled()), frames, strict=True))
