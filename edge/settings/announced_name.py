"""The name under which a device announces itself in its network: `leukoscope-XXXX.local`, by avahi."""

import hashlib
from pathlib import Path

UNIT = "etc/systemd/system/leukoscope-name.service"  # that of install.sh --mdns
_MACHINE_ID = "etc/machine-id"


def announced_name(root: Path = Path("/")) -> str:
    """The name; "" where nothing is announced.

    Args:
        root: of the machine; "/" but in tests.

    >>> announced_name(Path("/srv/nothing"))
    ''
    """
    try:
        return f"{name_of((root / _MACHINE_ID).read_bytes())}.local" if (root / UNIT).exists() else ""
    except OSError:
        return ""


def name_of(machine_id: bytes) -> str:
    """The name of a device: four digits that stay, and do not tell the machine's id.

    Args:
        machine_id: the file /etc/machine-id (`firmware_scripts/page/page-name.sh` says the same of it).

    >>> name_of(b"0123456789abcdef0123456789abcdef" + bytes([10]))
    'leukoscope-6ed6'
    """
    return f"leukoscope-{hashlib.sha256(machine_id).hexdigest()[:4]}"
