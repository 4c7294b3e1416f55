"""Choosing a calibration set, and a lint that names what is wrong with one."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.calibration.calibration_set import Calibration, choose, lint, synthetic
from convert.calibration.given_set import check, from_batches
from convert.calibration.selection import METHODS, penultimate_features, pick, pixel_statistics
from convert.errors import CalibrationError
from edge.inference.contract import FLOAT32, InputContract
from models.data.dataset import Sample
from models.training.training_statistics import TrainingStatistics
from tests.convert.keras_models import CONTRACT, LABELS, SIZE, small_network, smear_pixels

STATISTICS = TrainingStatistics.measure(smear_pixels(200, seed=99))


def samples_of(count: int, labels=LABELS, prefix: str = "") -> list[Sample]:
    return [
        Sample(
            Path(f"{prefix}{n}.png"),
            f"{labels[n % len(labels)]}/{prefix}{n}.png",
            labels[n % len(labels)],
            f"{prefix}{n:04d}",
        )
        for n in range(count)
    ]


def load(samples, contract):
    """Pixels that follow from the hash alone, in place of files."""
    return np.stack([smear_pixels(1, seed=int("".join(c for c in s.sha256 if c.isdigit())))[0] for s in samples])


def chosen(count=120, **options) -> Calibration:
    return choose(samples_of(400), CONTRACT, count=count, load=load, **options)


def good(count: int = 120) -> Calibration:
    return replace(chosen(count), findings=())


def rules(found, severity: str = "refuse") -> set[str]:
    findings = found.findings if isinstance(found, Calibration) else found
    return {f.rule for f in findings if f.severity == severity}


# Choosing


@pytest.mark.parametrize("method", METHODS)
def test_choice_is_seeded_stratified_and_clean(method):
    first, again, other = chosen(method=method), chosen(method=method), chosen(method=method, seed=1)
    assert first.names == again.names
    assert (first.names != other.names) == (method == "random" or first.names != other.names)
    assert len(set(first.sha256s)) == 120
    assert [first.labels.count(label) for label in LABELS] == [30] * 4
    assert not first.refused
    assert first.require() is first
    np.testing.assert_array_equal(first.pixels[5], load([Sample(Path(), "", "", first.sha256s[5])], CONTRACT)[0])


def test_random_follows_the_seed_and_not_the_order():
    samples = samples_of(400)
    a = choose(samples, CONTRACT, count=40, load=load)
    b = choose(samples[::-1], CONTRACT, count=40, load=load)
    c = choose(samples, CONTRACT, count=40, load=load, seed=5)
    assert a.names == b.names
    assert a.names != c.names


def test_small_classes_give_what_they_have():
    rare = [s for s in samples_of(400) if s.label != "delta" or int(s.sha256) < 40]
    found = choose(rare, CONTRACT, count=100, load=load)
    assert [found.labels.count(label) for label in LABELS] == [30, 30, 30, 10]
    everything = choose(rare, CONTRACT, count=10_000, load=load)
    assert len(everything.names) == len(rare)


def test_fields_that_judge_are_left_out():
    samples = samples_of(400)
    groups = {s.sha256: f"g{int(s.sha256) // 8}" for s in samples}  # eight images a field, two a class
    evaluation = samples[:40]
    found = choose(samples, CONTRACT, count=40, groups=groups, evaluation=[evaluation[0], evaluation[9]], load=load)
    fields = {groups[sha] for sha in found.sha256s}
    assert fields.isdisjoint({"g0", "g1"})
    assert "left-out" in rules(found, "info")
    assert not found.refused


def test_one_image_a_field_while_there_are_enough():
    samples = samples_of(400)
    groups = {s.sha256: f"{s.label}{int(s.sha256) // 16}" for s in samples}  # 25 fields a class, four images each
    found = choose(samples, CONTRACT, count=100, groups=groups, load=load)
    assert len({groups[sha] for sha in found.sha256s}) == 100
    more = choose(samples, CONTRACT, count=200, groups=groups, load=load)
    assert len(more.names) == 200


def test_nothing_left_to_choose_from():
    samples = samples_of(40)
    with pytest.raises(CalibrationError, match="all 40 judge the model"):
        choose(samples, CONTRACT, evaluation=samples, load=load)
    with pytest.raises(CalibrationError, match="method must be one of"):
        choose(samples, CONTRACT, method="first", load=load)
    with pytest.raises(CalibrationError, match="count must be at least 1"):
        choose(samples, CONTRACT, count=0, load=load)


def test_record_names_every_file():
    found = chosen(40)
    record = json.loads(msgspec.json.encode(found.record()))
    assert record["per_class"] == dict.fromkeys(sorted(LABELS), 10)
    assert [f["sha256"] for f in record["files"]] == list(found.sha256s)
    assert (record["method"], record["seed"], record["synthetic"], record["images"]) == (
        "random",
        0,
        False,
        40,
    )
    assert record["sha256"] == found.digest()
    assert record["findings"][0]["rule"] == "too-few"


# Coverage


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 5), st.sampled_from(METHODS))
def test_picks_are_distinct_and_repeatable(rows, count, seed, method):
    features = np.random.default_rng(rows).normal(size=(rows, 3)).round(1)
    count = min(count, rows)
    picked = pick(method, features, count, seed)
    assert len(set(picked)) == count
    assert set(picked) <= set(range(rows))
    assert picked == pick(method, features, count, seed)


def test_k_center_takes_the_outlier_and_herding_the_mean():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 2))
    features[17] = (30, 30)
    assert 17 in pick("k-center", features, 4, 0)
    herded = features[pick("herding", features, 20, 0)].mean(axis=0)
    randoms = [features[pick("random", features, 20, seed)].mean(axis=0) for seed in range(30)]
    distance = np.linalg.norm(herded - features.mean(axis=0))
    assert distance < np.median([np.linalg.norm(r - features.mean(axis=0)) for r in randoms]) / 4


def test_k_center_radius_is_within_twice_the_best():
    """Gonzalez' bound, against all subsets of a small set."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        features = rng.normal(size=(9, 2))
        scaled = (features - features.mean(0)) / features.std(0)
        apart = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
        best = min(apart[list(subset)].min(axis=0).max() for subset in itertools.combinations(range(9), 3))
        assert apart[pick("k-center", features, 3, 0)].min(axis=0).max() <= 2 * best + 1e-9


