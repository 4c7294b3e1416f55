"""Networks on degraded images: counted by hand, with networks whose faults are known, and through the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import convert.cli
import models.cli
from edge.commands.command_line import main
from edge.inference.contract import Pixels
from models.errors import EvaluationError, NetworkError
from models.evaluation.corruptions import CORRUPTIONS, SEVERITIES, USUAL, corrupt
from models.evaluation.evaluation_set import Answers, EvaluationSet, score
from models.evaluation.interventions import VIEWS
from models.evaluation.robustness import Robustness, degraded, evaluate_corruptions
from models.networks.model_pair import FLOAT, INT8, load_pair
from models.report.figure_style import render
from models.report.robustness_figure import robustness_figure
from models.support.records import as_json
from tests.small_world import LABELS, World, draw

A_CLASS = 4


@pytest.fixture(scope="module")
def dataset() -> EvaluationSet:
    truth = np.arange(4).repeat(A_CLASS)
    pixels = np.stack([draw(LABELS[k], n) for n, k in enumerate(truth)])
    return EvaluationSet(LABELS, ("Benign",), pixels, truth, tuple(f"image {n}" for n in range(len(truth))))


def one_hot(called: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.eye(4, dtype=np.float32)[np.asarray(called)] * np.float32(0.8) + np.float32(0.05)


def knows(dataset: EvaluationSet) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """A network that nothing misleads: it is told which image comes when."""
    return lambda pixels: one_hot(dataset.truth)


def afraid_of_the_dark(dataset: EvaluationSet) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """Right, but calls everything Benign whose mean is below 3/4 of the unaltered image's."""
    means = dataset.pixels.mean(axis=(1, 2, 3))

    def predict(pixels: Pixels) -> npt.NDArray[np.float32]:
        return one_hot(np.where(pixels.mean(axis=(1, 2, 3)) < 0.75 * means, 0, dataset.truth))

    return predict


@pytest.fixture(scope="module")
def found(dataset: EvaluationSet) -> Robustness:
    return evaluate_corruptions(dataset, {FLOAT: knows(dataset), INT8: afraid_of_the_dark(dataset)}, progress=False)


def test_every_cell_is_there_and_counts_what_it_says(dataset: EvaluationSet, found: Robustness) -> None:
    record = json.loads(json.dumps(as_json(found.to_record()), allow_nan=False))
    assert list(record["corruptions"]) == list(CORRUPTIONS)
    for name, one in record["corruptions"].items():
        assert [cell["severity"] for cell in one["severities"]] == list(SEVERITIES)
        assert tuple(cell["value"] for cell in one["severities"]) == CORRUPTIONS[name].values
        for cell in one["severities"]:
            assert cell["float"]["correct"] == cell["float"]["images"] == 4 * A_CLASS
            assert cell["int8"]["accuracy"] == cell["int8"]["correct"] / cell["int8"]["images"]
            low, high = cell["int8"]["accuracy_interval"]
            assert low <= cell["int8"]["accuracy"] <= high


def test_finds_the_fault_of_a_network_that_has_one(found: Robustness) -> None:
    record = as_json(found.to_record())
    dark = record["corruptions"]["under_exposure"]["severities"][-1]
    assert dark["int8"]["correct"] == A_CLASS and dark["int8"]["malignant_to_benign"] == 3 * A_CLASS
    assert dark["int8_minus_float"] == -0.75 and dark["int8_minus_float_interval"][1] < -0.4
    assert dark["agreed"] == A_CLASS
    harmless = record["corruptions"]["rotation"]["severities"][-1]
    assert harmless["int8"]["accuracy"] == 1.0 and harmless["int8_minus_float"] == 0


def test_means_are_the_means_of_their_cells(found: Robustness) -> None:
    record = as_json(found.to_record())
    cells = [
        cell["int8"]
        for one in record["corruptions"].values()
        for cell in one["severities"]
        if cell["severity"] in USUAL
    ]
    mean = record["mean_usual"]["int8"]
    assert mean["accuracy"] == pytest.approx(np.mean([cell["accuracy"] for cell in cells]))
    assert mean["malignant_to_benign"] == sum(cell["malignant_to_benign"] for cell in cells) > 0
    assert mean["accuracy_interval"][0] <= mean["accuracy"] <= mean["accuracy_interval"][1]
    assert record["mean_usual"]["int8_minus_float"] == pytest.approx(mean["accuracy"] - 1)
    assert record["mean_all"]["int8"]["accuracy"] < mean["accuracy"]


def test_degraded_images_do_not_depend_on_their_order(dataset: EvaluationSet) -> None:
    order = np.random.default_rng(2).permutation(len(dataset.truth))
    keys = tuple(dataset.keys[i] for i in order)
    shuffled = replace(dataset, pixels=dataset.pixels[order], truth=dataset.truth[order], keys=keys)
    for name in ("dust", "sensor_noise", "scale_bar_swapped"):
        np.testing.assert_array_equal(degraded(dataset, name, 3)[order], degraded(shuffled, name, 3))
    np.testing.assert_array_equal(
        degraded(dataset, "dust", 3)[5], corrupt(dataset.pixels[5], "dust", 3, dataset.keys[5])
    )


