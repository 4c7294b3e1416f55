"""What is said of a file that Keras cannot load: the word that matters, in one line."""

import json
from pathlib import Path

import pytest

from models.errors import NetworkError
from models.networks.loading import first_line, load_keras

pytest.importorskip("keras", reason="loading needs TensorFlow")


@pytest.mark.parametrize("groups", [1, 2])
def test_an_option_that_keras_3_does_not_take_is_named(tmp_path: Path, groups: int) -> None:
    """Keras 2 wrote `groups` into depthwise convolutions, deep inside a long configuration; 1 changes nothing."""
    import h5py
    import keras

    image = keras.Input((8, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, name="a_name_that_takes_room" * 8)(image)
    path = tmp_path / "old.h5"
    keras.Model(image, x).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        next(each for each in config["config"]["layers"] if each["class_name"] == "DepthwiseConv2D")["config"][
            "groups"
        ] = groups
        file.attrs["model_config"] = json.dumps(config)
    if groups == 1:
        assert load_keras(path).count_params()
        return
    with pytest.raises(NetworkError, match=r"class 'DepthwiseConv2D': Unrecognized keyword .*groups") as caught:
        load_keras(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("one\ntwo", "one"),
        ("", "ValueError"),
        ("x" * 300, "x" * 200),
        ("Error when deserializing class 'Dense' using config={}\n\nException encountered: no such word", None),
    ],
)
def test_the_line_that_says_what_is_wrong(said: str, line: str | None) -> None:
    assert first_line(ValueError(said)) == (line or "class 'Dense': no such word")
