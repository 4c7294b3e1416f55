"""Tiles: the same bytes as cutting by hand, one pooling everywhere, and plain words for what cannot be cut."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ContractError, FrameError
from edge.inference.contract import BOUNDED, MEAN, InputContract
from edge.inference.shrinking import Scratch
from edge.inference.tiles import field_boxes, pool, pool_fields, prepare_tiles, tile_boxes
from tests.edge.inference.test_contract import contract, frame, reference_prepare

TILES = st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda tiles: tiles != (1, 1))


@settings(max_examples=40, deadline=None)
@given(TILES, st.integers(70, 300), st.integers(70, 300), st.integers(0, 99))
def test_tiles_are_cut_in_whole_pixels_and_prepared_as_a_frame_is(
    tiles: tuple[int, int], width: int, height: int, seed: int
) -> None:
    """Against the integer implementation of the contract, on parts cut out here."""
    source, (columns, rows) = frame(width, height, seed), tiles
    made = prepare_tiles(contract(tiles=tiles), source)
    assert made.shape == (columns * rows, 24, 32, 3) and made.flags.c_contiguous
    wide, high = width // columns, height // rows
    left, top = (width % columns) // 2, (height % rows) // 2
    for number, tile in enumerate(made):
        x, y = left + wide * (number % columns), top + high * (number // columns)
        assert np.array_equal(tile, reference_prepare(source[y : y + high, x : x + wide], (32, 24), "squeeze"))


def test_scratch_gives_the_same_bytes_and_the_same_memory() -> None:
    made, scratch = contract(tiles=(3, 2)), Scratch()
    first = prepare_tiles(made, frame(201, 130, 1), scratch)
    assert np.array_equal(first, prepare_tiles(made, frame(201, 130, 1)))
    assert np.shares_memory(first, prepare_tiles(made, frame(201, 130, 2), scratch))


def test_without_tiles_the_one_view_is_the_prepared_frame() -> None:
    source = frame(120, 100)
    assert np.array_equal(prepare_tiles(contract(), source), contract().prepare(source)[np.newaxis])
    assert contract().tile_count == 1 and field_boxes(contract(), (120, 100)) == [(0, 0, 120, 100)]


@settings(max_examples=60, deadline=None)
@given(TILES, st.integers(70, 300), st.integers(70, 300))
def test_boxes_are_alike_and_cover_the_field_but_a_remainder(tiles: tuple[int, int], width: int, height: int) -> None:
    covered = np.zeros((height, width), int)
    boxes = tile_boxes((width, height), tiles)
    for left, top, right, bottom in boxes:
        covered[top:bottom, left:right] += 1
    assert len({(right - left, bottom - top) for left, top, right, bottom in boxes}) == 1
    assert covered.max() == 1  # no overlap
    assert (covered.sum(axis=1).max(), covered.sum(axis=0).max()) == (
        width - width % tiles[0],
        height - height % tiles[1],
    )


def test_crop_keeps_the_proportions_of_every_tile_and_leaves_no_gap() -> None:
    boxes = field_boxes(contract(size=(32, 32), aspect="crop", tiles=(2, 2)), (300, 100))
    assert boxes == [(100, 0, 150, 50), (150, 0, 200, 50), (100, 50, 150, 100), (150, 50, 200, 100)]


def test_a_tile_shows_what_the_whole_frame_has_lost() -> None:
    """Why tiles are there: a dot of one network's pixel survives in the tile and is averaged away in the frame."""
    source = np.full((96, 128, 3), 200, np.uint8)
    source[48:52, 64:68] = 0
    tiled, whole = contract(tiles=(4, 4)), contract()
    assert prepare_tiles(tiled, source).min() == 0 and whole.prepare(source).min() == 0
    source[:] = 200
    source[50, 66] = 0
    assert prepare_tiles(tiled, source).min() == 0 and whole.prepare(source).min() > 150


@pytest.mark.parametrize("width, height", [(47, 100), (100, 35), (15, 400)])
def test_a_frame_too_small_for_its_tiles_is_refused(width: int, height: int) -> None:
    made = contract(tiles=(3, 3))
    prepare_tiles(made, frame(48, 48))
    with pytest.raises(FrameError, match="frame must"):
        prepare_tiles(made, frame(width, height))


def test_what_is_no_frame_is_named_with_tiles_too() -> None:
    with pytest.raises(FrameError, match=r"uint8 array \(H, W, 3\)"):
        prepare_tiles(contract(tiles=(2, 2)), np.zeros((64, 64)))  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="pixel a tile"):
        tile_boxes((2, 9), (3, 1))


# --- pooling


