"""A bundle certified on synthetic images, from signing to the record: refused, or visible at every step.

Each check has its negative control: the same bundle with a certificate on real images.
"""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from edge.bundle import bundle as bundles
from edge.bundle.provenance import ON_SYNTHETIC
from edge.record.audit import verify
from edge.serving.serve import serve
from edge.settings.model import ModelSettings
from edge.system.machine import Machine
from tests.edge.bundle.officer import Bench
from tests.edge.record.records import ask, fill
from tests.edge.serving.update.world import NAME
from tests.signing import SHIPPED

SHARP = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"


class SyntheticBench(Bench):
    """What is signed is a shipped bundle whose certificate says what it rests on."""

    def signed(self, synthetic: bool, version: int = 1) -> Path:
        path = self.bundle(f"signed-{version}", synthetic=synthetic)
        code, _, error = self.convert("sign", path, *self.key, "--version", version, "--allow-synthetic")
        assert code == 0, error
        return path


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> SyntheticBench:
    return SyntheticBench.build(tmp_path, capsys, monkeypatch)


# --- signing


@pytest.mark.parametrize("said", [True, "absent", None, "no", 0])
def test_what_synthetic_images_certified_is_not_signed_by_default(bench: SyntheticBench, said: object) -> None:
    """Nor is what does not say that real ones did."""
    path = bench.bundle(synthetic=said)
    for more in ((), ("--allow-uncertified",)):
        code, _, error = bench.convert("sign", path, *bench.key, *more)
        assert code == 2 and error.startswith(f"error: {path}: its certificate rests on synthetic images only")
        assert "--allow-synthetic" in error and len(error.splitlines()) == 1
        assert not (path / "manifest.sig").exists()
    assert bench.convert("sign", path, *bench.key, "--allow-synthetic")[0] == 0
    for again in ("--replace", "--add"):
        assert bench.convert("sign", path, *bench.key, again)[0] == 2


def test_what_real_images_certified_is_signed(bench: SyntheticBench) -> None:
    path = bench.bundle(synthetic=False)
    assert bench.convert("sign", path, *bench.key)[0] == 0
    assert not bundles.load(path, trust=bundles.NO_KEYS, allow_unsigned=True).synthetic


@pytest.mark.parametrize("synthetic", [True, False])
def test_verify_shows_it(bench: SyntheticBench, synthetic: bool) -> None:
    words = ("verify", bench.signed(synthetic), "--public", bench.root / "keys" / "officer.pub")
    code, text, _ = bench.convert(*words)
    assert code == 0 and (f"{ON_SYNTHETIC}: its accuracy is not known" in text) is synthetic
    assert json.loads(bench.convert(*words, "--json")[1])["synthetic_certificate"] is synthetic


def test_publish_shows_it_of_every_release_ever_after(bench: SyntheticBench) -> None:
    words = ("publish", bench.root / "repo", "--keys", bench.root / "roles")
    assert bench.convert(*words, "--init")[0] == 0
    assert ON_SYNTHETIC not in bench.convert(*words, "--bundle", bench.signed(False, 1))[1]
    drawn, real = f"{NAME} version 2: 5 %, {ON_SYNTHETIC}", f"{NAME} version 1: 100 %"
    _, text, _ = bench.convert(*words, "--bundle", bench.signed(True, 2), "--rollout", 5)
    assert f"  {real}\n  {drawn}\n" in text
    _, text, _ = bench.convert(*words, "--release", f"{NAME}/2", "--rollout", 100)
    assert f"  {real}\n  {drawn.replace('5 %', '100 %')}\n" in text
    releases = json.loads(bench.convert(*words, "--refresh", "--json")[1])["releases"]
    assert [each["synthetic_certificate"] for each in releases] == [False, True]
    [certificate] = (bench.root / "repo" / "targets" / NAME / "2").glob("*.certificate.json")
    certificate.write_bytes((SHIPPED / "certificate.json").read_bytes())  # of another bundle: says nothing of this one
    releases = json.loads(bench.convert(*words, "--refresh", "--json")[1])["releases"]
    assert [each["synthetic_certificate"] for each in releases] == [False, None]


# --- the device


