"""Planted sites through `models audit`: each is refused by the name of what was planted, a clean one is not."""

from pathlib import Path

import pytest

from docs.studies.slides.drawn_sites import CLEAN, named, plan
from models.cli import COMMANDS
from tests.commands import Run, in_this_process
from tests.laboratories import CONFOUNDED, write_site

SEED = 2  # of the laboratory
QUICK = (CLEAN, "one_class_brighter")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "models", COMMANDS, "audit")


@pytest.mark.parametrize(
    "planted", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in (CLEAN, *CONFOUNDED)]
)
def test_each_planted_site_is_refused_by_name(planted: str, tmp_path: Path, run: Run):
    site = write_site(tmp_path / "site", SEED, plan(planted))
    done = run(site, "--out", tmp_path / "out", "--json")
    refusals = [refusal["name"] for refusal in done.record["site"]["refusals"]]
    if planted == CLEAN:
        assert (done.code, refusals) == (0, [])
    else:
        assert (done.code, named(planted) in refusals) == (1, True), refusals
