"""Giveaways: each one planted alone is refused by its name, and sites without one are not."""

from dataclasses import replace

import numpy as np
import pytest

from models.site.audit_record import Told
from models.site.evidence.giveaways import coincidence, refuse, tell_all, told_beyond_chance
from models.site.evidence.measures import Measures
from models.site.fields import SiteFields
from models.statistics.intervals import Interval
from tests.models.site.table_sites import Slide, measures_of, mixed, site_of


def names(site: SiteFields, measures: Measures) -> tuple[list[str], list[str]]:
    refusals, cautions = refuse(site, measures, tell_all(site, measures, seed=0))
    assert all(refusal.detail and refusal.cure for refusal in refusals)
    return [refusal.name for refusal in refusals], [caution.detail for caution in cautions]


def leukemic(site: SiteFields) -> np.ndarray:
    return np.array([field.label == "leukemic" for field in site.fields])


def with_column(column: str, healthy: str, sick: str) -> SiteFields:
    return site_of([replace(s, **{column: healthy if s.label == "healthy" else sick}) for s in mixed()])


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("camera", "c1", "class_is_camera"),
        ("session", "s9", "class_is_session"),
        ("date", "2026-04-01", "class_is_day"),
        ("camera", "", "class_is_camera"),  # said of one class only: as good as another camera
    ],
)
def test_a_column_that_is_the_class_is_refused(column: str, value: str, name: str) -> None:
    assert names(with_column(column, "2026-03-01", value), measures_of(site_of(mixed()), 1))[0] == [name]


def test_a_mixed_site_is_not_refused() -> None:
    site = site_of(mixed())
    assert names(site, measures_of(site, 1)) == ([], [])


def test_three_slides_a_class_are_enough_for_two_cameras() -> None:
    slides = [replace(s, camera="c1" if s.label == "leukemic" else "c0") for s in mixed(3)]
    site = site_of(slides)
    refusals, _ = refuse(site, measures_of(site, 1), tell_all(site, measures_of(site, 1), seed=0))
    assert [refusal.name for refusal in refusals] == ["class_is_camera"]
    assert "healthy comes with c0 alone, leukemic with c1 alone" in refusals[0].detail


@pytest.mark.parametrize(("part", "value"), [("sizes", (304, 228)), ("encodings", "JPEG 123456")])
def test_size_and_format_are_refused(part: str, value: object) -> None:
    site = site_of(mixed())
    measures = measures_of(site, 1)
    changed = tuple(value if sick else own for sick, own in zip(leukemic(site), getattr(measures, part), strict=True))
    measures = replace(measures, **{part: changed})
    assert names(site, measures)[0] == ["class_is_size" if part == "sizes" else "class_is_format"]
    scattered = tuple(changed[k * 7 % len(changed)] for k in range(len(changed)))
    assert names(site, replace(measures, **{part: scattered}))[0] == []


@pytest.mark.parametrize(("part", "name"), [("light", "class_is_colour"), ("border", "class_is_border")])
def test_light_and_border_are_refused(part: str, name: str) -> None:
    site = site_of(mixed())
    measures = measures_of(site, 2)
    shifted = getattr(measures, part) + 5 * leukemic(site)[:, None]
    assert names(site, replace(measures, **{part: shifted}))[0] == [name]


def test_colours_with_the_cells_in_them_are_told_and_not_refused() -> None:
    site = site_of(mixed())
    measures = measures_of(site, 2)
    measures = replace(measures, colour=measures.colour + 9 * leukemic(site)[:, None])
    told = tell_all(site, measures, seed=0)
    assert told[-1].name == "colour" and told[-1].accuracy == 1.0
    assert refuse(site, measures, told) == ((), ())


def test_a_lamp_that_differs_more_between_sessions_hides_nothing() -> None:
    """One class is brighter in each session, by less than sessions differ."""
    site = site_of(mixed())
    measures = measures_of(site, 3, slide_shift=0.1)
    session = np.array([int(field.row.session[1:]) for field in site.fields])
    light = 0.1 * measures.light + (20 * (session % 2) - 7 * session + 2 * leukemic(site))[:, None]
    assert names(site, replace(measures, light=light))[0] == ["class_is_colour"]


