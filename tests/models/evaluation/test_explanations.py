"""Class activation maps add up to the score they explain; what is measured of them tells cells from corners."""

import json
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
import pytest

import models.cli
from docs.studies.networks.white_cell_check import DrawnField, drawn_fields
from edge.inference.contract import FLOAT32, InputContract, Pixels
from models.evaluation.class_activation import (
    ClassActivation,
    ClassActivationError,
    best_share,
    enlarged,
    mass_share,
    shuffled,
)
from models.evaluation.explanations import CONTROLS, Explanations, explain, to_text
from models.networks.architectures import custom_cnn, mobilenet_v2
from models.report.explanation_figures import shares_figure, verdict_figure
from models.report.figure_style import render
from models.support.records import as_json
from tests.commands import Run, in_this_process
from tests.small_world import LABELS

SIDE = 64
CONTRACT = InputContract((SIDE, SIDE), LABELS)
WHOLE = InputContract((224, 224), LABELS)
FIELDS = 12


def noise(count: int, side: int = SIDE) -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (count, side, side, 3), np.uint8)


def encoded(pixels: Pixels, contract: InputContract = CONTRACT) -> npt.NDArray[np.float32]:
    return np.concatenate([contract.encode(image, FLOAT32) for image in pixels])


def centred(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Less their mean over classes, the last axis."""
    return values - values.mean(axis=-1, keepdims=True)


def scores(network: Any, pixels: Pixels) -> npt.NDArray[Any]:
    """Logits less their mean, from the probabilities."""
    return centred(np.log(np.asarray(network(encoded(pixels), training=False), np.float64)))


@pytest.fixture(scope="module")
def pooled() -> Any:
    """MobileNetV2's form on a small scale: nested features, global average, dense softmax with biases."""
    keras.utils.set_random_seed(2)
    inside = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 5, strides=8, activation="relu")(inside)
    backbone = keras.Model(inside, keras.layers.DepthwiseConv2D(3, activation="relu")(x), name="backbone")
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(backbone(image, training=False))
    x = keras.layers.Dropout(0.3)(x)
    network = keras.Model(image, keras.layers.Dense(4, activation="softmax")(x), name="pooled")
    network.layers[-1].set_weights([np.random.default_rng(1).normal(0, 3, (8, 4)), np.array([0.3, -0.1, 0.2, 0.5])])
    return network


# --- maps


def test_with_global_average_pooling_it_is_the_class_activation_map(pooled: Any) -> None:
    """Against Zhou's formula, written out here."""
    pixels = noise(3)
    maker = ClassActivation(pooled, CONTRACT)
    found = maker(pixels)
    backbone = pooled.get_layer("backbone")
    features = np.asarray(backbone(encoded(pixels), training=False))
    kernel = pooled.layers[-1].kernel.numpy()
    expected = np.einsum("nhwk,kc->nchw", features, centred(kernel)) / (features.shape[1] * features.shape[2])
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    assert maker.grid == features.shape[1:3] and maker.features == "backbone"
    np.testing.assert_allclose(
        found.maps.sum(axis=(2, 3)) + centred(pooled.layers[-1].bias.numpy()), scores(pooled, pixels), atol=1e-4
    )
    np.testing.assert_allclose(found.probabilities, np.asarray(pooled(encoded(pixels))), atol=1e-6)


def test_of_the_custom_network_the_map_adds_up_to_the_score() -> None:
    """Its biases after the features are 0 before training: what follows is linear piece by piece, through 0."""
    keras.utils.set_random_seed(3)
    network = custom_cnn((SIDE, SIDE), 4)
    maker = ClassActivation(network, CONTRACT)
    pixels = noise(3)
    assert maker.features == "conv3_relu" and maker.grid == (8, 8)
    expected = scores(network, pixels)
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(maker(pixels).maps.sum(axis=(2, 3)), expected, atol=1e-5)


def test_the_shipped_form_has_maps() -> None:
    maker = ClassActivation(mobilenet_v2((SIDE, SIDE), 4, alpha=0.35), CONTRACT)
    assert maker.features == "backbone" and maker.grid == (2, 2)


