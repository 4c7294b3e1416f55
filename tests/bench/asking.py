"""The API as a program at the bench uses it: a login, the header that guards changes, keys that let it ask twice."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

_AGAIN_S = 0.1
CSRF = "X-Leukoscope-CSRF"


def new_key() -> str:
    """An Idempotency-Key: 32 hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass
class Api:
    """Asks a page, and asks again while it is away.

    Attributes:
        url: of the page. user, password: of the account. again: requests that had to be repeated.
    """

    url: str
    user: str
    password: str
    client: httpx.Client = field(init=False)
    again: int = 0

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)

    def make_account(self, secret: str) -> None:
        """The first account, which administers, with a one-time secret."""
        body = {"secret": secret, "name": self.user, "password": self.password}
        self.client.post("/session/first", json=body).raise_for_status()

    def login(self) -> None:
        """Cookie and CSRF value of a session, taken anew."""
        self.client.post("/session", json={"name": self.user, "password": self.password}).raise_for_status()
        session = self.client.get("/session").raise_for_status().json()
        self.client.headers[CSRF] = session["csrf"]

    @property
    def headers(self) -> dict[str, str]:
        """What a client of another kind must send to be this user: WebSockets, and readers by the hundred."""
        cookies = "; ".join(f"{each.name}={each.value}" for each in self.client.cookies.jar)
        return {"Cookie": cookies}

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET, which must succeed."""
        return self.client.get(path, params=query).raise_for_status().json()

    def items(self, path: str, **query: Any) -> list[Any]:
        """All items of a list, page by page."""
        found: list[Any] = []
        page = self.get(path, **query)
        found += page["items"]
        while page["next"]:
            page = self.get(path, **query, cursor=page["next"])
            found += page["items"]
        return found

    def change(self, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """A command, asked once."""
        return self.client.request(method, path, json=body, headers={"Idempotency-Key": key or new_key()})

    def insist(
        self, method: str, path: str, body: Any = None, *, key: str = "", within_s: float = 60
    ) -> httpx.Response:
        """A command, asked with the same key until it is answered: a page or instrument that is away is waited for.

        Raises:
            TimeoutError: nobody answered in time.
        """
        key, deadline = key or new_key(), time.monotonic() + within_s
        said = ""
        while time.monotonic() < deadline:
            try:
                answer = self.change(method, path, body, key)
                if answer.status_code in (401, 403) and not said.startswith("again"):
                    said = f"again: {answer.text}"
                    self.login()
                    continue
                if answer.status_code < 500:
                    return answer
                said = f"{answer.status_code} {answer.text}"
            except httpx.TransportError as error:
                said = repr(error)
            self.again += 1
            time.sleep(_AGAIN_S)
        raise TimeoutError(f"{method} {path}: not answered within {within_s:g} s; last: {said}")
