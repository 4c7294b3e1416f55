"""A day in fast-forward, shortened; the whole of it is `python -m tests.soak`, its outcome docs/reference/soak.json."""

import json
from pathlib import Path

import pytest

from tests.soak import soak

RECORD = Path(__file__).parents[1] / "docs" / "reference" / "soak.json"


@pytest.mark.slow
def test_twenty_thousand_frames_add_up_without_growth(tmp_path):
    result = soak(20_000, 200, tmp_path / "record")
    assert result["counts_add_up"] and result["memory_flat"] and result["record_verifies"], result


def test_the_recorded_day_is_a_whole_one():
    record = json.loads(RECORD.read_text())
    assert record["frames"] == record["counts"]["stored"] == 1_000_000
    assert record["counts_add_up"] and record["memory_flat"] and record["record_verifies"]
