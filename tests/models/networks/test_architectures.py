"""The two networks are what the issue of their size and form asks for."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import TrainingError
from models.networks.architectures import ArchitectureError, custom_cnn, mobilenet_v2
from models.training.optimization import set_trainable


def test_custom_cnn_is_three_pooled_convolutions_then_dense() -> None:
    model = custom_cnn()
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == kinds.count("MaxPooling2D") == 3
    assert kinds.index("Flatten") > max(i for i, kind in enumerate(kinds) if kind == "MaxPooling2D")
    assert model.output_shape == (None, 4)
    assert model.count_params() < 6e6  # a byte each as int8


@pytest.mark.parametrize("make", [custom_cnn, mobilenet_v2])
def test_any_size_and_number_of_classes(make) -> None:  # type: ignore[no-untyped-def]
    model = make((96, 64), 3)
    assert model.input_shape == (None, 64, 96, 3)
    probabilities = np.asarray(model(np.zeros((2, 64, 96, 3), np.float32), training=False))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_alpha_makes_mobilenet_smaller() -> None:
    assert mobilenet_v2(alpha=0.35).count_params() < 0.3 * mobilenet_v2().count_params()


@pytest.mark.parametrize(("arguments", "said"), [(((16, 16),), "size"), (((64, 64), 1), "classes")])
def test_impossible_networks_are_refused_by_argument(arguments, said: str) -> None:  # type: ignore[no-untyped-def]
    for make in (custom_cnn, mobilenet_v2):
        with pytest.raises(ArchitectureError, match=said):
            make(*arguments)


def test_wrong_weights_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="weights"):
        mobilenet_v2(weights=tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ArchitectureError, match="do not fit"):
        mobilenet_v2(weights=tmp_path / "text.h5")


def test_stages_free_the_layers_they_name() -> None:
    model = mobilenet_v2((32, 32), alpha=0.35)
    set_trainable(model, "head")
    assert len(model.trainable_variables) == 2
    set_trainable(model, "block_3_")
    some = len(model.trainable_variables)
    set_trainable(model, "all")
    assert 2 < some < len(model.trainable_variables)
    with pytest.raises(TrainingError, match="block_99"):
        set_trainable(model, "block_99")
