"""Splits: no field and no duplicate on two sides, the same classes everywhere, the same file every time."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data import split as split_module
from models.data.dataset import ImageSet, Sample, scan
from models.data.parts import split_for
from models.data.published import PUBLISHED_FILES, PUBLISHED_SPLIT, RANDOM_SPLIT
from models.data.split import (
    Split,
    SplitError,
    SplitItem,
    absent_items,
    exclude_overlaps,
    field_disjoint,
    random_split,
    read_groups,
)


def make_samples(groups: list[tuple[str, int]]) -> tuple[list[Sample], dict[str, str]]:
    """One sample per (label, field number) pair."""
    samples, fields = [], {}
    for index, (label, field) in enumerate(groups):
        sha256 = f"{index:064x}"
        samples.append(Sample(Path(f"{label}/{index}.png"), f"{label}/{index}.png", label, sha256))
        fields[sha256] = f"{label}-{field}"
    return samples, fields


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=30, max_size=200),
    st.integers(0, 2**31),
)
def test_field_disjoint_never_tears_a_field_and_keeps_every_image(groups: list[tuple[str, int]], seed: int) -> None:
    samples, fields = make_samples(groups)
    split = field_disjoint(samples, fields, seed)
    assert split.is_field_disjoint()
    assert sorted(item.sha256 for item in split.items) == sorted(s.sha256 for s in samples)


def test_shares_are_met_within_a_field() -> None:
    samples, fields = make_samples([(label, i // 2) for label in "ab" for i in range(200)])
    counts = field_disjoint(samples, fields, seed=1).counts()
    for part, share in (("train", 136), ("validation", 24), ("test", 40)):
        for label in "ab":
            assert abs(counts[part][label] - share) <= 4, (part, label, counts)


def test_same_seed_same_file_other_seed_another() -> None:
    samples, fields = make_samples([("a", i) for i in range(100)])
    assert field_disjoint(samples, fields, 3).to_csv() == field_disjoint(samples[::-1], fields, 3).to_csv()
    assert field_disjoint(samples, fields, 3).to_csv() != field_disjoint(samples, fields, 4).to_csv()


def test_random_split_does_tear_fields_but_not_duplicates() -> None:
    samples, fields = make_samples([("a", i // 4) for i in range(200)])
    split = random_split(samples, fields, seed=1)
    assert not split.is_field_disjoint()
    twin = Sample(Path("a/twin.png"), "a/twin.png", "a", samples[0].sha256)
    with_twin = random_split([*samples, twin], fields, seed=1)
    parts = {item.part for item in with_twin.items if item.sha256 == twin.sha256}
    assert len(parts) == 1


def test_round_trip_through_the_file(tmp_path: Path) -> None:
    samples, fields = make_samples([("a", i) for i in range(20)])
    split = field_disjoint(samples, fields, 3)
    (tmp_path / "s.csv").write_text(split.to_csv())
    assert sorted(Split.load(tmp_path / "s.csv").items, key=repr) == sorted(split.items, key=repr)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "part,label,name,sha256,group\ntrain,a\n"])
def test_a_file_that_is_no_split_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(content)
    with pytest.raises(SplitError, match=r"s\.csv"):
        Split.load(path)


def test_an_image_on_two_sides_is_refused() -> None:
    item = SplitItem("train", "a", "a/1.png", "0" * 64, "g")
    with pytest.raises(SplitError, match="two sides"):
        Split((item, SplitItem("test", "a", "a/2.png", "0" * 64, "g")))


def test_an_image_without_a_group_is_named() -> None:
    samples, fields = make_samples([("a", 0), ("a", 1)])
    del fields[samples[1].sha256]
    with pytest.raises(SplitError, match=r"a/1\.png"):
        field_disjoint(samples, fields, 1)


def test_absent_images_go_to_the_test_side_unless_their_field_is_here() -> None:
    samples, fields = make_samples([("a", 0), ("b", 0)])
    here = ImageSet(Path(), ("a", "b"), tuple(samples), ())
    known = tuple(SplitItem("test", s.label, s.name, s.sha256, fields[s.sha256]) for s in samples)
    absent = SplitItem("test", "a", "a/9.png", "f" * 64, "elsewhere")
    assert absent_items((*known, absent), here) == (absent,)
    with pytest.raises(SplitError, match="share a field"):
        absent_items((*known, SplitItem("test", "a", "a/9.png", "f" * 64, "a-0")), here)


def test_the_shipped_splits_cover_every_published_file() -> None:
    listed = {item.sha256: item for item in read_groups(PUBLISHED_FILES)}
    fields, random = Split.load(PUBLISHED_SPLIT), Split.load(RANDOM_SPLIT)
    assert fields.is_field_disjoint()
    assert not random.is_field_disjoint()
    for split in (fields, random):
        assert {item.sha256 for item in split.items} == set(listed)
    assert all(listed[item.sha256].group == item.group for item in random.items)
    joined = {(listed[item.sha256].group, item.group) for item in fields.items}
    assert len({ours for ours, _ in joined}) == len(joined)  # a listed field is never torn


def test_what_a_second_opinion_joins_is_on_one_side_or_on_none() -> None:
    samples, fields = make_samples([("a", i) for i in range(40)])
    split = field_disjoint(samples, fields, 3)
    part = {item.sha256: item.part for item in split.items}
    shas = sorted(part)
    train = [s for s in shas if part[s] == "train"]
    validation = [s for s in shas if part[s] == "validation"]
    test = [s for s in shas if part[s] == "test"]
    found = {train[0]: "x", test[0]: "x", validation[0]: "y", test[1]: "y", test[2]: "z", test[3]: "z"}
    checked = exclude_overlaps(split, found)
    after = {item.sha256: item.part for item in checked.items}
    assert {s for s in shas if after[s] != part[s]} == {test[0], test[1]}
    assert after[test[0]] == after[test[1]] == "excluded"
    assert checked.is_field_disjoint()
    assert not Split(tuple(replace(i, part=part[i.sha256]) for i in checked.items)).is_field_disjoint()


def test_the_split_of_folders_leaves_out_what_an_earlier_folder_shows(tmp_path: Path) -> None:
    """A shot of a training image's field, shifted, must not judge; without a folder for testing `val` does."""
    rng = np.random.default_rng(5)
    for label in ("a", "b"):
        for number in range(3):
            field = cv2.GaussianBlur(rng.integers(0, 256, (300, 300, 3), np.uint8), (0, 0), 3)
            field = cv2.normalize(field, None, 0, 255, cv2.NORM_MINMAX)
            part = "train" if number < 2 else "val"
            (tmp_path / part / label).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / part / label / f"{number}.png"), field[:240, :240])
            if label == "a" and number == 0:
                (tmp_path / "val" / label).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / "val" / label / "again.png"), field[20:260, 20:260])
                cv2.imwrite(str(tmp_path / "val" / label / "copy.png"), field[:240, :240])
    image_set = scan(tmp_path)
    split, origin = split_for(image_set)
    parts = {item.name: item.part for item in split.items}
    assert parts["val/a/again.png"] == "excluded" and parts["val/a/copy.png"] == "train"
    assert parts["val/a/2.png"] == parts["val/b/2.png"] == "test" and parts["train/b/1.png"] == "train"
    assert split.is_field_disjoint()
    assert origin.startswith("the folders train (train), val (test), without 1 image that shared a microscope field")


