"""What gives a class away is said at once; sessions go on for an hour; classes are asked for in turn."""

import pytest

from edge.commissioning.reference.tally import Tally, session_name
from edge.record.entries import ReferenceBody
from edge.record.entry_parts import Image, ReferenceField


def field(
    slide: str, label: str, *, session: str = "a", day: str = "2026-11-30", camera: str = "uvc:0"
) -> ReferenceBody:
    reference = ReferenceField(
        label, session, camera or "replay:x", 1, (640, 480), "relative", "leukoscope 1", day=day, camera=camera
    )
    image = Image("images/s/000/000001.png", "0" * 64, 1)
    return ReferenceBody(slide=slide, field=1, utc_ns=0, reference=reference, image=image)


def names(*fields: ReferenceBody) -> set[tuple[str, str]]:
    return {(each.name, each.label) for each in Tally.of(fields).giveaways()}


def test_one_day_and_session_are_said_from_the_first_field() -> None:
    assert names(field("1", "well")) == {("one_day", "well"), ("one_session", "well")}
    assert names() == set()


@pytest.mark.parametrize("what", ["session", "day", "camera"])
def test_what_classes_do_not_share_gives_them_away(what: str) -> None:
    two = [field("1", "well", **{what: "p"}), field("2", "sick", **{what: "q"})]
    assert {(f"class_is_{what}", "well"), (f"class_is_{what}", "sick")} <= names(*two)
    mixed = [*two, field("3", "well", **{what: "q"}), field("4", "sick", **{what: "p"})]
    assert not {name for name, _ in names(*mixed)} & {f"class_is_{what}", f"one_{what}"}


def test_one_class_of_several_days_of_its_own_is_given_away_by_them() -> None:
    fields = [field("1", "well", day="2026-11-01"), field("2", "well", day="2026-11-02"), field("3", "sick")]
    [found] = [each for each in Tally.of(fields).giveaways() if (each.name, each.label) == ("class_is_day", "well")]
    assert found.detail == (
        "all fields of well so far (2) came on 2 days, and none of another class: the day gives the class away; "
        "collect the others on the same days too"
    )


def test_what_is_not_known_says_nothing() -> None:
    assert ("class_is_camera", "well") not in names(field("1", "well", camera=""), field("2", "sick", camera="uvc:1"))


def test_classes_are_asked_for_in_turn() -> None:
    tally = Tally.of([field("1", "well"), field("1", "well"), field("2", "sick")])
    assert tally.next_class("a") == "sick"
    tally.add(field("2", "sick"))
    assert tally.next_class("a") is None
    assert tally.next_class("b") is None
    tally.add(field("3", "well", session="b"))
    assert tally.next_class("b") == "sick"
    assert tally.text() == "sick 2 fields of 1 slide, well 3 fields of 2 slides"
    assert tally.as_record()["well"] == {"fields": 3, "slides": 2, "sessions": 2, "days": 1}


def test_a_session_goes_on_for_an_hour() -> None:
    def named(tally: Tally, *, day: str = "2026-11-30", camera: str = "uvc:0", setup: str = "", seconds: float) -> str:
        return session_name(tally, day=day, camera=camera, camera_setup=setup, utc_ns=int(seconds * 1e9))

    assert named(Tally(), seconds=0) == "2026-11-30-1"
    tally = Tally.of([field("1", "well", session="2026-11-30-1")])
    assert named(tally, seconds=3600) == "2026-11-30-1"
    assert named(tally, seconds=3601) == "2026-11-30-2"
    assert named(tally, seconds=-1) == "2026-11-30-2"
    assert named(tally, seconds=1, camera="uvc:1") == "2026-11-30-2"
    assert named(tally, seconds=1, setup="ab" * 32) == "2026-11-30-2"
    assert named(tally, seconds=1, day="2026-12-01") == "2026-12-01-1"
