"""The quantization-aware fine-tune: its twin computes what the files compute, and what it learns is worth having.

Networks are small and drawn at random, but for the slow tests, which take the ones that ship.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from convert.errors import FineTuneError
from convert.recovery.fake_quant import Quantizer, Twin, _Flow
from convert.recovery.fake_quant_operators import to_file
from convert.recovery.fine_tune import Candidate, FineTuneSettings, _both, fine_tune
from convert.tflite.float_file import WEIGHTED, FloatFile
from convert.tflite.inspection import inspect
from convert.tflite.matching import Runner, constants, dequantized, match
from edge.cameras.synthetic.smear import synthetic_fields
from edge.inference.contract import FLOAT32, InputContract, Pixels
from tests.convert.keras_models import CONTRACT, edited, smear_pixels
from tests.paths import ROOT

QUICK = FineTuneSettings(steps=4, every=2, batch=4)


@dataclass(frozen=True)
class Pair:
    """The two files of one network, and images."""

    plain: bytes
    int8: bytes
    pixels: Pixels

    @property
    def inputs(self) -> npt.NDArray[Any]:
        return encoded(self.pixels)


def lit(pixels: Pixels) -> Pixels:
    """Under light of other strength and colour for each image."""
    gains = np.random.default_rng(2).uniform(0.2, 1.2, (len(pixels), 1, 1, 3))
    return np.clip(pixels * gains, 0, 255).astype(np.uint8)


IMAGES = lit(smear_pixels(16))


def encoded(pixels: Pixels) -> npt.NDArray[Any]:
    return np.concatenate([CONTRACT.encode(p, FLOAT32) for p in pixels])


def pair(network: Any, images: int = len(IMAGES)) -> Pair:
    from convert.quantization.float_model import FloatModel
    from convert.quantization.quantize import calibrated, quantized

    width, height = CONTRACT.size
    model = FloatModel(network, Path("test.keras"), "", "test", (width, height), len(CONTRACT.labels), ())
    pixels = IMAGES[:images]
    plain = calibrated(model, CONTRACT, pixels)
    return Pair(plain, quantized(plain), pixels)


def outputs(model: bytes, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Real outputs (N, classes) of the interpreter for real inputs, image by image."""
    from ai_edge_litert.interpreter import Interpreter

    engine = Interpreter(model_content=model, num_threads=1)
    engine.allocate_tensors()
    source, sink = engine.get_input_details()[0], engine.get_output_details()[0]
    answers = []
    for image in inputs:
        given = image
        if source["dtype"] == np.int8:
            scale, zero_point = source["quantization"]
            given = np.clip(np.round(image / scale) + zero_point, -128, 127).astype(np.int8)
        engine.set_tensor(source["index"], given[np.newaxis])
        engine.invoke()
        answer = engine.get_tensor(sink["index"])[0]
        if sink["dtype"] == np.int8:
            scale, zero_point = sink["quantization"]
            answer = (answer.astype(np.float32) - zero_point) * np.float32(scale)
        answers.append(answer)
    return np.stack(answers)


def normalized(x: Any, activation: str | None = None) -> Any:
    """A batch norm that takes mean and deviation from the last images seen in training mode."""
    from keras import layers

    x = layers.BatchNormalization(momentum=0.0)(x)
    return x if activation is None else layers.Activation(activation)(x)


def chain(image: Any) -> Any:
    """Dilation, depth multiplier, uneven strides, both paddings, all pools, a pad, dense on top."""
    from keras import layers

    x = normalized(layers.Conv2D(8, 3, strides=2, padding="same")(image), "relu6")
    x = normalized(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x), "relu")
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = normalized(layers.Conv2D(12, (1, 3), strides=(2, 1), use_bias=False)(x))
    x = normalized(layers.Conv2D(12, 3, dilation_rate=2, padding="same")(x), "relu")
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return normalized(layers.Dense(6, activation="relu")(layers.Flatten()(x)))