# --- what a part holds ----------------------------------------------------------------------------------------


def divided() -> tuple[ImageSet, Split]:
    """Six images of two classes, in every part one, and one in none."""
    samples, _ = make_samples([("a", 0), ("a", 1), ("b", 2), ("b", 3), ("b", 4), ("a", 5)])
    parts = ("train", "validation", "test", "train", "excluded", "test")
    items = tuple(
        SplitItem(part, s.label, s.name, s.sha256, f"g{n}")
        for n, (part, s) in enumerate(zip(parts, samples, strict=True))
    )
    return ImageSet(Path("set"), ("a", "b"), tuple(samples), ()), Split(items)


def test_a_part_holds_its_own_images_in_the_sets_order() -> None:
    image_set, split = divided()
    assert split.samples(image_set, "train") == (image_set.samples[0], image_set.samples[3])
    assert split.samples(image_set, "validation") == (image_set.samples[1],)
    assert split.samples(image_set, "test") == (image_set.samples[2], image_set.samples[5])
    assert split.groups() == {sample.sha256: f"g{n}" for n, sample in enumerate(image_set.samples)}


@pytest.mark.parametrize("part", ["excluded", "Train", ""])
def test_only_parts_have_images(part: str) -> None:
    image_set, split = divided()
    with pytest.raises(SplitError, match="part must be one of"):
        split.samples(image_set, part)


