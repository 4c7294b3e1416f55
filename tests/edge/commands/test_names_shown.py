"""Names that hold line ends and terminal commands, folders whose names are no UTF-8, and streams that are not there."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from convert.quantization.findings import listed
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.record.audit import verify
from edge.record.store import Store
from edge.system.progress import Progress
from edge.system.streams import lines, one_line
from models.data.audit import to_text
from tests.commands import command
from tests.edge.record.records import INFO, NOON, fill, verdict
from tests.paths import ROOT

EVIL = "a\nerror: forged\x1b[2J\u202eb"
SHOWN = "a\\nerror: forged\\x1b[2J\\u202eb"
BUNDLE = ROOT / "models" / "bundles" / "custom_cnn-int8"


def test_what_is_not_printable_is_escaped() -> None:
    assert one_line(EVIL) == SHOWN
    assert one_line("st\udcffx") == "st\\xffx" and one_line(Path("plain äß 血.png")) == "plain äß 血.png"
    assert lines("two\nlines\tof\x9b[31m") == "two\nlines\tof\\x9b[31m"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a field and a broken file, both of names that forge a line."""
    folder = tmp_path / "fields"
    folder.mkdir()
    [(_, frame)] = synthetic_fields(1, seed=3, size=(320, 240))
    (folder / f"{EVIL}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    (folder / f"{EVIL}2.png").write_bytes(b"none")
    return folder


def classify(folder: Path, images: Path) -> list[str]:
    return ["classify", str(images), "--bundle", str(BUNDLE), "--allow-unsigned", "--ungated"]


def run(folder: Path, images: Path) -> list[str]:
    words = ["run", "--camera", f"replay:{images}", "--store", str(folder / "record"), "--bundle", str(BUNDLE)]
    return [*words, "--allow-unsigned"]


def verify_stray(folder: Path, images: Path) -> list[str]:
    fill(folder / "record", 3)
    (folder / "record/images" / EVIL).write_bytes(b"")
    return ["verify", "--store", str(folder / "record")]


def export(folder: Path, images: Path) -> list[str]:
    fill(folder / "record", 3)
    return ["export", "--store", str(folder / "record"), "--slide", "S-1", "--to", str(folder / EVIL)]


def prune_nothing(folder: Path, images: Path) -> list[str]:
    profile = folder / "edge.toml"
    profile.write_text("[retention]\ndays = 3\n")
    return ["prune", "--config", str(profile), "--store", str(folder / EVIL)]


def no_record(folder: Path, images: Path) -> list[str]:
    return ["verify", "--store", str(folder / EVIL)]


def slots(folder: Path, images: Path) -> list[str]:
    return ["slots", "--slots", str(folder / EVIL)]


@pytest.mark.parametrize(
    "words_of", [classify, run, verify_stray, export, prune_nothing, no_record, slots], ids=lambda f: f.__name__
)
def test_no_command_prints_a_name_raw(
    words_of: Callable[[Path, Path], list[str]], tmp_path: Path, images: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main("edge", COMMANDS, words_of(tmp_path, images))
    said = "".join(capfd.readouterr())
    assert "forged" in said
    assert not any(line.startswith("error: forged") for line in said.splitlines())
    assert all(character.isprintable() or character in "\n\t" for character in said), said


def test_sources_of_entries_are_printed_escaped_and_recorded_as_they_are(
    tmp_path: Path, images: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main("edge", COMMANDS, [*run(tmp_path, images), "--json"]) in (0, 1)
    [printed] = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert printed["source"].endswith(f"{EVIL}.png")
    with Store.open(tmp_path / "record", read_only=True) as store:
        sources = [json.loads(row.body).get("source") for row in store.entries(through=store.head().id)]
    assert [source for source in sources if source] == [printed["source"]]


def test_names_in_a_data_set_are_listed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Of `models audit`, of the checks of a calibration set, and beside a bar of progress."""
    record = {"images": 1, "labels": ["a"], "counts": {"a": 1}, "findings": [{"level": "stop", "text": f"{EVIL}.png"}]}
    assert to_text(record).splitlines()[1:] == [f" stop: {SHOWN}.png"]
    assert listed((EVIL,)) == f" ({SHOWN})"
    Progress("title", 1, wanted=False).say(EVIL)
    assert capsys.readouterr().err == f"{SHOWN}\n"


@pytest.mark.parametrize("name", [b"st\xffx", "schrä血".encode(), b"new\nline %20?#"])
def test_a_record_may_be_in_a_folder_of_any_name(
    name: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    words = ["run", "--camera", "sim:?fps=200", "--every", "--frames", "2", "--bundle", str(BUNDLE), "--allow-unsigned"]
    profile = tmp_path / "edge.toml"
    profile.write_text("[camera]\nsize = [320, 240]\n")
    assert main("edge", COMMANDS, [*words, "--store", str(store), "--config", str(profile)]) == 0
    assert (store / "record.sqlite").is_file()
    for command_words in (["verify"], ["prune", "--days", "9"], ["export", "--slide", "unnamed", "--to", f"{store}.e"]):
        assert main("edge", COMMANDS, [*command_words, "--store", str(store)]) == 0, capfd.readouterr().err
    assert json.loads(Path(f"{store}.e/chain.json").read_text())["verdicts"] == 2
    assert main("edge", COMMANDS, ["verify", "--store", str(store), "--json"]) == 0
    assert verify(store).verdicts == 2


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        *(("run --allow-unsigned --frames 3", closed) for closed in ("2>&-", ">&-", "<&- >&- 2>&-")),
        ("selftest --allow-unsigned", "2>&-"),
        ("verify", ">&- 2>&-"),
        pytest.param("doctor", "2>&-", marks=pytest.mark.slow),
    ],
)
def test_a_stream_that_is_not_there_ends_nothing(words: str, closed: str, tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[camera]\nsize = [320, 240]\n[model]\nbundle = "{BUNDLE}"\n')
    store = tmp_path / "record"
    fill(store, 3)
    more = f"--store {store}" + ("" if words == "verify" else f" --config {profile}")
    more = f"--config {profile}" if words.startswith("selftest") else more
    line = f"exec {command('edge')[0]} {words} {more} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode in ((0, 4) if words == "doctor" else (0,)), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    report = verify(store)
    assert report.sound and report.verdicts == (6 if words.startswith("run") else 3)


def test_a_file_that_is_opened_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """The control: without /dev/null there, the record's lock is standard error, and noise goes into it."""
    program = (
        "import os, sys; from edge.system.streams import open_standard_streams\n"
        "if sys.argv[1] == 'mended': open_standard_streams()\n"
        "print(os.open(sys.argv[2], os.O_RDWR | os.O_CREAT), sys.stderr is None)"
    )
    for name, first, none in (("mended", 3, False), ("as it was", 2, True)):
        line = f"exec {command('python')[0]} -c \"$0\" '{name}' {tmp_path / 'file'} 2>&-"
        done = subprocess.run(["sh", "-c", line, program], capture_output=True, text=True, check=True, cwd=ROOT)
        descriptor, is_none = done.stdout.split()
        assert (int(descriptor) >= first if name == "mended" else int(descriptor) == first) and is_none == str(none)


def test_a_slide_of_another_record_is_named_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path) as store:
        store.write(store.begin(INFO, NOON), [verdict(0)])
    assert main("edge", COMMANDS, ["export", "--store", str(tmp_path), "--slide", EVIL, "--to", "x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