def test_a_class_collected_later_is_told_by_the_date() -> None:
    """Each slide has a day of its own, so no day is shared; the calendar tells all the same."""
    late = [
        replace(s, session="", date=f"2026-0{3 + (s.label == 'leukemic')}-{1 + n % 10:02d}")
        for n, s in enumerate(mixed())
    ]
    assert names(site_of(late), measures_of(site_of(late), 1))[0] == ["class_is_day"]
    turns = [
        replace(s, session="", date=f"2026-03-{1 + 2 * (n % 10) + (s.label == 'leukemic'):02d}")
        for n, s in enumerate(mixed())
    ]
    assert names(site_of(turns), measures_of(site_of(turns), 1))[0] == []


def test_what_tells_a_little_is_a_caution() -> None:
    """Two thirds of a large site's classes by camera."""
    slides = [replace(s, camera=f"c{(n % 3 == 0) ^ (s.label == 'healthy')}") for n, s in enumerate(mixed(60))]
    refused, cautions = names(site_of(slides), measures_of(site_of(slides), 1))
    assert refused == [] and len(cautions) == 1 and cautions[0].startswith("camera alone: 67 %")


def test_a_camera_that_one_class_has_besides_is_a_caution() -> None:
    slides = [replace(s, camera="c1" if s.name in ("leukemic0", "leukemic1") else "c0") for s in mixed()]
    refused, cautions = names(site_of(slides), measures_of(site_of(slides), 1))
    assert refused == [] and cautions == ["camera c1: its 2 slides are all leukemic"]


def test_of_three_classes_two_may_be_apart() -> None:
    slides = [
        Slide(f"{label}{k}", label, camera=camera)
        for label, camera in (("a", "x"), ("b", "x"), ("c", "y"))
        for k in range(6)
    ]
    site = site_of([*slides, Slide("c9", "c", camera="z")])
    values = [field.row.camera for field in site.fields]
    assert coincidence(site, values, always=True) == "a comes with x alone, c with y, z alone"


def test_sharing_no_day_is_chance_where_each_slide_has_its_own() -> None:
    def days(slides: int, a_day: int) -> SiteFields:
        return site_of(
            [
                Slide(f"{label}{k}", label, date=f"2026-0{month}-{k // a_day + 1:02d}")
                for label, month in {"a": 3, "b": 4}.items()
                for k in range(slides)
            ]
        )

    def apart(site: SiteFields) -> bool:
        return coincidence(site, [field.row.date for field in site.fields]) is not None

    assert not apart(days(8, a_day=1))
    assert apart(days(9, a_day=2))  # five days a class, and no two slides of different classes on one
    assert apart(days(3, a_day=1))  # three days a class show nothing of a fourth


def test_many_tests_are_held_together() -> None:
    def told(name: str, p: float) -> Told:
        return Told(name, 2, 20, 5, 0.9, Interval(0.7, 1.0), 0.5, 0.7, p)

    found = [told("camera", 0.01), told("light", 0.02), told("border", 0.04), told("size", 0.5), told("colour", 0.001)]
    assert [each.name for each in told_beyond_chance(found)] == ["camera"]  # 0.02 > 0.05 / 3
    assert [each.name for each in told_beyond_chance(found[:2])] == ["camera", "light"]
    assert list(told_beyond_chance(found[1:4])) == []


@pytest.mark.slow
def test_fewer_than_one_site_of_twenty_is_accused() -> None:
    accused = 0
    for seed in range(200):
        site = site_of(mixed(10 + seed % 6, sessions=2 + seed % 4))
        accused += bool(names(site, measures_of(site, seed))[0])
    print(f"{accused} of 200 sites without a giveaway accused")
    assert accused <= 10
