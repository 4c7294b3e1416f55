"""The network that an adaptation starts from: features, a new head, statistics of other images, and its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.commissioning.fields_table import FieldRow
from edge.inference.contract import InputContract
from models.adaptation.network.backbone import Backbone, open_backbone
from models.adaptation.network.network_file import network_bytes
from models.adaptation.network.tiling import tiles_named, tiling_of
from models.data.dataset import Sample
from models.errors import AdaptationError, NetworkError
from models.networks.prediction import predictor
from models.site.fields import SiteField, load_site
from tests.laboratories import clean, drawn_site

CONTRACT = InputContract((32, 32), ("Benign", "Early", "Pre"))


def _network(activation: str = "softmax") -> Any:
    import keras

    keras.utils.set_random_seed(4)
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(8, 3, strides=2)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    network = keras.Model(pixels, keras.layers.Dense(3, activation=activation)(keras.layers.Dropout(0.3)(x)))
    network.get_layer("norm").moving_mean.assign(np.full(8, 0.1, np.float32))
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    path = tmp_path_factory.mktemp("mine")
    _network().save(path / "model.keras")
    (path / "contract.json").write_text(CONTRACT.to_json())
    return path


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Backbone:
    return open_backbone(str(folder))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (20, 32, 32, 3), np.uint8)


def test_features_and_own_head_are_the_network(backbone: Backbone, pixels: np.ndarray) -> None:
    features = backbone.features(pixels)
    own = backbone.own_head(features)
    assert features.shape == (20, 8) and backbone.labels == CONTRACT.labels and own is not None
    np.testing.assert_allclose(own, predictor(backbone.network, CONTRACT)(pixels), atol=1e-5)


def test_a_new_head_answers_as_its_numbers_say(backbone: Backbone, pixels: np.ndarray) -> None:
    kernel, bias = np.random.default_rng(3).normal(0, 1, (8, 2)), np.array([0.2, -0.2])
    made = backbone.with_head(kernel, bias)
    logits = backbone.features(pixels) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    said = predictor(made, replace(CONTRACT, labels=("a", "b")))(pixels)
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_equal_networks_are_equal_bytes(backbone: Backbone) -> None:
    kernel, bias = np.ones((8, 2)), np.zeros(2)
    first, second = (network_bytes(backbone.with_head(kernel, bias)) for _ in range(2))
    assert first == second != network_bytes(backbone.with_head(2 * kernel, bias))


def test_statistics_of_other_images(backbone: Backbone, pixels: np.ndarray) -> None:
    """Those that NumPy finds in what the convolution gives, and the network given in stays as it was."""
    import keras

    before = backbone.features(pixels)
    changed = backbone.with_statistics_of(pixels)
    assert changed is not None
    layers = backbone.network.layers
    convolved = np.asarray(keras.Model(layers[0].output, layers[1].output)(pixels.astype(np.float32) / 128 - 1))
    norm = changed.network.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, convolved.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, convolved.var(axis=(0, 1, 2)), rtol=1e-3)
    assert np.array_equal(backbone.features(pixels), before)
    assert np.abs(changed.features(pixels) - before).max() > 0.01
    folded = keras.models.clone_model(backbone.network)  # mean 0, variance 1: as folded into the convolution
    assert replace(backbone, network=folded).with_statistics_of(pixels) is None


def test_what_cannot_be_started_from(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NetworkError, match="imagenet needs --weights"):
        open_backbone("imagenet")
    with pytest.raises(NetworkError, match=r"--weights belongs to --from imagenet"):
        open_backbone("custom_cnn", tmp_path / "w.h5")
    with pytest.raises(NetworkError, match="must be imagenet, mobilenet_v2, custom_cnn, or a folder"):
        open_backbone(str(tmp_path))
    with pytest.raises(NetworkError, match="must be a file"):
        open_backbone("imagenet", tmp_path / "absent.h5")
    _network("sigmoid").save(tmp_path / "model.keras")
    (tmp_path / "contract.json").write_text(CONTRACT.to_json())
    with pytest.raises(NetworkError, match="must be a Dense softmax"):
        open_backbone(str(tmp_path))


def test_fields_are_cut_by_the_size_of_their_red_cells(tmp_path: Path) -> None:
    """A drawn laboratory's cells fill as much of a field as the published ones'; four fields side by side are cut in
    four; and without red cells nothing is cut, which is said."""
    site = load_site(drawn_site(11, clean(slides=2, fields=3)))
    contract = InputContract((224, 224), site.labels)
    found = tiling_of(site.fields, contract)
    assert found.tiles is None and found.red_cell_px is not None and 17 < found.red_cell_px < 25

    def drawn(name: str, frame: np.ndarray) -> SiteField:
        path = tmp_path / name
        assert cv2.imwrite(str(path), frame)
        return SiteField(Sample(path, name, "healthy", "0" * 64), FieldRow(name, "S-1", "healthy"))

    frames = [cv2.imread(str(each.sample.path)) for each in site.fields]
    fours = [np.vstack([np.hstack(frames[k : k + 2]), np.hstack(frames[k + 2 : k + 4])]) for k in range(0, 12, 4)]
    wide = tiling_of([drawn(f"{k}.png", four) for k, four in enumerate(fours)], contract)
    assert wide.tiles == (2, 2) and wide.red_cell_px == pytest.approx(found.red_cell_px, rel=0.1)
    empty = tiling_of([drawn("empty.png", np.full((480, 640, 3), 240, np.uint8))], contract)
    assert empty.tiles is None and empty.red_cell_px is None and "--tiles" in empty.note


def test_tiles_by_name() -> None:
    assert tiles_named("2x2") == (2, 2) and tiles_named("1X1") == (1, 1)
    for word in ("2", "0x2", "2x9", "axb", "2x2x2"):
        with pytest.raises(AdaptationError, match="--tiles must be COLUMNSxROWS"):
            tiles_named(word)
