"""Sites of drawn laboratories: a clean one mixes everything, each confounded one spoils one thing."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edge.cameras.synthetic.laboratory import Laboratory
from edge.commissioning.fields_table import TABLE_NAME, read_table
from models.site.fields import load_site
from tests.laboratories import CONFOUNDED, DrawnSlide, Plan, clean, share_a_slide, share_images, write_site

SIZE = (64, 48)
PLAN = clean(6, 2, sessions=3, cameras=2, size=SIZE)
COLUMNS: dict[str, Callable[[DrawnSlide], object]] = {
    "camera": lambda slide: slide.camera if "camera" in slide.says else None,
    "session": lambda slide: slide.session if "session" in slide.says else None,
    "date": lambda slide: Laboratory(1).day(slide.session) if "date" in slide.says else None,
    "size": lambda slide: slide.size,
    "format": lambda slide: slide.suffix,
    "light": lambda slide: slide.light,
}


def values(plan: Plan, column: str) -> dict[str, set[object]]:
    """Label -> what its slides have in a column."""
    found: dict[str, set[object]] = defaultdict(set)
    for slide in plan:
        found[slide.label].add(COLUMNS[column](slide))
    return found


def told(plan: Plan) -> set[str]:
    """Columns whose values tell the class, where they are said."""
    by_label = {column: list(values(plan, column).values()) for column in COLUMNS}
    return {c for c, (one, other) in by_label.items() if one.isdisjoint(other) and None not in one | other}


def test_a_clean_site_mixes_sessions_cameras_and_days():
    assert told(PLAN) == set()
    assert {len(seen) for seen in values(PLAN, "session").values()} == {3}
    assert {len(seen) for seen in values(PLAN, "camera").values()} == {2}
    assert len({slide.name for slide in PLAN}) == 12


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("class_is_camera", {"camera"}),
        ("class_is_session", {"session"}),
        ("class_is_day", {"date"}),
        ("class_is_size", {"size"}),
        ("class_is_format", {"format"}),
        ("one_slide_a_class", set()),
        ("labels_shuffled", set()),
        ("one_class_brighter", {"light"}),
    ],
)
def test_each_confounded_site_spoils_one_thing(name: str, columns: set[str]):
    plan = CONFOUNDED[name](PLAN)
    assert told(plan) == columns
    assert sum(slide.fields for slide in plan) == 24
    assert len(plan) == (2 if name == "one_slide_a_class" else 12)
    assert sum(slide.label != slide.truth for slide in plan) == (6 if name == "labels_shuffled" else 0)


def test_every_variant_is_tried():
    assert len(CONFOUNDED) == 8


def test_a_site_is_written_as_planned(tmp_path: Path):
    plan = CONFOUNDED["class_is_size"](CONFOUNDED["class_is_format"](clean(2, 1, size=SIZE)))
    site = load_site(write_site(tmp_path, 1, plan))
    assert [field.slide for field in site.fields] == ["S-0000", "S-0002", "S-0001", "S-0003"]
    assert {(f.label, f.sample.path.suffix, cv2.imread(str(f.sample.path)).shape) for f in site.fields} == {
        ("healthy", ".png", (48, 64, 3)),
        ("leukemic", ".jpg", (36, 48, 3)),
    }
    assert site.fields[1].row.session == "session-1"
    assert site.fields[1].row.date == "2026-03-09"
    assert site.fields[1].row.sha256 == site.fields[1].sample.sha256


def test_held_back_slides_can_share_a_slide_or_images(tmp_path: Path):
    mine, held = clean(2, 1, size=SIZE), clean(2, 1, first=100, size=SIZE)
    training = write_site(tmp_path / "training", 1, mine)
    apart = write_site(tmp_path / "apart", 1, held)
    slide = write_site(tmp_path / "slide", 1, share_a_slide(mine, held))

    def seen(root: Path) -> tuple[set[str], set[str]]:
        rows = read_table(root / TABLE_NAME)
        return {row.slide for row in rows}, {row.sha256 for row in rows}

    slides, digests = seen(training)
    assert (slides & seen(apart)[0], digests & seen(apart)[1]) == (set(), set())
    assert (len(slides & seen(slide)[0]), digests & seen(slide)[1]) == (1, set())
    share_images(training, apart)
    assert (slides & seen(apart)[0], len(digests & seen(apart)[1])) == (set(), 1)
    assert load_site(apart).labels == ("healthy", "leukemic")