def test_what_softmax_does_not_see_changes_no_map(pooled: Any) -> None:
    other = keras.models.clone_model(pooled)
    other.set_weights(pooled.get_weights())
    other.layers[-1].kernel.assign_add(np.random.default_rng(1).normal(size=(other.layers[-1].kernel.shape[0], 1)))
    one, two = (ClassActivation(network, CONTRACT)(noise(2)) for network in (pooled, other))
    np.testing.assert_allclose(one.maps, two.maps, atol=1e-5)


def test_other_classes_and_weights_have_other_maps(pooled: Any) -> None:
    """Negative control of the two tests above."""
    found = ClassActivation(pooled, CONTRACT)(noise(2))
    assert np.abs(found.maps[:, 0] - found.maps[:, 1]).max() > 1e-2
    before = [w.copy() for w in pooled.get_weights()]
    mixed = shuffled(pooled)
    assert np.abs(ClassActivation(mixed, CONTRACT)(noise(2)).maps - found.maps).max() > 1e-2
    for old, kept, new in zip(before, pooled.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(old, kept)
        np.testing.assert_array_equal(np.sort(old, axis=None), np.sort(new, axis=None))
        if old.ndim < 2:
            np.testing.assert_array_equal(old, new)


def test_refuses_networks_without_such_maps() -> None:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    linear = keras.Model(image, keras.layers.Dense(4, name="out")(keras.layers.Flatten()(x)), name="linear")
    with pytest.raises(ClassActivationError, match="ends in softmax; linear ends in out"):
        ClassActivation(linear, CONTRACT)
    flat = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(image))
    with pytest.raises(ClassActivationError, match="no_features has none"):
        ClassActivation(keras.Model(image, flat, name="no_features"), CONTRACT)
    vector = keras.layers.LayerNormalization(name="norm")(keras.layers.Flatten()(x))
    late = keras.Model(image, keras.layers.Dense(4, activation="softmax")(vector), name="late")
    with pytest.raises(ClassActivationError, match="late has none"):
        ClassActivation(late, CONTRACT)


def test_shares_by_hand() -> None:
    heat = np.array([[1, 0], [2, 1]], np.float32)
    assert mass_share(heat, np.array([[True, False], [True, False]])) == 0.75
    assert np.isnan(mass_share(heat * 0, np.ones((2, 2), np.bool_)))
    mask = np.zeros((224, 224), np.bool_)
    mask[64:96, 96:128] = True  # one cell of 7 x 7
    coarse, fine, exact = (best_share(mask, (side, side)) for side in (7, 28, 224))
    assert mask.mean() < 0.3 < coarse < fine < exact == 1
    assert np.isnan(best_share(mask & False, (7, 7)))
    small = np.zeros((7, 7), np.float32)
    small[2, 3] = 1
    assert np.unravel_index(enlarged(small, (224, 224)).argmax(), (224, 224))[0] in range(64, 96)


# --- what is measured


def looks_at(what: str) -> Any:
    """A network without a secret: its features are how violet a place is; its verdict Pro grows with them.

    "cells" sees all places alike; "corner" only those of the scale bar's corner, where it sees brightness.
    """
    image = keras.Input((224, 224, 3))
    conv = keras.layers.Conv2D(1, 8, strides=8, activation="relu", name="features")
    flat = keras.layers.Flatten()(conv(image))
    last = keras.layers.Dense(4, activation="softmax")
    network = keras.Model(image, last(flat), name=what)
    colours = np.array([0.5, -1.0, 0.5] if what == "cells" else [1.0, 1.0, 1.0], np.float32) / 64
    conv.set_weights([np.broadcast_to(colours[:, None], (8, 8, 3, 1)), np.array([-0.15 if what == "cells" else 3.0])])
    places = np.ones((28, 28)) if what == "cells" else np.zeros((28, 28))
    places[-4:, -7:] = 1
    kernel = np.zeros((28 * 28, 4))
    kernel[:, 3] = places.reshape(-1) * 0.01
    last.set_weights([kernel, np.array([0, -9, -9, 0.0])])
    return network


