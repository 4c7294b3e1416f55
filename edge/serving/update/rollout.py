"""Staged rollout: whose turn it is, told by a stable hash, with no list of devices anywhere.

A device stands at one of 100 positions for each release. A release offered to P percent is meant for the positions
below P, so that raising P only ever adds devices, and each release meets the devices in another order.
"""

import hashlib
import hmac
from pathlib import Path

from edge.errors import SettingsError

MACHINE_ID = Path("/etc/machine-id")
# As sd_id128_get_machine_app_specific(3): machine-id(5) is confidential and leaves the machine in no form that leads
# back to it. The UUID is this application's, drawn at random once.
_APPLICATION = bytes.fromhex("6f2c1e0b58c94d0ab3a25c5f1b7d9e44")


def device_id(configured: str = "", machine_id: Path = MACHINE_ID) -> str:
    """What tells this device from others: the name that the profile gives it, else a hash of the machine's id.

    Raises:
        SettingsError: neither is there.
    """
    if configured:
        return configured
    try:
        machine = bytes.fromhex(machine_id.read_text().strip())
    except (OSError, ValueError):
        machine = b""
    if len(machine) != 16:
        raise SettingsError(f'{machine_id}: no machine id, so no ring: give the profile [update] device = "NAME"')
    return hmac.new(machine, _APPLICATION, hashlib.sha256).hexdigest()[:32]


def position(device: str, release: str) -> int:
    """Where a device stands in the rollout of a release, 0..99, each equally likely.

    Args:
        device: as `device_id` gives it. release: NAME/VERSION.
    """
    digest = hashlib.sha256(f"{device}\0{release}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100  # 2**64 mod 100: a bias below 1e-17


def eligible(device: str, release: str, percent: int) -> bool:
    """Whether a release offered to `percent` (0..100) of all devices is meant for this one."""
    return position(device, release) < percent
