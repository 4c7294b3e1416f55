"""`models.data.field_groups`: shifted shots of one field are found, others are not; figures on the published images."""

import csv
import itertools
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.dataset import Sample, scan
from models.data.field_groups import (
    CHECK,
    SIDE,
    Overlap,
    distinct_samples,
    find_groups,
    find_overlaps,
    green_detail,
    groups_of,
    least_correlation,
    overlaps_of,
)


def smear(seed: int, side: int = 2 * SIDE) -> np.ndarray:
    """A large plate of round cells at random places on a bright ground; fields are cut out of it."""
    random = np.random.default_rng(seed)
    plate = np.full((side, side, 3), 235, np.uint8)
    for _ in range(side * side // 500):
        centre = tuple(int(v) for v in random.integers(0, side, 2))
        shade = tuple(int(v) for v in random.integers(90, 200, 3))
        cv2.circle(plate, centre, int(random.integers(6, 12)), shade, -1, cv2.LINE_AA)
    return plate


def shot(plate: np.ndarray, top: int, left: int, seed: int, gain: float = 1.0) -> np.ndarray:
    """A field with its own sensor noise and lamp, and a scale bar that every field has."""
    field = plate[top : top + SIDE, left : left + SIDE].astype(np.float32) * gain
    field += np.random.default_rng(seed).normal(0, 4, field.shape)
    field[-20:, -50:] = 255
    field[-10:-6, -45:-8] = 0
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def find(images: list[np.ndarray]) -> dict[tuple[int, int], Overlap]:
    planes = np.stack([green_detail(image) for image in images])
    return {(pair.first, pair.second): pair for pair in overlaps_of(planes)}


@pytest.mark.parametrize(("down", "right"), [(0, 0), (0, 120), (90, 0), (60, 70), (20, -110), (-105, 15), (100, -60)])
def test_a_shifted_shot_is_found_with_its_shift_and_shared_part(down: int, right: int) -> None:
    plate = smear(1)
    first = shot(plate, 112 + down, 112 + right, 1)
    second = shot(plate, 112, 112, 2, gain=0.85)
    found = find([second, first])  # a detail at (y, x) of `first` is at (y + down, x + right) of `second`
    assert list(found) == [(0, 1)]
    pair = found[(0, 1)]
    assert pair.shift == pytest.approx((down / SIDE, right / SIDE), abs=0.02)
    assert pair.shared == pytest.approx((1 - abs(down) / SIDE) * (1 - abs(right) / SIDE), abs=0.03)


def test_refocused_and_recompressed_shots_are_found() -> None:
    plate = smear(2)
    sharp, soft = shot(plate, 0, 0, 1), cv2.GaussianBlur(shot(plate, 30, 40, 2), (0, 0), 2)
    coded = cv2.imdecode(cv2.imencode(".jpg", shot(plate, 60, 10, 3), [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1)
    assert set(find([sharp, soft, coded])) >= {(0, 1), (0, 2)}


def test_different_fields_with_the_same_scale_bar_are_not_joined() -> None:
    assert find([shot(smear(seed), 0, 0, seed) for seed in range(40)]) == {}


def test_blank_fields_are_not_joined() -> None:
    blank = np.full((SIDE, SIDE, 3), 240, np.uint8)
    assert find([blank, blank.copy(), blank - 3]) == {}


@settings(max_examples=25, deadline=None)
@given(down=st.integers(-100, 100), right=st.integers(-100, 100), seed=st.integers(0, 1000))
def test_order_does_not_matter_and_the_shift_turns_round(down: int, right: int, seed: int) -> None:
    plate = smear(seed)
    images = [shot(plate, 112, 112, 1), shot(plate, 112 + down, 112 + right, 2)]
    one, other = find(images), find(images[::-1])
    assert set(one) == set(other)
    for key, pair in one.items():
        assert pair.shift == pytest.approx([-s for s in other[key].shift], abs=0.03)


def test_the_least_correlation_falls_as_the_shared_part_grows() -> None:
    values = [least_correlation(part) for part in np.linspace(0, 1, 101)]
    assert values == sorted(values, reverse=True)
    assert 0.5 < values[-1] < values[0] < 0.9


def test_groups_join_through_others_and_are_numbered_by_first_occurrence(tmp_path: Path) -> None:
    plate, other = smear(5), smear(6)
    images = {
        "a/0": shot(other, 0, 0, 9),
        "a/1": shot(plate, 0, 0, 1),
        "a/2": shot(plate, 0, 130, 2),
        "b/3": shot(plate, 0, 220, 3),  # shares nothing with a/1
    }
    for name, image in images.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    (tmp_path / "b" / "4.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    image_set = scan(tmp_path)
    groups = find_groups(image_set.samples)
    assert [groups[s.sha256] for s in image_set.samples] == ["g0000", "g0001", "g0001", "g0001", "g0000"]


def test_no_and_one_image_have_no_overlap() -> None:
    sample = Sample(Path("x"), "a/x", "a", "0" * 64)
    assert find_overlaps([]) == ()
    assert groups_of([sample], []) == {"0" * 64: "g0000"}


@pytest.mark.slow
@pytest.mark.alone
def test_published_fields_are_found_again(data_dir: Path) -> None:
    """Recall of an independent list's groups >= 0.9; what is found beyond it is printed, to be looked at."""
    listed = {}
    with (data_dir / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            listed[row["sha256"]] = row["field_group"]
    distinct = distinct_samples(scan(data_dir).samples)
    start = time.perf_counter()
    overlaps = find_overlaps(distinct)
    seconds = time.perf_counter() - start
    groups = groups_of(distinct, overlaps)
    members = defaultdict(list)
    for sample in distinct:
        members[listed[sample.sha256]].append(sample)
    joined = [group for group in members.values() if len(group) > 1]
    whole = np.mean([len({groups[s.sha256] for s in group}) == 1 for group in joined])
    pairs = [pair for group in joined for pair in itertools.combinations(group, 2)]
    recall = np.mean([groups[a.sha256] == groups[b.sha256] for a, b in pairs])
    extra = [o for o in overlaps if listed[distinct[o.first].sha256] != listed[distinct[o.second].sha256]]
    across = [o for o in overlaps if distinct[o.first].label != distinct[o.second].label]
    print(f"{len(overlaps)} overlapping pairs among {len(distinct)} images in {seconds:.0f} s")
    print(f"listed groups found whole: {whole:.4f}, listed pairs in one group: {recall:.4f}")
    print(f"pairs the list does not have: {len(extra)}, across classes: {len(across)}")
    assert whole >= 0.95
    assert recall >= 0.95
    assert len(extra) <= 0.25 * len(overlaps)
    # Published fields never cross classes and follow each other: chance pairs would do neither.
    assert len(across) <= 2
    near = [o for o in extra if abs(_number(distinct[o.first]) - _number(distinct[o.second])) <= 12]
    assert len(near) >= 0.8 * len(extra)


def _number(sample: Sample) -> int:
    return int(sample.path.stem.split("-")[-1])


def test_a_search_that_takes_long_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models audit` was silent for 110 s."""
    planes = np.random.default_rng(0).normal(0, 1, (6, CHECK, CHECK)).astype(np.float32)
    overlaps_of(planes)
    assert capsys.readouterr().err == "", "negative control: what is short says nothing"
    monkeypatch.setattr("edge.system.progress.QUIET_S", 0.0)
    overlaps_of(planes)
    assert "comparing pairs: 15 of 15 in " in capsys.readouterr().err