@pytest.mark.parametrize("synthetic", [True, False])
def test_update_slots_and_doctor_show_it(bench: SyntheticBench, synthetic: bool) -> None:
    from edge.diagnostics import slots, trust

    code, text, error = bench.edge("update", bench.signed(synthetic), "--trusted", bench.root / "trusted", "--json")
    assert code == 0, error
    assert json.loads(text)["synthetic_certificate"] is synthetic
    assert (f"warning: {NAME} version 1 was {ON_SYNTHETIC}" in error) is synthetic
    [installed] = json.loads(bench.edge("slots", "--json")[1])["history"]
    assert (installed["what"], installed["synthetic_certificate"]) == ("installed", synthetic)
    status = json.loads(bench.edge("slots", "--json")[1])["slots"]["a"]
    assert (status["fault"], status["synthetic_certificate"]) == (None, synthetic)
    assert (f"on trial  {ON_SYNTHETIC}" in bench.edge("slots")[1]) is synthetic
    [found] = slots.slots(Machine())
    assert (ON_SYNTHETIC in found.found) is synthetic
    [found] = [each for each in trust.bundle(Machine()) if each.name == "bundle"]
    assert found.name == "bundle" and (ON_SYNTHETIC in found.found) is synthetic
    assert (found.state, "real images" in found.cure) == (("warning", True) if synthetic else ("ok", False))


def test_serving_warns(bench: SyntheticBench, caplog: pytest.LogCaptureFixture) -> None:
    for synthetic in (False, True):
        caplog.clear()
        served = serve(ModelSettings(bundle=bench.signed(synthetic, version=1 + synthetic)))
        assert (ON_SYNTHETIC in caplog.text) is served.bundle.synthetic is synthetic


# --- the record


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_run_its_export_and_its_check_show_it(bench: SyntheticBench, synthetic: bool, drawn_once: None) -> None:
    record, out = bench.root / "record", bench.root / "out"
    words = ("run", "--camera", SHARP, "--frames", 2, "--store", record, "--bundle", bench.signed(synthetic))
    code, text, error = bench.edge(*words, "--json")
    assert code == 0, error
    assert [json.loads(line)["synthetic_certificate"] for line in text.splitlines()] == [synthetic] * 2
    assert (ON_SYNTHETIC in bench.edge(*words)[1].splitlines()[0]) is synthetic
    begun = "SELECT json_extract(body, '$.synthetic_certificate') FROM entries WHERE type = 'run'"
    assert ask(record, begun) == [(int(synthetic),)] * 2
    events = ask(record, "SELECT detail FROM events WHERE kind = 'synthetic_certificate'")
    assert events == ([(f"{NAME} was {ON_SYNTHETIC}",)] * 2 if synthetic else [])
    assert bench.edge("export", "--slide", "unnamed", "--to", out, "--store", record)[0] == 0
    with (out / "verdicts.csv").open(newline="") as table:
        assert {row["synthetic_certificate"] for row in csv.DictReader(table)} == {str(synthetic).lower()}
    [judged_by] = json.loads((out / "chain.json").read_text())["bundles"]
    assert judged_by["synthetic_certificate"] is synthetic
    assert ("SYNTHETIC CERTIFICATE: " in (out / "README.txt").read_text()) is synthetic
    report = verify(record)
    assert report.sound and report.synthetic_certificates == (2 if synthetic else 0)
    assert (f"2 runs of a bundle {ON_SYNTHETIC}" in report.text()) is synthetic


def test_a_record_from_before_it_was_said_verifies_and_is_exported(
    bench: SyntheticBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_before(body: Any) -> Any:
        written = to_builtins(body)
        written.pop("synthetic_certificate", None)
        return written

    record, out = bench.root / "record", bench.root / "out"
    with monkeypatch.context() as older:
        older.setattr("edge.record.store.to_builtins", as_before)
        fill(record)
    fill(record)
    said = "SELECT json_type(body, '$.synthetic_certificate') FROM entries WHERE type = 'run'"
    assert ask(record, said) == [(None,), ("false",)]
    report = verify(record)
    assert report.sound and report.runs == 2 and report.synthetic_certificates == 0
    assert bench.edge("export", "--slide", "S-1", "--to", out, "--store", record)[0] == 0
    with (out / "verdicts.csv").open(newline="") as table:
        assert {row["synthetic_certificate"] for row in csv.DictReader(table)} == {"", "false"}
    told = json.loads((out / "chain.json").read_text())["bundles"]
    assert [each["synthetic_certificate"] for each in told] == [None, False]
