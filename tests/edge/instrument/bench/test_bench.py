"""The bench: fields judged by themselves and on demand, slides opened, paused and closed, all of it in the record."""

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from edge.commands.run import run
from edge.commissioning.control.settings import ControlSettings
from edge.errors import StoreFull, UsageError
from edge.inference.licence import Licence
from edge.instrument.bench import slide as slide_module
from edge.instrument.bench.modes import AT_START
from edge.instrument.bench.telling import meters
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.messages import Meters
from edge.record.audit import verify
from edge.record.formatting import stored_line
from edge.record.slide_entries import CommandBody
from edge.record.slide_queries import acts, command, newest_act
from edge.record.store import Store
from edge.slides.tally import Tally
from tests.edge.instrument.bench.parts import SETTINGS, SIZE, StageCamera, bench, drawn, verdicts

BY_HAND = replace(SETTINGS, bench=replace(SETTINGS.bench, automatic=False))


def entries(folder: Path) -> list[dict[str, Any]]:
    with Store.open(folder / "record", read_only=True) as store:
        return [json.loads(row.body) for row in store.entries(through=store.head().id)]


def test_a_slide_is_read_by_itself(tmp_path: Path) -> None:
    """New fields are judged once each; one that is out of focus is refused once; a field that comes again is not
    judged; none of them while no slide is open."""
    with bench(tmp_path) as running:
        running.frames(20)
        assert running.told.verdicts == [] and running.session.pipeline.counts.passed_over > 10
        running.done("open", slide="S-1")
        running.judged(1)
        running.frames(30)
        assert len(running.told.verdicts) == 1, "a view that stands is judged once"
        running.camera.place = 1
        running.judged(2)
        running.camera.defocus_um = 6.0
        running.judged(3)
        assert running.told.verdicts[2].entry.reason == "out_of_focus"
        running.frames(90)
        assert len(running.told.verdicts) == 3, "and refused once"
        running.camera.defocus_um, running.camera.place = 0.0, 0
        running.frames(40)
        assert len(running.told.verdicts) == 3, "field 1 is known again"
        running.camera.place = 2
        running.judged(4)
        tally = running.state.tally
        assert tally is not None and (tally["fields"], tally["seen"], tally["passed"]) == (4, 0, 3)
    found = verdicts(tmp_path)
    assert [body.seen for body in found] == [UNSET] * 4 and all(body.image is not None for body in found)
    assert verify(tmp_path / "record").sound


