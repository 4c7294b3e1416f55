"""Control charts and trends as the page shows them, from records on disk: the numbers are the record's own."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from edge.cameras.setup.camera_setup import SETUP_FILE, Reference
from edge.commissioning.camera.light_watch import LIGHT
from edge.commissioning.control.control_record import control_folder
from edge.page.device import light_trends
from edge.page.device.control_charts import NEWEST, ControlCharts
from edge.page.device.state import look
from edge.record.entries import Event
from edge.record.store import Store
from edge.system.clock import Instant
from edge.system.machine import Machine
from tests.edge.cameras.setup.test_set_up_camera import SETUP
from tests.edge.commissioning.control.controls import SOUND, judged
from tests.edge.record.records import INFO, NOON

DAY_NS = 86_400 * 10**9
REFERENCE = Reference(brightness=200.0, white=(1.0, 1.0), focus=1.5, focus_size=(224, 224))


def write_controls(store: Path, values: list[float]) -> None:
    """One control a day whose brightness is that, the first 20 its baseline."""
    with Store.open(control_folder(store)) as record, record.transaction() as transaction:
        for body in judged([{**SOUND, "brightness": value} for value in values]):
            transaction.append(body)


def test_charts_are_those_of_the_control_record(tmp_path: Path) -> None:
    baseline = [230.0 + (0.5 if n % 2 else -0.5) for n in range(20)]  # mean 230, SD 0.513 by n - 1
    write_controls(tmp_path, [*baseline, 230.2, 235.0])
    charts = ControlCharts(Machine(store=tmp_path, control_demanded=True))
    told = charts.look()
    [slide] = told.slides
    assert (told.demanded, told.problem, slide.slide, slide.controls) == (True, "", "QC-1", 22)
    assert slide.outcome == "failed" and "brightness" in slide.why
    [chart] = [each for each in slide.charts if each.measure == "brightness"]
    assert chart.target is not None
    assert chart.target.mean == pytest.approx(230.0)
    assert chart.target.sd == pytest.approx(0.51299, abs=1e-4)
    assert [point.kind for point in chart.points[-3:]] == ["baseline", "in", "out"]
    assert chart.points[-1].rules == ["1-3s"] and chart.points[-1].z == pytest.approx(5 / 0.51299, abs=1e-3)
    # Another control that is taken meanwhile is shown at the next look.
    with Store.open(control_folder(tmp_path)) as record, record.transaction() as transaction:
        transaction.append(judged([{**SOUND, "brightness": value} for value in [*baseline, 230.2, 235.0, 230.1]])[-1])
    assert charts.look().slides[0].controls == 23


def test_a_long_series_is_cut_and_says_how_many_there_are(tmp_path: Path) -> None:
    write_controls(tmp_path, [230.0 + (0.5 if n % 2 else -0.5) for n in range(NEWEST + 7)])
    [slide] = ControlCharts(Machine(store=tmp_path)).look().slides
    chart = slide.charts[0]
    assert (len(chart.points), chart.earlier, chart.points[-1].number) == (NEWEST, 7, NEWEST + 7)


def test_an_altered_control_record_is_a_problem_and_no_error(tmp_path: Path) -> None:
    import sqlite3

    write_controls(tmp_path, [230.0] * 3)
    with sqlite3.connect(control_folder(tmp_path) / "record.sqlite") as connection:
        connection.execute("UPDATE entries SET body = replace(body, '230.0', '229.0') WHERE id = 2")
    connection.close()
    told = ControlCharts(Machine(store=tmp_path)).look()
    assert told.slides == [] and "entry 2 of the control record was altered" in told.problem


def set_up(tmp_path: Path, levels: list[float]) -> Machine:
    """A machine whose camera was set up, and that ran once a week since, with these grey levels."""
    setup = changed(SETUP, reference=REFERENCE)
    folder = tmp_path / "setup"
    folder.mkdir()
    (folder / SETUP_FILE).write_bytes(setup.to_json())
    store = tmp_path / "record"
    for week, level in enumerate(levels):
        at = Instant(NOON.utc_ns + 7 * week * DAY_NS, NOON.monotonic_ns, True)
        with Store.open(store) as record:
            run = record.begin(changed(INFO, camera_setup=setup.digest), at)
            record.write(run, [], [Event(at, LIGHT, "", {"brightness": level, "red": 1.0, "blue": 1.0})])
            record.end(run, at, {}, "complete")
    return Machine(store=store, camera=setup.camera, camera_setup=folder)


def test_a_lamp_that_dims_over_weeks_is_shown_against_the_set_up(tmp_path: Path) -> None:
    """By hand: 96 % now, 1 % a week, so 90 % in six weeks."""
    machine = set_up(tmp_path, [200, 198, 196, 194, 192])
    told = light_trends.look(machine)
    [light] = [each for each in told.measures if each.name == "brightness"]
    assert told.why == "" and told.setup and told.cure == ""
    assert (light.reference, light.limit, light.part) == (200.0, 0.10, pytest.approx(0.96))
    assert light.a_week == pytest.approx(-0.01) and light.days == pytest.approx(42.0)
    assert [point.part for point in light.points] == pytest.approx([1.0, 0.99, 0.98, 0.97, 0.96])
    assert [point.utc[:10] for point in light.points[:2]] == ["2025-11-03", "2025-11-10"]
    assert not light.warns and "edge width" not in str(told)  # nobody measured it


def test_one_that_goes_beyond_says_what_to_do(tmp_path: Path) -> None:
    told = light_trends.look(set_up(tmp_path, [200, 190, 178]))
    assert told.measures[0].beyond and "clean lamp and optics" in told.cure


def test_runs_under_another_set_up_are_not_compared(tmp_path: Path) -> None:
    machine = set_up(tmp_path, [200, 198])
    (tmp_path / "setup" / SETUP_FILE).write_bytes(changed(SETUP, at="2026-12-01T09:00:00Z").to_json())
    told = light_trends.look(machine)
    assert told.measures == [] and "no run under this set-up" in told.why
    (tmp_path / "setup" / SETUP_FILE).write_text("{}")
    assert light_trends.look(machine).why  # one that cannot be read is said, and is no error


def test_the_bundle_is_that_of_the_newest_run(tmp_path: Path) -> None:
    machine = set_up(tmp_path, [200])
    told = look(replace(machine, bench_socket=tmp_path / "none.sock"))
    assert told.bundle is not None
    assert (told.bundle.name, told.bundle.digest, told.bundle.signed_by) == ("tiny-int8", "ab" * 32, "unsigned")
    assert told.state == "missing"  # for nobody is at the socket that the profile names
