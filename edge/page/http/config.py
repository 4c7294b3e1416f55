"""What the page process is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.settings.page import PageSettings
from edge.system.machine import Machine


@dataclass(frozen=True)
class Limits:
    """Bounds that keep the page alive on a small board.

    Attributes:
        body_bytes: of a request. sockets, sockets_of_user: open at once. readers: threads that read the record.
        image_bytes: of images kept in memory after they were made smaller.
        acknowledge_s: how long a browser may take to take a preview or an event; its socket is closed then.

    >>> Limits().body_bytes
    65536
    """

    body_bytes: int = 64 * 1024
    sockets: int = 64
    sockets_of_user: int = 32
    readers: int = 4
    image_bytes: int = 32 * 2**20
    acknowledge_s: float = 20.0


@dataclass(frozen=True)
class PageConfig:
    """What `create_app` puts a page together from.

    Attributes:
        store: folder of the record, which is only read. socket: the instrument's. settings: [page] of the profile.
        machine: as the profile describes it, for the device's state.
        demo: nobody logs in; everybody is the user "demo". Only on loopback.

    >>> PageConfig(Path("/srv/record"), Path("/run/leukoscope/instrument.sock")).demo
    False
    """

    store: Path
    socket: Path
    settings: PageSettings = field(default_factory=PageSettings)
    machine: Machine = field(default_factory=Machine)
    demo: bool = False
    limits: Limits = field(default_factory=Limits)