@pytest.fixture(scope="module")
def fields() -> list[DrawnField]:
    return drawn_fields(FIELDS)


@pytest.fixture(scope="module")
def measured(fields: list[DrawnField]) -> dict[str, Explanations]:
    pixels = np.stack([field.pixels for field in fields])
    truth = np.where(np.arange(FIELDS) < FIELDS - 1, 3, 0)
    names = [f"Pro/{n}.png" for n in range(FIELDS)]
    return {what: explain(looks_at(what), WHOLE, pixels, truth, names, progress=False) for what in ("cells", "corner")}


def test_tells_a_network_that_looks_at_cells_from_one_that_looks_at_the_corner(
    measured: dict[str, Explanations],
) -> None:
    records = {name: json.loads(json.dumps(as_json(m.to_record()), allow_nan=False)) for name, m in measured.items()}
    cells, corner = (records[name]["groups"]["all"] for name in ("cells", "corner"))
    area = cells["cells_area"]["mean"]
    assert cells["cells_share"]["mean"] > 2 * area and cells["share_minus_area"]["interval"][0] > 0.1
    assert cells["preference"]["interval"][0] > 0.5
    assert cells["best_possible"]["mean"] >= cells["cells_share"]["mean"] - 0.1
    assert cells["peak_on_cells"]["share"] > 0.9 and cells["corner_share"]["mean"] < 0.15
    assert corner["corner_share"]["mean"] > 0.9 and corner["peak_on_cells"]["share"] < 0.5
    assert corner["preference"]["interval"][1] < 0.3
    other = cells["controls"]["other_image"]
    assert other["interval"][0] < area * 1.5 and other["mean"] < cells["cells_share"]["mean"] / 1.5
    assert list(cells["controls"]) == list(CONTROLS)


def test_right_and_wrong_verdicts_and_classes_are_apart(measured: dict[str, Explanations]) -> None:
    found = measured["cells"]
    record = as_json(found.to_record())
    groups = record["groups"]
    assert list(groups) == ["all", "right", "wrong", *LABELS]
    assert groups["right"]["images"] + groups["wrong"]["images"] == groups["all"]["images"] == FIELDS
    assert [one["name"] for one in record["wrong"]] == [found.names[i] for i in found.wrong()]
    assert groups["wrong"]["images"] >= 1 and record["wrong"][-1]["true"] == "Benign"
    assert groups["Early"]["cells_share"] == {"images": 0, "mean": None, "interval": None}
    assert groups["Benign"]["images"] == 1 and groups["Benign"]["cells_share"]["interval"] is None
    np.testing.assert_allclose(groups["all"]["cells_share"]["mean"], found.cells_share.mean())
    text = to_text(found.to_record())
    assert "Early        0 images, none" in text and "controls: other class" in text


def test_fields_without_a_white_cell_are_counted_apart(fields: list[DrawnField]) -> None:
    pixels = np.stack([fields[0].pixels, np.full((224, 224, 3), 235, np.uint8), fields[1].pixels])
    record = explain(looks_at("cells"), WHOLE, pixels, np.array([3, 3, 3]), ["a", "b", "c"], False).to_record()
    assert record.images == 3 and record.without_white_cell == 1
    assert record.groups["all"].cells_share.images == 2


# --- figures


def test_the_figure_of_many_shows_no_image(measured: dict[str, Explanations]) -> None:
    found = measured["cells"]
    figure = shares_figure(found, found.to_record(), "title")
    assert not any(axis.images for axis in figure.axes)
    assert {t.get_text() for t in figure.axes[1].get_yticklabels()} >= {"all (12)", "control: other image"}
    assert render(figure).startswith(b"\x89PNG")


def test_the_figure_of_a_verdict_bears_a_field_without_cells_and_a_map_without_mass() -> None:
    blank = np.zeros((32, 32), np.float32)
    figure = verdict_figure(
        noise(1, 32)[0], blank, blank > 0, LABELS, np.array([0.1, 0.2, 0.3, 0.4], np.float32), "t", "n"
    )
    assert figure.axes[1].get_title(loc="left") == "evidence for Pro"
    assert render(figure).startswith(b"\x89PNG")


