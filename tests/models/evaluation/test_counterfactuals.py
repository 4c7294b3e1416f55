"""Counterfactual views must take away what they name and nothing else; networks with known habits must be caught."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from docs.studies.networks.white_cell_check import against_boxes, against_drawn, drawn_fields
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.inference.contract import InputContract, Pixels
from models.data.scale_bar import corner
from models.data.white_cell_segmentation import white_cells, widened
from models.evaluation.counterfactuals import CounterfactualRecord, evaluate_counterfactuals, to_text
from models.evaluation.evaluation_set import EvaluationSet
from models.evaluation.interventions import VIEWS, bars_exchanged, elsewhere, ground_colour, painted_over
from models.networks.model_pair import FLOAT, INT8
from models.report.counterfactual_figure import counterfactual_figure
from models.report.figure_style import render
from models.support.records import as_json
from tests.paths import ROOT

LABELS = tuple(RECIPES)
PREPARE = InputContract((224, 224), ("any", "other")).prepare
A_CLASS = 3


@pytest.fixture(scope="module")
def dataset() -> EvaluationSet:
    """Drawn fields whose bar is a black box of the class's own width."""
    truth = np.arange(4).repeat(A_CLASS)
    pixels = []
    for n, k in enumerate(truth):
        field = PREPARE(SyntheticSmear(n, LABELS[k]).field(0, 0).frame).copy()
        corner(field)[10:, 4:] = 255
        corner(field)[12:30, 60 - 12 * (k + 1) : 60] = 0
        pixels.append(field)
    return EvaluationSet(LABELS, ("Benign",), np.stack(pixels), truth, tuple(f"field {n}" for n in range(len(truth))))


