"""`edge update`, `edge rollback`, `edge slots` and a service on trial, as a technician meets them."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import bundle as bundles
from edge.bundle.archives.archive import zip_bytes
from edge.bundle.bundle import NO_KEYS
from edge.bundle.trusted import TrustedKeys
from edge.diagnostics.slots import slots
from edge.errors import InterpreterUnavailable, UpdateError
from edge.record.store import Store
from edge.serving.update.candidates import Terms
from edge.serving.update.sandboxed_selftest import Proof
from edge.serving.update.slots import Place, Slots
from edge.serving.update.sources import FolderCandidate
from edge.serving.update.updater import update
from edge.system.durable import Durable
from edge.system.machine import Machine
from tests.commands import is_one_line, shell
from tests.edge.serving.update.device import Device
from tests.edge.serving.update.kill import perform
from tests.edge.serving.update.world import NAME, World, signed, write_bundle
from tests.paths import ROOT
from tests.signing import make_key
from tests.tiny_bundle import certified

EDGE = Path(sys.executable).with_name("edge")
CAMERA = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"


@pytest.fixture
def device(
    world: World, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Device:
    """Serves version 1, confirmed. The self-test in a child is left out here; `test_the_whole_way` has it."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr("edge.bundle.trusted.DEFAULT_KEYS", world.trusted)
    monkeypatch.setattr("edge.serving.update.sandboxed_selftest.Proof.__call__", lambda self, bundle: None)
    return Device.new(world, tmp_path, image, capsys, ["update 1", "confirm"])


def stick(folder: Path, *bundles: Path) -> Path:
    """A mounted stick with bundles in folders."""
    for number, bundle in enumerate(bundles):
        shutil.copytree(bundle, folder / f"copy {number}" / bundle.name)
    return folder


# --- sources ---------------------------------------------------------------------------------------------------------


def test_the_newest_on_a_stick_is_taken_and_the_others_are_told(device: Device, world: World, tmp_path: Path) -> None:
    root = stick(tmp_path / "stick", world.offer(1), world.offer(3))
    other = world.sign(write_bundle(tmp_path / "o", "other", name="other-int8"), 9, "other-int8")
    shutil.copytree(other, root / other.name)
    (root / "two.zip").write_bytes(zip_bytes(NAME, {p.name: p.read_bytes() for p in world.offer(2).iterdir()}))
    (root / "notes.txt").write_text("not a bundle")
    (root / "holiday.zip").write_bytes(b"PK")
    code, out, _ = device.update(root, "--json")
    told = json.loads(out)
    assert code == 0 and (told["action"], told["version"], told["current"]) == ("installed", 3, f"b/{NAME}")
    fates = {Path(each["origin"]).name: each["fate"] for each in told["passed_over"]}
    assert fates == {NAME: "installed", "two.zip": "older", "other-int8": "other", "holiday.zip": "refused"}
    assert device.serves() == 3


def test_a_zip_file_with_and_without_a_folder_in_it(device: Device, world: World, tmp_path: Path) -> None:
    import zipfile

    bare = tmp_path / f"{NAME}.zip"
    with zipfile.ZipFile(bare, "w") as archive:
        for path in world.offer(2).iterdir():
            archive.write(path, path.name)
    assert device.update(bare)[0] == 0
    packed = tmp_path / "whatever.zip"
    packed.write_bytes(zip_bytes(NAME, {p.name: p.read_bytes() for p in world.offer(3).iterdir()}))
    assert device.update(packed)[0] == 0
    assert device.serves() == 3


def test_a_bad_newest_one_does_not_keep_the_next_from_being_installed(
    device: Device, world: World, tmp_path: Path
) -> None:
    root = stick(tmp_path / "stick", world.offer(2), world.offer(3))
    [golden] = root.glob("copy 1/*/golden.npz")
    golden.write_bytes(b"")
    code, out, _ = device.update(root, "--json")
    assert code == 0 and json.loads(out)["version"] == 2
    assert [each["what"] for each in device.history()[-2:]] == ["refused", "installed"]