# --- the commands


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "models", models.cli.COMMANDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network's folder."""
    path = tmp_path_factory.mktemp("network") / "cells"
    path.mkdir()
    looks_at("cells").save(path / "model.keras")
    (path / "contract.json").write_text(WHOLE.to_json())
    return path


@pytest.fixture(scope="module")
def data(fields: list[DrawnField], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn fields in class folders."""
    root = tmp_path_factory.mktemp("data")
    for n, field in enumerate(fields):
        (root / LABELS[n % 4]).mkdir(exist_ok=True)
        cv2.imwrite(str(root / LABELS[n % 4] / f"{n}.png"), np.ascontiguousarray(field.pixels[..., ::-1]))
    return root


def test_explain_draws_a_figure_an_image(folder: Path, data: Path, tmp_path: Path, run: Run) -> None:
    code, out, _ = run("explain", folder, data / "Pro" / "3.png", data / "Pre" / "2.png", "--out", tmp_path, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [Path(r["path"]).name for r in records] == ["3.png", "2.png"]
    for record in records:
        assert Path(record["figure"]).read_bytes().startswith(b"\x89PNG")
        assert record["cells_share"] > record["cells_area"] > 0
        assert abs(sum(record["probabilities"].values()) - 1) < 1e-5
    assert {p.name for p in tmp_path.iterdir()} == {"3_class_activation.png", "2_class_activation.png"}
    code, out, _ = run("explain", folder, "--out", tmp_path / "drawn")
    assert code == 0 and "a drawn field" in out and (tmp_path / "drawn" / "class_activation.png").is_file()


def test_explain_refuses(folder: Path, data: Path, tmp_path: Path, run: Run) -> None:
    code, _, err = run("explain", folder, "a/1.png", "b/1.png", "--out", tmp_path)
    assert code == 2 and "two of them are named 1" in err
    (tmp_path / "text.png").write_text("no image")
    code, out, err = run("explain", folder, tmp_path / "text.png", "--out", tmp_path / "out")
    assert code == 2 and out == "" and "text.png" in err
    assert run("explain", tmp_path, "--out", tmp_path)[0] == 2


@pytest.mark.slow
def test_evaluate_explanations_writes_a_record_and_its_errors_elsewhere(
    folder: Path, data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.data.field_groups.find_groups", lambda samples: {s.sha256: s.name for s in samples})
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", folder, "--explanations", "--data", data, "--part", "train"]
    code, out, err = run(*words, "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record == json.loads((folder / "explanations.json").read_text())
    assert record["method"] == {"name": "HiResCAM", "features": "features", "grid": [28, 28], "network": "float"}
    assert record["split"]["part"] == "train" and len(record["model_sha256"]) == 64
    drawn = sorted(p.name for p in (tmp_path / "build" / "errors" / "cells").iterdir())
    expected = [f"{w['true']}_called_{w['called']}_{Path(w['name']).stem}.png" for w in record["wrong"]]
    assert drawn == sorted(expected) and drawn
    assert {p.suffix for p in folder.iterdir()} == {".keras", ".json", ".png"}
    assert (folder / "explanations.png").is_file()
    code, out, _ = run(*words, "--sample", 4, "--out", tmp_path / "few.json", "--errors", tmp_path / "few")
    assert code == 0 and json.loads((tmp_path / "few.json").read_text())["images"] == 4 and "preference" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explanations", "--corruptions"], "separate records"),
        (["--explanations", "--bundle", "x"], "--bundle belongs to --corruptions"),
        (["--degraded"], "--degraded belongs to --abstention"),
        (["--errors", "x"], "--errors belongs to --explanations"),
        (["--sample", "4"], "--sample belongs to"),
    ],
)
def test_evaluate_refuses_options_that_do_not_go_together(
    words: list[str], said: str, folder: Path, data: Path, run: Run
) -> None:
    code, out, err = run("evaluate", folder, "--data", data, *words)
    assert code == 2 and out == "" and said in err
