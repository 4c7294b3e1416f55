"""Commands for the instrument: given once by their id, and answered as HTTP answers."""

import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

from edge.errors import InstrumentUnavailable, ProtocolError
from edge.instrument.socket.messages import Answer
from edge.page.problems import Problem

READABLE = ["slides", "fields", "images", "controls", "trends", "device"]  # without an instrument
ANSWER_S = 30.0
STATUSES = {  # of the instrument's problems
    "malformed": 422,
    "no_slide": 409,
    "slide_open": 409,
    "wrong_state": 409,
    "unknown_slide": 404,
    "unknown_field": 404,
    "unknown_label": 422,
    "id_reused": 409,
    "unavailable": 503,
    "busy": 503,
    "failed": 502,
    "ended": 503,
}


class DoneOut(BaseModel):
    """A command that was done, now or before. `id`: of the command, as the record names it; `result`: by command."""

    id: str
    result: dict[str, Any]


class Commanded(Protocol):
    """What takes commands to the instrument."""

    async def command(self, name: str, by: str, arguments: Mapping[str, Any], *, command_id: str) -> Answer:
        """Its answer, once what it changed is durable; InstrumentUnavailable where there is none."""


def away(why: str) -> Problem:
    """The problem that the instrument is: 503, with what can be read all the same."""
    detail = f"{why}; what is recorded can be read"
    return Problem(503, "instrument-away", detail, headers={"Retry-After": "2"}, readable=READABLE)


async def give(link: Commanded, name: str, by: str, key: str | None, **arguments: Any) -> DoneOut:
    """Have a command done.

    Args:
        by: the user's name, for the record. key: the command's id, 32 hex digits; None makes one.

    Raises:
        Problem: it was refused, by the instrument's name for why; or 503: the instrument does not answer.
    """
    command_id = key or secrets.token_hex(16)
    try:
        answer = await link.command(name, by, arguments, command_id=command_id)
    except InstrumentUnavailable as error:
        raise away(str(error)) from error
    except ProtocolError as error:  # what the routes let through and the protocol does not
        raise Problem(422, "malformed", str(error)) from error
    if not answer.ok:
        problem = str(answer.error).replace("_", "-")
        more: dict[str, Any] = {"readable": READABLE} if STATUSES.get(answer.error, 502) == 503 else {}
        raise Problem(STATUSES.get(answer.error, 502), problem, answer.detail or problem, **more)
    return DoneOut(id=answer.id, result=dict(answer.result))
