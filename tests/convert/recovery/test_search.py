"""`convert quantize --int8 --search` as a whole: it brings a hard case back, harms no sound one, and keeps what it has
when it is stopped."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from convert.calibration.evaluation_data import Source, from_images
from convert.errors import TooFewImagesError
from convert.parity.comparison import compare
from convert.parity.policy import Policy
from convert.quantization.float_model import load_float
from convert.quantization.quantize import calibrated
from convert.recovery.fine_tune import FineTuneSettings
from convert.recovery.images import SearchImages, calibrations, search_images
from convert.recovery.recover import confirmed
from convert.recovery.search import Search
from convert.recovery.search_log import SearchLog, SearchSummary
from convert.recovery.trials import FLIP_WEIGHS, Measures, Score
from convert.tflite.float_file import WEIGHTED, WEIGHTS, FloatFile
from edge.bundle import bundle as bundles
from edge.settings.trusted_keys import machine_keys
from edge.system.interrupts import stop_on
from models.data.published import bundles as shipped_bundles
from models.support.records import record_text
from tests.commands import said_until, shell, started
from tests.convert.recovery.residual import CONTRACT, LABELS, blow_up, pixels, residual_network, write_three_parts
from tests.small_world import FEW_IMAGES, write_images, write_policy

keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")
FACTOR = 300.0


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """`sound` and `hard` networks with contracts, images in three parts, and a policy for few of them."""
    root = tmp_path_factory.mktemp("search")
    network = residual_network()
    for name in ("sound", "hard"):
        (root / name).mkdir()
        if name == "hard":
            blow_up(network, FACTOR)
        network.save(root / name / "model.keras")
        (root / name / "contract.json").write_text(CONTRACT.to_json(), encoding="utf-8")
    write_three_parts(write_images(root / "images"), root / "split.csv")
    write_policy(root / "few.toml", **FEW_IMAGES)
    return root


def words(world: Path, name: str, out: Path, *more: str) -> list[str]:
    given = ["--data", world / "images", "--split", world / "split.csv", "--policy", world / "few.toml"]
    return ["quantize", "--int8", *map(str, [world / name / "model.keras", *given, "--out", out]), *more]


def log_of(bundle: Path) -> dict:
    return json.loads((bundle / "search.json").read_text())


@pytest.fixture(scope="module")
def hard(world) -> tuple[subprocess.CompletedProcess[str], Path]:
    done = shell("convert", *words(world, "hard", world / "out", "--search", "--json"))
    return done, world / "out" / "hard-int8"


# --- the whole command


@pytest.mark.slow
def test_the_hard_case_fails_without_the_search(world, tmp_path) -> None:
    """The negative control: what the search has to mend is really there."""
    done = shell("convert", *words(world, "hard", tmp_path, "--json"))
    [certificate] = json.loads(done.stdout)["bundles"]
    assert done.returncode == 1 and certificate["verdict"] == "fail" and "search" not in certificate
    assert certificate["parity"]["accuracy_float"] - certificate["parity"]["accuracy_int8"] > 0.3
    assert not (tmp_path / "hard-int8" / "search.json").exists()


@pytest.mark.slow
def test_the_search_brings_the_hard_case_back_in_full_int8(hard) -> None:
    done, bundle = hard
    assert done.returncode == 0, done.stderr
    [certificate] = json.loads(done.stdout)["bundles"]
    assert certificate["verdict"] == "pass"
    assert certificate["parity"]["accuracy_float"] - certificate["parity"]["accuracy_int8"] <= 0.005
    loaded = bundles.load(
        bundle, trust=machine_keys(), allow_unsigned=True
    )  # with its log, whole; verified as full int8 when it was made
    assert loaded.certified and loaded.certificate["search"]["chosen"]["equalized"] is True
    assert "search 1: " in done.stderr and "best so far" in done.stderr


@pytest.mark.slow
def test_the_log_holds_every_trial_and_both_parts(hard) -> None:
    log = log_of(hard[1])
    assert log["trials"][0]["ranges"] == "minmax" and not log["trials"][0]["equalized"]
    assert log["trials"][0]["lost"] > 8 and log["trials"][log["chosen_trial"] - 1]["lost"] == 0
    assert len(log["trials"]) == 9 and not log["interrupted"] and log["images"]["images"] == 40
    assert log["test"]["confirmed"] and log["test"]["plain"]["lost"] > log["test"]["chosen"]["lost"] == 0
    assert log["seconds"] > 0 and log["peak_rss_mb"] > 100


@pytest.mark.slow
def test_the_report_tells_of_the_search(hard) -> None:
    page = (hard[1] / "report.html").read_text()
    for said in ("How it was searched for", "chosen", "validation part", "confirms the choice"):
        assert said in page


@pytest.mark.slow
def test_nothing_changed_is_reused_and_a_plain_request_is_another(world, hard) -> None:
    again = shell("convert", *words(world, "hard", hard[1].parent, "--search"))
    assert again.returncode == 0 and "reusing it" in again.stderr and "search 1: " not in again.stderr
    other = world / "other"
    shutil.copytree(hard[1].parent, other)
    plain = shell("convert", *words(world, "hard", other))
    assert plain.returncode == 1 and "reusing it" not in plain.stderr


@pytest.mark.slow
def test_a_sound_network_is_not_made_worse(world, tmp_path) -> None:
    done = shell("convert", *words(world, "sound", tmp_path, "--search", "--json"))
    assert done.returncode == 0, done.stderr
    [certificate] = json.loads(done.stdout)["bundles"]
    assert certificate["parity"]["agreement"] == 1.0 and certificate["verdict"] == "pass"


@pytest.mark.slow
def test_diagnose_names_the_search_as_the_cure_and_finds_nothing_after_it(world, hard, tmp_path) -> None:
    plain = shell("convert", *words(world, "hard", tmp_path))
    assert plain.returncode == 1
    images = ["--data", world / "images", "--split", world / "split.csv", "--images", "40"]
    before = shell("convert", "diagnose", world / "hard" / "model.keras", tmp_path / "hard-int8", *images)
    assert before.returncode == 1 and "--search" in before.stdout, before.stderr
    after = shell("convert", "diagnose", world / "hard" / "model.keras", hard[1], *images)
    assert after.returncode == 0 and "equalized" in after.stdout, after.stdout


@pytest.mark.slow
@pytest.mark.nightly  # drawing 720 fields
def test_without_images_drawn_fields_choose_and_nothing_is_fine_tuned(world, tmp_path) -> None:
    done = shell(
        "convert",
        *("quantize", "--int8", world / "hard" / "model.keras", "--search", "--out", tmp_path, "--json"),
        timeout=600,
    )
    assert done.returncode in (0, 1, 3) and done.stdout.count("\n") == 1, done.stderr
    log = log_of(tmp_path / "hard-int8")
    assert log["images"]["labelled"] is False and "drawn" in log["images"]["origin"]
    assert all(trial["fine_tune_steps"] == 0 for trial in log["trials"])


@pytest.mark.slow
def test_a_split_without_enough_validation_images_is_refused(world, tmp_path) -> None:
    text = (world / "split.csv").read_text().replace("validation", "train")
    (tmp_path / "two.csv").write_text(text)
    given = words(world, "hard", tmp_path / "out", "--search")
    given[given.index("--split") + 1] = str(tmp_path / "two.csv")
    done = shell("convert", *given)
    assert done.returncode == 3 and "validation part" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out" / "hard-int8").exists()


@pytest.mark.parametrize("value", ["--search=maybe", "--serach"])
def test_a_mistyped_search_runs_nothing(world, tmp_path, value) -> None:
    done = shell("convert", *words(world, "hard", tmp_path / "out", value))
    assert done.returncode == 2 and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_so_far(world, tmp_path) -> None:
    """SIGINT once a better file than the plain one is there: a bundle with it, judged as ever, and the log says so."""
    running = started("convert", *words(world, "hard", tmp_path, "--search"))
    said = said_until(running, "search 4: ")
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    said += running.stderr.read().splitlines(keepends=True)
    assert running.wait(timeout=60) == 0, "".join(said)
    log = log_of(tmp_path / "hard-int8")
    assert log["interrupted"] and 4 <= len(log["trials"]) < 10 and log["chosen"]["equalized"]
    assert any("the best file so far is kept" in line for line in said)
    assert (
        bundles.load(tmp_path / "hard-int8", trust=machine_keys(), allow_unsigned=True).certificate["search"][
            "interrupted"
        ]
        is True
    )


def test_a_second_ctrl_c_gives_up_and_leaves_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        with stop_on(signal.SIGINT) as asked:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            assert asked.is_set()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


# --- the search in this process, where its end can be chosen


class After:
    """Asks to stop at the n-th time of asking."""

    def __init__(self, polls: int) -> None:
        self.left = polls

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@cache
def plain_file_and_answers(model: Path) -> tuple[bytes, np.ndarray]:
    """The calibrated float file of a network, and its answers to the search's images; the same for many tests."""
    network = load_float(model)
    inputs = np.concatenate([CONTRACT.encode(p) for p in pixels()])
    return calibrated(network, CONTRACT, pixels(3000)), network.predict(inputs)


