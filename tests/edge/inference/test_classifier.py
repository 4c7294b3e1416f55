"""From a frame to a verdict: right class, right number, right refusal; the interpreter is built once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.errors import ContractError, FrameError, ModelFileError
from edge.inference.classifier import Classifier
from edge.inference.contract import FLOAT32, InputContract, Quantization
from edge.inference.runtime.interpreters import TensorSpec, available_runtimes, open_interpreter
from tests.tiny_bundle import TinyModels

FRAME = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
SOFTMAX8 = Quantization("int8", 1 / 256, -128)


class Scripted:
    """An interpreter that gives what it was told to, and keeps what it was given."""

    runtime, version, kind, threads = "scripted", "0", "?", 1

    def __init__(self, output: Any, quantization: Quantization = SOFTMAX8, size: tuple[int, int] = (32, 32)) -> None:
        self.answer = np.array(output, quantization.dtype)
        self.input = TensorSpec((1, size[1], size[0], 3), Quantization("int8", 1 / 128, 0))
        self.output = TensorSpec((1, len(output)), quantization)
        self.given: list[np.ndarray] = []

    def invoke(self, tensor: np.ndarray) -> np.ndarray:
        self.given.append(tensor)
        return self.answer.copy()


CONTRACT = InputContract((32, 32), ("Benign", "Early", "Pre", "Pro"))


@pytest.mark.parametrize("name", ["int8", "uint8", "float32"])
def test_a_verdict_is_what_the_interpreter_said(tiny_models: TinyModels, name: str) -> None:
    interpreter = open_interpreter(getattr(tiny_models, name))
    contract = tiny_models.contract
    verdict = Classifier(contract, interpreter).classify(FRAME)
    raw = interpreter.invoke(contract.encode(contract.prepare(FRAME), interpreter.input.quantization)).astype(float)
    output = interpreter.output.quantization
    expected = raw if output == FLOAT32 else (raw - output.zero_point) * output.scale
    assert np.allclose(verdict.probabilities, expected, atol=1e-7)
    assert abs(sum(verdict.probabilities) - 1) < 0.02
    assert verdict.index == int(expected.argmax()) and verdict.label == contract.labels[verdict.index]
    assert verdict.margin == pytest.approx(np.sort(expected)[-1] - np.sort(expected)[-2], abs=1e-6)
    assert 0 < verdict.latency_ms < 10_000


def test_int8_follows_float(tiny_models: TinyModels) -> None:
    frames = np.random.default_rng(4).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    exact, quantized = (
        Classifier(tiny_models.contract, open_interpreter(m)) for m in (tiny_models.float32, tiny_models.int8)
    )
    drift = [np.abs(exact.probabilities(f) - quantized.probabilities(f)).max() for f in frames]
    assert max(drift) < 0.1
    swapped = replace(tiny_models.contract, channel_order="BGR")  # negative control: R and B exchanged
    wrong = Classifier(swapped, open_interpreter(tiny_models.int8))
    assert max(np.abs(exact.probabilities(f) - wrong.probabilities(f)).max() for f in frames) > max(drift)


def test_prepared_pixels_skip_the_resize_only() -> None:
    interpreter = Scripted([127, -128, -128, -128])
    classifier = Classifier(CONTRACT, interpreter)
    classifier.classify(FRAME)
    classifier.classify_prepared(CONTRACT.prepare(FRAME))
    assert np.array_equal(interpreter.given[0], interpreter.given[1])
    assert interpreter.given[0].shape == (1, 32, 32, 3) and interpreter.given[0].dtype == np.int8


def test_every_output_byte_has_its_probability() -> None:
    for quantization in (SOFTMAX8, Quantization("uint8", 1 / 256, 0)):
        limits = np.iinfo(quantization.dtype)
        for low in range(limits.min, limits.max, 17):
            interpreter = Scripted([low, limits.max, limits.min, low], quantization)
            values = Classifier(CONTRACT, interpreter).probabilities(CONTRACT.prepare(FRAME))
            assert values.dtype == np.float32
            assert values.tolist() == [(low - limits.min) / 256, 255 / 256, 0, (low - limits.min) / 256]


def test_the_first_of_equals_wins_with_no_margin() -> None:
    verdict = Classifier(CONTRACT, Scripted([-128, 0, 0, -128])).classify(FRAME)
    assert (verdict.label, verdict.index, verdict.margin) == ("Early", 1, 0.0)
    assert verdict.probabilities == (0.0, 0.5, 0.5, 0.0)


def test_nothing_is_rebuilt_for_a_frame(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = available_runtimes()[0]
    classifier = Classifier(tiny_models.contract, open_interpreter(tiny_models.int8, runtime=runtime))
    engine = classifier.interpreter._engine  # type: ignore[attr-defined]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("rebuilt or reallocated for a frame")

    monkeypatch.setattr(type(engine), "__init__", refuse)
    monkeypatch.setattr(type(engine), "allocate_tensors", refuse)
    labels = {classifier.classify(FRAME).label for _ in range(3)}
    assert len(labels) == 1 and classifier.interpreter._engine is engine  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("contract", "interpreter", "said"),
    [
        (
            replace(CONTRACT, size=(32, 31)),
            Scripted([0] * 4),
            r"size 32x31 and channel_order RGB need a model input \(1, 31, 32, 3\)",
        ),
        (replace(CONTRACT, labels=("a", "b")), Scripted([0] * 4), "2 labels, 4 outputs"),
        (CONTRACT, Scripted([0] * 5), "4 labels, 5 outputs"),
        (
            CONTRACT,
            Scripted([0] * 4, Quantization("int8", 0.1, 0)),
            "must be probabilities.*mean -12.8..12.7",
        ),
        (CONTRACT, Scripted([0] * 4, Quantization("int8", 1 / 2560, -128)), "must be probabilities"),
    ],
)
def test_contract_and_model_must_fit(contract: InputContract, interpreter: Scripted, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        Classifier(contract, interpreter)


@pytest.mark.parametrize("output", [[3.0, -2.0, 0.1, 0.2], [np.nan, 0, 0, 1], [np.inf, 0, 0, 0]])
def test_float_outputs_that_are_no_probabilities(output: list[float]) -> None:
    classifier = Classifier(CONTRACT, Scripted(output, FLOAT32))
    with pytest.raises(ModelFileError, match="softmax"):
        classifier.classify(FRAME)


def test_frames_of_another_form() -> None:
    classifier = Classifier(CONTRACT, Scripted([0] * 4))
    with pytest.raises(FrameError, match="frame must be"):
        classifier.classify(FRAME[..., 0])
    with pytest.raises(FrameError, match=r"from prepare\(\)"):
        classifier.classify_prepared(FRAME)
