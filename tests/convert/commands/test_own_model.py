"""A model of one's own, a grey image in and one sigmoid out, from its file and images to stored verdicts."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.cli import COMMANDS
from edge import cli as edge_cli
from edge.inference.contract import InputContract
from tests.commands import Run, in_this_process
from tests.gates import open_gates
from tests.small_world import FEW_IMAGES, SIZE, draw, keras_archive, write_images, write_policy, write_split

TWO = ("Benign", "Early")
TRAINED_WITH = InputContract((SIZE, SIZE), TWO, "GRAY", scale=(1.0,), offset=(0.0,), output="sigmoid")


@dataclass(frozen=True)
class Own:
    """A network that wants grey levels 0..255, which nothing in it says; no contract and no labels stand beside it."""

    root: Path
    model: Path
    images: list[object]


def grey_sigmoid() -> Any:
    import keras

    keras.utils.set_random_seed(5)
    image = keras.Input((SIZE, SIZE, 1))
    x = keras.layers.Conv2D(8, 5, strides=2, activation="relu")(image)
    x = keras.layers.MaxPooling2D(4)(x)
    x = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(x))
    network = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x))
    truth = np.arange(600) % 2
    inputs = np.concatenate([TRAINED_WITH.encode(draw(TWO[k], 1000 + n)) for n, k in enumerate(truth)])
    network.compile(keras.optimizers.Adam(0.001), "binary_crossentropy")
    network.fit(inputs, truth, epochs=30, batch_size=32, verbose=0)
    return network


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    root = tmp_path_factory.mktemp("own")
    (root / "dots.keras").write_bytes(keras_archive(grey_sigmoid()))
    (root / "gates.json").write_bytes(open_gates((SIZE, SIZE)))
    data = write_images(root / "images", labels=TWO)
    policy = write_policy(root / "few.toml", **FEW_IMAGES)
    return Own(
        root, root / "dots.keras", ["--data", data, "--split", write_split(data, root / "s.csv"), "--policy", policy]
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Run]:
    commands = {"convert": COMMANDS, "edge": edge_cli.COMMANDS}
    return lambda program: in_this_process(capsys, program, commands[program])


def test_from_a_file_and_a_folder_to_stored_verdicts(own: Own, tmp_path: Path, run: Callable[[str], Run]) -> None:
    done = run("convert")("quantize", "--int8", own.model, *own.images, "--out", tmp_path)
    bundle = tmp_path / "dots-int8"
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert done.code == 0 and certificate["verdict"] == "pass", done.err
    assert "values: 0..255 GRAY instead" in done.err and "one sigmoid" in done.err
    found = certificate["contract"]["inferred"]
    assert (found["values"], found["by"], found["channel_order"]) == ("0..255", "images", "GRAY")
    assert found["tried"]["0..255 GRAY"] > 0.9 > found["tried"]["-1..1 GRAY"]
    assert InputContract.load(bundle / "contract.json") == TRAINED_WITH
    assert certificate["parity"]["labels"] == list(TWO) and certificate["parity"]["accuracy_int8"] > 0.9

    field = own.root / "images" / "Early" / "Early-030.png"
    said = run("edge")("classify", field, "--bundle", bundle, "--allow-unsigned", "--json")
    answer = json.loads(said.out)
    assert answer["label"] == "Early" and sum(answer["probabilities"].values()) == pytest.approx(1)

    words = ["--bundle", bundle, "--allow-unsigned", "--store", tmp_path / "record", "--frames", "4"]
    ran = run("edge")("run", "--camera", f"replay:{own.root / 'images' / 'Benign'}", *words)
    assert ran.code == 0 and "Benign 4" in ran.out + ran.err
    assert run("edge")("verify", tmp_path / "record").code == 0
    assert run("edge")("selftest", "--bundle", bundle, "--allow-unsigned").code == 0

    judged = run("convert")("parity", own.model, bundle, *own.images)  # by the bundle's contract: none beside the model
    assert judged.code == 0, judged.err


def test_a_given_contract_is_binding(own: Own, tmp_path: Path, run: Callable[[str], Run]) -> None:
    """Negative control: the same wrong values, this time said by the user."""
    wrong = InputContract((SIZE, SIZE), TWO, "GRAY", scale=(1 / 128,), offset=(-1.0,), output="sigmoid")
    (tmp_path / "contract.json").write_text(wrong.to_json())
    words = ["--contract", tmp_path / "contract.json", "--out", tmp_path / "out"]
    run("convert")("quantize", "--int8", own.model, *own.images, *words).refused(2, "value-range", "0..255")