def prepared(world: Path, name: str, stop: Callable[[], bool], tune: FineTuneSettings | None = None) -> Search:
    plain, answers = plain_file_and_answers(world / name / "model.keras")
    chosen = pixels()
    truth = np.arange(len(chosen)) % len(LABELS)
    images = SearchImages(chosen, truth, tuple(f"#{n}" for n in range(40)), ("0" * 64,), "drawn dots")
    calibration = pixels(3000)
    return Search(
        plain,
        CONTRACT,
        "int8",
        {"40 drawn": lambda: _Given(calibration)},  # type: ignore[dict-item,return-value]
        images,
        answers,
        Policy.load(world / "few.toml"),
        None if tune is None else (lambda: pixels(4000, 64)),
        stop,
        tune or FineTuneSettings(),
    )


class _Given:
    """As much of a calibration set as the search looks at."""

    def __init__(self, shots: np.ndarray) -> None:
        self.pixels = shots


@pytest.mark.parametrize("polls", [60, 200, 300])
def test_stopped_anywhere_the_best_of_the_finished_trials_stands(world, polls) -> None:
    search = prepared(world, "hard", After(polls))
    best = search.run()
    assert search.interrupted and 1 <= len(search.trials) < 8
    assert not any(trial.score.better_than(best.trial.score) for trial in search.trials)


