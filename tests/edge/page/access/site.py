"""A page of its own for a test: users with cheap password hashes, clocks that tests turn, browsers from anywhere."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.testclient import TestClient

from edge.page.access.access import Access
from edge.page.access.accounts.passwords import Passwords
from edge.page.access.guard import CSRF
from edge.page.access.installation import install
from edge.settings.page import PageSettings

START = 1_900_000_000.0
PASSWORD = "seven violet stages"
ELSEWHERE = "192.0.2.9"
API = "/api/v1"
CHEAP = Passwords(passes=1, memory_kib=64)


@dataclass
class Site:
    """A page over a folder; `wall` and `steady` are its clocks, in seconds."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    passwords: Passwords = CHEAP
    wall: float = START
    steady: float = 0.0

    def __post_init__(self) -> None:
        self.access = Access(
            PageSettings(folder=self.folder, **self.settings),
            now=lambda: self.wall,
            monotonic=lambda: self.steady,
            passwords=self.passwords,
        )
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        install(self.app, self.access)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def user(self, name: str, role: str = "operate", password: str = PASSWORD) -> None:
        self.access.users.add(name, role, self.passwords.hash(password))  # type: ignore[arg-type]

    def browser(self, address: str = ELSEWHERE, app: FastAPI | None = None) -> "Browser":
        return Browser(app or self.app, address, self.access.settings)


class Browser(TestClient):
    """A browser at an address: it keeps cookies, says where a request comes from, and repeats the CSRF value."""

    def __init__(self, app: FastAPI, address: str, settings: PageSettings) -> None:
        scheme = "https" if settings.tls else "http"
        self.origin = f"{scheme}://localhost:{settings.port}"
        super().__init__(app, base_url=self.origin, client=(address, 40_000), follow_redirects=False)

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        answer = self.post(f"{API}/session", json={"name": name, "password": password})
        if answer.status_code == 201:
            self.headers[CSRF] = answer.json()["csrf"]
        return answer

    def who(self) -> str | None:
        user = self.get(f"{API}/session").json()["user"]
        return user and str(user["name"])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and name of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, str(body["type"]).removeprefix("urn:leukoscope:problem:")
