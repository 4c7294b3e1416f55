"""Folds hold out what they say, every image once; a killed cross-validation trains only what is missing."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.cli
import models.training.cross_validation as module
from edge.commands.command_line import main
from models.data.dataset import Sample
from models.data.folds import SCHEMES, FoldError, assign_folds, file_number
from models.errors import CrossValidationError
from models.statistics.intervals import wilson
from models.training.augmentation import Augmentation
from models.training.checkpoint import Epoch, State
from models.training.cross_validation import SHORT_RECIPES, Images, Setting, cross_validate, divide
from models.training.cross_validation_record import (
    CrossValidationRecord,
    SchemeRecord,
    SettingRecord,
    merged,
    score,
    to_text,
)
from models.training.recipe import Stage
from tests.small_world import CONTRACT, LABELS, draw, write_images

A_CLASS = 24


def collection(counts: Mapping[str, int], field: int = 3, twins: int = 4) -> tuple[list[Sample], dict[str, str]]:
    """Images whose numbers run through fields of `field`; the first `twins` of each class are copied at its end."""
    samples = []
    groups = {}
    for label, count in counts.items():
        for number in range(count):
            sha = f"{label}{number}"
            groups[sha] = f"{label}-field{number // field}"
            samples.append(Sample(Path(), f"{label}/W-{label}-{number:03d}.jpg", label, sha))
        for copy in range(twins):
            name = f"{label}/W-{label}-{count + copy:03d}.jpg"
            samples.append(Sample(Path(), name, label, f"{label}{copy}"))
    return samples, groups


def torn(samples: Sequence[Sample], groups: Mapping[str, str], fold_of: Mapping[str, int]) -> int:
    """Fields with images in more than one fold."""
    sides = defaultdict(set)
    for sample in samples:
        sides[groups[sample.sha256]].add(fold_of[sample.sha256])
    return sum(len(folds) > 1 for folds in sides.values())


# --- folds


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(30, 60), min_size=2, max_size=4),
    field=st.integers(1, 4),
    folds=st.integers(2, 5),
    scheme=st.sampled_from(SCHEMES),
    seed=st.integers(0, 5),
)
def test_every_image_is_held_out_once_and_classes_are_even(
    counts: list[int], field: int, folds: int, scheme: str, seed: int
) -> None:
    samples, groups = collection(dict(zip(LABELS, counts, strict=False)), field)
    fold_of = assign_folds(samples, groups, scheme, folds, seed)
    assert set(fold_of) == {sample.sha256 for sample in samples}
    assert set(fold_of.values()) == set(range(folds))
    assert assign_folds(samples[::-1], groups, scheme, folds, seed) == fold_of
    if scheme != "random":
        assert torn(samples, groups, fold_of) == 0
    held = Counter((sample.label, fold_of[sample.sha256]) for sample in samples)
    largest = max(Counter((s.label, groups[s.sha256]) for s in samples).values())
    for label in {sample.label for sample in samples}:
        sizes = [held[label, fold] for fold in range(folds)]
        # an image that leaves its block for its twin's makes one larger and one smaller
        slack = {"blocks": 8 * largest + 1, "fields": largest, "random": 2}[scheme]
        assert max(sizes) - min(sizes) <= slack


def test_a_block_of_nothing_but_copies_is_refused() -> None:
    """Found by the test above: the last of five blocks of 24 files held the four copies, which go to the first."""
    samples, groups = collection({"Benign": 20, "Pro": 20}, field=1)
    with pytest.raises(FoldError, match="5 folds by blocks leave one without an image of Benign"):
        assign_folds(samples, groups, "blocks", 5)
    assert set(assign_folds(samples, groups, "blocks", 4).values()) == {0, 1, 2, 3}


def test_random_folds_tear_fields() -> None:
    """Negative control: what the test above counts would be found."""
    samples, groups = collection(dict.fromkeys(LABELS, 30))
    assert torn(samples, groups, assign_folds(samples, groups, "random", 3)) > 10


def test_blocks_are_runs_of_numbers_and_a_straddling_field_goes_to_its_larger_side() -> None:
    samples, groups = collection({"Benign": 20, "Pro": 20}, field=1, twins=0)
    fold_of = assign_folds(samples, groups, "blocks", 2)
    assert [fold_of[f"Pro{n}"] for n in range(20)] == [0] * 10 + [1] * 10
    for members, fold in (((8, 9, 10), 0), ((9, 10, 11), 1), ((9, 10), 0)):
        joined = {**groups, **{f"Pro{n}": "across" for n in members}}
        assert {assign_folds(samples, joined, "blocks", 2)[f"Pro{n}"] for n in members} == {fold}


def test_numbers_count_as_numbers() -> None:
    names = [f"Pro/{n}.png" for n in (2, 10, 1, 9)]
    samples = [Sample(Path(), name, label, label + name) for label in ("Benign", "Pro") for name in names]
    fold_of = assign_folds(samples, {s.sha256: s.sha256 for s in samples}, "blocks", 2)
    assert [fold_of[f"Pro{name}"] for name in names] == [0, 1, 0, 1]
    assert file_number(Sample(Path(), "Early 2/WBC-12-017.jpg", "Early", "x")) == 17


def test_folds_refuse_what_they_cannot_make() -> None:
    samples, groups = collection({"Benign": 20, "Pro": 6}, twins=0)
    with pytest.raises(FoldError, match="scheme must be one of fields, blocks, random; got 'patients'"):
        assign_folds(samples, groups, "patients", 3)
    with pytest.raises(FoldError, match="at least 2; got 1"):
        assign_folds(samples, groups, "random", 1)
    with pytest.raises(FoldError, match=r"3 folds need .* Pro has 2"):
        assign_folds(samples, groups, "fields", 3)
    with pytest.raises(FoldError, match="groups must name every image"):
        assign_folds(samples, {}, "fields", 2)
    unnumbered = [*samples, Sample(Path(), "Pro/last.jpg", "Pro", "Pro0")]
    with pytest.raises(FoldError, match=r"Pro/last\.jpg has none"):
        assign_folds(unnumbered, groups, "blocks", 2)


# --- training and scoring


@pytest.fixture(scope="module")
def images() -> Images:
    """Drawn images, two a field; pixel (0, 0) tells which image it is."""
    truth = np.arange(4).repeat(A_CLASS)
    pixels = np.stack([draw(LABELS[k], n) for n, k in enumerate(truth)])
    samples = tuple(Sample(Path(), f"{LABELS[k]}/{n:03d}.png", LABELS[k], f"sha{n}") for n, k in enumerate(truth))
    return Images(samples, pixels, truth, {s.sha256: f"g{n // 2}" for n, s in enumerate(samples)})


SETTING = Setting(
    "custom_cnn",
    CONTRACT,
    replace(
        SHORT_RECIPES["custom_cnn"],
        stages=(Stage("only", "all", epochs=2, learning_rate=5e-3, warmup=0.0),),
        augmentation=Augmentation().scaled(0),
        ema=0.5,
    ),
    folds=2,
)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_training_validation_and_held_out_images_are_apart(images: Images, scheme: str) -> None:
    fold_of = assign_folds(images.samples, images.groups, scheme, 3)
    tested: list[int] = []
    for fold in range(3):
        parts = divide(images, fold_of, scheme, fold, 7)
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(images.truth)))
        fields = [{images.groups[images.samples[i].sha256] for i in part} for part in parts]
        shared = fields[0] & fields[1] | fields[0] & fields[2] | fields[1] & fields[2]
        assert bool(shared) == (scheme == "random")
        assert all(set(images.truth[part]) == {0, 1, 2, 3} for part in parts)
        tested += parts[2].tolist()
    assert sorted(tested) == list(range(len(images.truth)))


@pytest.mark.slow
def test_a_killed_run_trains_only_the_folds_that_are_missing(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    real = module.train

    def counting(*arguments: Any, **options: Any) -> Path:
        trained.append(arguments[5].name)
        if trained == ["fold-1", "fold-2"]:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(module, "train", counting)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(SETTING, "fields", images, tmp_path)
    first = next(tmp_path.glob("fields-*/fold-1.json")).read_bytes()
    found = cross_validate(SETTING, "fields", images, tmp_path)
    assert trained == ["fold-1", "fold-2", "fold-2"]
    assert next(tmp_path.glob("fields-*/fold-1.json")).read_bytes() == first
    assert not list(tmp_path.glob("*/*/*.keras"))  # finished folds leave their figures only
    assert cross_validate(SETTING, "fields", images, tmp_path) == found and len(trained) == 3
    pooled = found.pooled
    assert pooled.images == 4 * A_CLASS == sum(fold.counts.test for fold in found.folds)
    assert pooled.correct == sum(fold.correct for fold in found.folds)
    assert pooled.accuracy > 0.4  # it learned: chance is a quarter
    assert found.images == dict.fromkeys(LABELS, A_CLASS) and found.fields == 2 * A_CLASS
    assert found.setting.epochs == {"only": 2} and found.setting.weights_sha256 is None

    next(tmp_path.glob("fields-*/fold-1.json")).write_text("{")
    with pytest.raises(CrossValidationError, match=r"fold-1\.json: damaged"):
        cross_validate(SETTING, "fields", images, tmp_path)


def test_another_setting_does_not_take_over_finished_folds(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stop(*arguments: Any, **options: Any) -> Path:
        seen.append(arguments[5].parent.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", stop)
    others = replace(images, groups={s.sha256: s.sha256 for s in images.samples})
    settings_ = (SETTING, replace(SETTING, folds=3), replace(SETTING, recipe=replace(SETTING.recipe, batch=16)))
    for setting, set_ in (*((s, images) for s in settings_), (SETTING, others)):
        with pytest.raises(KeyboardInterrupt):
            cross_validate(setting, "fields", set_, tmp_path)
    assert len(set(seen)) == 4


def test_score_by_hand() -> None:
    found = score(("Benign", "Early", "Pre"), [[8, 2, 0], [1, 9, 0], [0, 0, 0]], "Benign")
    assert (found.images, found.correct, found.accuracy) == (20, 17, 0.85)
    assert found.accuracy_interval == wilson(17, 20)
    assert found.malignant_to_benign == 1
    assert found.recall["Early"].recall == 0.9 and found.recall["Pre"].recall is None
    assert score(("a", "b"), [[1, 0], [0, 1]], ()).malignant_to_benign is None


# --- the command


def untrained(model: Any, *arguments: Any) -> Path:
    """Stands for `train` where training is not what is tested."""
    folder: Path = arguments[-1]
    folder.mkdir()
    model.save(folder / "best.keras")
    epoch = Epoch(stage="only", epoch=1, loss=1.0, accuracy=0.5, val_loss=1.0, val_accuracy=0.5, seconds=0.1)
    state = State(identity="", recipe={}, stage=1, epoch=0, best=1.0, waited=0, has_checkpoint=True, history=[epoch])
    (folder / "state.json").write_bytes(msgspec.json.encode(state))
    return folder / "best.keras"


@pytest.mark.slow
def test_the_command_adds_schemes_to_one_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "images", a_class=8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.data.field_groups.find_groups", lambda samples: {s.sha256: s.name for s in samples})
    monkeypatch.setattr(module, "train", untrained)
    words = ["cross-validate", "custom_cnn", "--data", str(data), "--size", "32", "--folds", "2", "--epochs", "1"]
    out = tmp_path / "record.json"

    def run(*more: str) -> int:
        capsys.readouterr()
        return main("models", models.cli.COMMANDS, [*words, "--out", str(out), *more])

    assert run("--scheme", "random", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads(out.read_text()) and list(record["schemes"]) == ["random"]
    assert run("--scheme", "blocks") == 0
    said = capsys.readouterr()
    assert "blocks, fold 2 of 2: training custom_cnn on 12 images, validating on 4, 16 held out" in said.err
    assert "| 2 by blocks | 32 |" in said.out and "| 2 at random | 32 |" in said.out
    both = json.loads(out.read_text())
    assert list(both["schemes"]) == ["blocks", "random"]
    assert both["schemes"]["random"] == record["schemes"]["random"]
    assert run("--scheme", "random") == 0
    assert "random, fold 1 of 2: done before" in capsys.readouterr().err

    assert run("--scheme", "random", "--benign", "Pro", "--json") == 0
    said = capsys.readouterr()
    assert "done before" not in said.err, "what another label being benign taught is another network"
    assert json.loads(said.out)["schemes"]["random"]["benign"] == "Pro"
    assert run("--benign", "Late") == 2
    assert "Late" in capsys.readouterr().err

    assert run("--scheme", "patients") == 2
    assert "--scheme must be one of fields, blocks, random, all" in capsys.readouterr().err
    assert run("--weights", "none.h5") == 2
    assert main("models", models.cli.COMMANDS, ["cross-validate", "mobilenet_v2", *words[2:], "--out", str(out)]) == 2
    assert "is a record of custom_cnn, not of mobilenet_v2" in capsys.readouterr().err
    missing = ["cross-validate", "mobilenet_v2", "--data", str(data), "--weights", "none.h5", "--out", "x.json"]
    assert main("models", models.cli.COMMANDS, missing) == 2
    assert "--weights must be a file of backbone weights" in capsys.readouterr().err


def test_merged_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"format": 7}')
    with pytest.raises(CrossValidationError, match="neither"):
        merged(tmp_path / "other.json", "custom_cnn", {})
    assert merged(tmp_path / "new.json", "custom_cnn", {}).schemes == {}


def test_the_table_has_a_row_a_scheme() -> None:
    pooled = score(("Benign", "Pro"), [[50, 0], [1, 49]], "Benign")
    setting = SettingRecord("custom_cnn", {}, {}, None, {}, 3)
    entry = SchemeRecord(
        setting=setting, images={}, fields=0, folds=(pooled,) * 3, pooled=pooled, accuracy_range=(0.98, 1.0)
    )
    lines = to_text(CrossValidationRecord(1, "custom_cnn", {"fields": entry, "random": entry})).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert lines[2] == ("| 3 by fields | 100 | 99.00 % (94.55 to 99.82) | 98.00, 100.00 % | 100.0 % | 98.0 % | 1 |")