def branches(image: Any) -> Any:
    """Residual, gated, subtracted and concatenated branches, constants added and multiplied."""
    import keras
    from keras import layers

    x = normalized(layers.Conv2D(8, 3, strides=2, padding="same")(image), "hard_swish")
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Add()([x, normalized(layers.Conv2D(8, 1)(layers.Multiply()([x, gate])))])
    y = normalized(layers.Conv2D(8, 3, padding="same")(x), "tanh")
    x = layers.Concatenate()([x, layers.Subtract()([layers.ReLU(max_value=6.0)(x), y])])
    x = layers.Rescaling(0.5, offset=0.1)(layers.Activation("relu")(x))
    x = keras.ops.multiply(x, np.linspace(0.5, 1.5, 16).astype(np.float32))
    return normalized(layers.GlobalAveragePooling2D()(x))


def network(body: Callable[[Any], Any]) -> Any:
    """Untrained, but alive: what each layer computes differs from image to image."""
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((CONTRACT.size[1], CONTRACT.size[0], 3))
    found = keras.Model(image, keras.layers.Dense(4, activation="softmax")(body(image)))
    for _ in range(6):  # each pass gives the next batch norms what the ones before them now let through
        found(encoded(IMAGES), training=True)
    return found


@pytest.fixture(scope="module")
def built() -> Callable[[Callable[[Any], Any]], Pair]:
    return lru_cache(lambda body: pair(network(body)))


@pytest.fixture(scope="module", params=[chain, branches], ids=lambda f: f.__name__)
def small(request: pytest.FixtureRequest, built: Callable[[Callable[[Any], Any]], Pair]) -> Pair:
    return built(request.param)


@pytest.fixture(scope="module")
def chained(built: Callable[[Callable[[Any], Any]], Pair]) -> Pair:
    return built(chain)


def twin_outputs(given: Pair, quantized: bool, through: Twin | None = None) -> npt.NDArray[Any]:
    twin = through or Twin(given.plain, given.int8)
    return np.asarray(twin.run(given.inputs, quantized)[twin.output])


def test_without_quantizers_the_twin_is_the_float_file(small: Pair) -> None:
    assert np.ptp(outputs(small.plain, small.inputs), axis=0).max() > 0.01  # it does answer differently to each image
    np.testing.assert_allclose(twin_outputs(small, False), outputs(small.plain, small.inputs), atol=1e-5)


def test_every_operator_rounds_as_the_int8_file_does(small: Pair) -> None:
    """Each fed with what the int8 file feeds it: at most one step apart, by ties rounded the other way, and rarely."""
    twin, matched = Twin(small.plain, small.int8), match(small.plain, small.int8)
    runner, source = Runner(small.int8, keep_all=True), matched.int8.inputs[0]
    runner.run([np.round(small.inputs[:1] / source.scales[0] + source.zero_points[0]).astype(np.int8)])
    flow = _Flow(twin.source, small.inputs[:1], quantized=True)
    for step, one in zip(twin._steps, matched.pairs, strict=True):
        flow.write(step, step.compute(*(flow.read(o) for o in step.operands), *step.kernel(quantized=True)))
        stored = dequantized(runner.tensor(one.quantized.index), one.quantized)
        apart = np.abs(np.asarray(flow.values[step.output]) - stored) / one.quantized.scales[0]
        ties = 0.5 if one.operator in ("AVERAGE_POOL_2D", "MEAN") else 0.02  # means of few codes often end in a half
        assert apart.max() < 1.01 and (apart.mean() < ties or apart.size < 100), one.name
        flow.values[step.output] = stored


