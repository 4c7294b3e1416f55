"""Fine-tuning against the frozen network: taken where it wins beyond chance, dropped elsewhere, and nothing leaks."""

from dataclasses import replace
from typing import Any

import numpy as np

from models.adaptation.judging.fine_tuning import FIRST, TUNED, FineTuned, fine_tuned
from models.adaptation.judging.selection import Labelled, nested
from models.adaptation.network.backbone import softmax


class Nearest:
    """In the place of a block: it learns the mean of each class's inputs, and calls what is near to them."""

    def tuned(self, inputs: Any, truth: Any, weights: Any, head: Any, rng: Any) -> tuple[np.ndarray, ...]:
        rows = inputs.reshape(len(inputs), -1)
        self.means = np.stack([rows[truth == k].mean(axis=0) for k in (0, 1)])
        return (self.means,)

    def probabilities(self, inputs: Any) -> np.ndarray:
        rows = inputs.reshape(*inputs.shape[:2], 1, -1)
        return softmax(-((rows - self.means) ** 2).sum(axis=-1).reshape(-1, 2)).reshape(*inputs.shape[:2], 2)


def _site(signal: float) -> tuple[Labelled, np.ndarray]:
    """Frozen features say little of the class; what enters the block holds `signal` of it."""
    rng = np.random.default_rng(5)
    number = np.repeat(np.arange(20), 3)
    truth = number % 2
    features = rng.normal(0, 1, (60, 1, 1, 8))
    features[..., 0] += 0.5 * (2 * truth - 1)[:, None, None]
    inputs = rng.normal(0, 0.2, (60, 1, 1, 1, 1, 2)).astype(np.float32)
    inputs[..., 0] += signal * (2 * truth - 1)[:, None, None, None, None]
    names = tuple(f"S-{k}" for k in number)
    return Labelled(("healthy", "sick"), ("healthy",), features, truth, names, number // 2 % 5), inputs


def _run(data: Labelled, inputs: np.ndarray) -> FineTuned:
    return fine_tuned(nested(data, [FIRST], FIRST), Nearest(), inputs)  # type: ignore[arg-type]


def test_it_is_taken_where_it_wins_and_said_and_dropped_elsewhere() -> None:
    won = _run(*_site(1.5))
    assert set(won.nested.chosen.values()) == {TUNED} and [row.name for row in won.rows] == ["frozen", "fine_tuned"]
    found = won.rows[1].compared
    assert found is not None and found.taken and found.against == "frozen" and found.p < 0.01
    counted = won.nested.judged().by_slide().counted()
    assert counted.right is not None and counted.right.count == 20
    lost = _run(*_site(0.0))
    assert set(lost.nested.chosen.values()) == {FIRST} and [row.name for row in lost.rows] == ["fine_tuned"]
    assert lost.rows[0].compared is not None and not lost.rows[0].compared.taken


def test_a_folds_labels_take_no_part_in_its_choice_weights_or_answers() -> None:
    data, inputs = _site(0.6)
    held = data.folds == 0
    one = _run(data, inputs)
    two = _run(replace(data, truth=np.where(held, 1 - data.truth, data.truth)), inputs)
    assert one.nested.chosen[0] == two.nested.chosen[0] and np.array_equal(one.weights[0][0], two.weights[0][0])
    assert np.array_equal(one.nested.probabilities[TUNED][held], two.nested.probabilities[TUNED][held])
    assert np.array_equal(one.nested.inner(0), two.nested.inner(0))
    assert not np.array_equal(one.weights[1][0], two.weights[1][0])
