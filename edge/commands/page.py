"""The `edge page` command."""

import getpass
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import PageUnavailable, UsageError
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from edge.page.access.access import Access
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)
_EXTRA = "pip install '.[page]' in a clone of Leukoscope"


@dataclass(frozen=True)
class PageRequest:
    """Serve the page, or issue a one-time secret for it.

    >>> page(port="8080", store="/srv/record").settings.page.port
    8080
    """

    settings: "Settings"
    socket: Path
    demo: bool = False
    first_secret: bool = False
    reset_password: str = ""
    json: bool = False

    def execute(self) -> Outcome:
        """Code 0 when the page was ended by Ctrl-C or SIGTERM, or the secret was issued.

        Raises:
            PageUnavailable: what the page is made with is not installed. UsageError: nobody can listen there.
        """
        try:
            from edge.page.access.access import Access
        except ModuleNotFoundError as error:
            raise PageUnavailable(f"the page needs {error.name}, which is not installed: {_EXTRA}") from error

        access = Access(self.settings.page, demo=self.demo)
        if self.first_secret or self.reset_password:
            try:
                return self._secret(access)
            finally:
                access.close()
        access.require_ready()
        if self.demo:
            return self._demonstrate(access)
        self._serve(access)
        return Outcome(record=[])

    def _serve(self, access: "Access") -> None:
        """Until SIGINT or SIGTERM."""
        from edge.diagnostics.profile_machine import machine_of
        from edge.instrument.pipeline.sd_notify import Notifier
        from edge.page.device.address import address
        from edge.page.http.config import PageConfig
        from edge.page.serving import serve

        settings, notifier = self.settings, Notifier.from_environment()

        def serving(port: int) -> None:
            found = address(settings.page, fingerprint=access.fingerprint, port=port)
            for line in found.lines():
                _log.info(line)
            notifier.ready(f"the page is served at {found.urls[0]}")

        config = PageConfig(settings.store, self.socket, settings.page, machine_of(settings), self.demo)
        serve(config, access, notifier=notifier, on_serving=serving)

    def _demonstrate(self, access: "Access") -> Outcome:
        """The page of a demonstration, without a login."""
        self._serve(access)
        return Outcome(record=[])

    def _secret(self, access: "Access") -> Outcome:
        by = getpass.getuser()
        if self.first_secret:
            secret, expires = access.first_secret(by)
            what = "opens the page for the first account"
        else:
            secret, expires = access.reset_password(self.reset_password, by)
            what = f"lets {self.reset_password} set a new password"
        minutes = round((expires - time.time()) / 60)
        text = f"{secret}\nThis secret {what}, once, within {minutes} minutes. It is not shown again."
        return Outcome(record={"secret": secret, "expires": expires}, text=text)


def page(
    config: str = "",
    store: str = "",
    socket: str = "",
    host: str = "",
    port: str = "",
    demo: bool = False,
    first_secret: bool = False,
    reset_password: str = "",
    json: bool = False,
) -> PageRequest:
    """Serve the bench in a browser: live image, slides, history, device. Research use only.

    It reads the record and asks the instrument (`edge run --socket`) over its socket; either may end and come back
    while the other goes on. On this machine alone unless [page] of the profile says otherwise. Ends on Ctrl-C.

    Args:
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        store: folder of the record.
        socket: of the instrument.
        host: address to serve at; others than this machine's loopback need https and a login.
        port: TCP port; 0 takes a free one.
        demo: no login, for this machine alone.
        first_secret: print a one-time secret that makes the first account, and end.
        reset_password: print a one-time secret with which this user sets a new password, and end.
        json: print one JSON object.
    """
    from edge.settings.bench import DEFAULT_SOCKET
    from edge.settings.profile import load

    if first_secret and reset_password:
        raise UsageError("edge page takes --first-secret or --reset-password, not both")
    if demo and (first_secret or reset_password):
        raise UsageError("edge page --demo asks for no login, and needs no secret")
    settings = load(optional_path(config)).with_options(store=store)
    served = settings.page
    if host:
        served = replace(served, host=host)
    if port:
        served = replace(served, port=whole_number(port, "--port", at_most=65535))
    at = optional_path(socket) or settings.bench.socket or DEFAULT_SOCKET
    return PageRequest(replace(settings, page=served), at, demo, first_secret, reset_password, json)
