"""The hash chain over a record's entries: what was written cannot be changed, removed or slipped in unseen.

```
digest(0) = sha256("leukoscope record 1\\n" + RECORD)                  RECORD: random name of the record, 32 hex digits
digest(n) = sha256(digest(n-1) + "\\n" + n + "\\n" + body(n))           n in decimal, body the entry's JSON as stored
```
All is ASCII, digests are 64 lower-case hex digits. The last digest and its number, the head, stand in a row of
their own, so that missing entries at the end show as well.

What the chain does not do: whoever may write to the file can compute it anew from the entry they changed, or put
back an older copy of the whole record. Only a head kept elsewhere shows that, and every export carries one.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class ChainEnd(Struct, frozen=True):
    """The head of a chain: number and digest of its last entry.

    >>> ChainEnd(0, genesis("0" * 32)).digest[:8]
    '8b8433d7'
    """

    id: int
    digest: str


def genesis(record: str) -> str:
    """The digest before the first entry of the record of that name."""
    return hashlib.sha256(f"leukoscope record 1\n{record}".encode()).hexdigest()


def link(previous: str, number: int, body: str) -> str:
    """The digest of entry `number`, whose stored text is `body`, after an entry with the digest `previous`."""
    return hashlib.sha256(f"{previous}\n{number}\n{body}".encode()).hexdigest()


def canonical(body: Mapping[str, Any]) -> str:
    """An entry's text: JSON, sorted keys, no spaces, ASCII only, floats by their shortest exact spelling.

    Two machines write the same entry as the same bytes, and every float64 is read back bit for bit.

    Raises:
        ValueError: a number that is not finite. TypeError: a value JSON has no form for.
    """
    return _ENCODER.encode(body)


def finite(value: float) -> float | None:
    """`value`, or None where it is no finite number, for which JSON has no form."""
    number = float(value)
    return number if math.isfinite(number) else None
