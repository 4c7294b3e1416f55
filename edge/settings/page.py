"""`[page]` of the profile: where the bench page is served, with which certificate, and how long a login holds."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edge.errors import SettingsError
from edge.settings.model import Text, WholePath

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class PageSettings:
    """[page]. `folder` None is `default_page_folder()`. `certificate` and `key` None: over the network with a generated
    certificate, on loopback without TLS. `names` are further names and addresses under which browsers ask for the page.

    >>> PageSettings().loopback, PageSettings(host="0.0.0.0").loopback
    (True, False)
    """

    host: Text = LOOPBACK
    port: Annotated[int, Meta(ge=0, le=65535, description="a whole number 0..65535")] = 8443
    folder: WholePath | None = None
    certificate: WholePath | None = None
    key: WholePath | None = None
    names: Annotated[tuple[Text, ...], Meta(description="a list of texts in square brackets")] = ()
    idle_minutes: Annotated[float, Meta(ge=1, le=1440, description="a number 1..1440")] = 30.0
    session_hours: Annotated[float, Meta(ge=0.1, le=168, description="a number 0.1..168")] = 12.0

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("page.certificate and page.key must be given together")
        if not is_address(self.host) and self.host != "localhost":
            raise SettingsError(f"page.host must be an address of this machine, or localhost; got {self.host!r}")

    @property
    def loopback(self) -> bool:
        """True where only this machine reaches the page."""
        return self.host == "localhost" or (is_address(self.host) and ip_address(self.host).is_loopback)

    @property
    def tls(self) -> bool:
        """True where the page is served by https: always over the network, on loopback with the site's certificate."""
        return not self.loopback or self.certificate is not None

    @property
    def state(self) -> Path:
        """The folder of users, tokens and the generated certificate."""
        return self.folder or default_page_folder()


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address.

    >>> is_address("::1"), is_address("lab-3")
    (True, False)
    """
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def default_page_folder() -> Path:
    """systemd's state folder of the unit, or the user's (XDG base directories)."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if state:
        return Path(state)
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local/state") / "leukoscope" / "page"
