"""Where tests find what cannot be in the repo: images of data sets, and models published by others."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cameras.sim_settings import SimSettings
from edge.cameras.sim_view import Specimen, draw_specimen
from edge.commands.terminal_log import show_log
from edge.inference.contract import InputContract

show_log()  # as the commands do, for tests that read standard error of a request they execute themselves

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The ALL images, a folder a class; skips where nobody has them."""
    folder = Path(os.environ.get("LEUKOSCOPE_DATA", SHARED / "data" / "all"))
    if not (folder / "Benign").is_dir():
        pytest.skip("the ALL images are not here (set LEUKOSCOPE_DATA to the folder of Benign, Early, Pre and Pro)")
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder beside the checkout with weights, fixtures and images."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def specimens() -> Callable[[SimSettings, tuple[int, int]], Specimen]:
    """`draw_specimen`, which draws each slide once a session."""
    drawn: dict[tuple[object, ...], Specimen] = {}

    def draw(settings: SimSettings, size: tuple[int, int]) -> Specimen:
        key = (settings.recipe, settings.seed, settings.debris, settings.empty > 0, size)
        if key not in drawn:
            drawn[key] = draw_specimen(settings, size)
        return drawn[key]

    return draw


@pytest.fixture(scope="module")
def drawn_once(specimens: Callable[[SimSettings, tuple[int, int]], Specimen]) -> Iterator[None]:
    """Slides that tests look at through `sim:` are drawn once; drawing takes most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.cameras.simulated.draw_specimen", specimens)
        yield


@dataclass(frozen=True)
class TinyModels:
    """One small network, 32x32 pixels in and four classes out, as every kind of file the tests need.

    Its weights are random (seeded), so its verdicts mean nothing, but they differ from frame to frame.
    """

    contract: InputContract
    int8: bytes
    uint8: bytes
    float32: bytes


@pytest.fixture(scope="session")
def tiny_models() -> TinyModels:
    """Converted once a session, in about four seconds, most of them TensorFlow's import.

    The files are the same bytes in every session on a machine: weights and frames are seeded, and the names in
    the files do not go on counting from what other tests built before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    contract = InputContract((32, 32), ("Benign", "Early", "Pre", "Pro"))
    keras.utils.set_random_seed(20)
    pixels = keras.Input((32, 32, 3), batch_size=1, name="pixels")
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", kernel_initializer="he_normal", name="conv")(pixels)
    x = keras.layers.Flatten(name="flat")(keras.layers.MaxPooling2D(3, name="pool")(x))
    model = keras.Model(pixels, keras.layers.Dense(4, activation="softmax", name="classes")(x), name="tiny")

    def convert(dtype: Any) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if dtype is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = tiny_calibration
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = dtype
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        return bytes(converter.convert())

    def tiny_calibration() -> Any:
        frames = np.random.default_rng(20).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
        frames[:, 0, 0], frames[:, 0, 1] = 0, 255  # the whole input range, so that int8 is pixel - 128
        return ([contract.encode(frame)] for frame in frames)

    return TinyModels(contract, convert(tf.int8), convert(tf.uint8), convert(None))


@pytest.fixture
def bundle_parts(tiny_models: TinyModels) -> dict[str, Any]:
    """What `edge.bundle.bundle.write` takes, for the tiny network, with a certificate that says "pass"."""
    from edge.bundle.golden import Golden
    from edge.inference.interpreters import open_interpreter

    inputs = np.random.default_rng(21).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    interpreter = open_interpreter(tiny_models.int8)
    quantization = interpreter.input.quantization
    outputs = [interpreter.invoke(tiny_models.contract.encode(pixels, quantization)) for pixels in inputs]
    parts = {
        "model": tiny_models.int8,
        "contract": tiny_models.contract,
        "calibration": {"images": [], "synthetic": True},
        "golden": Golden(inputs, np.stack(outputs)),
    }
    return certified(parts, kind=interpreter.kind)


def certified(parts: dict[str, Any], *, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    """`parts` of a bundle with a certificate about them."""
    certificate = {
        "verdict": verdict,
        "int8_model": {"sha256": hashlib.sha256(parts["model"]).hexdigest()},
        "contract": {"sha256": hashlib.sha256(parts["contract"].to_json().encode()).hexdigest()},
    }
    return {**parts, "certificate": {**certificate, **more}}


@pytest.fixture
def tiny_bundle(bundle_parts: dict[str, Any], tmp_path: Path) -> Path:
    """A certified bundle of the tiny network."""
    from edge.bundle import bundle

    return bundle.write(tmp_path / "bundles" / "tiny-int8", **bundle_parts).path
