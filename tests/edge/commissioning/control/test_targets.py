"""Baseline and judgement of a series of controls."""

import random
import statistics

import pytest

from edge.commissioning.control.measures import MEASURES, FieldNumbers, summary
from edge.commissioning.control.targets import (
    NONE_ANSWERED,
    TOO_FEW,
    WRONG_LABEL,
    checks_of,
    judge,
    newest_z,
    z_score,
)
from edge.record.entry_parts import ControlTarget
from tests.edge.commissioning.control.controls import SOUND, judged


def noisy(count, seed=3, **shift):
    """So many sound controls with noise of 1 grey level, shifted by what is named."""
    chance = random.Random(seed)
    return [
        {**SOUND, "brightness": 230 + chance.gauss(0, 1.0), "stain": 0.5 + chance.gauss(0, 0.02)} | shift
        for _ in range(count)
    ]


def field(label="Early", reason=None, probability=0.9, **more):
    values = {"stain": 0.5, "brightness": 230.0, "white": 1.1, "focus": 1.4, **more}
    return FieldNumbers(label=label, reason=reason, probability=probability, **values)


def test_targets_are_mean_and_standard_deviation_of_the_first_twenty():
    values = noisy(21)
    controls = judged(values)
    assert [each.outcome for each in controls[:20]] == ["baseline"] * 20
    assert [each.number for each in controls] == list(range(1, 22))
    assert all(not each.targets and not each.broken for each in controls[:20])
    brightness = [each["brightness"] for each in values[:20]]
    target = controls[20].targets["brightness"]
    assert target.mean == pytest.approx(statistics.mean(brightness), abs=1e-12)
    assert target.sd == pytest.approx(statistics.stdev(brightness), abs=1e-12)
    z = (values[20]["brightness"] - target.mean) / target.sd
    assert newest_z(controls[20])["brightness"] == pytest.approx(z)


def test_targets_stay_what_they_are_as_long_as_the_series_lasts():
    controls = judged([*noisy(20), *noisy(15, seed=4)])
    assert len({each.targets["brightness"] for each in controls[20:]}) == 1
    later = judge(controls, SOUND, 20, {}, baseline=25)  # the profile says otherwise by now
    assert later.targets == controls[-1].targets and later.baseline == 20


def test_of_sound_controls_two_of_a_hundred_are_rejected_by_each_free_measure():
    """More than of an endless baseline (0.8 %): mean and deviation of twenty controls are off too."""
    rejected = {"brightness": 0, "any": 0}
    for seed in range(40):
        chance = random.Random(seed)
        names = ("brightness", "stain", "focus", "white")
        values = [{name: 100 + chance.gauss(0, 10) for name in names} for _ in range(50)]
        controls = judged(values)[20:]
        rejected["brightness"] += sum("brightness" in each.broken for each in controls)
        rejected["any"] += sum(not each.passed for each in controls)
    assert 0.01 < rejected["brightness"] / (40 * 30) < 0.035
    assert 0.06 < rejected["any"] / (40 * 30) < 0.11


def test_a_shift_goes_on_being_rejected_however_often_the_control_is_repeated():
    shifted = noisy(6, seed=5, brightness=230 + 4 * 1.0)
    controls = judged([*noisy(20), *shifted])
    assert all("1-3s" in each.broken["brightness"] for each in controls[20:])
    assert all(each.outcome == "failed" and not each.passed for each in controls[20:])


def test_an_unsound_control_is_no_measurement_of_its_series():
    wrong = {**SOUND, "brightness": 100.0}
    controls = judged([*noisy(19), wrong, *noisy(3, seed=6)], checks={19: {WRONG_LABEL: "0 of 20"}})
    assert controls[19].outcome == "failed" and controls[19].broken == {} and controls[19].number == 19
    assert controls[20].outcome == "baseline" and controls[20].number == 20
    assert controls[21].outcome == "passed"
    assert controls[21].targets["brightness"].sd < 2  # the 100 is not among them


def test_equal_values_are_judged_by_the_resolution_and_shares_by_a_field():
    controls = judged([SOUND] * 20 + [{**SOUND, "brightness": 231.0, "refused": 0.1}])
    z = newest_z(controls[20])
    assert z["brightness"] == pytest.approx(2.0) == 1.0 / MEASURES["brightness"].resolution
    assert z["refused"] == pytest.approx(2.0)  # two of twenty fields
    assert controls[20].outcome == "passed"
    assert z_score("refused", 0.1, ControlTarget(0.0, 0.2), fields=20) == pytest.approx(0.5)


def test_a_measure_that_a_control_lacks_is_not_judged():
    controls = judged([*noisy(20), {**SOUND, "agreement": None, "stain": None}])
    assert controls[20].outcome == "passed" and "agreement" not in newest_z(controls[20])
    assert "agreement" not in judged([{**SOUND, "agreement": None}] * 21)[-1].targets


def test_checks_need_no_target():
    assert checks_of([field()] * 20, "Early", asked=20) == {}
    assert checks_of([field()] * 20, "", asked=20) == {}
    assert list(checks_of([field("Benign")] * 11 + [field()] * 9, "Early", asked=20)) == [WRONG_LABEL]
    assert list(checks_of([field("Benign")] * 10 + [field()] * 10, "Early", asked=20)) == [WRONG_LABEL]
    assert checks_of([field("Benign")] * 9 + [field()] * 10, "Early", asked=20) == {}
    refused = [field(None, "empty_field", None)] * 12 + [field(None, "out_of_focus", None)] * 8
    assert checks_of(refused, "Early", asked=20) == {
        NONE_ANSWERED: "none of 20 fields was answered (12 empty_field, 8 out_of_focus)"
    }
    assert set(checks_of([field()] * 4, "Early", asked=20)) == {TOO_FEW}
    assert set(checks_of([], "", asked=20)) == {TOO_FEW, NONE_ANSWERED}


def test_summary_counts_by_hand():
    fields = [
        field(probability=0.9, stain=0.4, focus=1.2),
        field(probability=0.7, stain=0.6, focus=1.4, label="Pre"),
        field(None, "low_confidence", 0.5, stain=0.8, focus=1.6),
        field(None, "empty_field", None, stain=None, brightness=None, white=None, focus=10.0),
    ]
    assert summary(fields, "Early") == {
        "stain": pytest.approx(0.6),
        "brightness": pytest.approx(230.0),
        "white": pytest.approx(1.1),
        "focus": pytest.approx(1.5),
        "refused": pytest.approx(0.5),
        "probability": pytest.approx(0.7),
        "agreement": pytest.approx(0.5),
    }
    assert summary(fields, "")["agreement"] is None
    assert summary(fields[3:], "Early")["probability"] is None
