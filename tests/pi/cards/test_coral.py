"""The Coral's unit without a network: a USB gadget with its identity, the udev rules, and the service's sandbox."""

from typing import Any

import pytest

from tests.pi.cards.usb_board import report
from tests.pi.debian import CannotBuildError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def coral() -> dict[str, Any]:
    """What the booted machine reported."""
    try:
        return report()
    except CannotBuildError as error:
        pytest.skip(f"no board with a USB gadget: {error}")


def test_it_belongs_to_its_group_before_and_after_its_firmware(coral: dict[str, Any]) -> None:
    assert coral["node"] == coral["node_after"] == "crw-rw---- plugdev"
    assert (coral["root"], coral["nobody"]) == (True, False)


def test_the_service_s_sandbox_reaches_it_without_a_network(coral: dict[str, Any]) -> None:
    """Opened, claimed, and a bulk transfer read through libusb, under every line of the unit."""
    assert coral["allowed"]["uses"], coral
    assert not coral["forbidden"]["uses"]  # the control: the same unit without the line for USB


def test_after_its_firmware_was_loaded_a_new_process_finds_it(coral: dict[str, Any]) -> None:
    """In a network of its own libusb hears nothing of udev's: only who begins anew sees the accelerator's new identity.

    `open_edgetpu` opens it twice, in a child first: what the child's upload brought about is what the service finds.
    """
    assert coral["allowed"]["fresh_sees"] and coral["allowed"]["fresh_uses"], coral
    assert not coral["allowed"]["same_sees"]