def test_the_profile_names_the_source(device: Device, world: World, tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[update]\nsource = "{world.offer(2)}"\n[trust]\nkeys = "{world.trusted}"\n')
    code, out, _ = device.edge("update", "--config", profile, "--slots", device.slots.folder)
    assert code == 0 and "version 2 is installed" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "needs a SOURCE"),
        (["/nowhere"], 2, "no such file or folder"),
        (["ftp://x/y.zip"], 2, "must be a folder"),
        (["http://x/y.zip"], 2, "by https alone"),
        (["--name", "../x", "/tmp"], 2, "--name must be"),
        (["/tmp", "--chekc"], 2, "did you mean --check"),
        (["http://127.0.0.1:9/repo", "--root", "/nowhere/root.json"], 1, "put its root.json there"),
    ],
)
def test_wrong_words_are_one_line(device: Device, words: list[str], code: int, said: str) -> None:
    found = device.edge("update", *words, "--slots", device.slots.folder, "--trusted", device.world.trusted)
    assert found[0] == code and found[1] == ""
    assert found[2].splitlines()[-1].startswith("error: ") and said in found[2]


def test_two_networks_on_a_stick_for_a_device_that_has_none_yet(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions of different networks say nothing about each other: somebody has to choose."""
    monkeypatch.setattr("edge.serving.update.sandboxed_selftest.Proof.__call__", lambda self, bundle: None)
    device = Device.new(world, tmp_path, image, capsys, [])
    root = stick(tmp_path / "stick", world.offer(2))
    other = world.sign(write_bundle(tmp_path / "o", "other", name="other-int8"), 9, "other-int8")
    shutil.copytree(other, root / other.name)
    code, _, err = device.update(root)
    assert code == 1 and f"offers {NAME} and other-int8; say which with --name" in err
    assert device.update(root, "--name", NAME)[0] == 0
    assert str(device.slots.current()) == f"a/{NAME}"


class Changing(FolderCandidate):
    """A stick that shows one thing at the first look and another at the second."""

    def files(self) -> Mapping[str, bytes]:
        return FolderCandidate(self.path.parents[1] / "3" / NAME).files()


def test_a_source_that_changes_between_two_looks(device: Device, world: World) -> None:
    world.offer(3)
    terms = Terms(TrustedKeys.load(world.trusted), NAME)
    with pytest.raises(UpdateError, match="changed while it was read"):
        update(device.slots, lambda: [Changing(world.offer(2))], terms, lambda path: None, source="x")
    assert device.serves() == 1 and device.left_over() == []


def test_an_update_that_is_interrupted_leaves_nothing(device: Device, world: World) -> None:
    def interrupted(path: Path) -> None:
        assert device.left_over() == [".staging"]
        raise KeyboardInterrupt

    terms = Terms(TrustedKeys.load(world.trusted), NAME)
    with pytest.raises(KeyboardInterrupt):
        update(device.slots, lambda: [FolderCandidate(world.offer(2))], terms, interrupted, source="x")
    assert device.serves() == 1 and device.left_over() == []


def test_an_empty_folder_and_one_with_too_much_in_it(device: Device, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    code, _, err = device.update(tmp_path / "stick")
    assert code == 1 and "holds no bundle" in err
    for number in range(2001):
        (tmp_path / "stick" / str(number)).touch()
    code, _, err = device.update(tmp_path / "stick")
    assert code == 1 and "too much to look through" in err


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_check_changes_nothing(device: Device, world: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in device.slots.folder.rglob("*")}
    code, out, _ = device.update(world.offer(2), "--check")
    assert code == 0 and "version 2 would be installed" in out
    assert {path: path.stat().st_mtime_ns for path in device.slots.folder.rglob("*")} == before
    assert device.serves() == 1


def test_the_same_bundle_again_is_nothing_to_do(device: Device, world: World) -> None:
    code, out, _ = device.update(world.offer(1))
    assert code == 0 and "serves here already" in out
    device.update(world.offer(2))
    code, out, _ = device.update(world.offer(2))
    assert code == 0 and "is on trial here" in out


def test_an_unsigned_bundle_in_so_many_words(device: Device, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, "of nobody")
    code, _, err = device.update(bundle, "--allow-unsigned")
    assert code == 0 and "only a run that says --allow-unsigned" in err
    assert device.history()[-1]["signed_by"] == "unsigned"
    code, out, _ = device.edge("slots", "--slots", device.slots.folder, "--trusted", device.world.trusted)
    assert code == 1 and "not signed" in out
    code, _, err = device.edge("classify", device.image, "--ungated")
    assert code != 0 and "not signed" in err


def test_a_bundle_of_before_gates_is_said_to_keep_the_service_from_starting(device: Device) -> None:
    words = ("slots", "--slots", device.slots.folder, "--trusted", device.world.trusted, "--allow-unsigned")
    assert "no gates" not in device.edge(*words)[1]
    current = device.slots.current()
    assert current is not None
    path = device.slots.path(current)
    parts = bundles.parts_of(bundles.load(path, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True))
    certificate = {key: value for key, value in parts["certificate"].items() if key != "gates"}
    bundles.write(path, **{**parts, "certificate": certificate, "gates": None})
    code, out, _ = device.edge(*words)
    assert code == 0 and "no gates, so that the service refuses to start with it" in out
    assert json.loads(device.edge(*words, "--json")[1])["slots"][current.slot]["gates"] is False


def test_what_was_gone_back_from_is_not_installed_again_unless_told(device: Device, world: World) -> None:
    device.update(world.offer(2))
    assert (
        device.edge("rollback", "--slots", device.slots.folder, "--trusted", world.trusted, "--why", "too slow")[0] == 0
    )
    assert device.serves() == 1
    code, _, err = device.update(world.offer(2))
    assert code == 1 and "gone back from: too slow" in err
    assert device.update(world.offer(2), "--retry")[0] == 0
    assert device.serves() == 2


def test_rollback_needs_a_good_slot(device: Device, world: World) -> None:
    words = ("--slots", device.slots.folder, "--trusted", world.trusted)
    code, _, err = device.edge("rollback", *words)
    assert code == 1 and "no other good slot" in err
    device.update(world.offer(2))
    assert device.edge("rollback", *words)[0] == 0
    code, _, err = device.edge("rollback", *words)  # to the one just left
    assert code == 1 and "no other good slot" in err
    assert device.serves() == 1


def test_rollback_to_a_slot_that_was_tampered_with(
    device: Device, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    device.update(world.offer(2))
    (device.slots.folder / "a" / NAME / "golden.npz").write_bytes(b"")
    code, _, err = device.edge("rollback", "--slots", device.slots.folder, "--trusted", world.trusted)
    assert code == 1 and "golden.npz" in err
    assert str(device.slots.current()) == f"b/{NAME}"


def test_slots_tells_of_everything(device: Device, world: World) -> None:
    device.update(world.offer(2))
    words = ("slots", "--slots", device.slots.folder, "--trusted", world.trusted)
    code, out, _ = device.edge(*words, "--json")
    told = json.loads(out)
    assert code == 0 and told["on_trial"] and told["current"] == f"b/{NAME}" and told["sound"]
    assert {slot: each["version"] for slot, each in told["slots"].items()} == {"a": 1, "b": 2}
    assert [each["what"] for each in told["history"]] == ["installed", "confirmed", "installed"]
    assert "on trial" in device.edge(*words)[1]
    (device.slots.folder / "b" / NAME / "labels.txt").write_text("Benign\n")
    code, out, _ = device.edge(*words)
    assert code == 1 and "labels.txt" in out


def test_where_nothing_was_installed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], image: Path
) -> None:
    device = Device.new(world, tmp_path, image, capsys, [])
    code, out, _ = device.edge("slots", "--slots", device.slots.folder, "--trusted", world.trusted)
    assert code == 0 and "nothing was installed" in out


def test_a_populated_device_never_falls_back_to_the_shipped_bundle(device: Device) -> None:
    (device.slots.folder / "current").unlink()
    for slot in ("a", "b"):
        shutil.rmtree(device.slots.folder / slot, ignore_errors=True)
        (device.slots.folder / slot).mkdir()
    for words in (("classify", device.image), ("run", "--frames", "1", "--camera", CAMERA)):
        code, out, err = device.edge(*words)
        assert (code, out) == (1, "")
        assert "no slot" in next(line for line in err.splitlines() if line.startswith("error: "))


# --- the machine -----------------------------------------------------------------------------------------------------


def test_a_second_update_at_the_same_time_is_refused(device: Device, world: World) -> None:
    with device.slots.updating():
        done = shell("edge", "update", world.offer(2), "--slots", device.slots.folder, "--trusted", world.trusted)
    assert done.returncode == 4 and is_one_line(done.stderr) and "another update is under way" in done.stderr
    assert device.serves() == 1


def test_leftovers_of_a_killed_update_are_removed(device: Device, world: World) -> None:
    for name in (".staging", ".cleared"):
        (device.slots.folder / name / "x").mkdir(parents=True)
    (device.slots.folder / ".state.json.partial").write_text("{")
    (device.slots.folder / ".current.partial").symlink_to("x")
    assert device.update(world.offer(2))[0] == 0
    assert sorted(path.name for path in device.slots.folder.iterdir()) == [
        ".changing", ".updating", "a", "b", "current", "history.jsonl", "state.json",
    ]  # fmt: skip


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    return disk_of("2m")


def test_a_full_disk_leaves_the_old_slot_as_it_was(small_disk: Path, device: Device, world: World) -> None:
    """There is room for one bundle of 0.7 MB, and not for a second beside the ballast."""
    folder = small_disk / "bundles"
    shutil.copytree(device.slots.folder, folder, symlinks=True)
    (small_disk / "ballast").write_bytes(b"\0" * (900 * 1024))
    words = ("update", world.offer(2), "--slots", folder, "--trusted", world.trusted)
    code, out, err = device.edge(*words)
    assert (code, out) == (4, "") and "No space left on device" in err.splitlines()[-1]
    assert str(Slots(folder).current()) == f"a/{NAME}" and not (folder / ".staging").exists()
    assert device.edge("classify", device.image, "--ungated", "--bundle", folder / "a" / NAME)[0] == 0
    (small_disk / "ballast").unlink()
    assert device.edge(*words)[0] == 0


def test_what_root_installs_belongs_to_the_service(device: Device, world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in [device.slots.folder, *device.slots.folder.rglob("*")]:
        os.chown(path, 12345, 12346, follow_symlinks=False)
    for name in (world.root, world.root / "offers"):
        name.chmod(0o755)
    assert device.update(world.offer(2))[0] == 0
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in device.slots.folder.rglob("*")}
    assert owners == {(12345, 12346)}
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in device.slots.folder.rglob("*") if path.is_file()}
    assert modes <= {0o644}


# --- the self-test of a new bundle ----------------------------------------------------------------------------------


class Child(Proof):
    """A proof whose child is any program."""

    def command_line(self, bundle: Path) -> list[str]:
        return [sys.executable, "-c", bundle.joinpath("program").read_text()]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\)"),
        ("import time; time.sleep(60)", "did not end within"),
        ("import sys; sys.exit('error: answers otherwise')", "failed: answers otherwise"),
        ("import sys; sys.exit(1)", "it said nothing"),
    ],
)
def test_a_self_test_that_crashes_hangs_or_fails(tmp_path: Path, program: str, said: str) -> None:
    (tmp_path / "program").write_text(program)
    with pytest.raises(UpdateError, match=said):
        Child(timeout_s=1.0)(tmp_path)


def test_a_machine_without_an_interpreter_is_no_fault_of_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("import sys; print('error: none here', file=sys.stderr); sys.exit(4)")
    with pytest.raises(InterpreterUnavailable, match="none here"):
        Child()(tmp_path)


# --- the service -----------------------------------------------------------------------------------------------------


@pytest.fixture
def service(device: Device, tmp_path: Path, world: World) -> Iterator[list[subprocess.Popen[str]]]:
    """What is started here is killed at the end."""
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[camera]\nuri = "{CAMERA}"\nsize = [320, 240]\n[trust]\nkeys = "{world.trusted}"\n')
    started: list[subprocess.Popen[str]] = []
    yield started
    for each in started:
        each.kill()
        each.communicate()


def begin(service: list[subprocess.Popen[str]], tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """Start `edge run` as the unit does, and wait for its first verdict."""
    running = subprocess.Popen(
        [EDGE, "run", "--config", tmp_path / "edge.toml", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    service.append(running)
    assert running.stdout is not None and running.stderr is not None
    if not running.stdout.readline():
        raise AssertionError(running.stderr.read())
    return running


def served_by(running: subprocess.Popen[str]) -> int:
    assert running.stdout is not None
    return int(json.loads(running.stdout.readline())["bundle_version"])


def events(tmp_path: Path) -> list[tuple[str, str]]:
    with Store.open(tmp_path / "state" / "record", read_only=True) as store:
        bodies = [json.loads(row.body) for row in store.entries(through=store.head().id)]
    return [(each["kind"], each["detail"]) for each in bodies if each["type"] == "event"]


@pytest.mark.slow
def test_a_running_service_ends_for_an_update_and_the_next_start_serves_it(
    device: Device, service: list[subprocess.Popen[str]], tmp_path: Path, world: World
) -> None:
    """And a kill of that one, on trial, brings the old one back."""
    running = begin(service, tmp_path)
    assert served_by(running) == 1
    device.update(world.offer(2))
    running.communicate(timeout=60)
    assert running.returncode == 0  # systemd starts it again after that
    assert any(kind == "bundle_switched" and f"b/{NAME}" in said for kind, said in events(tmp_path))

    running = begin(service, tmp_path, "--camera", CAMERA.replace("fps=200", "fps=5"))  # too slow to be confirmed soon
    assert served_by(running) == 2
    running.send_signal(signal.SIGKILL)
    running.communicate()
    running = begin(service, tmp_path)
    assert served_by(running) == 1
    running.terminate()
    running.communicate(timeout=60)
    assert any(kind == "bundle_fell_back" and "a kill" in said for kind, said in events(tmp_path))


def test_golden_outputs_that_fail_at_the_start_fall_back_in_that_start(
    device: Device, service: list[subprocess.Popen[str]], tmp_path: Path, world: World
) -> None:
    """Back on the old one within one start, the reason stored in the record and shown."""
    bad = world.sign(write_bundle(tmp_path / "bad", "wrong", golden="wrong"), 9)
    assert device.update(bad)[0] == 0  # the self-test in a child is left out here
    running = begin(service, tmp_path)
    assert served_by(running) == 1
    running.terminate()
    running.communicate(timeout=60)
    assert any(kind == "bundle_fell_back" and "golden images differ" in said for kind, said in events(tmp_path))
    assert "golden images differ" in device.edge("slots", "--slots", device.slots.folder)[1]
    found = {each.name: each for each in slots(Machine(keys=world.trusted))}
    assert "golden images differ" in found["last change of the slots"].found
    assert found["slots"].state == "ok" and "version 1" in found["slots"].found


def test_two_bad_slots_end_with_one_line(device: Device, tmp_path: Path, world: World) -> None:
    device.update(world.offer(2))
    for slot in ("a", "b"):
        (device.slots.folder / slot / NAME / "model.tflite").write_bytes(b"TFL3")
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[camera]\nuri = "{CAMERA}"\nsize = [320, 240]\n[trust]\nkeys = "{world.trusted}"\n')
    done = shell("edge", "run", "--frames", "1", "--config", profile)
    assert done.returncode == 1 and is_one_line(done.stderr) and done.stdout == ""
    assert "no slot can serve" in done.stderr
    assert device.slots.current() == Place("b", NAME)


def test_a_defect_is_told_from_an_answer(tmp_path: Path) -> None:
    """Exit code 1 keeps the service down; an exception that nobody foresaw must not."""
    code = "import sys, edge.cli, edge.commands.classify\n"
    code += "def broken(*a, **k): raise ZeroDivisionError\n"
    code += "edge.commands.classify.classify = broken; sys.argv = ['edge', 'classify', 'x']; edge.cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 70 and "ZeroDivisionError" in done.stderr


def test_a_bundle_that_a_run_could_not_start_with_is_refused(
    device: Device, world: World, bundle_parts: dict[str, Any], tmp_path: Path
) -> None:
    """It verifies; nothing says when it must not be asked."""
    without = bundles.write(tmp_path / "stick" / "tiny-int8", **certified({**bundle_parts, "gates": None}))
    small = world.sign(without.path, 9, "tiny-int8")
    words = (small.parent, "--name", "tiny-int8")
    code, _, err = device.update(*words)
    assert code == 1 and "no gates.json says when this model must not be asked" in err
    assert device.serves() == 1 and device.left_over() == []
    (tmp_path / "edge.toml").write_text("[model]\nungated = true\n")
    code, out, _ = device.update(*words, "--config", tmp_path / "edge.toml")  # negative control: told so, it runs
    assert code == 0 and "tiny-int8 version 9 is installed" in out


def test_the_whole_way(world: World, tmp_path: Path, image: Path) -> None:
    """Installed commands, each in a process of its own, the self-test in a child of them; slots by a relative path."""
    state = tmp_path / "state"
    words = ("--slots", os.path.relpath(state / "bundles", ROOT), "--trusted", world.trusted)
    state.mkdir()
    done = shell("edge", "update", world.offer(1), *words)
    assert done.returncode == 0 and "version 1 is installed as a/" in done.stdout, done.stderr
    bad = world.sign(write_bundle(tmp_path / "bad", "wrong", golden="wrong"), 9)
    done = shell("edge", "update", bad, *words)
    assert done.returncode == 1 and is_one_line(done.stderr) and "self-test failed" in done.stderr
    told = json.loads(shell("edge", "slots", *words, "--json").stdout)
    assert told["current"] == f"a/{NAME}" and told["slots"]["b"] is None


def test_the_steps_are_named(world: World, tmp_path: Path) -> None:
    """Their order is the order on the disk, and what `edge/serving/update/updater.py` says."""
    seen: list[str] = []
    perform(world, Slots(tmp_path, durable=Durable(lambda step, when: seen.append(step))), "update 1")
    order = [step for step in dict.fromkeys(seen) if not step.startswith(("clean", "stage"))]
    assert order == ["place", "mark", "switch", "note installed", "tidy"]


def test_slots_that_a_user_may_not_see_are_not_taken_for_none(device: Device, tmp_path: Path) -> None:
    """They would get the shipped bundle, and no word."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.chmod(tmp_path / "state", 0o700)  # noqa: PTH101
    code = "import os, sys\nfrom edge.errors import UpdateError\nfrom edge.serving.update.slots import Slots\n"
    code += "from pathlib import Path\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    code += "try:\n    Slots(Path(sys.argv[1])).populated\nexcept UpdateError as error:\n    print(error)\n"
    words = [sys.executable, "-c", code, str(device.slots.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert "Permission denied; run this as the service's user" in done.stdout, done.stderr


class Shell(Proof):
    """A proof whose child tells who it is."""

    def command_line(self, bundle: Path) -> list[str]:
        return ["/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G) >&2; exit 1"]


def test_the_child_of_root_is_the_owner_of_the_slots(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    os.chown(tmp_path, 12345, 12346)
    with pytest.raises(UpdateError, match="failed: 12345 12346 12346"):
        Shell()(tmp_path)


def test_messages_name_the_source_and_no_folder_of_an_update(device: Device, world: World, tmp_path: Path) -> None:
    """The staging folder is gone when the message is read."""
    foreign = make_key(tmp_path / "keys", "other")
    by_another = signed(write_bundle(tmp_path / "a", "x"), foreign, 9)
    damaged = shutil.copytree(world.offer(2), tmp_path / "b" / NAME)
    (damaged / "model.tflite").write_bytes(b"x")
    for bundle in (by_another, damaged):
        code, _, err = device.update(bundle)
        assert code == 1 and ".staging" not in err and str(bundle) in err
        assert ".staging" not in json.dumps(device.history())


def test_a_bundle_whose_certificate_does_not_pass_is_refused_without_an_option_that_updates_lack(
    device: Device, world: World, tmp_path: Path
) -> None:
    certificate = {**json.loads((world.offer(2) / "certificate.json").read_text()), "verdict": "inconclusive"}
    bundle = world.sign(write_bundle(tmp_path / "c", "inconclusive", certificate=certificate), 9)
    code, _, err = device.update(bundle)
    assert code == 1 and "says 'inconclusive', not 'pass': no such bundle is installed" in err
    assert "--allow-uncertified" not in err and device.serves() == 1
