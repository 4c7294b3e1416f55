"""The slots folder and its state: read strictly, written by one at a time, and never in the way of a start."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import SlotStateError, UpdateBusy, UpdateError
from edge.serving.update.history import History
from edge.serving.update.slots import Place, Slots, default_slots
from edge.serving.update.state import Rejected, State, Trial
from edge.system.durable import Durable

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
VERSIONS = st.integers(1, 2**53 - 1)
STATES = st.builds(
    State,
    trial=st.none() | st.builds(Trial, st.sampled_from("ab"), DIGESTS, st.lists(st.text(), max_size=3).map(tuple)),
    floors=st.dictionaries(NAMES, VERSIONS, max_size=4),
    rejected=st.lists(st.builds(Rejected, NAMES, st.none() | VERSIONS, DIGESTS, st.text()), max_size=4).map(tuple),
)


@given(STATES)
def test_a_state_is_read_back_as_it_was_written(state: State) -> None:
    assert State.from_json(state.to_json()) == state


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SlotStateError):
        State.from_json(data)


@given(STATES, st.data())
def test_a_damaged_state_is_read_as_a_state_or_refused(state: State, data: st.DataObject) -> None:
    text = bytearray(state.to_json())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = State.from_json(bytes(text))
    except SlotStateError:
        return
    assert State.from_json(read.to_json()) == read


@given(STATES, NAMES, VERSIONS)
def test_a_floor_never_sinks(state: State, name: str, version: int) -> None:
    confirmed = state.confirm(name, version)
    assert confirmed.floors[name] >= version
    assert all(confirmed.floors[each] >= floor for each, floor in state.floors.items())
    assert state.confirm(name, None).floors == state.floors


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(STATES, st.lists(st.builds(Rejected, NAMES, VERSIONS, DIGESTS, st.text()), min_size=20, max_size=20))
def test_rejections_are_bounded_and_the_latest_stay(state: State, rejected: list[Rejected]) -> None:
    for each in rejected:
        state = state.reject(each)
    assert len(state.rejected) <= 16 and state.rejection(rejected[-1].digest) is not None
    assert state.accept(rejected[-1].digest).rejection(rejected[-1].digest) is None


def test_where_the_slots_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/srv/x:/srv/y")  # as systemd gives it
    assert default_slots() == Path("/srv/x/bundles")
    monkeypatch.delenv("STATE_DIRECTORY")
    assert default_slots() == Path("/var/lib/leukoscope/bundles")


@pytest.mark.parametrize("target", ["/etc", "../a/x", "a", "a/", "c/x", "a/x/y", "a/.x", "a/..", "a/x\n"])
def test_links_that_lead_to_no_slot(tmp_path: Path, target: str) -> None:
    (tmp_path / "current").symlink_to(target)
    with pytest.raises(UpdateError, match="must lead to"):
        Slots(tmp_path).current()


def test_a_folder_in_place_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(UpdateError, match="must be a link"):
        Slots(tmp_path).current()


def test_which_slot_is_written_into(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    assert slots.idle(None) == "a" and slots.idle(Place("a", "x")) == "b" and slots.idle(Place("b", "x")) == "a"
    (tmp_path / "a").mkdir()
    assert slots.idle(None) == "b"  # what is there is not written over while nothing says that it may be


def test_a_bundle_on_trial_is_that_of_its_slot(tmp_path: Path) -> None:
    """The same bundle in the other slot, confirmed long ago, is not on trial."""
    slots = Slots(tmp_path)
    for slot in "ab":
        (tmp_path / slot / "x").mkdir(parents=True)
        (tmp_path / slot / "x" / "manifest.json").write_bytes(b"{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    state = State(trial=Trial("a", digest, ()), floors={}, rejected=())
    assert slots.on_trial(Place("a", "x"), state) and not slots.on_trial(Place("b", "x"), state)
    assert not slots.on_trial(Place("a", "x"), State(trial=Trial("a", "0" * 64, ()), floors={}, rejected=()))


def test_a_slot_serves_a_folder_and_nothing_else(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    assert slots.serving() is None, "nothing was installed"
    (tmp_path / "a" / "x").mkdir(parents=True)
    (tmp_path / "current").symlink_to("a/x")
    assert slots.serving() == tmp_path / "a" / "x"
    (tmp_path / "a" / "x").rmdir()
    (tmp_path / "a" / "x").write_bytes(b"a file where the bundle was")
    with pytest.raises(UpdateError, match="no slot serves"):
        slots.serving()
    (tmp_path / "a" / "x").unlink()
    with pytest.raises(UpdateError, match="no slot serves"):
        slots.serving()


def test_a_slot_holds_exactly_one_folder(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    assert slots.place("a") is None
    (tmp_path / "a" / "x").mkdir(parents=True)
    assert slots.place("a") == Place("a", "x")
    (tmp_path / "a" / "y").mkdir()
    assert slots.place("a") is None


def test_one_update_at_a_time_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    code = "import sys\nfrom pathlib import Path\nfrom edge.serving.update.slots import Slots\n"
    code += "with Slots(Path(sys.argv[1])).updating():\n    print(flush=True); sys.stdin.read()\n"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UpdateBusy, match="another update"), slots.updating():
            pass
        with slots.changing():  # a start of the service need not wait for a download
            pass
        other.kill()
    with slots.updating():
        pass


def test_a_history_keeps_growing_and_only_its_end_is_read(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    assert slots.history.tail(3) == []
    for number in range(5):
        slots.note("installed", number=number)
    assert [each["number"] for each in slots.history.tail(3)] == [2, 3, 4]
    with slots.history.path.open("ab") as stream:
        stream.write(b"\xff\xfe\n[1]\n" + b"x" * 300_000 + b"\n")
    slots.note("confirmed")
    assert [each["what"] for each in History(tmp_path, Durable()).tail(9)] == ["confirmed"]


def test_nothing_is_renamed_over(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError):
        Durable().rename("place", tmp_path / "one", tmp_path / "two")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    Durable().replace_file("x", path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Durable().replace_file("x", path, b"new")
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["state.json"]
