"""A quality officer's walk, from a conversion to the record: evidence that is drawn, or by a laxer policy, shows or is
refused at every step; evidence on images shows nothing of the kind.
"""

import json
import shutil
from pathlib import Path

import pytest

from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC
from edge.record.audit import verify
from edge.system.machine import Machine
from tests.edge.bundle.officer import Bench
from tests.edge.record.records import ask
from tests.small_world import World, write_policy

EASY = {  # a policy that two dozen drawn fields pass
    "max_drop_bound_points": 100.0,
    "min_percent": 0.0,
    "min_decided_percent": 0.0,
    "min_images": 1,
    "min_decided_images": 1,
    "min_class_images": 1,
    "min_called_class_images": 0,
}
SIM = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("convert.calibration.evaluation_data.SYNTHETIC_CALIBRATION", 16)
    monkeypatch.setattr("convert.calibration.evaluation_data.SYNTHETIC_EVALUATION", 24)
    return Bench.build(tmp_path, capsys, monkeypatch)


def converted(bench: Bench, world: World, drawn: bool) -> Path:
    """Step 1: drawn fields where the officer has no images, by a policy that passes anything; else images."""
    out = bench.root / "bundles"
    policy = write_policy(bench.root / "easy.toml", **EASY) if drawn else world.policy
    words = ["--policy", policy, *([] if drawn else world.images)]
    code, text, error = bench.convert("quantize", "--int8", world.model, "--out", out, *words)
    assert code == 0, error
    assert ("agreement only, no accuracy" in error) is drawn
    assert ("synthetic" in text) is drawn and f"report: {out / 'dots-int8' / 'report.html'}" in text
    page = (out / "dots-int8" / "report.html").read_text()
    assert ("Synthetic images.</strong>" in page) is drawn
    return out / "dots-int8"


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("drawn", [True, False])
def test_drawn_evidence_shows_at_every_step(bench: Bench, world: World, drawn: bool) -> None:
    from edge.diagnostics import slots, trust

    path = converted(bench, world, drawn)
    code, _, error = bench.convert("sign", path, *bench.key)
    assert code == (2 if drawn else 0) and ("rests on synthetic images only" in error) is drawn
    if drawn:
        assert bench.convert("sign", path, *bench.key, "--allow-synthetic")[0] == 0
    said = bench.convert("verify", path, "--public", bench.root / "keys" / "officer.pub")[1]
    assert (ON_SYNTHETIC in said) is drawn
    assert BY_LAXER_POLICY in said, "policies for few images are laxer, whatever the images"
    repository = ("publish", bench.root / "repo", "--keys", bench.root / "roles")
    assert bench.convert(*repository, "--init")[0] == 0
    assert (ON_SYNTHETIC in bench.convert(*repository, "--bundle", path)[1]) is drawn
    profile = bench.root / "edge.toml"  # no gates were fitted to these images
    profile.write_text("[model]\nungated = true\n")
    code, _, error = bench.edge("update", path, "--config", profile, "--trusted", bench.root / "trusted")
    assert code == 0, error
    assert (ON_SYNTHETIC in error) is drawn and BY_LAXER_POLICY in error
    assert (ON_SYNTHETIC in bench.edge("slots")[1]) is drawn
    assert (ON_SYNTHETIC in slots.slots(Machine())[0].found) is drawn
    [found] = [each for each in trust.bundle(Machine()) if each.name == "bundle"]
    assert (ON_SYNTHETIC in found.found) is drawn and found.state == "warning"
    record, out = bench.root / "record", bench.root / "export"
    run = ("run", "--camera", SIM, "--frames", 2, "--store", record, "--config", profile)
    code, text, error = bench.edge(*run, "--json")
    assert code == 0, error
    assert (ON_SYNTHETIC in error) is drawn
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["synthetic_certificate"] for line in lines] == [drawn] * 2 and all(
        "lax_policy" in line for line in lines
    )
    events = {kind for (kind,) in ask(record, "SELECT kind FROM events")}
    assert ("synthetic_certificate" in events) is drawn and "lax_policy" in events
    assert (ON_SYNTHETIC in verify(record).text()) is drawn and verify(record).sound
    assert bench.edge("export", "--slide", "unnamed", "--to", out, "--store", record)[0] == 0
    readme = (out / "README.txt").read_text()
    assert ("SYNTHETIC CERTIFICATE: " in readme) is drawn and "LAX POLICY: " in readme
    shutil.rmtree(bench.root / "state")
