"""What signatures decide where commands run, and what every record then says; commands as they are installed."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from convert.signing.keys import PrivateKey
from edge.cameras.synthetic.smear import synthetic_fields
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.diagnostics import trust as trust_probe
from edge.diagnostics.doctor import diagnose
from edge.record.audit import verify
from edge.serving.trust_watch import LOOK_EVERY_S, TrustWatch
from edge.system.machine import Machine
from tests.commands import is_one_line, shell
from tests.edge.record.records import ask
from tests.signing import SHIPPED, VERSION, make_key, signed_copy, trusted_folder

SHARP = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def officer(keys: Path) -> PrivateKey:
    return make_key(keys, "officer")


@pytest.fixture
def signed(tmp_path: Path, officer: PrivateKey) -> Path:
    return signed_copy(tmp_path / "signed", officer)


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "unsigned" / SHIPPED.name))


@pytest.fixture
def profile(tmp_path: Path, keys: Path, officer: PrivateKey) -> Path:
    """Of a machine that trusts the officer."""
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    path = tmp_path / "edge.toml"
    path.write_text(f'[trust]\nkeys = "{folder}"\n')
    return path


@pytest.fixture
def field(tmp_path: Path) -> Path:
    [(_, drawn)] = synthetic_fields(1, seed=1)
    cv2.imwrite(str(tmp_path / "field.png"), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    return tmp_path / "field.png"


def run(*words: object) -> int:
    return main("edge", COMMANDS, [str(word) for word in words])


# --- edge classify, installed


def test_a_machine_with_keys_classifies_with_signed_bundles_alone(
    field: Path, signed: Path, unsigned: Path, profile: Path, officer: PrivateKey
) -> None:
    good = shell("edge", "classify", field, "--bundle", signed, "--config", profile, "--json")
    assert good.returncode == 0, good.stderr
    record = json.loads(good.stdout)
    said = (record["bundle"], record["signed_by"], record["bundle_version"])
    assert said == ("custom_cnn-int8", officer.public.id, VERSION)
    bad = shell("edge", "classify", field, "--config", profile, "--bundle", unsigned)
    assert (bad.returncode, bad.stdout) == (2, "") and is_one_line(bad.stderr)
    assert "not signed: manifest.sig is missing" in bad.stderr


def test_not_even_with_its_own_and_with_others_only_in_so_many_words(
    field: Path, unsigned: Path, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("--bundle", SHIPPED), ()):
        assert run("classify", field, "--config", profile, *words) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and "not signed: manifest.sig is missing" in captured.err
    assert run("classify", field, "--bundle", unsigned, "--config", profile, "--allow-unsigned", "--json") == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert "--allow-unsigned lets it run" in captured.err
    assert (record["bundle"], record["signed_by"], record["bundle_version"]) == ("custom_cnn-int8", "unsigned", None)


def test_what_was_altered_is_refused_whatever_is_allowed(
    field: Path, signed: Path, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((signed / "model.tflite").read_bytes())
    data[-1] ^= 1
    (signed / "model.tflite").write_bytes(data)
    for words in ((), ("--allow-unsigned",), ("--allow-unsigned", "--allow-uncertified")):
        assert run("classify", field, "--bundle", signed, "--config", profile, *words) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and "model.tflite: altered" in captured.err


def test_a_bad_folder_of_keys_stops_everything(
    field: Path, signed: Path, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trusted" / "new.pub").write_text("hello")
    assert run("classify", field, "--bundle", signed, "--config", profile, "--allow-unsigned") == 2
    captured = capsys.readouterr()
    assert captured.out == "" and is_one_line(captured.err) and "new.pub: must hold one public key" in captured.err


def loaded_modules(*words: object) -> set[str]:
    """Top-level packages that a command has imported when it ends."""
    code = "import sys, atexit; atexit.register(lambda: print(*sorted({m.partition('.')[0] for m in sys.modules}), "
    code += "file=sys.stderr)); import edge.cli; edge.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_without_keys_nothing_of_cryptography_is_imported(field: Path, signed: Path, profile: Path) -> None:
    crypto = {"cryptography", "securesystemslib", "tuf"}
    assert not loaded_modules("classify", field) & crypto
    with_keys = loaded_modules("classify", field, "--bundle", signed, "--config", profile)
    assert with_keys & crypto == {"cryptography", "securesystemslib"}  # negative control


def test_where_cryptography_is_missing_the_cure_is_named(
    signed: Path, field: Path, profile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    assert run("classify", field, "--bundle", signed, "--config", profile) == 4
    error = capsys.readouterr().err
    assert is_one_line(error) and "pip install '.[device]' in a clone of Leukoscope" in error


# --- records


@pytest.fixture
def record(tmp_path: Path, drawn_once: None) -> Iterator[Path]:
    yield tmp_path / "record"


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_run_records_who_signed_its_bundle(
    record: Path, signed: Path, profile: Path, officer: PrivateKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "--camera", SHARP, "--frames", 3, "--store", record, "--config", profile, "--bundle", signed)
    assert run(*words, "--json") == 0
    lines = entries(capsys)
    key = officer.public.id
    assert {(line["bundle"], line["signed_by"], line["bundle_version"]) for line in lines} == {
        ("custom_cnn-int8", key, VERSION)
    }
    assert run(*words) == 0
    heading, columns, *_ = capsys.readouterr().out.splitlines()
    assert heading == f"custom_cnn-int8, version {VERSION}, signed by {key[:12]}, not accepted at any site"
    assert "verdict" in columns
    assert ask(record, "SELECT DISTINCT signed_by, bundle_version FROM runs") == [(key, VERSION)]
    assert ask(record, "SELECT count(*) FROM events WHERE kind = 'unsigned'") == [(0,)]
    assert run("export", "--slide", "unnamed", "--to", tmp_path / "out", "--store", record) == 0
    with (tmp_path / "out" / "verdicts.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 6 and {(row["signed_by"], row["bundle_version"]) for row in rows} == {(key, str(VERSION))}
    chain = json.loads((tmp_path / "out" / "chain.json").read_text())
    named = {"bundle": "custom_cnn-int8", "bundle_version": VERSION, "signed_by": key}
    acceptance = "not accepted at any site"
    assert chain["bundles"] == [{**named, "synthetic_certificate": False, "acceptance": acceptance}]
    assert f"Judged by {heading}." in (tmp_path / "out" / "README.txt").read_text()
    report = verify(record)
    assert report.sound and report.signers == {key: 2} and f"signed their bundle: {key[:12]} 2" in report.text()


def test_a_run_that_was_allowed_an_unsigned_bundle_shows_it_everywhere(
    record: Path, unsigned: Path, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "--camera", SHARP, "--frames", 3, "--store", record, "--config", profile, "--bundle", unsigned)
    assert run(*words) == 2
    assert "not signed" in capsys.readouterr().err and not record.exists()
    assert run(*words, "--allow-unsigned", "--json") == 0
    assert {line["signed_by"] for line in entries(capsys)} == {"unsigned"}
    assert run(*words, "--allow-unsigned") == 0
    assert capsys.readouterr().out.startswith("custom_cnn-int8, unsigned, not accepted at any site\n")
    assert ask(record, "SELECT signed_by, bundle_version FROM runs") == [("unsigned", None)] * 2
    [(detail,), _] = ask(record, "SELECT detail FROM events WHERE kind = 'unsigned'")
    assert detail == "--allow-unsigned: no trusted key signed custom_cnn-int8"
    assert run("export", "--slide", "unnamed", "--to", tmp_path / "out", "--store", record) == 0
    readme = (tmp_path / "out" / "README.txt").read_text()
    assert "Judged by custom_cnn-int8, unsigned, not accepted at any site." in readme
    assert verify(record).signers == {"unsigned": 2}


def test_warnings_about_the_keys_are_said_and_do_not_stop(
    field: Path, signed: Path, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trusted").chmod(0o777)
    assert run("classify", field, "--bundle", signed, "--config", profile) == 0
    assert f"warning: {tmp_path / 'trusted'} can be written by others" in capsys.readouterr().err


# --- edge doctor


def findings(**machine: Any) -> dict[str, tuple[str, str]]:
    return {f.name: (f.state, f.found) for f in diagnose(Machine(**machine), [("trust", trust_probe.bundle, 60)])}


def test_doctor_says_whose_bundles_run_and_whether_this_one_does(
    signed: Path, unsigned: Path, tmp_path: Path, keys: Path, officer: PrivateKey
) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    found = findings(bundle=signed, keys=folder)
    assert found["trusted keys"][0] == "ok" and f"officer ({officer.public.id[:12]})" in found["trusted keys"][1]
    assert found["bundle"][0] == "ok" and f"version {VERSION}, signed by" in found["bundle"][1]
    assert findings(bundle=unsigned, keys=folder)["bundle"][0] == "missing"
    (folder / "lost.revoked").write_text(f"key {officer.public.id}\n")
    found = findings(bundle=signed, keys=folder)
    assert found["trusted keys"][0] == "warning" and found["bundle"] == ("missing", found["bundle"][1])
    assert "revoked" in found["bundle"][1]
    (folder / "lost.revoked").write_text("nonsense\n")
    assert findings(bundle=signed, keys=folder) == {
        "trusted keys": ("missing", found_line(folder / "lost.revoked")),
    }


def found_line(path: Path) -> str:
    return f"{path}, line 1: must be `key` or `bundle` and 64 hexadecimal digits; got 'nonsense'"


def test_doctor_on_a_machine_without_keys() -> None:
    found = findings()
    assert found["trusted keys"] == ("ok", "none in /etc/leukoscope/trusted: only the bundle of this installation runs")
    assert found["bundle"][0] == "ok" and "mobilenet_v2-int8, unsigned" in found["bundle"][1]


# --- while a run goes on


def watched(signed: Path, folder: Path, clock: list[float], **allowed: bool) -> TrustWatch:
    files = ((signed / name).read_bytes() for name in ("manifest.json", "manifest.sig"))
    return TrustWatch(signed, *files, folder, **{"allow_unsigned": False, **allowed}, now=lambda: clock[0])


def test_a_watch_looks_now_and_then_and_says_what_was_revoked(signed: Path, profile: Path, tmp_path: Path) -> None:
    clock = [0.0]
    watch = watched(signed, tmp_path / "trusted", clock)
    digest = hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
    clock[0] += LOOK_EVERY_S
    assert watch.withdrawn() == ""
    (tmp_path / "trusted" / "march.revoked").write_text(f"bundle {digest}\n")
    assert watch.withdrawn() == ""  # not yet
    clock[0] += LOOK_EVERY_S
    assert f"bundle {digest[:12]} was revoked" in watch.withdrawn()


def test_a_watch_notices_keys_that_are_taken_away_and_waits_for_those_that_cannot_be_read(
    signed: Path, profile: Path, tmp_path: Path, officer: PrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, clock = tmp_path / "trusted", [0.0]
    strict, lenient = watched(signed, folder, clock), watched(signed, folder, clock, allow_unsigned=True)
    (folder / "new.pub").write_text("half a key")
    for _ in range(3):
        clock[0] += LOOK_EVERY_S
        assert strict.withdrawn() == ""
    assert capsys.readouterr().err.count("cannot be found out") == 1
    (folder / "new.pub").unlink()
    (folder / "officer.revoked").write_text(f"key {officer.public.id}\n")
    clock[0] += LOOK_EVERY_S
    assert "which was revoked" in strict.withdrawn()
    assert lenient.withdrawn() == ""


@pytest.mark.slow
def test_a_bundle_that_is_revoked_while_it_serves_stops_serving(signed: Path, profile: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("edge")
    words = ("run", "--bundle", signed, "--config", profile, "--camera", SHARP, "--keep", "none")
    with subprocess.Popen(
        [script, *words, "--store", tmp_path / "record", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None and running.stdout.readline()
        digest = hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
        (tmp_path / "trusted" / "march.revoked").write_text(f"bundle {digest}\n")
        _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert "bundle_withdrawn: " in said and "was revoked" in said
    assert verify(tmp_path / "record").sound
    again = shell("edge", *words, "--store", tmp_path / "record", "--frames", "1")
    assert again.returncode == 2 and "was revoked" in again.stderr
