"""The parts of `convert pareto`: which variants, which formats, what is counted, timed, kept and drawn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.calibration.evaluation_data import Source
from convert.errors import ParetoError, QuantizationError
from convert.pareto import fine_tune, measurement
from convert.pareto.backbone_weights import fitting
from convert.pareto.figure import pareto_figure
from convert.pareto.fine_tune import trained_file, training_plan
from convert.pareto.formats import FORMATS, converted
from convert.pareto.front import front
from convert.pareto.grid import VARIED, Variant, variants_of, variants_of_shipped
from convert.pareto.measurement import Candidate, candidate, measured
from convert.pareto.memory_probe import peak_of
from convert.pareto.page import markdown, pareto_page, pareto_text, rows
from convert.pareto.record import Comparison, JudgedPoint, from_record, read_comparison
from convert.pareto.timing import LEAST_ROUNDS, against, timed_in_turns
from convert.quantization.float_model import load_float
from convert.tflite.inspection import inspect
from edge.errors import ModelFileError
from edge.inference.runtime.interpreters import open_interpreter
from models.data.published import trained
from models.data.split import Split
from models.report.figure_style import render
from models.support.records import record_text
from models.training.background_swap import NO_SWAP
from tests.convert.pareto import tables as pareto_tables
from tests.edge.page.html.page_checks import check_page, scripted
from tests.small_world import CONTRACT, LABELS, World

Point = dict[str, Any]


@pytest.fixture(scope="module")
def source(world: World) -> Source:
    return Source.open(world.data, CONTRACT.labels, world.split)


@pytest.fixture(scope="module")
def who(world: World, source: Source) -> Candidate:
    return candidate("dots", load_float(world.model), source)


def test_the_front_by_hand() -> None:
    points = [(0.99, 4.0), (0.98, 2.0), (0.98, 3.0), (0.97, 2.0), (0.99, 4.0), (0.90, 1.0), (0.995, 90.0)]
    assert front(points) == (True, True, False, False, True, True, True)
    assert front([]) == ()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30))
def test_what_is_not_on_the_front_is_beaten_by_something_on_it(whole: list[tuple[int, int]]) -> None:
    points = [(float(a), float(b)) for a, b in whole]
    on = front(points)
    best = [p for p, there in zip(points, on, strict=True) if there]
    assert best
    for point, there in zip(points, on, strict=True):
        beaten = any(b[0] >= point[0] and b[1] <= point[1] and b != point for b in best)
        assert beaten != there


def test_variants_begin_with_what_is_nearest() -> None:
    weights = Path("backbone.h5")
    found = variants_of_shipped([1.0, 0.35], [96, 224, 160], {0.35: weights})
    assert [(v.name, v.start, v.backbone) for v in found] == [
        ("mobilenet_v2", None, None),
        ("mobilenet_v2-1-160", "mobilenet_v2", None),
        ("mobilenet_v2-1-96", "mobilenet_v2-1-160", None),
        ("mobilenet_v2-0.35-224", None, weights),
        ("mobilenet_v2-0.35-160", "mobilenet_v2-0.35-224", None),
        ("mobilenet_v2-0.35-96", "mobilenet_v2-0.35-160", None),
    ]
    assert found[0].path == trained(VARIED) / "model.keras"
    alone = variants_of_shipped([1.0], [96, 320], {})
    assert [(v.name, v.start) for v in alone] == [("mobilenet_v2-1-320", VARIED), ("mobilenet_v2-1-96", VARIED)]
    with pytest.raises(ParetoError, match=r"width 0\.5 needs ImageNet weights.*--weights"):
        variants_of_shipped([1.0, 0.5], [224], {})


def test_networks_of_one_name_are_told_apart() -> None:
    found = variants_of(["custom_cnn", "a/model.keras", "b/a.keras", "c/a.h5"])
    assert [v.name for v in found] == ["custom_cnn", "a", "a#2", "a#3"]
    with pytest.raises(ParetoError, match="named twice"):
        variants_of(["a.keras", "a.keras"])


def test_a_short_recipe_is_the_shipped_network_s() -> None:
    further = fine_tune.recipe(Variant("x", None, 1.0, 112, start=VARIED), epochs=3)
    assert [(s.trainable, s.epochs) for s in further.stages] == [("all", 3)]
    assert further.freeze_batch_norm and further.caution > 0 and further.background_swap.total > 0
    assert further.augmentation.blur == pytest.approx(fine_tune.FURTHER[VARIED].augmentation.blur / 2)
    assert further.augmentation.hue == fine_tune.FURTHER[VARIED].augmentation.hue
    from_backbone = fine_tune.recipe(Variant("x", None, 0.35, 448, backbone=Path("w.h5")), epochs=3)
    assert [(s.trainable, s.epochs) for s in from_backbone.stages] == [("all", 3)]
    assert from_backbone.stages[0].learning_rate > further.stages[0].learning_rate
    assert from_backbone.augmentation == fine_tune.FURTHER[VARIED].augmentation  # never more of anything


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the shapes of width 0.35."""
    from models.networks.architectures import mobilenet_v2

    path = tmp_path_factory.mktemp("weights") / "quarter.weights.h5"
    mobilenet_v2((32, 32), alpha=0.35).get_layer("backbone").save_weights(path)
    return path


