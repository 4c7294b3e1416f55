"""`edge run` killed at random moments: every verdict it printed is in the record, round after round."""

import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from edge.record.audit import verify
from edge.record.store import Store
from tests.edge.commands.test_run import BUNDLES, EDGE, SMALL

CAMERA = "sim:Early?empty=0&fps=400&seed={}"


def killed(store: Path, profile: Path, seed: int) -> list[dict[str, object]]:
    """What a run printed in whole lines until it was killed, half a second at most after its first verdict."""
    words = ["--store", store, "--config", profile, "--bundle", BUNDLES / "custom_cnn-int8", "--keep", "every"]
    with subprocess.Popen(
        [EDGE, "run", *words, "--json", "--camera", CAMERA.format(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.5))
        running.kill()
        lines = [first, *running.stdout.read().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def rounds(count: int, folder: Path) -> int:
    """How many verdicts were printed in `count` rounds; all of them are in the record."""
    store, profile = folder / "record", folder / "edge.toml"
    profile.write_text(SMALL + "[record]\ncommit_count = 4\ncommit_ms = 10\n")
    printed = 0
    for seed in range(count):
        said = killed(store, profile, seed)
        printed += len(said)
        report = verify(store)
        assert report.sound, report.findings
        assert report.not_ended == seed + 1
        with Store.open(store, read_only=True) as record:
            after = int(str(said[0]["id"])) - 1
            stored = {row.id: json.loads(row.body) for row in record.entries(after=after, through=record.head().id)}
        for verdict in said:
            entry = stored[int(str(verdict["id"]))]
            image = (entry["image"] or {"path": None})["path"]
            assert (entry["field"], entry["label"], entry["reason"], image) == tuple(
                verdict[name] for name in ("field", "label", "reason", "image")
            )
    return printed


def test_a_few_rounds(tmp_path):
    assert rounds(3, tmp_path) > 3


@pytest.mark.slow
@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.nightly)])
def test_many_rounds(tmp_path, count):
    assert rounds(count, tmp_path) > count
