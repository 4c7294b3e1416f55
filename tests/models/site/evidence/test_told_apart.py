"""`told_apart`: what is told is found, chance is called chance, and the figures are those of another implementation."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import Ridge

from models.site.evidence.told_apart import (
    RIDGE,
    _solved,
    dealt_out,
    mean_of_shares,
    principal_components,
    told_apart,
)
from models.statistics.intervals import wilson

GROUPS = ["a"] * 10 + ["b"] * 10


def noise(seed: int, slides: int = 20, count: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(slides, count))


def test_what_tells_the_groups_is_found() -> None:
    told = told_apart("x", noise(1) + 6 * np.array(np.array("a") == GROUPS)[:, None], GROUPS)
    assert told is not None
    assert (told.accuracy, told.chance, told.groups, told.slides, told.folds) == (1.0, 0.5, 2, 20, 5)
    assert told.p <= 0.002 and told.gain == 1.0
    assert told.shuffled <= 0.8
    assert told.interval.low == pytest.approx(1 - np.sqrt(2) * (1 - wilson(10, 10).low) / 2)


def test_nothing_told_is_no_more_often_accused_than_p_says() -> None:
    found = [told_apart("x", noise(seed), GROUPS, seed=seed, shufflings=99) for seed in range(80)]
    p = np.array([told.p for told in found if told is not None])
    for level in (0.05, 0.2, 0.5):
        assert binomtest(int((p <= level).sum()), len(p), level, alternative="greater").pvalue > 0.01
    assert np.mean([told.accuracy for told in found if told is not None]) == pytest.approx(0.5, abs=0.05)


def test_unequal_groups_count_alike() -> None:
    """All called by the larger group's name: 90 % of the slides, but chance."""
    groups = ["a"] * 45 + ["b"] * 5
    told = told_apart("x", noise(2, 50), groups)
    assert told is not None and told.accuracy < 0.75 and told.p > 0.05


def test_the_accuracy_is_that_of_another_implementation() -> None:
    groups = ["a"] * 8 + ["b"] * 10 + ["c"] * 7
    truth = np.array([" abc".index(g) - 1 for g in groups])
    rows = noise(5, len(groups)) + 1.2 * np.eye(3)[truth] @ noise(6, 3)
    folds = dealt_out(truth, 5, np.random.default_rng(0))
    told = told_apart("x", rows, groups, folds)
    components = principal_components(rows)
    right = np.empty(len(groups), bool)
    for fold in range(5):
        train, test = folds != fold, folds == fold
        weight = np.array([1 / (3 * (truth[train] == k).sum()) for k in truth[train]])
        centred = components[train] - weight @ components[train]
        strength = RIDGE * np.trace(centred.T @ np.diag(weight) @ centred) / components.shape[1]
        model = Ridge(alpha=strength).fit(components[train], np.eye(3)[truth[train]], sample_weight=weight)
        right[test] = model.predict(components[test]).argmax(axis=1) == truth[test]
    assert told is not None
    assert told.accuracy == pytest.approx(np.mean([right[truth == k].mean() for k in range(3)]))
    assert 0.4 < told.accuracy < 1.0


def test_folds_decide_what_is_unseen() -> None:
    """Features that say the pair a slide is of: told where pairs are divided, not where they are held out whole."""
    pairs = np.arange(20) // 2
    groups = [("a", "b")[pair % 2] for pair in pairs]
    rows = noise(3, 10, 30)[pairs] + 0.01 * noise(4, 20, 30)
    divided = told_apart("x", rows, groups, list(np.arange(20) % 2))
    whole = told_apart("x", rows, groups, list(pairs % 5))
    assert divided is not None and whole is not None
    assert divided.accuracy > 0.9 and whole.accuracy < 0.75


@pytest.mark.parametrize(
    ("rows", "groups"),
    [(noise(1), ["a"] * 20), (noise(1), ["a"] * 19 + ["b"]), (np.ones((20, 3)), GROUPS), (np.empty((20, 0)), GROUPS)],
)
def test_what_cannot_be_asked_is_none(rows: np.ndarray, groups: list[str]) -> None:
    assert told_apart("x", rows, groups) is None


def test_equal_seeds_give_equal_records() -> None:
    assert told_apart("x", noise(1), GROUPS, seed=3) == told_apart("x", noise(1), GROUPS, seed=3)


def test_all_systems_are_solved_at_once() -> None:
    half = np.random.default_rng(0).normal(size=(4, 5, 5))
    matrices = half @ np.swapaxes(half, -1, -2) + np.eye(5)
    targets = np.random.default_rng(1).normal(size=(4, 5, 3))
    assert _solved(matrices, targets) == pytest.approx(np.linalg.solve(matrices, targets))


def test_components_keep_what_differs() -> None:
    rows = np.hstack([noise(1), np.full((20, 2), 7.0)])
    found = principal_components(rows)
    standard = (rows[:, :6] - rows[:, :6].mean(axis=0)) / rows[:, :6].std(axis=0)
    assert found.shape == (20, 6)
    assert found @ found.T == pytest.approx(standard @ standard.T)


def test_one_share_has_its_own_interval() -> None:
    assert mean_of_shares([(7, 9)]).to_record() == pytest.approx(wilson(7, 9).to_record())
