"""Sites of drawn laboratories: a clean one mixes everything, each confounded one spoils one thing."""

from collections import defaultdict
from pathlib import Path

import cv2
import pytest

from edge.commissioning.fields_table import TABLE_NAME, read_table
from models.site.fields import SiteFields, load_site
from tests.laboratories import CONFOUNDED, Plan, clean, share_a_slide, share_images, write_site

SIZE = (64, 48)
PLAN = clean(6, 2, sessions=3, cameras=2, size=SIZE)


def written(root: Path, plan: Plan) -> SiteFields:
    return load_site(write_site(root, 1, plan))


def values(site: SiteFields, column: str) -> dict[str, set[object]]:
    """Label -> what stands in a column of its fields, or what its files are."""
    found: dict[str, set[object]] = defaultdict(set)
    for field in site.fields:
        if column == "size":
            value: object = cv2.imread(str(field.sample.path)).shape
        elif column == "format":
            value = field.sample.path.suffix
        else:
            value = getattr(field.row, column)
        found[field.label].add(value)
    return found


def confounded(site: SiteFields) -> set[str]:
    """Columns whose values tell the class."""
    columns = ("session", "camera", "date", "size", "format")
    by_label = {column: list(values(site, column).values()) for column in columns}
    return {c for c, (one, other) in by_label.items() if one.isdisjoint(other) and "" not in one | other}


def test_a_clean_site_mixes_sessions_cameras_and_days(tmp_path: Path):
    site = written(tmp_path / "site", PLAN)
    assert len(site.slides) == 12
    assert len(site.fields) == 24
    assert confounded(site) == set()
    assert {len(seen) for seen in values(site, "session").values()} == {3}
    assert {len(seen) for seen in values(site, "camera").values()} == {2}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("class_is_camera", {"camera"}),
        ("class_is_session", {"session"}),
        ("class_is_day", {"date"}),
        ("class_is_size", {"size"}),
        ("class_is_format", {"format"}),
        ("one_slide_a_class", set()),
        ("labels_shuffled", set()),
        ("one_class_brighter", set()),
    ],
)
def test_each_confounded_site_spoils_one_thing(name: str, told: set[str], tmp_path: Path):
    plan = CONFOUNDED[name](PLAN)
    site = written(tmp_path / "site", plan)
    assert confounded(site) == told
    assert len(site.fields) == 24
    assert len(site.slides) == (2 if name == "one_slide_a_class" else 12)
    assert sum(s.label != s.truth for s in plan) == (6 if name == "labels_shuffled" else 0)


def test_every_variant_is_tried():
    assert len(CONFOUNDED) == 8


def test_held_back_slides_can_share_a_slide_or_images(tmp_path: Path):
    training = write_site(tmp_path / "training", 1, PLAN)
    held = clean(6, 2, first=100, size=SIZE)
    apart = write_site(tmp_path / "apart", 1, held)
    slide = write_site(tmp_path / "slide", 1, share_a_slide(PLAN, held))
    images = write_site(tmp_path / "images", 1, held)
    share_images(training, images)

    def seen(root: Path) -> tuple[set[str], set[str]]:
        rows = read_table(root / TABLE_NAME)
        return {row.slide for row in rows}, {row.sha256 for row in rows}

    slides, digests = seen(training)
    assert (slides & seen(apart)[0], digests & seen(apart)[1]) == (set(), set())
    assert (len(slides & seen(slide)[0]), digests & seen(slide)[1]) == (1, set())
    assert (slides & seen(images)[0], len(digests & seen(images)[1])) == (set(), 2)
    assert load_site(images).labels == ("healthy", "leukemic")