def test_features_that_are_no_numbers_are_refused():
    with pytest.raises(CalibrationError, match="finite"):
        pick("herding", np.array([[1.0], [np.nan]]), 1, 0)
    with pytest.raises(CalibrationError, match=r"count must be 0\.\.2"):
        pick("random", np.zeros((2, 1)), 3, 0)


def test_pixel_statistics_by_hand():
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    image[0, : SIZE // 2, :, 1] = 200
    row = pixel_statistics(image)[0]
    assert row[:6].tolist() == [0, 100, 0, 0, 100, 0]
    assert row.shape == (21,)


def test_penultimate_features(tmp_path):
    pytest.importorskip("keras", reason="conversion needs TensorFlow")
    from convert.quantization.float_model import load_float

    small_network().save(tmp_path / "net.keras")
    model = load_float(tmp_path / "net.keras")
    rows = penultimate_features(model, CONTRACT)(smear_pixels(5))
    kernel, bias = model.network.layers[-1].get_weights()
    logits = rows @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    inputs = np.concatenate([CONTRACT.encode(p) for p in smear_pixels(5)])
    np.testing.assert_allclose(model.predict(inputs), expected, atol=1e-5)


# Lint: the good set passes, each fault is named


def test_a_good_set_has_nothing_against_it():
    findings = lint(good(), CONTRACT, statistics=STATISTICS)
    assert findings == ()


def test_too_few():
    assert rules(lint(good(8), CONTRACT)) == {"too-few"}
    assert rules(lint(good(40), CONTRACT), "warn") == {"too-few"}
    with pytest.raises(CalibrationError, match="too-few: at least 16") as caught:
        replace(good(8), findings=lint(good(8), CONTRACT)).require()
    assert caught.value.rule == "too-few"


def test_class_missing():
    found = choose([s for s in samples_of(400) if s.label != "gamma"], CONTRACT, count=120, load=load)
    assert rules(found) == {"class-missing"}
    assert "gamma" in found.refused[0].message


def test_unknown_class():
    c = good()
    strange = replace(c, labels=("omega", *c.labels[1:]))
    finding = next(f for f in lint(strange, CONTRACT) if f.rule == "unknown-class")
    assert (finding.severity, finding.message) == ("warn", f"omega not among the labels {', '.join(LABELS)}")


def test_duplicates_are_named():
    c = good()
    twice = replace(c, sha256s=(c.sha256s[1], *c.sha256s[1:]))
    finding = next(f for f in lint(twice, CONTRACT) if f.rule == "duplicate")
    assert (finding.severity, finding.names) == ("warn", (c.names[1],))


def test_one_repeated_image():
    c = good()
    stuck = replace(c, pixels=np.repeat(c.pixels[:1], len(c.pixels), axis=0))
    assert rules(lint(stuck, CONTRACT)) == {"repeated-image"}
    mostly = replace(c, pixels=np.concatenate([c.pixels[:50], np.repeat(c.pixels[:1], 70, axis=0)]))
    found = next(f for f in lint(mostly, CONTRACT) if f.rule == "repeated-image")
    assert "only 50 different ones; one occurs 71 times" in found.message
    assert len(found.names) == 71


def test_overlap_with_the_evaluation_set():
    c = good()
    judging = [Sample(Path(), "elsewhere/x.png", "alpha", c.sha256s[7])]
    finding = next(f for f in lint(c, CONTRACT, evaluation=judging) if f.severity == "refuse")
    assert (finding.rule, finding.names) == ("evaluation-overlap", (c.names[7],))


def test_overlap_by_field():
    c = good()
    judging = [Sample(Path(), "elsewhere/x.png", "alpha", "other")]
    groups = {c.sha256s[3]: "g1", "other": "g1", c.sha256s[4]: "g2"}
    finding = next(f for f in lint(c, CONTRACT, evaluation=judging, groups=groups) if f.severity == "refuse")
    assert (finding.rule, finding.names) == ("field-overlap", (c.names[3],))
    assert not rules(lint(c, CONTRACT, evaluation=judging, groups={"other": "g1"}))


def test_swapped_red_and_blue():
    c = good()
    swapped = replace(c, pixels=np.ascontiguousarray(c.pixels[..., ::-1]))
    assert rules(lint(swapped, CONTRACT, statistics=STATISTICS)) == {"channel-order"}
    assert rules(lint(swapped, CONTRACT), "info") == {"colours-unchecked"}


def test_another_stain_is_warned_of():
    c = good()
    green = replace(c, pixels=np.clip(c.pixels.astype(int) + np.array([-60, 30, -60]), 0, 255).astype(np.uint8))
    assert rules(lint(green, CONTRACT, statistics=STATISTICS), "warn") == {"colour-shift"}


def test_near_constant_images():
    c = good()
    pixels = c.pixels.copy()
    pixels[2] = 200
    finding = next(f for f in lint(replace(c, pixels=pixels), CONTRACT) if f.rule == "near-constant")
    assert (finding.severity, finding.names) == ("warn", (c.names[2],))
    pixels[:] = np.arange(len(pixels), dtype=np.uint8)[:, None, None, None] + 3
    assert "near-constant" in rules(lint(replace(c, pixels=pixels), CONTRACT))


def test_pixels_divided_by_255_once_too_often():
    c = good()
    dark = replace(c, pixels=(c.pixels / 255).round().astype(np.uint8))
    assert rules(lint(dark, CONTRACT)) == {"value-range"}


# A user's own representative dataset


def values(pixels: np.ndarray, contract: InputContract = CONTRACT) -> np.ndarray:
    return np.concatenate([contract.encode(p, FLOAT32) for p in pixels])


PLAIN = replace(CONTRACT, scale=(1.0,) * 3, offset=(0.0,) * 3)


@pytest.mark.parametrize("contract", [CONTRACT, PLAIN, replace(CONTRACT, channel_order="BGR")])
def test_values_become_the_pixels_they_were(contract):
    pixels = smear_pixels(120)
    found = from_batches([values(pixels, contract)], contract, STATISTICS)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert not found.refused
    as_keras_does = ([values(p[None], contract)] for p in pixels)
    np.testing.assert_array_equal(from_batches(as_keras_does, contract).pixels, pixels)


@pytest.mark.parametrize(
    ("contract", "fed", "said"),
    [
        (CONTRACT, lambda p: p.astype(np.float32), "never normalized"),
        (PLAIN, values, "normalized that should be pixels|is due"),
        (PLAIN, lambda p: p.astype(np.float32) / 255, "normalized that should be pixels"),
        (CONTRACT, lambda p: np.full(p.shape, np.nan, np.float32), "not finite"),
        (CONTRACT, lambda p: values(p) * 40, "is due"),
    ],
)
def test_wrong_value_range(contract, fed, said):
    found = from_batches([fed(smear_pixels(120))], contract)
    assert rules(found) == {"value-range"}
    with pytest.raises(CalibrationError, match=said):
        found.require()


def test_scaled_to_unit_range_where_minus_one_is_due():
    found = from_batches([smear_pixels(120).astype(np.float32) / 255], CONTRACT)
    assert "value-range" in rules(found, "warn")


def test_a_generator_that_starts_again_and_again():
    """The classic mistake: `next(iter(dataset))` at every call."""
    pixels = smear_pixels(120)
    stuck = ([values(pixels[:1])] for _ in range(120))
    assert "repeated-image" in rules(from_batches(stuck, CONTRACT))


def test_a_generator_without_end():
    with pytest.raises(CalibrationError, match="has not ended after 5000"):
        from_batches(itertools.repeat(smear_pixels(1)), CONTRACT)


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([], "holds no image"),
        ([np.zeros((2, 8, 8, 3), np.uint8)], r"batch 0 must be \(N, 32, 32, 3\)"),
        ([np.zeros((2, SIZE, SIZE, 3), np.uint16)], "uint8 or floating-point"),
        ([np.zeros((2, SIZE, SIZE, 3), np.int8)], "numbers; got int8"),
        ([smear_pixels(1), values(smear_pixels(1))], "same dtype"),
    ],
)
def test_batches_that_are_no_images(batches, said):
    with pytest.raises(CalibrationError, match=said):
        from_batches(batches, CONTRACT)