def one_hot(called: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.eye(4, dtype=np.float32)[np.asarray(called)] * np.float32(0.8) + np.float32(0.05)


def reads_the_bar(pixels: Pixels) -> npt.NDArray[np.float32]:
    """The width of the black box is the class: what a network may learn from the published files."""
    black = (corner(pixels[0]).shape[1], [int((corner(p)[20].max(axis=1) < 40).sum()) for p in pixels])[1]
    return one_hot([min(3, max(0, round(width / 12) - 1)) for width in black])


def counts_violet(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Any white cell away from the bar: Pre; none: Benign."""
    return one_hot([2 if white_cells(p)[:180].any() else 0 for p in pixels])


@pytest.fixture(scope="module")
def found(dataset: EvaluationSet) -> CounterfactualRecord:
    """Of two networks with known habits."""
    return evaluate_counterfactuals(dataset, {FLOAT: reads_the_bar, INT8: counts_violet}, progress=False)


@pytest.fixture(scope="module")
def record(found: CounterfactualRecord) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(as_json(found), allow_nan=False))
    return read


def test_a_network_that_reads_bars_is_caught(found: CounterfactualRecord, record: dict[str, Any]) -> None:
    assert record["clean"][FLOAT]["accuracy"] == 1.0
    views = {name: found[FLOAT] for name, found in record["views"].items()}
    exchanged = views["bars_exchanged"]
    assert exchanged["flips"] == exchanged["images"] == 3 * 4 * A_CLASS and exchanged["accuracy"] == 0
    assert exchanged["malignant_to_benign"] == 3 * A_CLASS  # all that got a Benign bar
    assert exchanged["by_donor"]["Benign"]["called"]["Benign"] == 3 * A_CLASS
    assert views["corner_alone"]["flips"] == 0
    assert views["bars_painted_out"]["flips"] == views["bars_painted_out"]["lost"] >= 3 * A_CLASS
    assert views["no_white_cell"]["flips"] == 0
    assert views["white_cells_alone"]["flips"] >= 3 * A_CLASS
    assert "bars_exchanged" in to_text(found)


def test_a_network_that_looks_at_white_cells_is_seen_to(record: dict[str, Any]) -> None:
    views = {name: found[INT8] for name, found in record["views"].items()}
    assert record["clean"][INT8]["mean_confidence"] == pytest.approx(0.85)
    assert views["no_white_cell"]["flips"] == 4 * A_CLASS
    for name in ("bars_exchanged", "bars_painted_out", "as_much_elsewhere", "white_cells_alone"):
        assert views[name]["flips"] == 0, name


def test_exchanged_bars_change_the_corner_alone_and_follow_from_keys(dataset: EvaluationSet) -> None:
    [first, *_] = views = list(bars_exchanged(dataset))
    assert [view.group for view in views] == list(LABELS)
    for view in views:
        changed = (view.pixels != dataset.pixels[view.which]).any(axis=(0, 3))
        assert changed[-20:, -40:].any() and not changed[:-40].any() and not changed[:, :-70].any()
        assert (dataset.truth[view.which] != LABELS.index(view.group)).all()
    order = np.arange(len(dataset.truth))[::-1]
    turned = replace(
        dataset, pixels=dataset.pixels[order], truth=dataset.truth[order], keys=tuple(dataset.keys[i] for i in order)
    )
    np.testing.assert_array_equal(next(bars_exchanged(turned)).pixels[::-1], first.pixels)


def test_corner_and_cells_alone_stand_on_one_ground(dataset: EvaluationSet) -> None:
    ground = ground_colour(dataset.pixels)
    for name, place in (("corner_alone", np.s_[:, :180, :150]), ("white_cells_alone", np.s_[:, -30:, -60:])):
        [view] = VIEWS[name](dataset)
        assert (view.pixels[place] == ground).all()
        assert (view.pixels != ground).any()


def test_painting_elsewhere_leaves_the_white_cells(dataset: EvaluationSet) -> None:
    [gone], [control] = VIEWS["no_white_cell"](dataset), VIEWS["as_much_elsewhere"](dataset)
    for before, without, with_ in zip(dataset.pixels, gone.pixels, control.pixels, strict=True):
        cells = white_cells(before)
        np.testing.assert_array_equal(with_[cells], before[cells])
        violet = (without[cells].astype(int) - before[cells]).mean(axis=0)
        assert violet[1] > 40  # green light is back where the nuclei were


def test_elsewhere_does_not_meet_the_mask() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:10, :10] = mask[15:25, 15:25] = True
    other = elsewhere(mask)
    assert other.any() and not (other & mask).any()


def test_inpainting_touches_the_mask_alone() -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    out = painted_over(image, mask)
    np.testing.assert_array_equal(out[~mask], image[~mask])
    assert (out[mask] != image[mask]).any()


def test_figure_shows_every_view(found: CounterfactualRecord) -> None:
    figure = counterfactual_figure(found, "title")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [name.replace("_", " ") for name in VIEWS]
    assert render(figure).startswith(b"\x89PNG")


# --- white cells


def test_white_cells_are_found_on_drawn_fields() -> None:
    """The bounds are a little below what 48 fields give."""
    quality = against_drawn(drawn_fields(8))
    assert quality["cells"] > 80
    assert quality["found"] / quality["cells"] > 0.88
    assert quality["iou"] > 0.72 and quality["precision"] > 0.88


def test_white_cells_needs_violet() -> None:
    """Negative control: in grey, or with green and blue exchanged, nuclei are as dark and are not found."""
    fields = drawn_fields(4)
    for wrong in ([1, 1, 1], [0, 2, 1]):
        changed = [replace(f, pixels=f.pixels[..., wrong].copy()) for f in fields]
        found = [white_cells(f.pixels)[np.any(f.discs, axis=0)].mean() for f in changed]
        assert np.mean(found) < 0.1
    assert not white_cells(np.full((224, 224, 3), 240, np.uint8)).any()


def test_widened_by_so_many_pixels() -> None:
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    wide = widened(mask, 3)
    assert wide[10, 7:14].all() and not wide[10, 6] and not wide[7, 7]


@pytest.mark.slow
def test_page_quotes_what_the_check_finds(shared_dir: Path) -> None:
    page = " ".join((ROOT / "docs" / "explanation" / "robustness.md").read_text(encoding="utf-8").split())
    found = against_drawn(drawn_fields(48))
    assert f"{found['fields']} drawn fields, {found['cells']} white cells: {found['found']} found" in page
    assert "intersection over union {iou:.2f}, precision {precision:.2f}, recall {recall:.2f}".format(**found) in page
    folder = shared_dir / "data" / "ood" / "bccd"
    if not folder.is_dir():
        pytest.skip("no annotated fields of another laboratory")
    boxed = against_boxes(folder)
    assert f"{boxed['images']} fields of another laboratory" in page
    assert (
        f"{boxed['cells']} white cells: {boxed['found']} found; {boxed['marked_inside']:.0%}".replace("%", " %") in page
    )
