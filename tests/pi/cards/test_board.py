"""The instrument on an arm64 machine of its own kernel, switched on: a service, a sandbox and a V4L2 camera."""

from pathlib import Path
from typing import Any

import pytest

from tests.pi.cards.virtual_board import report
from tests.pi.debian import CannotBuildError

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(2400)]
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the booted machine reported: all of it, for it switches itself off at the end."""
    try:
        facts, console = report(HERE / "board_report.py", ['uri = "uvc:/dev/video0"'])
    except CannotBuildError as error:
        pytest.skip(f"no virtual board: {error}")
    assert "verified" in facts, console[-3000:]
    return facts


def test_an_arm64_kernel_boots_the_provisioned_card_and_the_service_comes_up(told: dict[str, Any]) -> None:
    assert told["machine"] == "aarch64"
    assert told["kernel"].endswith("-arm64")
    assert told["active"], told["said"]
    assert "leukoscope" not in told["failed"]


def test_it_judges_frames_of_a_v4l2_camera_and_stores_them(told: dict[str, Any]) -> None:
    assert told["judged"], told["said"]
    assert all(label or reason for label, reason in told["first"])


def test_the_kernel_holds_the_sandbox(told: dict[str, Any]) -> None:
    assert told["uid"] != "0"
    assert int(told["capabilities"], 16) == 0
    assert told["seccomp"] == "2"
    assert told["links"] == 1  # the loopback, and no other interface
    assert int(told["memory_peak"]) < int(told["memory_most"]) == 640 << 20


def test_the_service_s_user_may_use_the_camera_by_its_group(told: dict[str, Any]) -> None:
    assert told["camera"] == "crw-rw---- video"
    assert "video" in told["groups"].split()


def test_systemd_feeds_the_hardware_s_watchdog(told: dict[str, Any]) -> None:
    assert "i6300ESB" in told["watchdog"]


def test_killed_it_comes_back_and_its_record_is_sound(told: dict[str, Any]) -> None:
    assert told["restarts"] == 1
    assert told["judged_again"]
    assert told["verified"].startswith("sound")
