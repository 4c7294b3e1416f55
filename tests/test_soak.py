"""A day in fast-forward, shortened; the whole of it is `python -m tests.soak`, its outcome docs/reference/soak.json."""

import pytest

from tests.soak import soak


@pytest.mark.slow
def test_twenty_thousand_frames_add_up_without_growth(tmp_path):
    result = soak(20_000, 200, tmp_path / "record")
    assert result["counts_add_up"] and result["memory_flat"] and result["record_verifies"], result