@pytest.mark.slow
def test_weights_are_tried_at_every_width(backbone: Path, tmp_path: Path) -> None:
    assert fitting([], []) == {}
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(backbone.read_bytes()[:1000])
    assert fitting([broken, backbone], [0.35]) == {0.35: backbone}
    for files, said in [
        ([], "needs ImageNet weights"),
        ([tmp_path / "none.h5"], r"there is no .*none\.h5"),
        ([backbone], "none of --weights fits mobilenet_v2 at width 1.4"),
    ]:
        with pytest.raises(ParetoError, match=said):
            fitting(files, [1.4])


@pytest.mark.parametrize(
    ("form", "weights", "activations"),
    [
        ("int8", "int8", "int8"),
        ("int16x8", "int8", "int16"),
        ("float16", "float16", "float32"),
        ("float32", "float32", "float32"),
    ],
)
def test_each_format_holds_what_it_is_called(who: Candidate, form: str, weights: str, activations: str) -> None:
    model = converted(who.model, who.contract, who.evidence.calibration.pixels, form)
    seen = inspect(model)
    kernel = max((t for t in seen.tensors if t.constant_bytes), key=lambda t: t.constant_bytes)
    pooled = next(t for t in seen.tensors if not t.constant_bytes and "max_pooling" in t.name)
    assert (kernel.dtype, pooled.dtype) == (weights, activations)
    ends = "int8" if form == "int8" else "float32"
    interpreter = open_interpreter(model)
    assert interpreter.input.quantization.dtype == interpreter.output.quantization.dtype == ends


def test_no_other_format(who: Candidate) -> None:
    with pytest.raises(ParetoError, match="int8, int16x8, float16, float32; got 'int4'"):
        converted(who.model, who.contract, who.evidence.calibration.pixels, "int4")


def test_what_is_counted_by_hand(who: Candidate) -> None:
    """Truth as answered, then one malignant image called Benign and one Benign image called malignant."""
    answers = np.full((len(who.truth), 4), 0.01, np.float32)
    answers[np.arange(len(who.truth)), who.truth] = 0.97
    sound = measurement.judged(who, "float32", answers)
    images = len(who.truth)
    assert (sound.right, sound.malignant_called_benign, sound.parity) == (images, 0, None)
    benign, early = int(np.flatnonzero(who.truth == 0)[0]), int(np.flatnonzero(who.truth == 1)[0])
    answers[early], answers[benign] = (0.97, 0.01, 0.01, 0.01), (0.01, 0.01, 0.97, 0.01)
    altered = measurement.judged(who, "int8", answers)
    assert altered.right == images - 2 and altered.malignant_called_benign == 1
    low, high = altered.accuracy_interval
    assert low < altered.accuracy == (images - 2) / images < high
    assert altered.parity.verdict == "fail" and "malignant-to-benign" in altered.parity.reasons[0]
    stranger = replace(who, contract=replace(who.contract, labels=("a", "b", "c", "d")))
    assert measurement.judged(stranger, "float32", answers).malignant_called_benign is None


