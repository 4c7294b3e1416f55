"""The control record as a run follows it, and the camera's hand-over."""

import os
import shutil
import subprocess
import sys

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.commissioning.control.camera_lease import LOOK_EVERY_S, CameraLease, wanted
from edge.commissioning.control.control_record import ControlRecord, control_folder
from edge.commissioning.control.settings import ControlSettings
from edge.commissioning.control.watch import PASSED, SEEN, ControlWatch, lost_end
from edge.errors import StoreBusy, StoreError
from edge.record.audit import verify
from edge.record.entries import Event
from edge.record.store import Store
from edge.system.clock import Clock
from tests.edge.commissioning.control.controls import NOON, SERIES, at, control
from tests.edge.record.records import INFO, tamper

DAILY = ControlSettings(demand="daily")


def append(folder, *controls, slide=INFO.slide):
    """Controls as `edge control` leaves them, each in a run of its own."""
    with Store.open(folder) as store:
        for each in controls:
            run = store.begin(INFO, NOON)
            with store.transaction() as transaction:
                transaction.append(type(each)(**{**_fields(each), "run": run, "slide": slide}))
            store.end(run, NOON, {}, "complete")


def _fields(body):
    return {name: getattr(body, name) for name in body.__struct_fields__}


class Hands:
    """A clock whose hands the test moves; `seconds` for what is asked now and then."""

    def __init__(self):
        self.instant, self.seconds = NOON, 0.0
        self.clock = Clock(lambda: self.instant.utc_ns, lambda: self.instant.monotonic_ns, lambda: True)

    def to(self, hours):
        self.instant = at(hours)
        self.seconds += 10


def watched(folder, hands, settings=DAILY):
    return ControlWatch(ControlRecord(folder), settings, SERIES, hands.clock, boot="boot-1", now=lambda: hands.seconds)


def test_it_reads_only_what_is_new(tmp_path):
    record = ControlRecord(tmp_path / "control")
    assert record.look() is False and record.controls == []
    append(tmp_path / "control", control())
    assert record.look() is True and [each.slide for each in record.bodies] == [INFO.slide]
    assert record.look() is False
    append(tmp_path / "control", control(at(1)), control(at(2)))
    assert record.look() is True and len(record.controls) == 3
    assert verify(tmp_path / "control").sound


def test_an_altered_entry_is_found_and_a_restored_record_is_read_again(tmp_path):
    folder = tmp_path / "control"
    append(folder, control(outcome="failed", broken={"brightness": ("1-3s",)}))
    kept = (folder / "record.sqlite").read_bytes()
    tamper(folder, """UPDATE entries SET body = replace(body, '"failed"', '"passed"') WHERE type = 'control'""")
    record = ControlRecord(folder)
    with pytest.raises(StoreError, match="entry 2 of the control record was altered"):
        record.look()
    assert not verify(folder).sound
    (folder / "record.sqlite").write_bytes(kept)
    assert record.look() and record.bodies[0].outcome == "failed"


def test_a_record_that_is_gone_or_cut_short_is_no_record_without_controls(tmp_path):
    folder = tmp_path / "control"
    append(folder, control(), control(at(1)))
    record = ControlRecord(folder)
    record.look()
    tamper(folder, "DELETE FROM entries WHERE id > 3")
    with pytest.raises(StoreError, match="does not end as its head says"):
        ControlRecord(folder).look()
    (folder / "record.sqlite").unlink()
    with pytest.raises(StoreError, match="is gone"):
        record.look()