def test_stopped_before_the_plain_file_there_is_nothing_to_keep(world) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepared(world, "hard", After(5)).run()


def test_the_fine_tune_runs_only_where_the_rest_is_not_enough(world, monkeypatch) -> None:
    tune = FineTuneSettings(steps=4, every=2, batch=8)
    sound = prepared(world, "sound", After(10**9), tune)
    assert sound.run().trial.enough and all(t.measures.steps == 0 for t in sound.trials)
    monkeypatch.setattr(Search, "_cheap", lambda self: iter([Measures("40 drawn")]))
    hard = prepared(world, "hard", After(10**9), tune)
    best = hard.run()
    assert [t.measures.steps for t in hard.trials] == [0, 2, 4]
    assert not any(trial.score.better_than(best.trial.score) for trial in hard.trials)


def test_the_teacher_is_the_float_network_in_the_scales_of_the_student(world, monkeypatch) -> None:
    """Its features are compared with the student's: those of the file before equalization are other numbers."""
    from convert.recovery import search as module
    from convert.tflite.matching import Runner

    taught = []

    def record(source, _int8, *_args, teacher, **_options):
        taught.append((source, teacher))
        return iter(())

    monkeypatch.setattr(module, "fine_tune", record)
    equalized = Measures("40 drawn", equalized=True, corrected=True)
    monkeypatch.setattr(Search, "_cheap", lambda self: iter([Measures("40 drawn"), equalized]))
    monkeypatch.setattr(module.Trial, "enough", property(lambda self: False))
    search = prepared(world, "hard", After(10**9), FineTuneSettings(steps=4))
    search.run()
    [(source, teacher)] = taught
    image = [CONTRACT.encode(pixels()[0])]
    said = [Runner(model, keep_all=False).run(image) for model in (search.plain, teacher)]
    np.testing.assert_allclose(*said, atol=1e-4)  # no bias corrected
    files = [FloatFile(model) for model in (source, teacher, search.plain)]
    place = next(op.place for op in files[0].operators if op.kind in WEIGHTED)
    student, ours, before = (file.constant(file.operators[place].inputs[WEIGHTS]) for file in files)
    assert np.array_equal(student, ours) and not np.array_equal(ours, before)


def test_an_operator_that_cannot_be_trained_through_costs_the_fine_tune_alone(world, monkeypatch) -> None:
    from convert.errors import FineTuneError
    from convert.recovery import search as module

    def refuse(*_args, **_options):
        raise FineTuneError("no twin of WHERE")

    monkeypatch.setattr(module, "fine_tune", refuse)
    monkeypatch.setattr(Search, "_cheap", lambda self: iter([Measures("40 drawn")]))
    search = prepared(world, "hard", After(10**9), FineTuneSettings(steps=4))
    assert search.run().trial is search.trials[0] and search.notes == ["no fine-tune: no twin of WHERE"]


def test_a_measure_that_a_network_does_not_allow_costs_one_trial(world, monkeypatch) -> None:
    from convert.errors import RecoveryError
    from convert.recovery import search as module

    def refuse(*_args):
        raise RecoveryError("no way to equalize this")

    monkeypatch.setattr(module, "equalize", refuse)
    search = prepared(world, "sound", After(10**9))
    best = search.run()
    assert not best.trial.measures.equalized and len(search.trials) > 3
    assert any("no way to equalize this" in note for note in search.notes)
    monkeypatch.setattr(module, "quantized", refuse)
    with pytest.raises(RecoveryError):  # not even the plain file
        prepared(world, "sound", After(10**9)).run()


# --- what is better