def same_arithmetic(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    """Apart by ties rounded the other way alone: three of the output's 256 steps in the mean, the same class called."""
    return bool(np.abs(found - wanted).mean() < 0.012 and (found.argmax(1) == wanted.argmax(1)).mean() > 0.9)


def test_with_quantizers_the_twin_is_the_int8_file(small: Pair) -> None:
    assert same_arithmetic(twin_outputs(small, True), outputs(small.int8, small.inputs))


def test_the_twin_rounds_weights_to_the_codes_of_the_file(chained: Pair) -> None:
    twin, seen = Twin(chained.plain, chained.int8), 0
    for step, (codes, scales, axis) in zip(weighted(twin), stored_weights(chained.int8), strict=True):
        found = np.asarray(step.kernel(quantized=True)[0])
        found = to_file(step.operator, found)
        shape = [-1 if k == axis else 1 for k in range(codes.ndim)]
        np.testing.assert_allclose(found, codes * scales.reshape(shape), rtol=1e-5, atol=1e-9)
        seen += 1
    assert seen == 6


def test_a_twin_of_other_ranges_is_no_twin(chained: Pair) -> None:
    """Negative control: with the quantizers of a file of narrower ranges the twin answers as that one, not as ours."""
    from convert.quantization.quantize import quantized

    other = replace(chained, int8=quantized(clipped(chained.plain, 0.5)))
    found = twin_outputs(other, True)
    assert same_arithmetic(found, outputs(other.int8, chained.inputs))
    assert not same_arithmetic(found, outputs(chained.int8, chained.inputs))


def test_what_was_not_trained_is_written_as_it_was(chained: Pair) -> None:
    from convert.quantization.quantize import quantized

    again = quantized(Twin(chained.plain, chained.int8).written())
    np.testing.assert_array_equal(outputs(again, chained.inputs), outputs(chained.int8, chained.inputs))


def test_what_was_trained_is_written(chained: Pair) -> None:
    """Every weight and bias moved a little: the file computes what the twin then computes."""
    from convert.quantization.quantize import quantized

    twin, rng = Twin(chained.plain, chained.int8), np.random.default_rng(5)
    for one in twin.variables:
        one.assign(rng.normal(0, 2, one.shape))
    before = twin_outputs(chained, False)
    written = twin.written()
    after = twin_outputs(chained, False, twin)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(outputs(written, chained.inputs), after, atol=1e-5)
    assert same_arithmetic(outputs(quantized(written), chained.inputs), twin_outputs(chained, True, twin))


def test_gradients_reach_every_weight_and_stop_where_a_value_is_clipped(chained: Pair) -> None:
    import tensorflow as tf

    twin = Twin(chained.plain, chained.int8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(twin.run(chained.inputs, quantized=True)[twin.logits]))
    gradients = tape.gradient(loss, twin.variables)
    assert len(gradients) == len(twin.learned) == 10  # six weights, and the biases that are not zeros and left out
    assert all(float(tf.reduce_max(tf.abs(g))) > 0 for g in gradients)
    x = tf.Variable([-100.0, 0.3, 100.0])
    with tf.GradientTape() as tape:
        y = Quantizer(0.5, 10)(x)
    np.testing.assert_array_equal(y, [-69.0, 0.5, 58.5])
    np.testing.assert_array_equal(tape.gradient(y, x), [0.0, 1.0, 0.0])


def test_a_damaged_network_comes_closer_to_its_teacher(chained: Pair) -> None:
    """Clipped ranges cost the int8 file much; some steps bring half of it back, as the interpreter sees it."""
    from convert.quantization.quantize import quantized

    wanted = outputs(chained.plain, chained.inputs)
    worse = clipped(chained.plain, 0.3)
    int8 = quantized(worse)
    lost = np.abs(outputs(int8, chained.inputs) - wanted).mean()
    settings = FineTuneSettings(steps=60, every=60, learning_rate=1.0, far_rate=1.0)
    (last,) = fine_tune(worse, int8, chained.pixels, CONTRACT, settings, teacher=chained.plain)
    left = np.abs(outputs(quantized(last.plain), chained.inputs) - wanted).mean()
    assert lost > 0.05 and left < 0.5 * lost


def test_candidates_come_every_so_many_steps_and_after_the_last(chained: Pair) -> None:
    steps: list[tuple[int, int]] = []
    settings = replace(QUICK, steps=5)
    found = list(tuned(chained, settings, progress=lambda done, of: steps.append((done, of))))
    assert [candidate.step for candidate in found] == [2, 4, 5]
    assert steps == [(n, 5) for n in range(1, 6)]
    assert all(np.isfinite(candidate.loss) for candidate in found)
    ranges = [file_ranges(model) for model in (chained.plain, *(c.plain for c in found))]
    assert all(one == ranges[0] for one in ranges)
    assert len({candidate.plain for candidate in found}) == 3


def test_the_same_seed_learns_the_same_and_another_one_does_not(chained: Pair) -> None:
    files = [next(tuned(chained, replace(QUICK, seed=seed))).plain for seed in (1, 1, 2)]
    assert files[0] == files[1] != files[2]


def test_it_stops_when_told_to(chained: Pair) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    found = list(tuned(chained, replace(QUICK, steps=100), should_stop=stop))
    assert [candidate.step for candidate in found] == [2]
    assert len(asked) == 4


def test_a_loss_that_is_no_number_ends_it(chained: Pair) -> None:
    def spoil(tree: Any) -> None:
        logits = tree.subgraphs[0].operators[-1].inputs[0]
        dense = next(op for op in tree.subgraphs[0].operators if op.outputs[0] == logits)
        buffer = tree.buffers[tree.subgraphs[0].tensors[dense.inputs[1]].buffer]
        buffer.data = np.frombuffer(np.full(len(buffer.data) // 4, np.nan, np.float32).tobytes(), np.uint8)

    with pytest.raises(FineTuneError, match="the loss is not a number after 1 steps: lower the learning rate"):
        list(fine_tune(edited(chained.plain, spoil), chained.int8, chained.pixels, CONTRACT, QUICK))


def test_malignant_images_are_kept_from_benign(chained: Pair) -> None:
    """With caution, Benign gets less from the int8 file than from the teacher where the teacher calls another class."""
    from convert.quantization.quantize import quantized

    contract = replace(CONTRACT, labels=("Benign", "Early", "Pre", "Pro"))
    wanted = outputs(chained.plain, chained.inputs)
    malignant = wanted.argmax(axis=1) != 0
    assert malignant.any()
    settings = FineTuneSettings(steps=30, every=30, learning_rate=0.5, far_rate=0.5, caution=5.0)
    (last,) = fine_tune(chained.plain, chained.int8, chained.pixels, contract, settings)
    found = outputs(quantized(last.plain), chained.inputs)
    assert found[malignant, 0].mean() < 0.8 * wanted[malignant, 0].mean()


def test_an_operator_it_does_not_know_is_named() -> None:
    from keras import layers

    def body(image: Any) -> Any:
        x = layers.Conv2DTranspose(4, 3, strides=2, name="grown")(layers.Conv2D(4, 3)(image))
        return layers.GlobalAveragePooling2D()(x)

    given = pair(network(body), 4)
    with pytest.raises(FineTuneError, match="the fine-tune does not know the operator TRANSPOSE_CONV") as caught:
        Twin(given.plain, given.int8)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_belong_together(built: Callable[[Callable[[Any], Any]], Pair]) -> None:
    with pytest.raises(FineTuneError, match=r"not made from this network|has other operators"):
        Twin(built(chain).plain, built(branches).int8)


def test_pixels_and_settings_that_cannot_be(chained: Pair) -> None:
    for pixels in (chained.pixels[:0], chained.pixels.astype(np.float32), chained.pixels[0]):
        with pytest.raises(FineTuneError, match="pixels must be uint8"):
            next(fine_tune(chained.plain, chained.int8, cast(Pixels, pixels), CONTRACT, QUICK))
    wrong = {"steps": 0, "batch": -1, "learning_rate": float("nan"), "temperature": 0.0, "caution": -1.0}
    for name, value in wrong.items():
        with pytest.raises(FineTuneError, match=f"^{name} must be finite and >=? 0; got {value}"):
            replace(QUICK, **{name: value})  # type: ignore[arg-type]


def tuned(given: Pair, settings: FineTuneSettings, **how: Any) -> Iterator[Candidate]:
    return fine_tune(given.plain, given.int8, given.pixels, CONTRACT, settings, **how)


def clipped(plain: bytes, by: float) -> bytes:
    """The float file with the ranges of all convolutions' outputs that much narrower."""
    file = FloatFile(plain)
    for operator in file.operators:
        found = file.range(operator.outputs[0])
        if "CONV_2D" in operator.kind and found is not None:
            file.set_range(operator.outputs[0], found[0] * by, found[1] * by)
    return file.pack()


def file_ranges(plain: bytes) -> list[tuple[float, float] | None]:
    file = FloatFile(plain)
    return [file.range(tensor) for tensor in file.activations]


def weighted(twin: Twin) -> list[Any]:
    return [step for step in twin._steps if step.weights is not None]


def stored_weights(int8: bytes) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any], int]]:
    """(codes, scales, axis) of every operator's weights in the int8 file, in order."""
    seen = inspect(int8)
    nodes = [node for node in seen.nodes if node.operator in WEIGHTED]
    codes = constants(int8, [node.inputs[1] for node in nodes])
    tensors = [seen.tensor(node.inputs[1]) for node in nodes]
    return [(codes[t.index].astype(np.float32), t.scales, t.axis) for t in tensors]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["custom_cnn", "mobilenet_v2"])