def test_a_run_goes_by_the_controls_of_another_process(tmp_path):
    folder, hands = tmp_path / "control", Hands()
    watch = watched(folder, hands)
    assert [kind for kind, _ in watch.look()] == ["control_overdue"]
    held = watch.withheld()
    assert held is not None and held.refused and (held.gate, held.value, held.limit) == ("control_overdue", -1.0, 24.0)
    assert list(watch.look()) == []  # said once

    append(folder, control())
    assert watch.withheld() is not None  # not read yet
    hands.to(0.5)
    [(kind, detail)] = watch.look()
    assert kind == PASSED and "passed 0.5 h ago" in detail and "digest" in detail
    assert watch.withheld() is None

    append(folder, control(at(1), outcome="failed", broken={"focus": ("1-3s",)}))
    hands.to(1.5)
    assert [kind for kind, _ in watch.look()] == ["control_failed"]
    append(folder, control(at(2)))
    hands.to(2.5)
    assert [kind for kind, _ in watch.look()] == [PASSED]

    hands.to(26.1)  # a day passes, and nobody controls: the very frame knows, before the next look
    late = watch.withheld()
    assert late is not None and late.gate == "control_overdue" and late.value == pytest.approx(24.1)
    assert [kind for kind, _ in watch.look()] == ["control_overdue"]


def test_a_damaged_record_withholds_and_a_mended_one_does_not(tmp_path):
    folder, hands = tmp_path / "control", Hands()
    append(folder, control())
    kept = (folder / "record.sqlite").read_bytes()
    (folder / "record.sqlite").write_bytes(kept[:3000])
    watch = watched(folder, hands)
    [(kind, detail)] = watch.look()
    assert kind == "control_overdue" and "record.sqlite" in detail
    assert watch.withheld() is not None
    (folder / "record.sqlite").write_bytes(kept)
    hands.to(1)
    assert [kind for kind, _ in watch.look()] == [PASSED]


def test_without_a_demand_nothing_is_read_or_said(tmp_path):
    watch = watched(tmp_path / "control", Hands(), ControlSettings())
    assert list(watch.look()) == [] and watch.withheld() is None


def test_the_control_record_can_be_written_while_a_run_holds_the_devices(tmp_path):
    with Store.open(tmp_path) as device, Store.open(control_folder(tmp_path)):
        device.begin(INFO, NOON)
        with pytest.raises(StoreBusy):
            Store.open(control_folder(tmp_path))


def test_the_camera_is_wanted_as_long_as_the_other_process_lives(tmp_path):
    now = [0.0]
    lease = CameraLease(tmp_path, now=lambda: now[0])
    assert not lease.wanted()
    code = f"""
from pathlib import Path
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.commissioning.control.camera_lease import wanted
with wanted(Path({os.fspath(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert not lease.wanted()  # as it was looked at last
        now[0] += LOOK_EVERY_S
        assert lease.wanted()
        holder.kill()  # however it ends
    now[0] += LOOK_EVERY_S
    assert not lease.wanted()
    with wanted(tmp_path):
        pass


def test_a_control_record_that_is_removed_or_begun_anew_is_missed(tmp_path, capsys):
    """A failed control must not be forgotten with its folder: the record of runs names the last one it went by."""
    folder, hands = control_folder(tmp_path), Hands()
    watch = ControlWatch(
        ControlRecord(folder),
        ControlSettings(),
        SERIES,
        hands.clock,
        accepted=True,
        boot="b",
        now=lambda: hands.seconds,
    )
    assert list(watch.look()) == []  # no control yet
    append(folder, control(), control(at(1), outcome="failed", broken={"focus": ("1-3s",)}))
    hands.to(1)
    [(kind, detail)] = watch.look()
    assert kind == SEEN and "last in the control record: entry 5 of S-1, failed, digest" in detail
    assert list(watch.look()) == []

    def verified():
        code = main("edge", COMMANDS, ["verify", "--store", str(tmp_path)])
        return code, capsys.readouterr().out

    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        assert lost_end(store, folder) == ""  # no run has named one yet
        store.write(run, [], [Event(NOON, kind, detail)])
        store.end(run, NOON, {}, "complete")
        assert lost_end(store, folder) == ""
    assert verified()[0] == 0
    append(folder, control(at(2)))
    assert verified()[0] == 0  # another one came since

    shutil.rmtree(folder)
    code, said = verified()
    assert code == 1 and "a run went by entry 5 of the control record" in said
    append(folder, control(), control(at(1)))  # begun anew, without the failure
    assert verified()[0] == 1
    (folder / "record.sqlite").write_bytes(b"no database")
    with Store.open(tmp_path) as store:
        assert lost_end(store, folder) == ""  # damaged, which its own readers say
    assert verified()[0] == 1
