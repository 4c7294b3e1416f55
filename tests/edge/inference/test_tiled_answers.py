"""The answer to a field of tiles: every tile asked, pooled by the rule, and nothing answered where one cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from edge.errors import FrameError, ModelFileError
from edge.inference.answer import SMALL_FRAME, answer_field, answer_frame
from edge.inference.classifier import Classifier
from edge.inference.contract import FLOAT32, MEAN
from edge.inference.decision import Decision
from edge.inference.gates.base import Gates
from edge.inference.gates.measures import View
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tiles import field_boxes, prepare_tiles
from tests.edge.inference.gates.test_gates import CalibratedGate
from tests.edge.inference.test_classifier import CONTRACT, FRAME, Scripted
from tests.tiny_bundle import TinyModels

EVIDENCE = {"command": "a test", "network_sha256": "0" * 64, "split_sha256": "0" * 64, "images": 4, "counts": {}}
TILED = replace(CONTRACT, tiles=(2, 2), pooling=MEAN)


class InTurn(Scripted):
    """An interpreter that answers one row after the other."""

    def __init__(self, rows: list[list[float]], **more: object) -> None:
        super().__init__(rows[0], **more)  # type: ignore[arg-type]
        self.rows = [np.array(row, self.answer.dtype) for row in rows]

    def invoke(self, tensor: np.ndarray) -> np.ndarray:
        self.answer = self.rows[len(self.given) % len(self.rows)]
        return super().invoke(tensor)


def test_a_field_is_the_mean_of_its_tiles_as_the_untiled_network_answers_them(tiny_models: TinyModels) -> None:
    whole = Classifier(tiny_models.contract, open_interpreter(tiny_models.int8))
    tiled = Classifier(replace(tiny_models.contract, tiles=(3, 2), pooling=MEAN), open_interpreter(tiny_models.int8))
    verdict = tiled.classify(FRAME)
    parts = [FRAME[y : y + 240, x : x + 213] for y in (0, 240) for x in (0, 213, 426)]
    assert field_boxes(tiled.contract, (640, 480))[1] == (213, 0, 426, 240)
    alone = np.array([whole.probabilities(whole.contract.prepare(part)) for part in parts])
    assert verdict.tiles is not None and np.array_equal(np.array(verdict.tiles, np.float32), alone)
    pooled = alone.astype(np.float64).mean(axis=0).astype(np.float32)
    assert np.array_equal(np.array(verdict.probabilities, np.float32), pooled)
    views = prepare_tiles(tiled.contract, FRAME)
    assert tiled.classify_prepared(views).probabilities == verdict.probabilities
    assert np.array_equal(tiled.probabilities(views), pooled)
    swapped = Classifier(tiled.contract, open_interpreter(tiny_models.int8)).classify_prepared(views[::-1])
    assert swapped.tiles == verdict.tiles[::-1]  # negative control: another order is another record


def test_temperature_and_threshold_are_of_the_pooled_field() -> None:
    """Three tiles sure of Benign and one sure of Pro: 0.75 is below what Benign needs, whatever each tile says."""
    rows = [[127, -128, -128, -128]] * 3 + [[-128, -128, -128, 127]]
    decision = Decision(2.0, (0.88, 0.5, 0.5, 0.5), EVIDENCE)
    found = Classifier(replace(TILED, decision=decision), InTurn(rows)).classify(FRAME)
    mean = [255 / 256 * 3 / 4, 1 / 512, 1 / 512, 255 / 256 / 4]  # a pooled 0 counts as half a step
    powers = np.sqrt(mean)
    assert found.probabilities == pytest.approx(tuple(powers / powers.sum()), rel=1e-6)
    assert found.label == "Benign" and found.abstains
    sure = Classifier(replace(TILED, decision=decision), InTurn(rows[:1])).classify(FRAME)
    assert sure.label == "Benign" and not sure.abstains  # negative control: no tile says otherwise


def test_a_whole_frame_is_no_field_of_tiles() -> None:
    classifier = Classifier(TILED, Scripted([127, -128, -128, -128]))
    whole = CONTRACT.prepare(FRAME)
    for wrong in (whole, whole[np.newaxis], prepare_tiles(replace(CONTRACT, tiles=(3, 2)), FRAME)):
        for ask in (classifier.classify_prepared, classifier.probabilities):
            with pytest.raises(FrameError, match=r"\(4, 32, 32, 3\) from prepare_tiles\(\) of 2x2 tiles"):
                ask(wrong)
    with pytest.raises(FrameError, match="2x2 tiles"):
        answer_frame(Gates(()), classifier, whole)
    untiled = Classifier(CONTRACT, Scripted([127, -128, -128, -128]))
    with pytest.raises(FrameError, match=r"\(1, 32, 32, 3\)"):
        untiled.classify_prepared(prepare_tiles(TILED, FRAME))


def test_one_tile_that_is_no_probability_ends_the_field() -> None:
    rows = [[0.1, 0.2, 0.3, 0.4]] * 3 + [[np.nan, 0, 0, 1]]
    with pytest.raises(ModelFileError, match="softmax"):
        Classifier(TILED, InTurn(rows, quantization=FLOAT32)).classify(FRAME)


def test_gates_see_the_whole_frame_and_come_first() -> None:
    seen: list[tuple[int, ...]] = []

    def measure(value: float) -> Gates:
        def read(view: View) -> float:
            seen.append(view.pixels.shape)
            return value

        return Gates([CalibratedGate("dark", "dark", read, 1.0, False, "", "{}")])

    interpreter = Scripted([127, -128, -128, -128])
    passed = answer_field(measure(2.0), Classifier(TILED, interpreter), FRAME)
    assert passed.label == "Benign" and passed.tiles is not None and len(passed.tiles) == 4 == len(interpreter.given)
    refused = answer_field(measure(0.0), Classifier(TILED, interpreter), FRAME)
    assert (refused.reason, refused.tiles, refused.probabilities, len(interpreter.given)) == ("dark", None, None, 4)
    assert seen == [(32, 32, 3)] * 2


def test_too_few_pixels_for_the_tiles_are_a_reason_and_no_answer() -> None:
    classifier = Classifier(TILED, Scripted([127, -128, -128, -128]))
    found = answer_field(Gates(()), classifier, np.zeros((31, 400, 3), np.uint8))
    assert (found.label, found.reason, found.probabilities) == (None, SMALL_FRAME, None)
    assert found.detail is not None and "2x2 tiles 16x16 pixels" in found.detail
    assert found.gates == {SMALL_FRAME: 31 / 2 / 32}
    assert answer_field(Gates(()), classifier, np.zeros((32, 32, 3), np.uint8)).label == "Benign"


def test_one_tile_full_of_blasts_is_not_outvoted() -> None:
    """Fifteen tiles sure of Benign and one of Pro: by the mean Benign is answered, by bounded-1 it is not."""
    rows = [[-128, -128, -128, 127]] + [[127, -128, -128, -128]] * 15
    decision = Decision(1.0, (0.9, 0.5, 0.5, 0.5), EVIDENCE)
    found = {}
    for pooling in ("", MEAN):
        contract = replace(CONTRACT, tiles=(4, 4), pooling=pooling, decision=decision)
        found[contract.pooling] = Classifier(contract, InTurn(rows)).classify(FRAME)
    assert found["mean-1"].label == "Benign" and not found["mean-1"].abstains
    assert found["bounded-1"].abstains and found["bounded-1"].probabilities[0] == pytest.approx(0.5, abs=0.01)
    assert found["bounded-1"].tiles == found["mean-1"].tiles
