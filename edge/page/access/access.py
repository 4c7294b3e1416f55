"""Access to the page: who asks, and what an app needs so that everybody is asked."""

import secrets
from typing import TYPE_CHECKING

from edge.errors import UsageError
from edge.page.access.roles import Identity

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import HTTPConnection

    from edge.settings.page import PageSettings


class Access:
    """Who may use a page: users, sessions and tokens in the page's folder, or on loopback nobody is asked (`demo`).

    Args:
        settings: [page] of the profile.
        demo: no login; every caller is "demo" and may do everything.

    Raises:
        UsageError: `demo` on an address that others reach.
    """

    def __init__(self, settings: "PageSettings", *, demo: bool = False) -> None:
        if demo and not settings.loopback:
            raise UsageError(f"--demo asks for no login, so it is served on loopback alone; got {settings.host}")
        self.settings, self.demo = settings, demo
        self._demo = Identity("demo", "administer", "demo", csrf=secrets.token_urlsafe(32))

    def install(self, app: "FastAPI") -> None:
        """Add the routes, the handlers and what stands before every request to `app`. Call it last but for
        `guard.require_roles(app)`."""
        from edge.page.problems import answer_with_problems

        app.state.access = self
        answer_with_problems(app)

    async def identify(self, connection: "HTTPConnection") -> Identity | None:
        """Who asks, by cookie or token; None where nobody is logged in."""
        return self._demo if self.demo else None

    async def still_valid(self, identity: Identity) -> bool:
        """Whether an identity that was found before still is one: ask it now and then while a socket is open.

        A session that is open in a browser counts as used.
        """
        return identity.kind == "demo" and self.demo