# Files: what the command sees


@pytest.fixture
def folder(tmp_path) -> Path:
    pixels = smear_pixels(120)
    for label in LABELS:
        (tmp_path / label).mkdir()
    for number, image in enumerate(pixels):
        path = tmp_path / LABELS[number % 4] / f"{number:03d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return tmp_path


def test_check_of_a_folder(folder):
    found = check(folder, CONTRACT, statistics=STATISTICS)
    assert not found.refused
    assert found.record().per_class == dict.fromkeys(sorted(LABELS), 30)


def test_check_names_bad_files(folder):
    (folder / "alpha" / "text.jpg").write_text("no image")
    (folder / "beta" / "empty.png").write_bytes(b"")
    (folder / "alpha" / "copy.png").write_bytes((folder / "alpha" / "000.png").read_bytes())
    found = check(folder, CONTRACT)
    named = {name for f in found.findings for name in f.names}
    assert {"alpha/text.jpg", "beta/empty.png"} <= named
    assert "duplicate" in rules(found, "warn")


def test_check_of_arrays(tmp_path):
    pixels = smear_pixels(120)
    np.save(tmp_path / "c.npy", pixels)
    np.savez(tmp_path / "c.npz", images=values(pixels))
    for name in ("c.npy", "c.npz"):
        np.testing.assert_array_equal(check(tmp_path / name, CONTRACT).pixels, pixels)
    np.savez(tmp_path / "two.npz", a=pixels, b=pixels)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    for name, said in [
        ("two.npz", "one array; got a, b"),
        ("bad.npz", "not a readable NumPy file"),
        ("objects.npy", "not a readable NumPy file"),
        ("none.npy", "No such file"),
        ("none", "no such file or folder"),
        ("none.txt", "no such file"),
    ]:
        with pytest.raises(CalibrationError, match=said):
            check(tmp_path / name, CONTRACT)