def parity_of(float_calls: list[int], int8_calls: list[int], truth: list[int] | None):
    rows = np.eye(4)
    return compare(LABELS, rows[float_calls], rows[int8_calls], truth, benign=("Benign",))


def test_a_wrong_benign_outweighs_images_lost_otherwise() -> None:
    """Classes 0 Benign, 1 to 3 malignant."""
    flipped = Score.of(parity_of([1] * 12, [0] + [1] * 11, [1] * 12))
    confused = Score.of(parity_of([1] * 12, [2] * (FLIP_WEIGHS - 1) + [1] * (13 - FLIP_WEIGHS), [1] * 12))
    assert flipped.harm == FLIP_WEIGHS and confused.harm == FLIP_WEIGHS - 1 and confused.better_than(flipped)


def test_an_image_gained_is_no_harm_but_a_change() -> None:
    gained = Score.of(parity_of([1, 2], [1, 1], [1, 1]))
    kept = Score.of(parity_of([1, 2], [1, 2], [1, 1]))
    assert gained.harm == 0 and kept.better_than(gained) and not gained.better_than(kept)


def test_without_labels_every_change_is_harm() -> None:
    changed = Score.of(parity_of([1, 2, 3], [1, 1, 3], None))
    assert (changed.harm, changed.changed) == (1, 1)
    assert Score.of(parity_of([1, 2, 3], [0, 2, 3], None)).harm == FLIP_WEIGHS


def test_a_little_less_drift_is_no_reason_and_much_less_is() -> None:
    one = Score(0, 0, 0.010)
    assert not replace(one, drift=0.0097).better_than(one) and replace(one, drift=0.009).better_than(one)
    assert not one.better_than(one)


def test_the_test_part_refutes_a_choice_that_loses_more() -> None:
    same = parity_of([1, 2, 3], [1, 2, 3], [1, 2, 3])
    worse = parity_of([1, 2, 3], [1, 1, 3], [1, 2, 3])
    log = msgspec.json.decode((shipped_bundles() / "mobilenet_v2-int8/search.json").read_bytes(), type=SearchLog)
    assert not confirmed(log, same, worse).test.confirmed and confirmed(log, worse, same).test.confirmed
    found = confirmed(log, same, same).test
    assert found.confirmed and found.chosen.lost == 0


def test_the_shipped_log_is_read_and_written_byte_for_byte() -> None:
    folder = shipped_bundles() / "mobilenet_v2-int8"
    data = (folder / "search.json").read_bytes()
    log = msgspec.json.decode(data, type=SearchLog)
    assert record_text(msgspec.to_builtins(log)).encode() == data
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    assert msgspec.to_builtins(SearchSummary.of(log)) == certificate["search"]


# --- its images


def opened(world: Path) -> Source:
    return Source.open(world / "images", LABELS, world / "split.csv")


def test_search_images_neither_calibrate_nor_judge(world) -> None:
    source, model = opened(world), load_float(world / "sound" / "model.keras")
    evidence = from_images(source, model, CONTRACT, count=24, seed=0, method="random")
    found = search_images(source, CONTRACT, evidence)
    assert len(found.names) == 40 and found.truth is not None
    assert not set(found.sha256s) & {*evidence.sha256s, *evidence.calibration.sha256s}
    sets = calibrations(source, model, CONTRACT, evidence)
    assert list(sets) == ["24 random", "24 k-center", "48 random"]
    for make in sets.values():
        chosen = make()
        assert not set(chosen.sha256s) & {*evidence.sha256s, *found.sha256s}


def test_no_calibration_set_is_larger_than_there_are_images(world) -> None:
    source, model = opened(world), load_float(world / "sound" / "model.keras")
    every = from_images(source, model, CONTRACT, count=10_000, seed=0, method="random")
    count = len(every.calibration.names)
    assert list(calibrations(source, model, CONTRACT, every)) == [f"{count} random", f"{count} k-center"]
    fewer = from_images(source, model, CONTRACT, count=count - 4, seed=0, method="random")
    larger = list(calibrations(source, model, CONTRACT, fewer))[-1]
    assert larger == f"{count} random", "not twice as many"


def test_too_few_search_images_cannot_choose(world, tmp_path) -> None:
    lines = (world / "split.csv").read_text().splitlines(keepends=True)
    kept = [line for n, line in enumerate(lines) if not line.startswith("validation") or n % 4 == 0]
    assert 25 < len(lines) - len(kept) < 35
    (tmp_path / "few.csv").write_text("".join(kept))
    source = Source.open(world / "images", LABELS, tmp_path / "few.csv")
    evidence = from_images(
        source, load_float(world / "sound" / "model.keras"), CONTRACT, count=16, seed=0, method="random"
    )
    with pytest.raises(TooFewImagesError, match="at least 20"):
        search_images(source, CONTRACT, evidence)