def test_a_part_without_images_is_refused() -> None:
    image_set, split = divided()
    without = replace(split, items=tuple(item for item in split.items if item.part != "test"))
    with pytest.raises(SplitError, match="none of the 6 images in set is in the test part"):
        without.samples(image_set, "test")
    with pytest.raises(SplitError, match="part must be one of"):
        Split((replace(split.items[0], part="dev"),))


def test_counts_name_every_part_and_what_is_excluded() -> None:
    _, split = divided()
    counts = {"train": {"a": 1, "b": 1}, "validation": {"a": 1}, "test": {"a": 1, "b": 1}}
    assert split.counts() == {**counts, "excluded": {"b": 1}}
    assert replace(split, items=split.items[:4] + split.items[5:]).counts() == counts


def test_a_file_that_cannot_be_read_is_named_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe")
    for read in (Split.load, read_groups):
        with pytest.raises(SplitError, match="cannot be read: No such file or directory"):
            read(tmp_path / "absent.csv")
        with pytest.raises(SplitError, match=r"cannot be read: .*codec can't decode"):
            read(tmp_path / "bytes.csv")


def test_groups_need_every_column_in_every_line(tmp_path: Path) -> None:
    path, head, line = tmp_path / "groups.csv", "class,file,sha256,field_group\n", "a,1.png,00,g1\n"
    path.write_text(head + line)
    assert read_groups(path) == (SplitItem("test", "a", "a/1.png", "00", "g1"),)
    for text in (head, "", head + line + "a,2.png,01,\n", head.replace(",field_group", "") + "a,1.png,00\n"):
        path.write_text(text)
        with pytest.raises(SplitError, match="must be a CSV with the columns"):
            read_groups(path)


def test_random_parts_have_their_shares_of_each_class() -> None:
    samples, fields = make_samples([("a", n) for n in range(100)] + [("b", n) for n in range(50)])
    counts = random_split(samples, fields, 3, {"train": 0.5, "validation": 0.1, "test": 0.4}).counts()
    assert counts == {"train": {"a": 50, "b": 25}, "validation": {"a": 10, "b": 5}, "test": {"a": 40, "b": 20}}


def test_large_fields_are_dealt_first() -> None:
    """A field of half the images fits while there is room; dealt last, it would overfill a part."""
    groups = [("a", 0)] * 50 + [("a", n) for n in range(1, 51)]
    samples, fields = make_samples(groups)
    for seed in range(6):
        counts = field_disjoint(samples, fields, seed, {"train": 0.5, "validation": 0.25, "test": 0.25}).counts()
        assert max(part["a"] for part in counts.values()) in (50, 51)


@pytest.mark.parametrize(
    "fractions",
    [
        {"train": 0.5, "test": 0.6},
        {"train": 0.5, "test": 0.4},
        {"train": 1.0, "test": 0.0},
        {"train": 1.5, "test": -0.5},
        {"train": 0.5, "dev": 0.5},
        {"train": 0.5, "test": 0.5 + 1e-6},
    ],
)
def test_fractions_are_positive_shares_of_parts_that_sum_to_one(fractions: dict[str, float]) -> None:
    samples, fields = make_samples([("a", n) for n in range(10)])
    for divide in (field_disjoint, random_split):
        with pytest.raises(SplitError, match="fractions must be positive shares"):
            divide(samples, fields, 1, fractions)


def test_fractions_may_leave_out_a_part() -> None:
    samples, fields = make_samples([("a", n) for n in range(10)])
    assert random_split(samples, fields, 1, {"train": 0.5, "test": 0.5 + 1e-12}).counts()["train"] == {"a": 5}


def test_a_part_is_drawn_by_the_room_left_in_it() -> None:
    def drawn(**room: float) -> list[str]:
        return [split_module._draw(room, seed, "g") for seed in range(60)]

    assert set(drawn(train=1.0, test=0.0)) == {"train"} == set(drawn(train=0.5, test=-9.0))
    for room in (0.5, 8.0):
        assert {part: drawn(train=room, test=room).count(part) >= 15 for part in ("train", "test")} == {
            "train": True,
            "test": True,
        }
    assert drawn(train=1.0, test=0.1).count("train") > 40
    assert drawn(train=0.1, test=1.0) != drawn(train=1.0, test=0.1)
    assert set(drawn(train=-2.0, test=-1.0, validation=-3.0)) == {"test"}, "the fullest part is left out"
    assert set(drawn(train=0.0, test=-1.0)) == {"train"}
