"""Processes killed, a full disk and an unplugged camera while a slide is read: what is lost, and what is said."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from docs.studies.page.faults import killed, sound
from edge.record.audit import verify
from tests.bench.browser import context
from tests.bench.processes import Bench, eventually
from tests.bench.technician import SOON_MS, Technician
from tests.edge.conftest import disk_of

__all__ = ["disk_of"]

pytestmark = pytest.mark.slow

# A new piece of the slide every 9 s: there always is a field that was not counted.
CAMERA = "sim:Early?fps=20&motion=0.1&focus_drift=0&empty=0&places=50&seed=3"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path, camera=CAMERA) as made:
        yield made


def fields_of(bench: Bench) -> int:
    with bench.stored() as record:
        return sum(record.slides().values())


def test_nothing_is_lost_or_done_twice_when_processes_are_killed(bench: Bench) -> None:
    """Some of the 100 and 20 kills of `python -m docs.studies.page.faults`."""
    record = killed(bench.start(), bench.api(), pages=2, instruments=2)
    assert sound(record), record
    assert record["kills"] == {"page": 2, "instrument": 2}
    assert record["reconnections"] >= 2 and record["fields_by_key"] >= 1


def test_a_field_that_was_announced_and_is_not_there_would_be_found() -> None:
    """Negative control."""
    good = {
        "record_sound": True,
        "announced_and_lost": 0,
        "stored_and_never_announced": 0,
        "commands_done_twice": 0,
        "commands_answered_and_not_done": 0,
    }
    assert sound(good)
    assert not any(sound({**good, name: False if name == "record_sound" else 1}) for name in good)


def test_the_browser_comes_back_by_itself_and_says_what_it_missed(bench: Bench, browser: Browser) -> None:
    bench.start().api()
    with context(browser) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        one.logs_in()
        one.watches()
        one.starts("missed-1")
        expect(one.fields().first).to_be_visible(timeout=SOON_MS)

        bench.kill("page")
        expect(one.sees("link-state")).to_have_text("not connected", timeout=SOON_MS)
        expect(one.sees("notices")).to_contain_text("No connection to the device")
        expect(one.sees("judge")).to_be_disabled()
        before = fields_of(bench)
        eventually(lambda: fields_of(bench) > before, "the instrument goes on without the page")
        bench.start_page()
        expect(one.sees("link-state")).to_have_text("connected", timeout=3 * SOON_MS)
        expect(one.sees("notices")).to_contain_text("Connected again", timeout=SOON_MS)
        expect(one.sees("notices")).to_contain_text("meanwhile", timeout=SOON_MS)
        newest = bench.api().items("/slides/missed-1/fields")
        eventually(lambda: one.fields().count() >= len(newest), "the list has what was missed", 60)
        one.watches()

        bench.kill("instrument")
        expect(one.sees("notices")).to_contain_text("The instrument does not answer", timeout=SOON_MS)
        expect(one.sees("picture")).to_have_attribute("data-state", "still", timeout=SOON_MS)
        bench.start_instrument()
        expect(one.sees("continue")).to_be_visible(timeout=3 * SOON_MS)  # somebody may have changed the glass
        expect(one.sees("notices")).to_contain_text("paused", timeout=SOON_MS)
        before = fields_of(bench)
        one.watches()
        assert fields_of(bench) == before, "nothing is judged while it is paused"
        one.sees("continue").click()
        eventually(lambda: fields_of(bench) > before, "the slide goes on")
    assert verify(bench.record).sound


def test_a_camera_that_is_unplugged_is_said_and_comes_back(bench: Bench, browser: Browser) -> None:
    bench.set_camera(f"{CAMERA}&fail=unplug@200:6")
    bench.start().api()
    with context(browser) as visitor:
        one = Technician(visitor.new_page(), bench.url)
        one.logs_in()
        one.starts("unplugged-1")
        expect(one.sees("notices")).to_contain_text("The camera gives no pictures", timeout=2 * SOON_MS)
        expect(one.sees("picture")).to_have_attribute("data-state", "still", timeout=SOON_MS)
        expect(one.sees("notices")).not_to_contain_text("The camera gives no pictures", timeout=2 * SOON_MS)
        one.watches()
        before = one.newest()
        one.judges()
        assert one.newest() > before
        assert one.closes()
    assert verify(bench.record).sound


def test_a_disk_that_is_full_is_said_and_goes_on_when_there_is_room(
    tmp_path: Path, disk_of: Callable[[str], Path], browser: Browser
) -> None:
    disk = disk_of("24m")
    with Bench(tmp_path / "bench", camera=CAMERA, record=disk / "record") as bench, context(browser) as visitor:
        bench.start().api()
        one = Technician(visitor.new_page(), bench.url)
        one.logs_in()
        one.starts("full-1")
        expect(one.fields().first).to_be_visible(timeout=SOON_MS)
        filler = disk / "filler"
        with filler.open("wb") as file:
            left = shutil.disk_usage(disk).free
            file.write(b"\0" * left)
        expect(one.sees("notices")).to_contain_text("Nothing is recorded", timeout=3 * SOON_MS)
        shown = one.fields().count()
        one.page.keyboard.press("Space")
        one.page.wait_for_timeout(2000)
        assert one.fields().count() == shown, "a verdict exists once it is stored"
        filler.unlink()
        expect(one.sees("notices")).not_to_contain_text("Nothing is recorded", timeout=3 * SOON_MS)
        before = fields_of(bench)
        eventually(lambda: fields_of(bench) > before, "fields are stored again")
        assert one.closes()
        assert verify(bench.record).sound