def test_malignant_called_benign_by_hand(dataset: EvaluationSet) -> None:
    called = dataset.truth.copy()
    called[[4, 9]] = 0  # an Early and a Pre missed
    called[0] = 2  # a Benign raised: no missed malignancy
    said = score(dataset, Answers(called, np.full(len(called), 0.9)))
    assert (said.correct, said.malignant_to_benign) == (13, 2)
    without = score(replace(dataset, benign=()), Answers(called, np.full(len(called), 0.9)))
    assert without.malignant_to_benign is None


def test_refuses_images_that_can_tell_nothing(dataset: EvaluationSet) -> None:
    with pytest.raises(EvaluationError, match="two classes or more"):
        replace(dataset, truth=np.zeros(len(dataset.truth), np.int64))
    with pytest.raises(EvaluationError, match="must be one an image; got 16, 16, 15"):
        replace(dataset, keys=dataset.keys[1:])


def test_figure_has_a_panel_a_corruption(found: Robustness) -> None:
    figure = robustness_figure(found.to_record(), "title")
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in panels] == [name.replace("_", " ") for name in CORRUPTIONS]
    assert all(len(axis.lines) == 2 for axis in panels)
    assert render(figure).startswith(b"\x89PNG")


# --- the command


@pytest.fixture(scope="module")
def bundle(world: World) -> Path:
    """The int8 bundle of the small network, as `convert quantize` makes it."""
    words = ["quantize", "--int8", str(world.model), *world.images, "--policy", str(world.policy)]
    assert main("convert", convert.cli.COMMANDS, [*words, "--out", str(world.root)]) == 0
    return world.root / "dots-int8"


def run(*words: object) -> int:
    return main("models", models.cli.COMMANDS, ["evaluate", *map(str, words)])


def test_command_judges_float_and_int8(world: World, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "robustness.json"
    words = [world.model.parent, *world.images, "--bundle", bundle, "--sample", 12, "--out", out]
    assert run(*words, "--corruptions") == 0
    record: dict[str, Any] = json.loads(out.read_text())
    assert record["images"] == record["sample"] == 12 and record["split"]["part"] == "test"
    assert record["bundle"]["name"] == "dots-int8" and len(record["model_sha256"]) == 64
    assert record["clean"]["float"]["accuracy"] > 0.9 and record["clean"]["int8"]["accuracy"] > 0.9
    worst = record["corruptions"]["stain_hue"]["severities"][-1]
    assert worst["float"]["accuracy"] < record["clean"]["float"]["accuracy"]  # its classes are colours
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_command_exchanges_bars(world: World, tmp_path: Path) -> None:
    out = tmp_path / "counterfactuals.json"
    assert run(world.model.parent, *world.images, "--counterfactuals", "--sample", 12, "--out", out) == 0
    record = json.loads(out.read_text())
    assert record["bundle"] is None and list(record["views"]) == list(VIEWS)
    assert record["views"]["bars_painted_out"]["float"]["images"] == 12
    assert out.with_suffix(".png").is_file()


def test_sample_is_the_same_every_time_and_part_of_the_whole(world: World) -> None:
    from models.data.parts import load_part, scan_for, split_for
    from tests.small_world import CONTRACT

    image_set = scan_for(world.data, CONTRACT)
    part = load_part(image_set, split_for(image_set, world.split)[0], "test", CONTRACT)
    few, more = (EvaluationSet.of_part(part, LABELS, ("Benign",), n) for n in (8, 16))
    assert len(few.keys) == 8 and set(few.keys) < set(more.keys)
    assert len(EvaluationSet.of_part(part, LABELS, ("Benign",)).keys) == len(part.truth)


def test_a_bundle_of_another_network_is_refused(world: World, bundle: Path, tiny_bundle: Path) -> None:
    other = world.variant("other", scale=[0.004, 0.004, 0.004]).parent
    with pytest.raises(NetworkError, match="must have the network's contract"):
        load_pair(other, bundle)
    (other / "model.keras").write_bytes((other / "model.keras").read_bytes() + b"\0")
    with pytest.raises(NetworkError, match="--bundle must be made of the network that is judged"):
        load_pair(other, bundle)
    with pytest.raises(NetworkError, match="does not name the float model"):
        load_pair(world.model.parent, tiny_bundle)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--corruptions", "--counterfactuals"], "give one of them"),
        (["--sample", "8"], "--sample belongs to"),
        (["--corruptions", "--sample", "1"], "--sample"),
    ],
)
def test_wrong_words(words: list[str], said: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world.model.parent, *world.images, *words) == 2
    assert said in capsys.readouterr().err