def test_synthetic_sets_say_so():
    frames = [(LABELS[n % 4], p) for n, p in enumerate(smear_pixels(120, size=64))]
    found = synthetic(frames, CONTRACT, seed=3)
    assert found.record().synthetic is True
    assert found.names[0] == "synthetic/alpha-0000"
    assert not found.refused
    other = synthetic(frames, replace(CONTRACT, labels=("cat", "dog")), seed=3)
    assert set(other.labels) == {""}
    assert "classes-unknown" in rules(other, "info")


def test_unequal_columns_are_refused():
    with pytest.raises(CalibrationError, match="equally many"):
        Calibration(("a",), (), ("x",), smear_pixels(1), "given", 0)


# Statistics of the training pixels


def test_statistics_by_hand_and_round_trip(tmp_path):
    pixels = smear_pixels(30)
    found = TrainingStatistics.measure(pixels)
    np.testing.assert_allclose(found.mean, pixels.mean(axis=(0, 1, 2)), atol=2e-3)
    np.testing.assert_allclose(found.std, pixels.reshape(-1, 3).std(axis=0), atol=2e-3)
    np.testing.assert_allclose(found.spread, pixels.mean(axis=(1, 2)).std(axis=0), atol=2e-3)
    (tmp_path / "training_statistics.json").write_text(found.to_json())
    assert TrainingStatistics.beside(tmp_path / "model.keras") == found
    assert TrainingStatistics.beside(tmp_path / "deeper" / "model.keras") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "images": 1, "mean": [1, 2]}'])
def test_statistics_files_that_are_none(tmp_path, text):
    (tmp_path / "training_statistics.json").write_text(text)
    with pytest.raises(ValueError, match=r"training_statistics\.json"):
        TrainingStatistics.beside(tmp_path / "model.keras")