def test_a_point_is_kept_and_measured_again_when_its_file_is_another(
    who: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = measured(who, "int8", tmp_path)
    assert isinstance(first, JudgedPoint) and first.edgetpu.verdict == "mapped" and first.edgetpu.fits == "yes"
    assert first.bytes == (tmp_path / "dots-int8.tflite").stat().st_size
    calls: list[str] = []

    def watched(*words: Any) -> bytes:
        calls.append(words[-1])
        return converted(*words)

    monkeypatch.setattr(measurement, "converted", watched)
    assert measured(who, "int8", tmp_path) == first and not calls
    (tmp_path / "dots-int8.tflite").write_bytes(b"another")
    assert measured(who, "int8", tmp_path) == first and calls == ["int8"]
    (tmp_path / "dots-int8.json").write_text('{"key": 1')
    assert measured(who, "int8", tmp_path) == first and calls == ["int8"] * 2
    fewer = replace(who, evidence=replace(who.evidence, sha256s=who.evidence.sha256s[1:]))
    measured(fewer, "int8", tmp_path)
    assert calls == ["int8"] * 3


@pytest.mark.parametrize("where", ["convert", "run"])
def test_what_cannot_be_converted_or_run_is_a_line(
    who: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fails(*_: Any) -> Any:
        raise QuantizationError("no such\nkernel") if where == "convert" else ModelFileError("no such\nkernel")

    monkeypatch.setattr(measurement, "converted" if where == "convert" else "open_interpreter", fails)
    found = measured(who, "int16x8", tmp_path)
    assert found.problem == "no such kernel" and not isinstance(found, JudgedPoint)


def test_turns_run_everybody_and_warm_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks that the calls themselves move on: what is slow is run once a round, what is quick twice; and another
    program that makes the wall's go ten times as fast changes nothing but `wall_ms`."""
    now, ran = [0.0], []

    def spend(name: str, ms: float) -> Callable[[], object]:
        def call() -> None:
            ran.append(name)
            now[0] += ms / 1e3

        return call

    calls = {"a": spend("a", 2.0), "b": spend("b", 4.0), "slow": spend("slow", 500.0)}
    times = timed_in_turns(calls, 30, (lambda: now[0], lambda: 10 * now[0]))
    assert {name: len(values) for name, values in times.items()} == {"a": 30, "b": 30, "slow": 30}
    assert ran.count("a") == ran.count("b") == 62 and ran.count("slow") == 32
    found = against(times, "a")
    assert found["b"].median_ms == pytest.approx(4.0) and found["b"].ratio == pytest.approx(2.0)
    assert found["b"].wall_ms == pytest.approx(40.0)
    assert found["slow"].ratio == pytest.approx(250.0) and found["a"].ratio == 1.0


@pytest.mark.parametrize("after", [LEAST_ROUNDS - 1, LEAST_ROUNDS + 1])
def test_an_interrupted_timing_keeps_whole_rounds(after: int) -> None:
    done: list[int] = []

    def interrupted() -> None:
        done.append(1)
        if len(done) > 2 * (
            after + 1
        ):  # the untimed and the timed run of the round that is not counted, then of `after`
            raise KeyboardInterrupt

    calls: dict[str, Callable[[], object]] = {"a": interrupted, "b": lambda: None}
    if after < LEAST_ROUNDS:
        with pytest.raises(KeyboardInterrupt):
            timed_in_turns(calls, 40)
        return
    times = timed_in_turns(calls, 40)
    assert {len(values) for values in times.values()} == {after}


def test_memory_of_a_process_of_its_own(who: Candidate, tmp_path: Path) -> None:
    file = tmp_path / "dots.tflite"
    file.write_bytes(converted(who.model, who.contract, who.evidence.calibration.pixels, "float32"))
    peak = peak_of(file)
    assert peak is not None and 20 < peak < 300  # TensorFlow alone takes more
    file.write_bytes(b"no model")
    assert peak_of(file) is None


def with_validation(split: Split) -> Split:
    """A fifth of the training images validates instead."""
    items = [replace(i, part="validation") if i.part == "train" and i.name[-5] in "05" else i for i in split.items]
    return Split(tuple(items))


@pytest.fixture
def variant_trained(world: World, source: Source, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`learned` with the small network in MobileNetV2's place, on the small world's images."""
    import keras

    monkeypatch.setattr(fine_tune, "_network", lambda plan: keras.saving.load_model(world.model))
    divided = replace(source, split=with_validation(source.split))
    variant = Variant("small", None, 1.0, 32, start="dots")

    def learn(folder: Path, epochs: int = 1, start: Path = world.model) -> Path:
        shipped = replace(CONTRACT, size=(64, 64))
        one = training_plan(variant, start, shipped, epochs)
        assert one.contract == CONTRACT
        return trained_file(replace(one, recipe=replace(one.recipe, background_swap=NO_SWAP)), divided, folder)

    return learn


def test_a_variant_is_trained_once(
    variant_trained: Callable[..., Path], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = variant_trained(tmp_path)
    assert load_float(file).size == (32, 32)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["begun.json", "contract.json", "model.keras", "training.json"]
    assert fine_tune.training_of(tmp_path).epochs == 1 and fine_tune.training_of(tmp_path).start == "dots"
    assert fine_tune.training_of(trained(VARIED)) is None  # its record is of another kind
    before = file.read_bytes()
    trained_again: list[int] = []

    def watched(*words: Any) -> Path:
        trained_again.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(fine_tune, "train", watched)
    assert variant_trained(tmp_path).read_bytes() == before and not trained_again
    other = world.root / "other.keras"
    other.write_bytes(b"another start")
    for change in ({"epochs": 2}, {"start": other}):
        with pytest.raises(KeyboardInterrupt):
            variant_trained(tmp_path, **change)
    file.write_bytes(b"damaged")
    with pytest.raises(KeyboardInterrupt):
        variant_trained(tmp_path)
    assert len(trained_again) == 3


def test_an_interrupted_training_continues(
    variant_trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.checkpoint import Checkpoint

    checkpoint, done = Checkpoint.save, []

    def interrupted(self: Checkpoint, *words: Any, **more: Any) -> None:
        checkpoint(self, *words, **more)
        done.append(words)
        if len(done) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        variant_trained(tmp_path, epochs=2)
    state = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert state["epoch"] == 1 and not (tmp_path / "model.keras").exists()
    variant_trained(tmp_path, epochs=2)
    assert len(json.loads((tmp_path / "training.json").read_text())["history"]) == 2
    assert [words[1] for words in done] == [1, 2, 0]  # the second epoch alone was trained, and the stage ended
    assert not (tmp_path / "checkpoint").exists()


PREDICTED = {
    "verdict": "mapped",
    "mapped": 10,
    "cpu": 0,
    "refused": 0,
    "subgraphs": 1,
    "rules": [],
    "parameter_bytes": 497_400,
    "largest_activation_bytes": 401_408,
    "on_chip_bytes": 8_388_608,
    "fits": "yes",
    "streamed_bytes_at_least": 0,
}


def point(network: str, form: str, accuracy: float, ms: float, on_front: bool = False, **more: Any) -> Point:
    found: Point = {
        "network": network,
        "format": form,
        "size": [224, 224],
        "file": f"{network}-{form}.tflite",
        "problem": None,
        "bytes": 2_735_651,
        "sha256": "ef" * 32,
        "kind": "A",
        "right": 500,
        "agreed_with_float": 509,
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.01, min(1.0, accuracy + 0.01)],
        "images": 509,
        "malignant_called_benign": 0,
        "parity": {"verdict": "pass", "reasons": []} if form == "int8" else None,
        "edgetpu": PREDICTED,
        "latency": {"median_ms": ms, "min_ms": ms, "wall_ms": ms, "ratio": ms / 4, "ratio_low": 1.0, "ratio_high": 1.1},
        "peak_rss_mb": 70.2,
        "front": on_front,
    }
    return found | more


def record(*points: Point, interrupted: bool = False) -> Comparison:
    whole = {
        "format": 1,
        "calibration_images": 200,
        "versions": {},
        "interrupted": interrupted,
        "wanted": 8,
        "images": 509,
        "origin": "made here",
        "labels": list(LABELS),
        "networks": [
            {"name": "a", "size": [224, 224], "sha256": "ab" * 32, "trained": None},
            {
                "name": "b",
                "size": [96, 96],
                "sha256": "cd" * 32,
                "trained": {"width": 1.0, "start": "a", "epochs": 3, "seconds": 600, "validation_accuracy": 0.9},
            },
        ],
        "points": list(points),
        "reference": {
            "bundle": "mobilenet_v2-int8",
            "sha256": "",
            "kind": "A",
            "median_ms": 4.0,
            "min_ms": 4.0,
            "wall_ms": 4.0,
        },
        "runtime": "litert",
        "runtime_version": "2.3.0",
        "threads": 1,
        "rounds": 40,
        "load_before": 0.1,
        "board": "a board",
        "seconds": {"load": 1.0},
        "cpu_seconds": 1.0,
        "peak_rss_mb": 900,
    }
    return from_record(whole)


FOUR = (
    point("a", "int8", 0.98, 4.0, on_front=True),
    point("a", "float32", 0.99, 8.0, on_front=True, edgetpu=PREDICTED | {"verdict": "refused", "subgraphs": 0}),
    point("b", "int8", 0.70, 1.0, on_front=True, malignant_called_benign=3, peak_rss_mb=None),
    {"network": "b", "format": "int16x8", "size": [96, 96], "file": "b.tflite", "problem": "litert cannot run it"},
)


def test_the_table_says_what_the_record_holds() -> None:
    text = pareto_text(record(*FOUR))
    lines = text.splitlines()
    said = "* a 224x224 int8 98.00 (97.00 to 99.00) 0 4.00 1.00 2.74 70 mapped, 1 subgraph, fits pass"
    assert " ".join(lines[1].split()) == said
    assert "refused" in lines[2] and " 3 " in lines[3] and "70.00" in lines[3]
    assert "b int16x8: not measured: litert cannot run it" in text
    assert "overlap that of a float32, the most accurate on the front: a int8\n" in text  # and not b's
    assert "interrupted" not in text
    assert "interrupted: 4 of 8 points" in pareto_text(record(*FOUR, interrupted=True))
    assert markdown(record(*FOUR)).count("\n| ") == 3 and "| **a** | 224x224 | int8 |" in markdown(record(*FOUR))
    assert [row[0] for row in rows(record(*FOUR))] == ["*", "*", "*"]


def test_the_page_needs_nothing_and_escapes() -> None:
    nasty = record(*(p | {"network": "<b>"} for p in FOUR))
    page = pareto_page(nasty, b"\x89PNG")
    assert "<b>" not in page and "&lt;b&gt;" in page and "data:image/png" in page
    assert not re.search(r"https?://|<script|src=\"(?!data:)", page)
    assert "trained from a, 3 epochs in 10 minutes" in page


def test_no_text_of_the_record_becomes_markup() -> None:
    nasty = scripted(record(*FOUR), {"mapped", "partly", "yes", "perhaps", "no"})
    assert len(nasty.measured) == 3
    check_page(lambda: pareto_page(nasty, b"\x89PNG"))


@pytest.mark.parametrize("points", [(), FOUR[3:], FOUR[:1], FOUR], ids=["none", "no figure", "one", "all"])
def test_the_figure_is_drawn_from_any_record(points: tuple[Point, ...]) -> None:
    png = render(pareto_figure(record(*points, interrupted=True)))
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape[1] == 1440
    assert len(np.unique(picture)) > 20


def test_the_tables_in_the_how_to_are_the_records() -> None:
    """`python -m tests.convert.pareto.tables --write` renews them."""
    text = pareto_tables.PAGE.read_text(encoding="utf-8")
    assert pareto_tables.with_tables(text) == text
    stale = text.replace(" | int8 | 9", " | int8 | 8", 1)
    assert stale != text and pareto_tables.with_tables(stale) == text  # negative control
    measurements = pareto_tables.MEASUREMENTS.read_text(encoding="utf-8")
    assert pareto_tables.with_costs(measurements) == measurements


def test_the_front_in_the_records_is_their_points() -> None:
    for name in pareto_tables.NAMES:
        kept = read_comparison(pareto_tables.REFERENCE / f"pareto_{name}.json")
        points = kept.measured
        assert not kept.interrupted and len(points) == kept.wanted >= 4
        assert front([(p.accuracy, p.latency.median_ms) for p in points]) == tuple(p.front for p in points)
        assert {p.images for p in points} == {509}


@pytest.mark.parametrize("path", sorted(pareto_tables.REFERENCE.glob("pareto_*.json")), ids=lambda path: path.stem)
def test_a_record_is_read_and_written_byte_for_byte(path: Path) -> None:
    assert record_text(read_comparison(path).to_record()) == path.read_text(encoding="utf-8")


def test_a_wrong_key_of_a_record_is_named() -> None:
    wrong = record(*FOUR).to_record()
    wrong["points"][0]["edgetpu"]["fits"] = "maybe"
    with pytest.raises(msgspec.ValidationError, match=r"\$\.edgetpu\.fits"):
        from_record(wrong)


def test_every_format_has_a_colour_of_its_own() -> None:
    from convert.pareto.figure import COLOURS

    assert set(COLOURS) == set(FORMATS) and len(set(COLOURS.values())) == len(FORMATS)