def test_the_twin_of_a_shipped_network(name: str) -> None:
    """As float file and as int8 file, on fields drawn for this."""
    from convert.quantization.float_model import load_float
    from convert.quantization.quantize import calibrated, quantized

    folder = ROOT / "models" / "trained" / name
    contract = InputContract.load(folder / "contract.json").undecided()
    pixels = np.stack([contract.prepare(frame) for _, frame in synthetic_fields(16, 5)])
    inputs = np.concatenate([contract.encode(p, FLOAT32) for p in pixels])
    plain = calibrated(load_float(folder / "model.keras"), contract, pixels)
    int8 = quantized(plain)
    twin, wanted, rounded = Twin(plain, int8), outputs(plain, inputs), outputs(int8, inputs)
    np.testing.assert_allclose(twin.run(inputs, quantized=False)[twin.output], wanted, atol=1e-4)
    found = np.asarray(twin.run(inputs, quantized=True)[twin.output])
    assert same_arithmetic(found, rounded)
    assert np.abs(found - rounded).mean() < 0.5 * np.abs(wanted - rounded).mean()


def test_a_sigmoid_is_tuned_as_two_classes() -> None:
    """Softmax of (0, logit) is 1 - p and p, so that the loss is that of both classes."""
    import keras
    import tensorflow as tf

    from convert.quantization.float_model import FloatModel
    from convert.quantization.quantize import calibrated, quantized

    keras.utils.set_random_seed(3)
    image = keras.Input((CONTRACT.size[1], CONTRACT.size[0], 3))
    found = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(chain(image)))
    contract = replace(CONTRACT, labels=("absent", "present"), output="sigmoid")
    model = FloatModel(found, Path("test.keras"), "", "test", CONTRACT.size, 2, output="sigmoid")
    plain = calibrated(model, contract, IMAGES[:8])
    settings = FineTuneSettings(steps=2, every=1, batch=4)
    made = list(fine_tune(plain, quantized(plain), IMAGES[:8], contract, settings))
    assert [each.step for each in made] == [1, 2] and all(0 <= each.loss < 10 for each in made)
    logit = tf.constant([[0.7], [-2.0]])
    both = tf.nn.softmax(_both(logit)).numpy()
    np.testing.assert_allclose(both[:, 1:], tf.sigmoid(logit).numpy(), rtol=1e-6)
