"""Planted sites through `models audit`: each is refused by the name of what was planted, a clean one is not."""

from pathlib import Path

import pytest

from docs.studies.slides.drawn_sites import FEW_FIELDS, drawn_sites, named, plan
from models.cli import COMMANDS
from tests.commands import Run, in_this_process
from tests.laboratories import CONFOUNDED, write_site

SEED = 2  # of the laboratory


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "models", COMMANDS, "audit")


@pytest.mark.slow
@pytest.mark.parametrize("planted", (FEW_FIELDS, *CONFOUNDED))
def test_each_planted_site_is_refused_by_name(planted: str, tmp_path: Path, run: Run):
    site = write_site(tmp_path / "site", SEED, plan(planted))
    done = run(site, "--out", tmp_path / "out", "--json")
    refusals = [refusal["name"] for refusal in done.record["site"]["refusals"]]
    if planted == FEW_FIELDS:
        assert (done.code, refusals) == (0, [])
    else:
        assert (done.code, named(planted) in refusals) == (1, True), refusals


@pytest.mark.slow
def test_gates_of_each_laboratory_refuse_the_other(tmp_path: Path):
    """Own new slides are the control: most of their fields pass."""
    study = drawn_sites(work=str(tmp_path))
    for one, other in (("1", "2"), ("2", "1")):
        refused = study.refused(int(one), range(1, 3))
        assert refused[other] >= 0.95
        assert refused[one] < 0.3
