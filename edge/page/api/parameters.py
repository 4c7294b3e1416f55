"""Parameters that routes share: names of slides, numbers of fields, keys of commands, pieces of lists."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query
from starlette.requests import HTTPConnection

from edge.page.access.guard import require
from edge.page.access.roles import Identity
from edge.page.live.bench import Bench
from edge.page.records.cursors import LONGEST
from edge.page.records.order import SlideOrder
from edge.page.records.pictures import NARROWEST, WIDEST, Pictures
from edge.page.records.readers import Readers
from edge.page.records.tallies import Tallies
from edge.record.entry_parts import SLIDE

SLIDE_PATTERN = rf"^(?:{SLIDE.pattern})$"
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
MOST = 200  # items of a piece

SlideName = Annotated[str, Path(pattern=SLIDE_PATTERN, max_length=64, description="The slide's identifier.")]
FieldNumber = Annotated[int, Path(ge=1, lt=2**53, description="The field's number in its slide.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[0-9a-f]{32}$",
        description="Id of the command: 32 hexadecimal digits. Sent again, it is answered alike and not done again.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Items of a piece.")]
Cursor = Annotated[str, Query(max_length=LONGEST, description="`next` of the piece before.")]
Width = Annotated[
    int | None,
    Query(ge=NARROWEST, le=WIDEST, description="Pixels: a JPEG that is at most so wide. The file itself without."),
]
Looker = Annotated[Identity, Depends(require("look"))]
Operator = Annotated[Identity, Depends(require("operate"))]
Administrator = Annotated[Identity, Depends(require("administer"))]


def _readers(connection: HTTPConnection) -> Readers:
    readers: Readers = connection.app.state.readers
    return readers


def _tallies(connection: HTTPConnection) -> Tallies:
    tallies: Tallies = connection.app.state.tallies
    return tallies


def _order(connection: HTTPConnection) -> SlideOrder:
    order: SlideOrder = connection.app.state.order
    return order


def _pictures(connection: HTTPConnection) -> Pictures:
    pictures: Pictures = connection.app.state.pictures
    return pictures


def _bench(connection: HTTPConnection) -> Bench:
    bench: Bench = connection.app.state.bench
    return bench


TheRecord = Annotated[Readers, Depends(_readers)]
TheTallies = Annotated[Tallies, Depends(_tallies)]
TheOrder = Annotated[SlideOrder, Depends(_order)]
ThePictures = Annotated[Pictures, Depends(_pictures)]
TheBench = Annotated[Bench, Depends(_bench)]
