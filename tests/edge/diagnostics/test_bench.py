"""`edge bench`: what it says is what it timed. No test asserts a time."""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import convert

from edge.commands.bench import BenchRequest, bench
from edge.commands.command_line import main
from edge.diagnostics.benchmark.bench import table
from edge.diagnostics.benchmark.pipeline import pipeline_rate
from edge.diagnostics.benchmark.record import BenchRecord
from edge.diagnostics.benchmark.timing import (
    WARM_UP,
    _Watched,
    contenders,
    drawn_frame,
    mediapipe_classifier,
    peak_rss_mb,
    stages,
)
from edge.errors import DONE, StoreError, UsageError
from edge.inference.classifier import Classifier
from edge.instrument.pipeline.pipeline import Pipeline
from edge.serving.serve import Served, serve
from edge.settings.profile import Settings
from edge.system.interleaved_timing import Percentiles, compare, interleaved, percentiles

WORDS = {
    "bundle": "",
    "threads": "",
    "runtime": "",
    "frames": "20",
    "mediapipe": "",
    "figure": "",
    "config": "",
    "json": False,
}
STABLE = ["invoke_ms", "frame_224_ms", "frame_1280x960_ms", "pipeline_fps", "invoke_fps", "peak_rss_mb"]


@pytest.fixture(scope="module")
def shipped() -> Served:
    """The bundle that ships: the drawn frame passes the gates at its size."""
    return serve()


@pytest.fixture(scope="module")
def frame() -> Any:
    return drawn_frame()


