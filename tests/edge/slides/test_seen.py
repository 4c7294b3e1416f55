"""Fields that were counted before: recognized at known positions of `sim:`, and what the committed study found."""

import json
from functools import cache

import numpy as np
import pytest

from docs.studies.slides.record_speed import LARGEST_MS
from docs.studies.slides.seen_fields import SAME, SIZE, STILL, Placed, look_at, measured, position, share, still_frames
from edge.cameras.simulation.settings import parse
from edge.cameras.simulation.view import View, draw_specimen
from edge.slides.seen import NEWEST, SeenFields
from tests.paths import ROOT

RECORD = ROOT / "docs/reference/seen_fields.json"
URI = "sim:Early?seed=11&places=2&empty=0&focus_drift=1&noise=3"


@cache
def frames() -> list[Placed]:
    return list(still_frames(URI, 2))


def test_a_scan_of_sim_is_told_new_from_seen() -> None:
    milliseconds: list[float] = []
    asked = look_at(URI, 2, milliseconds)
    found = measured(asked)
    assert found["recall"] == 1 and found["false_merges"] == 0, found
    assert found["same"]["frames"] >= 9 and found["new"]["frames"] >= 2
    assert len(milliseconds) == 18


def test_the_field_with_the_largest_piece_is_the_one_that_is_named() -> None:
    fields = SeenFields()
    for number, (pixels, _) in enumerate(frames()[:-1], 1):  # all of them, whatever they share
        fields.add(number, fields.picture(pixels))
    last, truth = frames()[-1]
    shares = [share(position(truth), position(before)) for _, before in frames()[:-1]]
    assert max(shares) > SAME
    assert fields.seen(fields.picture(last)) == int(np.argmax(shares)) + 1


def test_another_slide_is_new_and_so_is_everything_after_clear() -> None:
    fields = SeenFields()
    first = frames()[0][0]
    fields.add(1, fields.picture(first))
    other = next(still_frames("sim:Benign?seed=12&empty=0", 1))[0]
    assert fields.seen(fields.picture(other)) is None
    assert fields.seen(fields.picture(first)) == 1
    fields.clear()
    assert fields.seen(fields.picture(first)) is None


def test_the_view_that_stands_still_is_seen_whatever_its_noise() -> None:
    settings = parse("sim:Benign?seed=5&empty=0&focus_drift=2&noise=8")
    view, fields = View(settings, draw_specimen(settings, SIZE), SIZE), SeenFields()
    for number in (STILL, 132):  # 132: off focus
        first, later = (np.empty((SIZE[1], SIZE[0], 3), np.uint8) for _ in range(2))
        view.draw(number, first)
        assert view.draw(number + 6, later)["moving"] is False
        fields.add(number, fields.picture(first))
        assert fields.seen(fields.picture(later)) == number


def test_a_slide_that_was_put_back_turned_is_known_where_that_is_asked() -> None:
    for turned in (False, True):
        fields = SeenFields(turned=turned)
        fields.add(1, fields.picture(frames()[0][0]))
        upside_down = np.ascontiguousarray(frames()[0][0][::-1, ::-1])
        assert fields.seen(fields.picture(upside_down)) == (1 if turned else None)


def test_a_flat_frame_is_never_one_that_was_seen() -> None:
    fields = SeenFields()
    flat = np.full((240, 320, 3), 230, np.uint8)
    fields.add(1, fields.picture(flat))
    assert fields.seen(fields.picture(flat)) is None
    assert fields.seen(fields.picture(frames()[0][0])) is None


def test_the_oldest_is_forgotten_and_another_shape_passed_over() -> None:
    assert NEWEST == 100
    fields = SeenFields(newest=2)
    pictures = [fields.picture(pixels) for pixels, _ in (frames()[0], frames()[9], frames()[9])]
    for number, picture in enumerate(pictures, 1):
        fields.add(number, picture)
    assert len(fields) == 2 and fields.seen(pictures[0]) is None
    assert fields.seen(fields.picture(frames()[9][0][:160])) is None
    with pytest.raises(ValueError, match="newest must be >= 1"):
        SeenFields(newest=0)
    with pytest.raises(ValueError, match="sides >= 64 pixels"):
        fields.picture(np.zeros((63, 640, 3), np.uint8))


def test_the_study_that_is_committed_meets_what_was_asked() -> None:
    record = json.loads(RECORD.read_text())
    assert record["recall"] >= 0.95 and record["false_merges"] <= 0.01
    assert record["new"]["frames"] >= 300 and record["same"]["frames"] >= 300  # 3/n: at most 1 %
    assert (record["newest"], record["recall"]) == (
        NEWEST,
        round(record["same"]["recognized"] / record["same"]["frames"], 4),
    )


def test_the_decision_quotes_the_records() -> None:
    text = " ".join((ROOT / "docs/decisions/0040-slides.md").read_text().split())
    seen, speed = json.loads(RECORD.read_text()), json.loads((ROOT / "docs/reference/slides_speed.json").read_text())
    same, new, took = seen["same"], seen["new"], seen["processor_ms_a_frame"]
    slowest = max((each for name, each in speed["asked"].items() if "commands" not in name), key=lambda e: e["p95_ms"])
    inserted = speed["microseconds_a_verdict"]
    assert slowest["p95_ms"] <= LARGEST_MS and (speed["slides"], speed["fields"]) == (10_000, 10**6)
    for quoted in (
        f"{same['recognized']} of {same['frames']} frames were recognized",
        f"{'none' if new['merged'] == 0 else new['merged']} of {new['frames']} that had nothing in common",
        f"at most {3 / new['frames']:.1%}".replace("%", " %"),
        f"{took['median']:.0f} ms of one core of an x86-64 machine at the median, {took['largest']:.0f} at most",
        f"{slowest['processor_p95_ms']:.0f} ms of the processor and {slowest['p95_ms']:.0f} ms on a machine",
        f"{inserted['with_indexes']} us to insert in place of {inserted['without']}",
    ):
        assert quoted in text, quoted
