"""Staged rollout: stable, even, and never taking a device back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import SettingsError
from edge.serving.update.rollout import device_id, eligible, position

NAMES = st.text(min_size=1, max_size=40)


@given(NAMES, NAMES, st.integers(0, 100), st.integers(0, 100))
def test_raising_the_percentage_never_drops_a_device(device: str, release: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert eligible(device, release, high) or not eligible(device, release, low)


@given(NAMES, NAMES)
def test_nobody_at_0_and_everybody_at_100(device: str, release: str) -> None:
    assert not eligible(device, release, 0) and eligible(device, release, 100)


@given(NAMES, NAMES)
def test_the_same_answer_every_time(device: str, release: str) -> None:
    assert position(device, release) == position(device, release)


def test_a_known_position() -> None:
    """Written down: another position after an upgrade of this software would move every device."""
    assert position("lab-3", "mobilenet_v2-int8/7") == 73
    assert position("lab-3", "mobilenet_v2-int8/8") == 39


def test_positions_are_even_and_another_order_for_each_release() -> None:
    devices = [f"device {number}" for number in range(5000)]
    first = [position(device, "a/1") for device in devices]
    second = [position(device, "a/2") for device in devices]
    assert set(first) == set(range(100))
    for percent in (1, 10, 50):
        share = sum(each < percent for each in first) / len(devices)
        assert abs(share - percent / 100) < 4 * (percent / 100 * (1 - percent / 100) / len(devices)) ** 0.5
    early = [b for a, b in zip(first, second, strict=True) if a < 10]
    assert 35 < sum(early) / len(early) < 64  # who is early once is not early always


def test_the_machine_s_id_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    told = device_id("", path)
    assert told == device_id("", path) and len(told) == 32 and told not in path.read_text()
    assert device_id("lab-3", path) == "lab-3"


@pytest.mark.parametrize("text", ["", "uninitialized", "0123", "x" * 32])
def test_a_machine_without_an_id_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "machine-id"
    path.write_text(text)
    with pytest.raises(SettingsError, match="device = "):
        device_id("", path)
    with pytest.raises(SettingsError, match="device = "):
        device_id("", tmp_path / "missing")
