"""The novelty gate: its numbers come from training and validation fields by a rule, its files from commands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.metrics import roc_auc_score

from docs.studies.novelty.alternatives import Network, Once
from docs.studies.novelty.other_microscopes import MICROSCOPES, Microscope, through
from docs.studies.novelty.page import with_tables
from docs.studies.novelty.published_fields import CONTRACT, read_others, read_parts
from docs.studies.novelty.published_fit import BUDGET
from docs.studies.novelty.refusals import NETWORK, RECORD, _auroc, show
from edge.errors import UsageError
from edge.inference.gates.gates_file import GatesFile
from edge.inference.gates.novelty import Novelty
from edge.settings.trusted_keys import machine_keys
from models.data.scale_bar import fill_corner
from models.decision.prototypes import (
    FEWEST,
    PROTOTYPES,
    RULES,
    LimitRule,
    distances,
    fit,
    fit_family,
    measure,
    scores,
    taken,
    to_numbers,
    with_limits,
)
from models.errors import DatasetError
from tests.edge.inference.gates.test_gates import drawn
from tests.gates import shipped_gates_file, shipped_novelty
from tests.paths import ROOT

PAGE = ROOT / "docs" / "explanation" / "novelty.md"


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads((ROOT / RECORD).read_text(encoding="utf-8"))


def clouds(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of points, each of two clouds, in three numbers of different size."""
    random = np.random.default_rng(seed)
    middles = {"a": ([0, 0, 0], [4, 0, 0]), "b": ([0, 5, 0], [0, 5, 6])}
    rows, labels = [], []
    for label, pair in middles.items():
        for middle in pair:
            rows.append(random.normal(middle, 0.3, (count, 3)) * [1, 10, 100])
            labels += [label] * count
    return np.vstack(rows), np.array(labels)


# --- the fit


def test_what_is_fitted_is_near_and_what_is_not_is_far() -> None:
    values, labels = clouds(60)
    family = fit_family(values, labels)
    near = np.array([family.distance(row)[0] for row in clouds(60, seed=1)[0]])
    assert np.quantile(near, 0.9) < 5
    between = np.array([0.0, 25.0, 300.0])  # amid the clouds, in none of them
    assert family.distance(between)[0] > 2 * near.max()