def test_a_field_that_is_asked_for_is_recorded_whatever_it_is(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        running.frames(30)
        assert running.told.verdicts == [], "automatic is off"
        first = running.done("judge")
        assert (first["field"], first["seen"]) == (1, None)
        running.frames(5)
        again = running.done("judge")
        assert (again["field"], again["seen"]) == (2, 1), "the same view: recorded, and not counted"
        line = stored_line(running.told.verdicts[1], simulated=False, provenance=running.session.served.provenance)
        assert "shows field 1 again: not counted" in line
        running.camera.defocus_um = 6.0
        running.frames(5)
        blurred = running.done("judge")
        assert (blurred["label"], blurred["reason"]) == (None, "out_of_focus")
        running.camera.defocus_um, running.camera.place = 0.0, 1
        running.frames(5)
        assert running.done("judge")["seen"] is None
    found = verdicts(tmp_path)
    assert [body.asked_by for body in found] == ["anna"] * 4 and found[1].seen == 1
    said = [each for each in entries(tmp_path) if each["type"] == "command"]
    assert [each["name"] for each in said] == ["judge"] * 4


def test_the_frame_that_is_judged_was_exposed_after_it_was_asked_for(tmp_path: Path) -> None:
    """What was in view before is never judged for it: the stage moves, then the key is pressed."""
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        for place in (1, 2, 3, 4):
            running.camera.place = place
            before = running.camera.taken
            running.done("judge")
            assert running.told.verdicts[-1].entry.sequence >= before - 1
        assert running.state.tally is not None and running.state.tally["fields"] == 4


@pytest.mark.parametrize("wrong", ["pause", "continue", "close", "judge", "reference"])
def test_without_a_slide_nothing_can_be_asked_for(tmp_path: Path, wrong: str) -> None:
    with bench(tmp_path) as running:
        answer = running.command(wrong, **({"label": "healthy"} if wrong == "reference" else {}))
        assert (answer.ok, answer.error) == (False, "no_slide")
    assert not [each for each in entries(tmp_path) if each["type"] in ("slide", "command", "run")]


def test_wrong_orders_change_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        assert running.command("reopen", slide="S-1").error == "unknown_slide"
        running.done("open", slide="S-1")
        assert running.command("open", slide="S-2").error == "slide_open"
        assert running.command("continue").error == "wrong_state"
        assert running.command("pause", slide="S-2").error == "wrong_state"
        running.done("pause")
        assert running.command("pause").error == "wrong_state"
        assert running.command("judge").error == "wrong_state"
        running.frames(20)
        assert running.told.verdicts == []
        running.done("close")
        assert running.command("open", slide="S-1").error == "wrong_state", "it was closed: reopen it"
        assert running.command("close").error == "no_slide"
        running.done("reopen", slide="S-1")
        running.done("close")
    with Store.open(tmp_path / "record", read_only=True) as store:
        assert [body.act for _, body in acts(store, "S-1")] == ["opened", "paused", "closed", "reopened", "closed"]
    assert verify(tmp_path / "record").sound


def test_each_stretch_of_a_slide_is_a_run_whose_counters_add_up(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.frames(10)
        for act in ("open", "reopen"):
            running.done(act, slide="S-1")
            running.done("judge")
            running.frames(5)
            running.done("close")
            running.frames(5)
    runs = [each for each in entries(tmp_path) if each["type"] == "end"]
    assert [each["why"] for each in runs] == ["closed", "closed"]
    for counters in (each["counters"] for each in runs):
        assert counters["captured"] == counters["dropped"] + counters["passed_over"] + 1
        assert (counters["stored"], counters["unstored"]) == (1, 0)
    assert [body.field for body in verdicts(tmp_path)] == [1, 2], "numbers go on over runs"
    report = verify(tmp_path / "record")
    assert report.sound and report.not_ended == 0


def test_a_command_is_done_once_also_over_a_restart(tmp_path: Path) -> None:
    ids = {name: secrets.token_hex(16) for name in ("open", "judge", "pause", "automatic", "correct", "continue")}
    given: dict[str, dict[str, Any]] = {
        "open": {"slide": "S-1"},
        "judge": {},
        "automatic": {"on": False},
        "correct": {"slide": "S-1", "field": 1, "label": "", "agrees": False},
        "pause": {},
        "continue": {},
    }
    with bench(tmp_path, BY_HAND) as running:
        answers = {name: running.command(name, ids[name], **given[name]) for name in given}
        assert all(answer.ok for answer in answers.values()), answers
        assert {name: running.command(name, ids[name], **given[name]) for name in given} == answers
        assert running.command("judge", ids["pause"]).error == "id_reused"
        head = running.session.store.head().id
    with bench(tmp_path, BY_HAND) as running:
        assert {name: running.command(name, ids[name], **given[name]) for name in given} == answers
        assert running.state.mode == "paused", "taken up after the first; none of those was done again"
    assert len(verdicts(tmp_path)) == 1
    assert [each["act"] for each in entries(tmp_path)[head:] if each["type"] == "slide"] == ["paused"]


def test_an_open_slide_is_taken_up_paused_and_closed_ones_are_not(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        running.done("judge")
    ends = [each for each in entries(tmp_path) if each["type"] == "end"]
    assert [each["why"] for each in ends] == ["stopped"], "ended in order, and the slide stays open"
    with bench(tmp_path, BY_HAND, slide="S-2") as running:
        assert (running.state.mode, running.state.slide, running.state.why) == ("paused", "S-1", AT_START)
        assert running.state.tally is not None and running.state.tally["fields"] == 1
        running.done("continue")
        assert running.done("judge")["seen"] == 1, "the field of before is known again, from its image"
        running.done("close")
    with bench(tmp_path, BY_HAND, slide="S-2") as running:
        assert (running.state.mode, running.state.slide) == ("open", "S-2")
        running.done("close")
    with bench(tmp_path, BY_HAND) as running:
        assert running.state.mode == "none"


def test_automatic_holds_over_a_restart_until_the_slide_is_closed(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        running.done("pause")
    with bench(tmp_path, BY_HAND) as running:
        assert not running.state.automatic, "nobody set it: the profile's"
        running.done("automatic", on=False)
        running.done("automatic", on=True)
    with bench(tmp_path, BY_HAND) as running:
        assert (running.state.mode, running.state.automatic) == ("paused", True), "the newest that was set"
        running.done("close")
    with bench(tmp_path, BY_HAND) as running:
        assert not running.state.automatic, "no slide is open: the profile's"
        running.done("reopen", slide="S-1")
    with bench(tmp_path, BY_HAND) as running:
        assert (running.state.slide, running.state.automatic) == ("S-1", False), "set before it was closed"


def test_a_record_that_takes_nothing_refuses_commands_and_goes_on_by_itself(tmp_path: Path, monkeypatch: Any) -> None:
    with bench(tmp_path) as running:
        running.done("open", slide="S-1")
        running.judged(1)
        write = running.session.store.write

        def full(*_: object) -> None:
            raise StoreFull("no space left on device")

        monkeypatch.setattr(running.session.store, "write", full)
        running.camera.place = 1
        running.until(lambda: running.state.record != "ok")
        for name in ("judge", "pause", "close", "automatic"):
            answer = running.command(name, **({"on": True} if name == "automatic" else {}))
            assert (answer.error, answer.detail) == ("unavailable", "not recording: no space left on device")
        assert (running.state.mode, len(running.told.verdicts)) == ("open", 1)
        monkeypatch.setattr(running.session.store, "write", write)
        running.judged(2)  # the field that waited
        running.until(lambda: running.state.record == "ok")
        running.done("close")
    assert verify(tmp_path / "record").sound
    kinds = [each["kind"] for each in entries(tmp_path) if each["type"] == "event"]
    assert "not_recording" in kinds and "recording" in kinds


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path, monkeypatch: Any) -> None:
    """The disk is full at the very moment of a command: the slide stays as it was, and judging goes on."""
    with bench(tmp_path) as running:
        running.done("open", slide="S-1")
        running.judged(1)
        for name, method in (("pause", "append_slide"), ("close", "end"), ("automatic", "append_command")):
            with monkeypatch.context() as patch:

                def full(*_: object) -> None:
                    raise StoreFull("no space left on device")

                patch.setattr(running.session.store, method, full)
                answer = running.command(name, **({"on": False} if name == "automatic" else {}))
                assert answer.error == "unavailable" and "no space" in answer.detail
            assert running.state.mode == "open" and running.state.automatic
        running.camera.place = 1
        running.judged(2)
        running.done("close")
    assert verify(tmp_path / "record").sound


def test_a_camera_that_is_away_is_said_and_a_field_that_nobody_can_take_is_refused(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("edge.instrument.bench.commands.FRAME_S", 0.3)
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        place, running.camera.place = running.camera.place, None
        running.until(lambda: running.state.camera != "ok")
        identifier = secrets.token_hex(16)
        answer = running.command("judge", identifier)
        assert (answer.error, answer.detail) == ("unavailable", "no frame came within 0.3 s")
        running.camera.place = place
        running.until(lambda: running.state.camera == "ok")
        assert running.told.verdicts == [], "it was taken back"
        assert running.command("judge", identifier).ok, "the same command may be given again"
        with Store.open(tmp_path / "record", read_only=True) as store:
            found = command(store, identifier)
            assert found is not None and isinstance(found[1], CommandBody) and not found[1].refused
    refused = [each["refused"] for each in entries(tmp_path) if each["type"] == "command" and "refused" in each]
    assert refused == ["no frame came within 0.3 s"]


def test_without_the_control_that_is_demanded_nothing_is_judged_by_itself(tmp_path: Path) -> None:
    """And what is asked for is refused with that reason; the state says why benign is not answered."""
    with bench(tmp_path, replace(SETTINGS, control=ControlSettings(demand="daily"))) as running:
        running.done("open", slide="S-1")
        running.frames(150)
        assert running.told.verdicts == []
        assert running.state.withheld.startswith("control overdue")
        result = running.done("judge")
        assert (result["label"], result["reason"]) == (None, "control_overdue")
        held = Licence(withheld=("Benign",), why="too few leukemic slides")
        running.session.control.withheld = lambda: None  # type: ignore[method-assign]
        running.session.served = replace(running.session.served, licence=held)
        assert running.state.withheld == "too few leukemic slides"
        finding = running.state.finding
        assert finding is not None and finding["withheld"] == "too few leukemic slides"


def test_an_expired_acceptance_pauses_the_slide_in_a_run_of_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        running.done("judge")
        expired = []
        monkeypatch.setattr(running.session, "expire", lambda: expired.append(running.session.runs.number))
        assert running.desk.expired("acceptance expired: camera_setup_changed")
        assert expired == [None], "between two runs"
        assert running.state.mode == "paused" and "acceptance expired" in running.state.why
        running.done("continue")
        running.camera.place = 1
        running.frames(5)
        assert running.done("judge")["field"] == 2
    ends = [each["why"] for each in entries(tmp_path) if each["type"] == "end"]
    assert ends == ["acceptance expired: camera_setup_changed", "stopped"]
    assert verify(tmp_path / "record").sound


def test_a_closed_slide_holds_its_finding_and_it_follows_from_its_verdicts(tmp_path: Path) -> None:
    with bench(tmp_path) as running:
        running.done("open", slide="S-1")
        for place in (1, 2, 3):
            running.judged(place)
            running.camera.place = place
        running.judged(4)
        before = running.state
        result = running.done("close")
        assert json.loads(json.dumps(before.finding)) == result["finding"]
        assert result["finding"]["finding"] == "suspicious"
        with Store.open(tmp_path / "record", read_only=True) as store:
            found = newest_act(store, "S-1")
            benign = running.session.served.bundle.contract.benign_labels
            assert (
                found is not None and found[1].finding["tally"] == Tally.from_record(store, "S-1", benign).as_record()
            )


def test_exposure_is_locked_where_it_stands(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        assert not running.state.exposure_locked
        running.done("exposure", locked=True)
        assert running.state.exposure_locked
        asked = running.camera.asked[-1]
        assert (asked.exposure_us, asked.gain) == (8000.0, 1.0)
        running.done("exposure", locked=False)
        assert running.camera.asked[-1].exposure_us is None and not running.state.exposure_locked
    names = [(each["name"], each["arguments"]) for each in entries(tmp_path) if each["type"] == "command"]
    assert names == [("exposure", {"locked": True}), ("exposure", {"locked": False})]


class Stubborn(StageCamera):
    """A camera that goes on with its automatic, whatever it is told."""

    def configure(self, settings: Any) -> Any:
        mode = super().configure(settings)
        return replace(mode, controls={**mode.controls, "ExposureTime": 8100.0 + 900 * len(self.asked)})


def test_a_camera_that_does_not_lock_says_so(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND, camera=Stubborn()) as running:
        answer = running.command("exposure", locked=True)
        assert answer.error == "unavailable" and "ExposureTime must be 8000; the camera says" in answer.detail
        assert not running.state.exposure_locked and running.camera.asked[-1].exposure_us is None
    locked = replace(SETTINGS, camera=replace(SETTINGS.camera, exposure_us=5000, gain=1.0))
    with bench(tmp_path / "locked", locked) as running:
        assert running.state.exposure_locked
        answer = running.command("exposure", locked=False)
        assert answer.error == "unavailable" and "[camera] of the profile locks the exposure" in answer.detail


def test_a_reference_field_goes_into_the_reference_record_once(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        identifier = secrets.token_hex(16)
        first = running.command("reference", identifier, label="leukemic")
        assert first.ok and first.result["field"] == 1, first
        assert running.command("reference", identifier, label="leukemic") == first
        seen = running.command("reference", label="leukemic")
        assert seen.error == "unavailable" and "move to another part of the slide" in seen.detail
        other = running.command("reference", label="healthy")
        assert other.error == "wrong_state" and "has reference fields of leukemic" in other.detail
        running.camera.place, running.camera.defocus_um = 1, 8.0
        running.frames(5)
        blurred = running.command("reference", label="leukemic")
        assert blurred.error == "unavailable" and "out of focus" in blurred.detail
        running.camera.defocus_um = 0.0
        running.frames(5)
        assert running.done("reference", label="leukemic")["field"] == 2
    assert verify(tmp_path / "record" / "reference").references == 2
    assert verify(tmp_path / "record" / "reference").sound


def test_the_fields_on_their_way_are_stored_before_a_slide_is_closed(tmp_path: Path, monkeypatch: Any) -> None:
    """And where they cannot be in time, it is not closed."""
    with bench(tmp_path, BY_HAND) as running:
        running.done("open", slide="S-1")
        monkeypatch.setattr(slide_module, "_DRAINS_S", 0.2)
        selector = running.desk.selector
        with selector._changed:
            selector._on_the_way[1] = None  # type: ignore[assignment]
        answer = running.command("close")
        assert (answer.error, answer.detail) == ("unavailable", "fields were not stored within 0.2 s")
        assert running.state.mode == "open"
        selector.given_up(1)
        running.done("close")


def test_what_was_measured_of_the_light_is_of_the_run_that_ends(tmp_path: Path, monkeypatch: Any) -> None:
    """The trend goes by the camera's set-up, which a run names: an event of no run would be lost to it."""
    with bench(tmp_path, BY_HAND) as running:
        measures = {"brightness": 200.0, "red": 1.0, "blue": 0.9, "frames": 9.0}
        monkeypatch.setattr(running.session._light, "taken", lambda: measures)
        running.session._tell_light()
        running.done("open", slide="S-1")
        running.done("close")
    light = [each for each in entries(tmp_path) if each.get("kind") == "camera_light"]
    ends = [each for each in entries(tmp_path) if each["type"] == "end"]
    assert [each["run"] for each in light] == [each["run"] for each in ends]


def test_the_service_manager_is_told_which_slide_is_open(tmp_path: Path) -> None:
    with bench(tmp_path, BY_HAND) as running:
        watchdog = running.session._watchdog
        assert watchdog.status().startswith("no slide is open; 0 answered")
        running.done("open", slide="S-1")
        assert watchdog.status().startswith("slide S-1 is open; 0 answered")
        running.done("pause")
        assert watchdog.status().startswith("slide S-1 is paused; ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"frames": "20"}, "--frames is of a run without a socket"),
        ({"every": True}, "--every is of a run without a socket"),
        ({"keep": "none"}, "--keep is of a run without a socket"),
        ({"camera": "replay:/srv/fields"}, "--camera must be a live one at the bench"),
        ({"slide": "../S"}, "--slide must be 1 to 64 of"),
    ],
)
def test_what_the_bench_cannot_be_asked_for(tmp_path: Path, words: dict[str, Any], said: str) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[bench]\nsocket = "{tmp_path}/socket"\n')
    with pytest.raises(UsageError, match=said):
        run(**words, config=str(profile))
    if "slide" not in words:
        assert run(**words, config=str(profile), socket="none").socket is None


def test_the_socket_is_the_profile_s_or_the_option_s(tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text('[bench]\nsocket = "/run/a"\n')
    assert (run(config=str(profile)).socket, run(config=str(profile)).slide) == (Path("/run/a"), "")
    assert run(config=str(profile), socket="/run/b", slide="S-1").socket == Path("/run/b")
    profile.write_text("")
    assert (run(config=str(profile)).socket, run(config=str(profile)).slide) == (None, "unnamed")


def test_frames_are_measured_and_shown_only_while_somebody_watches(tmp_path: Path, monkeypatch: Any) -> None:
    measured: list[int] = []

    def counted(look: Any, seen: Any, gates: Any) -> Meters:
        measured.append(look.sequence)
        return meters(look, seen, gates)

    monkeypatch.setattr("edge.instrument.bench.desk.meters", counted)
    with bench(tmp_path, BY_HAND) as running:
        running.frames(30)
        assert measured == []
        with BlockingClient(tmp_path / "socket") as client:
            assert client.hello.labels == running.session.served.bundle.contract.labels
            assert client.hello.gates["out_of_focus"].highest and client.hello.gates["under_exposed"].lowest
            client.watch(events=True, previews=True)
            client.ready()
            told: dict[str, Any] = {}
            running.done("open", slide="S-1")
            judged = running.done("judge")
            while not {"Meters", "Preview", "SlideAct", "Verdict"} <= set(told):
                message, _ = client.receive()
                told[type(message).__name__] = message
            assert told["Verdict"].id == judged["entry"] <= running.session.store.head().id
            assert told["Preview"].size == SIZE and told["SlideAct"].act == "opened"
            assert told["Meters"].brightness == pytest.approx(drawn(0).mean(), abs=3) and told["Meters"].sharpness > 0.3
        running.until(lambda: not running.desk._server.watched)
        before = len(measured)
        running.frames(30)
        assert 0 < before == len(measured)
