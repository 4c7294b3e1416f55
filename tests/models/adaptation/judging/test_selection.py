"""Nested slide-disjoint folds: what they find, and that nothing leaks into them."""

from dataclasses import replace

import numpy as np

from models.adaptation.judging.selection import (
    START,
    STRENGTHS,
    Labelled,
    Setting,
    nested,
    settings_of,
    surely_better,
)

SETTINGS, FIRST = settings_of(STRENGTHS[1:4], varied=False), Setting(START, False)


def _site(signal: float, slide: float, *, slides: int = 10, fields: int = 4, seed: int = 0) -> Labelled:
    """Two classes; features hold `signal` of the class, `slide` of the slide, and noise of 1."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 1, (2 * slides, 12))
    number = np.repeat(np.arange(2 * slides), fields)
    truth = number % 2
    features = rng.normal(0, 1, (len(number), 12)) + slide * own[number]
    features[:, 0] += signal * (2 * truth - 1)
    names = tuple(f"S-{k}" for k in number)
    return Labelled(("healthy", "sick"), ("healthy",), features[:, None, None], truth, names, number // 2 % 5)


def test_what_the_class_shows_is_found() -> None:
    found = nested(_site(3, 0), SETTINGS, FIRST).judged().by_slide().counted()
    assert found.right is not None and found.right.count == 20


def test_what_only_slides_show_is_not() -> None:
    """Negative control: folds that divide slides would have named nearly every field rightly."""
    data = _site(0, 4)
    honest = nested(data, SETTINGS, FIRST).judged().counted()
    divided = nested(replace(data, folds=np.arange(len(data.truth)) % 4), SETTINGS, FIRST).judged().counted()
    assert honest.right is not None and divided.right is not None
    assert honest.right.count < 55 and divided.right.count > 70


def test_a_folds_labels_take_no_part_in_its_answers() -> None:
    """Turned labels of fold 0 change no answer about fold 0, nor its network, nor what its decision is fitted to."""
    data = _site(2, 1)
    held = data.folds == 0
    turned = replace(data, truth=np.where(held, 1 - data.truth, data.truth))
    one, two = nested(data, SETTINGS, FIRST), nested(turned, SETTINGS, FIRST)
    assert np.array_equal(one.judged().probabilities[held], two.judged().probabilities[held])
    assert np.array_equal(one.heads[0].weights, two.heads[0].weights)
    assert np.array_equal(one.inner(0), two.inner(0)) and not one.inner(0)[held].any()
    assert not np.array_equal(one.judged().probabilities[~held], two.judged().probabilities[~held])


def test_stain_variations_are_left_where_they_surely_harm() -> None:
    """Variations that show the other class; negative control: variations that are the fields again stay in."""
    data = _site(3, 0)
    settings, first = settings_of(STRENGTHS[1:4], varied=True), Setting(START, True)
    for other, varied in ((-data.features, False), (data.features, True)):
        views = replace(data, features=np.concatenate([data.features, other, other], axis=1))
        chosen = nested(views, settings, first).chosen.values()
        assert {each.varied for each in chosen} == {varied}


def test_inner_answers_are_by_heads_made_without_either_fold() -> None:
    data = _site(2, 1)
    rows = (data.folds != 0) & (data.folds != 3)
    found = nested(data, SETTINGS, FIRST)
    head = data.heads(rows, [found.chosen[0]])[found.chosen[0]]
    third = data.folds == 3
    np.testing.assert_allclose(found.inner(0)[third], data.called(third, head))


def test_another_setting_must_win_by_more_than_a_standard_error() -> None:
    weights = np.full(8, 1 / 8)
    losses = np.array([0.5, 0.6, 0.4, 0.5, 0.7, 0.3, 0.5, 0.5])
    assert surely_better(losses - 0.1, losses, weights)
    assert not surely_better(losses + np.array([-0.4, 0.4, -0.4, 0.38] * 2), losses, weights)
    assert not surely_better(losses, losses, weights)
