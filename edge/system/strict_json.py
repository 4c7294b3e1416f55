"""JSON as two readers must understand it alike: no repeated keys, no NaN, nothing that is not a finite number."""

import json
import math
from typing import Any

from edge.errors import LeukoscopeError


def read_object(data: bytes, shown: str, error: type[LeukoscopeError]) -> dict[str, Any]:
    """The JSON object in `data`, whose size the caller has bounded.

    Args:
        shown: what the message calls it: a path.
        error: the class to raise: not UTF-8, not JSON, nested too deep, a key given twice, NaN, a number too large, or
            no object.
    """
    try:
        record = json.loads(
            data.decode(), object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as problem:
        raise error(f"{shown}: not plain JSON: {problem}") from problem
    if not isinstance(record, dict):
        raise error(f"{shown}: must be a JSON object; got {type(record).__name__}")
    return record


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers may take different ones of two equal keys: refuse them."""
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key is given twice")
    return record


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:32]} is too large a number")
    return number
