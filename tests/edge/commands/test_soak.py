"""A day in fast-forward, shortened.

The whole of it is `python -m tests.edge.commands.soak`, its outcome docs/reference/soak.json.
"""

import json

import pytest

from tests.edge.commands.soak import soak
from tests.paths import ROOT

RECORD = ROOT / "docs" / "reference" / "soak.json"


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_thousand_frames_add_up_without_growth(tmp_path):
    result = soak(20_000, 200, tmp_path / "record")
    assert result["counts_add_up"] and result["memory_flat"] and result["record_verifies"], result


def test_the_recorded_day_is_a_whole_one():
    record = json.loads(RECORD.read_text())
    assert record["frames"] == record["counts"]["stored"] == 1_000_000
    assert record["counts_add_up"] and record["memory_flat"] and record["record_verifies"]