def test_the_mean_and_its_order() -> None:
    tiles = np.random.default_rng(3).dirichlet(np.ones(4), (5, 6)).astype(np.float32)
    assert np.array_equal(pool(tiles), tiles.astype(np.float64).mean(axis=1).astype(np.float32))
    tiled = contract(labels=("a", "b", "c", "d"), tiles=(3, 2))
    for field, pooled in zip(tiles, pool_fields(tiled, tiles.reshape(30, 4)), strict=True):
        assert np.array_equal(pool(np.array(field.tolist())), pooled)  # the same bits from a device's Python floats


def test_a_tile_without_an_answer_is_no_answer() -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            pool(np.array([[1.0, 0.0], [bad, 0.0]]))
    with pytest.raises(ValueError, match="a tile or more"):
        pool(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="rule"):
        pool(np.zeros((2, 2)), "median-1")
    with pytest.raises(ValueError, match="6 a field"):
        pool_fields(contract(tiles=(3, 2)), np.zeros((7, 3)))


# --- the contract


def test_tiles_stand_in_the_contract_only_where_there_are_any() -> None:
    assert not {"tiles", "pooling"} & set(json.loads(contract().to_json()))
    made = contract(tiles=(3, 2))
    record = json.loads(made.to_json())
    assert record["tiles"] == [3, 2] and record["pooling"] == MEAN
    assert InputContract.from_json(made.to_json()) == made and not made.alike(contract())
    del record["pooling"]  # written by hand: the first rule, whatever later ones there are
    assert InputContract.from_json(json.dumps(record)) == made


@pytest.mark.parametrize(
    "changes",
    [{"tiles": tiles} for tiles in ([1, 1], [0, 2], [9, 1], [2], [2, 2, 2], [2.0, 2], [True, 2], None, "22", {"a": 1})]
    + [{"tiles": [2, 2], "pooling": "median-1"}, {"tiles": [2, 2], "pooling": ["mean-1"]}],
)
def test_impossible_tiles_are_named(changes: dict[str, object]) -> None:
    text = json.dumps({**json.loads(contract().to_json()), **changes})
    with pytest.raises(ContractError, match=r"tiles|pooling") as caught:
        InputContract.from_json(text)
    assert "\n" not in str(caught.value)


def test_bounded_pooling_is_the_mean_until_one_tile_is_far_less_benign() -> None:
    sure, blast = [0.98, 0.01, 0.01], [0.1, 0.7, 0.2]
    for count in (2, 6, 64):
        tiles = np.array([blast] + [sure] * (count - 1))
        plain, bounded = pool(tiles), pool(tiles, BOUNDED, [0])
        assert bounded[0] == pytest.approx(min(plain[0], 0.55)) and bounded.sum() == pytest.approx(1, abs=1e-6)
        assert bounded[1] / bounded[2] == pytest.approx(plain[1] / plain[2], rel=1e-5)
    assert pool(np.array([blast] + [sure] * 63))[0] > 0.96  # negative control: what the mean makes of it
    alike = np.array([[0.9, 0.05, 0.05]] * 6)
    assert np.array_equal(pool(alike, BOUNDED, [0]), pool(alike))
    with pytest.raises(ValueError, match="must name a class"):
        pool(alike, BOUNDED)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(2, 5), st.integers(0, 999))
def test_bounded_pooling_never_adds_to_benign(count: int, classes: int, seed: int) -> None:
    tiles = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), count)
    plain, bounded = pool(tiles), pool(tiles, BOUNDED, [1])
    assert bounded[1] <= plain[1] + 1e-6 and bounded[1] <= (1 + tiles[:, 1].min()) / 2 + 1e-6
    assert bounded.min() >= 0 and bounded.sum() == pytest.approx(1, abs=1e-5)
    worse = tiles.copy()
    worse[0] = np.eye(classes)[0]  # one tile no longer benign at all: the field is never surer of benign for it
    assert pool(worse, BOUNDED, [1])[1] <= bounded[1] + 1e-6


def test_bounded_pooling_needs_a_benign_label() -> None:
    labels = ("Benign", "Pre", "Pro")
    made = contract(labels=labels, tiles=(3, 2), pooling=BOUNDED)
    assert InputContract.from_json(made.to_json()) == made and json.loads(made.to_json())["pooling"] == BOUNDED
    tiles = np.array([[0.1, 0.7, 0.2]] + [[0.98, 0.01, 0.01]] * 5, np.float32)
    assert pool_fields(made, tiles)[0, 0] == pytest.approx(0.55)
    assert contract(labels=labels, tiles=(3, 2)).pooling == BOUNDED and contract(tiles=(3, 2)).pooling == MEAN
    assert replace(made, tiles=None) == made.untiled() == contract(labels=labels)
    record = json.loads(made.to_json())
    with pytest.raises(ContractError, match="bounded-1 needs a benign label"):
        InputContract.from_json(json.dumps({**record, "benign": []}))
    del record["tiles"]
    with pytest.raises(ContractError, match="pooling goes with tiles"):
        InputContract.from_json(json.dumps(record))