def test_a_class_has_several_prototypes_but_none_of_few_images() -> None:
    values, labels = clouds(60)
    assert 2 <= len(fit_family(values, labels).prototypes) <= 2 * PROTOTYPES
    few = fit_family(values[:: 60 // FEWEST], labels[:: 60 // FEWEST])
    assert 2 <= len(few.prototypes) <= 2 * 2 * FEWEST // FEWEST


def test_the_unit_of_a_number_makes_no_difference() -> None:
    values, labels = clouds(60)
    one = fit_family(values, labels).distance(values[7] + 3)[0]
    other = fit_family(values * [1000, 1, 1e-2], labels).distance((values[7] + 3) * [1000, 1, 1e-2])[0]
    assert other == pytest.approx(one, rel=0.02)


def test_equal_images_give_an_equal_gate() -> None:
    values, labels = clouds(40)
    np.testing.assert_array_equal(fit_family(values, labels).prototypes, fit_family(values, labels).prototypes)


# --- the limits


@pytest.mark.parametrize("share", [0.0035, 0.0065, 0.05])
def test_a_limit_refuses_no_more_than_its_share(share: float) -> None:
    values = np.random.default_rng(1).gamma(4, size=4000)
    limit = LimitRule(True, share, 1.0).limit(values)
    assert share / 2 < (values > limit).mean() <= share
    assert LimitRule(True, share, 1.1).limit(values) == pytest.approx(1.1 * limit, abs=0.02)


def test_all_limits_together_keep_within_the_budget() -> None:
    assert sum(rule.share for rule in RULES.values()) <= BUDGET


def test_limits_come_from_the_images_they_are_given() -> None:
    fields = measure(drawn())
    labels = np.array(["a", "b"] * (len(drawn()) // 2))
    fitted = fit(fields, labels)
    limited = with_limits(fitted, distances(fitted, taken(fields, np.arange(6))))
    assert scores(limited, taken(fields, np.arange(6))).max() <= 1
    assert {name: family.limit for name, family in fitted.families.items()} == {"stain": 1.0, "structure": 1.0}


def test_a_written_gate_reads_back() -> None:
    fields = measure(drawn()[:4])
    far = distances(shipped_novelty(), fields)
    numbers = to_numbers(shipped_novelty(), far)
    assert {name: entry.images for name, entry in numbers.items()} == {"stain": 4, "structure": 4}
    read = GatesFile.from_bytes(replace(shipped_gates_file(), novelty=numbers).to_bytes()).gates().gates[-1]
    assert isinstance(read, Novelty)
    np.testing.assert_allclose(scores(read, fields), scores(shipped_novelty(), fields), rtol=1e-4)


# --- stand-ins for other microscopes


def test_no_share_of_another_microscope_is_the_field_itself() -> None:
    for microscope in MICROSCOPES.values():
        if microscope.zoom == 1:
            same = through(drawn()[0], microscope, 0.0).astype(int)
            off = np.abs(same - fill_corner(drawn()[0]))
            assert np.median(off) <= 1 and off.mean() < 2  # what is lighter than the ground is cut off


def test_the_ground_takes_the_colour_it_is_given() -> None:
    frame = through(drawn()[0], MICROSCOPES["beige"])
    ground = np.percentile(frame.reshape(-1, 3), 95, axis=0)
    np.testing.assert_allclose(ground, MICROSCOPES["beige"].ground, atol=6)


def test_zoom_alone_changes_no_colour() -> None:
    frame = through(drawn()[0], Microscope(zoom=0.7))
    np.testing.assert_allclose(frame.mean((0, 1)), fill_corner(drawn()[0]).mean((0, 1)), atol=6)


# --- the evidence


def test_area_under_the_curve_is_scikit_learn_s() -> None:
    random = np.random.default_rng(3)
    usual, strange = np.round(random.normal(0, 1, 200), 1), np.round(random.normal(1, 1, 90), 1)  # with ties
    truth = np.r_[np.zeros(200), np.ones(90)]
    found = _auroc(usual, strange)
    assert found["value"] == pytest.approx(roc_auc_score(truth, np.r_[usual, strange]), abs=1e-5)
    assert found["interval"][0] < found["value"] < found["interval"][1]


def test_the_network_answers_as_it_does_on_the_device() -> None:
    from edge.bundle import bundle
    from edge.inference.classifier import Classifier
    from edge.inference.runtime.interpreters import open_interpreter
    from models.data.published import bundles

    shipped = bundle.load(bundles() / NETWORK, trust=machine_keys())
    classifier = Classifier(shipped.contract, open_interpreter(shipped.model))
    frames = np.stack(drawn()[:3])
    answers = Network(NETWORK).ask(frames)
    for pixels, probabilities, logits in zip(frames, answers["probabilities"], answers["logits"], strict=True):
        assert probabilities.tolist() == pytest.approx(classifier.probabilities(pixels).tolist(), abs=1 / 256)
        assert np.argmax(logits) == np.argmax(probabilities)


def test_a_function_is_asked_once_for_each_array() -> None:
    asked: list[int] = []
    once = Once(lambda frames: asked.append(len(frames)) or len(frames))
    first, second = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((3, 8, 8, 3), np.uint8)
    assert [once(first), once(second), once(first)] == [2, 3, 2]
    assert asked == [2, 3]


def test_the_record_is_of_the_shipped_gate_and_keeps_the_targets(record: dict) -> None:
    assert record["limits"] == {name: family.limit for name, family in shipped_novelty().families.items()}
    assert record["published"]["validation"]["refused"]["share"] <= BUDGET
    assert record["published"]["test"]["refused_by_all_gates"]["share"] <= 0.02
    for name, least in (("natural", 0.99), ("draaslan", 0.99), ("bccd", 0.95)):
        entry = record["sets"][name]
        assert entry["refused_by_all_gates"]["share"] >= least
        assert entry["auroc"]["interval"][0] <= entry["auroc"]["value"] <= entry["auroc"]["interval"][1]


def test_the_page_says_what_the_record_says(record: dict) -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (\d+) \| ([\d.]+) % \| ([\d.]+) to ([\d.]+) % \| (.*?) \|$", text, re.MULTILINE)
    entries = {**record["published"], **record["sets"]}
    assert {row[0] for row in rows} >= {"test", "validation", "bccd", "draaslan", "natural", "drawn"}
    for name, images, share, low, high, auroc in rows:
        counts = entries[name]["refused_by_all_gates"]
        said = [100 * value for value in (counts["share"], *counts["interval"])]
        assert int(images) == counts["images"]
        assert [float(share), float(low), float(high)] == pytest.approx(said, abs=0.051)
        if "auroc" in entries[name]:
            value, (lowest, highest) = entries[name]["auroc"]["value"], entries[name]["auroc"]["interval"]
            assert auroc == f"{value:.4f} ({lowest:.4f} to {highest:.4f})"


def test_the_page_shows_what_the_gate_spares(record: dict) -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == len(record["other_microscopes"])
    for said, row in zip(rows, record["other_microscopes"], strict=True):
        keys = ("images", "refused_by_all_gates", "called_benign", "passed_and_called_benign")
        assert said == (row["microscope"], f"{row['way']:g}", *(str(row[key]) for key in keys))


def test_the_tables_of_the_page_are_the_record_s(record: dict) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text, record) == text
    record = {**record, "other_microscopes": record["other_microscopes"][:1]}
    assert len(with_tables(text, record).splitlines()) < len(text.splitlines())


# --- requests


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        show("data", "others", json="maybe")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="lacks some for train"):
        read_parts(tmp_path)
    with pytest.raises(DatasetError, match="has no folder"):
        read_others(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty has none"):
        read_others(tmp_path)


@pytest.mark.slow
def test_the_shipped_gate_comes_from_the_published_images(data_dir: Path) -> None:
    """Measures them again: takes half a minute."""
    from docs.studies.novelty.published_fit import calibrated

    parts = read_parts(data_dir)
    again, *_ = calibrated(parts)
    fields = measure(parts["test"].pixels[::20])
    assert CONTRACT.size == (224, 224)
    np.testing.assert_allclose(scores(again, fields), scores(shipped_novelty(), fields), rtol=1e-3)
