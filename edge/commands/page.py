"""The `edge page` command."""

import getpass
import logging
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import PageUnavailable, UsageError
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from edge.page.access.access import Access
    from edge.page.demo.demo import Demo
    from edge.page.device.address import Address
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
    address: bool = False
    json: bool = False

    def execute(self) -> Outcome:
        """Code 0 when the page was ended by Ctrl-C or SIGTERM, or the secret was issued.

        Raises:
            PageUnavailable: what the page is made with is not installed. AddressUnavailable: nobody can listen there.
        """
        _require_packages()
        from edge.page.access.access import Access

        by = os.environ.get("SUDO_USER") or getpass.getuser()
        _as_owner_of(self.settings.page.state)
        access = Access(self.settings.page, demo=self.demo)
        if self.first_secret or self.reset_password or self.address:
            try:
                return self._address(access) if self.address else self._secret(access, by)
            finally:
                access.close()
        access.require_ready()
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
            for line in found.lines(code=sys.stderr.isatty()):
                _log.info(line)
            notifier.ready(f"the page is served at {found.urls[0]}")

        config = PageConfig(settings.store, self.socket, settings.page, machine_of(settings), self.demo)
        serve(config, access, notifier=notifier, on_serving=serving)

    def _address(self, access: "Access") -> Outcome:
        from edge.page.device.address import address

        found = address(self.settings.page, fingerprint=access.fingerprint)
        text = "\n".join(found.lines(code=sys.stdout.isatty()))
        return Outcome(record={"urls": found.urls, "fingerprint": found.fingerprint}, text=text)

    def _secret(self, access: "Access", by: str) -> Outcome:
        if self.first_secret:
            secret, expires = access.first_secret(by)
            what = "opens the page for the first account"
        else:
            secret, expires = access.reset_password(self.reset_password, by)
            what = f"lets {self.reset_password} set a new password"
        hours = round((expires - time.time()) / 3600)
        lines = [secret, f"This secret {what}, once, within {hours} hours. It is not shown again."]
        if access.fingerprint:
            lines.append(f"The certificate's fingerprint, to be compared in the browser: SHA-256 {access.fingerprint}")
        record = {"secret": secret, "expires": expires, "fingerprint": access.fingerprint}
        return Outcome(record=record, text="\n".join(lines))


def _as_owner_of(folder: Path) -> None:
    """Where root asks, go on as the account that the page's folder belongs to, which root must not trust: it could have
    put a link there in place of a file."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)


@dataclass(frozen=True)
class DemoRequest:
    """Serve the page over an instrument of its own, on a drawn slide.

    >>> demo = page(demo=True, port="0")
    >>> isinstance(demo, DemoRequest) and demo.demo.port
    0
    """

    demo: "Demo"
    json: bool = False

    def execute(self) -> Outcome:
        """Code 0 when it was ended by Ctrl-C or SIGTERM; instrument and page have ended then.

        Raises:
            PageUnavailable: what the page is made with is not installed. AddressUnavailable: nobody can listen there.
            InstrumentUnavailable: the instrument did not start, or ended by itself.
        """
        _require_packages()
        from edge.page.demo.demo import run

        _log.info("starting an instrument on a drawn slide (research use only) ...")
        run(self.demo, self._tell)
        return Outcome(record=[])

    def _tell(self, found: "Address") -> None:
        for line in found.lines():
            _log.info(line)
        _log.info("for this machine alone, without a login; Ctrl-C ends it")


def page(
    config: str = "",
    store: str = "",
    socket: str = "",
    host: str = "",
    port: str = "",
    demo: bool = False,
    first_secret: bool = False,
    reset_password: str = "",
    address: bool = False,
    camera: str = "",
    bundle: str = "",
    json: bool = False,
) -> PageRequest | DemoRequest:
    """Serve the bench in a browser: live image, slides, history, device. Research use only.

    It reads the record and asks the instrument (`edge run --socket`) over its socket; either may end and come back
    while the other goes on. On this machine alone unless [page] of the profile says otherwise. Ends on Ctrl-C.

    Args:
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        store: folder of the record.
        socket: of the instrument.
        host: address to serve at; others than this machine's loopback need https and a login.
        port: TCP port; 0 takes a free one.
        demo: the bench in one command, for this machine alone, without a login: an instrument on a drawn slide is
            started, and ends with the page. Its record is gone at the end unless STORE names a folder. With SOCKET,
            the page over the instrument there.
        first_secret: print a one-time secret that makes the first account, and end.
        reset_password: print a one-time secret with which this user sets a new password, and end.
        address: print where the page is found, with the fingerprint of its certificate, and end.
        camera: with --demo: sim: with what it takes.
        bundle: with --demo: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        json: print one JSON object.
    """
    from edge.settings.bench import DEFAULT_SOCKET
    from edge.settings.profile import load

    if [first_secret, bool(reset_password), address].count(True) > 1:
        raise UsageError("edge page takes one of --first-secret, --reset-password and --address")
    if demo and (first_secret or reset_password or address):
        raise UsageError("edge page --demo asks for no login, and needs no secret; it says its address itself")
    if demo and not socket:
        if host or config:
            raise UsageError("edge page --demo is served to this machine alone, and reads no profile")
        return DemoRequest(_demo(store, port, camera, bundle), json)
    if camera or bundle:
        raise UsageError("--camera and --bundle belong to --demo; an instrument has its own (`edge run`)")
    settings = load(optional_path(config)).with_options(store=store)
    if settings.store.exists() and not settings.store.is_dir():
        raise UsageError(f"--store must be a folder; {settings.store} is a file")
    served = settings.page
    if host:
        served = replace(served, host=host)
    if port:
        served = replace(served, port=whole_number(port, "--port", at_most=65535))
    at = optional_path(socket) or settings.bench.socket or DEFAULT_SOCKET
    return PageRequest(replace(settings, page=served), at, demo, first_secret, reset_password, address, json)


def _require_packages() -> None:
    """PageUnavailable unless what the page is made with is installed."""
    try:
        import edge.page.serving  # noqa: F401
    except ModuleNotFoundError as error:
        raise PageUnavailable(f"the page needs {error.name}, which is not installed: {_EXTRA}") from error


def _demo(store: str, port: str, camera: str, bundle: str) -> "Demo":
    from edge.page.demo.demo import CAMERA, Demo

    if camera and not camera.startswith("sim:"):
        raise UsageError(f"--camera of a demonstration must be sim: with what it takes; got {camera}")
    return Demo(
        port=whole_number(port, "--port", at_most=65535) if port else Demo.port,
        store=optional_path(store),
        camera=camera or CAMERA,
        bundle=optional_path(bundle),
    )