@pytest.fixture
def few_slices(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many slices a rate is measured in: how sure it is does not matter here."""
    monkeypatch.setattr("edge.diagnostics.benchmark.pipeline.SLICES", 3)
    return 3


def spend(counted: list[str], name: str) -> Callable[[], object]:
    return lambda: counted.append(name)


def test_every_round_runs_everybody_in_orders_that_change() -> None:
    ran: list[str] = []
    times = interleaved({name: spend(ran, name) for name in "abc"}, rounds=50)
    assert {name: len(values) for name, values in times.items()} == {"a": 50, "b": 50, "c": 50}
    rounds = ["".join(ran[i : i + 3]) for i in range(0, len(ran), 3)]
    assert len(rounds) == 50 + WARM_UP and all(sorted(r) == ["a", "b", "c"] for r in rounds)
    assert len(set(rounds)) == 6  # each follows each other one


def test_a_comparison_by_hand() -> None:
    against = compare([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    assert against.ratio == 2.0 and against.ratio_of_minima == 2.0 and against.difference_ms == 2.0
    assert 2.0 <= against.ratio_low <= 2.0 <= against.ratio_high <= 3.0


def test_a_comparison_sees_a_slower_one_and_not_a_common_drift() -> None:
    """Negative control: equal contenders on a machine that slows down, and one that is 5 % slower."""
    drift = np.linspace(4.0, 8.0, 200)
    noise = np.random.default_rng(1).normal(1.0, 0.02, (2, 200))
    same = compare(list(drift * noise[0]), list(drift * noise[1]))
    slower = compare(list(1.05 * drift * noise[0]), list(drift * noise[1]))
    assert same.ratio_low < 1.0 < same.ratio_high and slower.ratio_low > 1.03


def test_percentiles_by_hand() -> None:
    assert percentiles([float(n) for n in range(1, 102)]) == Percentiles(101, min=1.0, p50=51.0, p90=91.0, p99=100.0)


@pytest.mark.usefixtures("drawn_once")
def test_stages_fill_the_whole_path(shipped: Served, frame: Any) -> None:
    times = stages(shipped.classifier, shipped.gates, frame, 5)
    assert list(times) == ["capture", "prepare", "gates", "novelty", "encode", "invoke", "decode"]
    assert all(len(values) == 5 and min(values) > 0 for values in times.values())
    assert np.median(times["invoke"]) > np.median(times["encode"])  # by two orders of magnitude


@pytest.mark.usefixtures("drawn_once")
def test_tiles_cost_an_inference_each(shipped: Served, frame: Any, tmp_path: Path, few_slices: int) -> None:
    contract, asked = replace(shipped.bundle.contract, tiles=(2, 2)), []

    class Counting(_Watched):
        def invoke(self, tensor: Any) -> Any:
            asked.append(tensor.shape)
            return super().invoke(tensor)

    times = stages(Classifier(contract, Counting(shipped.classifier.interpreter)), shipped.gates, frame, 5)
    assert len(asked) == 4 * (5 + WARM_UP) and min(times["invoke"]) > 0
    tiled = Classifier(contract, shipped.classifier.interpreter)
    calls = contenders(tiled, frame, None)
    for name in ("frame_224", "frame_1280x960"):
        verdict: Any = calls[name]()
        assert len(verdict.tiles) == 4
    served = replace(shipped, bundle=replace(shipped.bundle, contract=contract), classifier=tiled)
    assert len(pipeline_rate(served, frame, 10, tmp_path).pipeline_fps) == few_slices


def test_the_drawn_frame_passes_the_gates(shipped: Served, frame: Any) -> None:
    assert frame.shape == (960, 1280, 3) and frame.dtype == np.uint8
    assert shipped.gates.check(shipped.bundle.contract.prepare(frame)).refusal is None


def test_contenders_do_what_they_are_called(shipped: Served, frame: Any) -> None:
    calls = contenders(shipped.classifier, frame, lambda pixels: pixels.shape)
    expected = shipped.classifier.classify(frame)
    assert list(calls) == ["invoke", "frame_224", "frame_1280x960", "mediapipe_224", "mediapipe_1280x960"]
    for name in ("frame_224", "frame_1280x960"):
        verdict: Any = calls[name]()
        assert verdict.probabilities == expected.probabilities
    assert (calls["mediapipe_224"](), calls["mediapipe_1280x960"]()) == ((224, 224, 3), (960, 1280, 3))


def test_the_pipeline_stores_every_verdict_and_leaves_nothing(
    shipped: Served, frame: Any, tmp_path: Path, few_slices: int
) -> None:
    rates = pipeline_rate(shipped, frame, 10, tmp_path)
    assert len(rates.pipeline_fps) == len(rates.invoke_fps) == few_slices and rates.store_ms
    assert rates.record().ratio_min <= rates.record().ratio <= rates.record().ratio_max
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_the_gates_refuse_is_classified_all_the_same(
    shipped: Served, tmp_path: Path, few_slices: int
) -> None:
    """The gates of a model of one's own may refuse the drawn field; what they cost does not depend on it."""
    white = np.full((960, 1280, 3), 240, np.uint8)
    assert shipped.gates.check(shipped.bundle.contract.prepare(white)).refusal is not None
    assert len(pipeline_rate(shipped, white, 10, tmp_path).pipeline_fps) == few_slices


def test_a_rate_of_refused_frames_is_no_rate(shipped: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: refusing a frame is fast, and must not pass for classifying it."""
    monkeypatch.setattr("edge.diagnostics.benchmark.pipeline._Asked", lambda gates: gates)
    with pytest.raises(StoreError, match=r"must .*10 frames"):
        pipeline_rate(shipped, np.full((960, 1280, 3), 240, np.uint8), 10, tmp_path)


def test_memory_is_this_process(frame: Any) -> None:
    assert 20 < peak_rss_mb() < 100_000


@pytest.mark.usefixtures("few_slices", "drawn_once")
def test_the_record_has_its_stable_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "bench.png"
    commands = {"bench": lambda: BenchRequest(Settings(), 10, tmp_path, None, figure, True)}
    pytest.importorskip("matplotlib")
    assert main("edge", commands, ["bench"]) == DONE
    record = json.loads(capsys.readouterr().out)
    assert set(STABLE) < set(record) and all(record[name] > 0 for name in STABLE)
    assert set(record["details"]["against_invoke"]) == {"frame_224", "frame_1280x960"}
    assert record["details"]["against_mediapipe"] == {} and record["details"]["kind"] == "xnnpack"
    assert record["details"]["gates_share"] > record["details"]["novelty_share"] > 0
    assert record["details"]["gates"][-1] == "unlike_training" and "ungated" not in record["details"]
    assert record["details"]["stages"]["novelty"]["count"] == 10
    assert figure.read_bytes().startswith(b"\x89PNG")
    text = table(convert(record, BenchRecord))
    assert "tiles" not in record["details"] and "tiles" not in text
    tiled = convert({**record, "details": {**record["details"], "tiles": [3, 2]}}, BenchRecord)
    assert "tiles 3x2: 6 inferences a field" in table(tiled)
    assert f"{record['details']['contenders']['invoke']['p50']:.3f}" in text and "peak memory" in text


@pytest.mark.slow
def test_mediapipe_answers_as_we_do(shared_dir: Path, frame: Any) -> None:
    """On a Coral model of the fixtures: MediaPipe refuses what has no metadata, in one line."""
    pytest.importorskip("mediapipe")
    [model, *_] = sorted((shared_dir / "fixtures" / "edgetpu").glob("*_edgetpu.tflite"))
    with pytest.raises(UsageError, match="MediaPipe refuses it"), mediapipe_classifier(model):
        pass


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"frames": "5"}, "--frames must be at least 10"),
        ({"threads": "0"}, "--threads must be at least 1"),
        ({"runtime": "onnx"}, "--runtime must be one of litert"),
    ],
)
def test_wrong_words(words: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bench(**{**WORDS, **words})


def test_a_missing_file_is_named_before_anything_is_timed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--mediapipe must be a uint8 \.tflite file.*nowhere"):
        BenchRequest(Settings(), 10, tmp_path, tmp_path / "nowhere.tflite").execute()


def test_a_figure_needs_matplotlib_and_says_so_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--figure needs matplotlib.*'\.\[models\]'"):
        bench(**{**WORDS, "figure": "x.png"})


def test_interrupted_it_waits_for_its_stages(
    shipped: Served, frame: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that is inside the interpreter while Python ends would abort the process."""

    def interrupted(self: Pipeline, timeout_s: float) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline_rate(shipped, frame, 5000, tmp_path)
    assert not {"capture", "gate", "classify", "record"} & {thread.name for thread in threading.enumerate()}
    assert list(tmp_path.iterdir()) == []
