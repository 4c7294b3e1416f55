"""`gates.json`: when a model must not be asked, as its bundle says it.

The file holds limits and prototypes; what they are limits of stands in the registries `edge.inference.gates.quality`
and `edge.inference.gates.novelty`. It is read as any file of a bundle: nothing in it is trusted, and what is wrong with
it is one line that names file and key.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from edge.errors import GatesError, SettingsError
from edge.inference.domain import DOMAINS, Domain
from edge.inference.gates.base import Gate, Gates
from edge.inference.gates.novelty import FAMILIES, NAME, Family, Novelty, family_names
from edge.inference.gates.quality import LARGEST_LIMIT, QUALITY, gate_of, quality_names
from edge.system.strict_json import read_object

GATES_FORMAT = 1
LARGEST_GATES_BYTES = 4 * 2**20
MOST_PROTOTYPES, MOST_NUMBERS = 1024, 256
CROSS_FITTED, PARTS = "cross-fitted", "parts"  # methods: see `GatesSource`

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Row = Annotated[tuple[float, ...], Meta(min_length=1, max_length=MOST_NUMBERS)]


class QualityLimit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The last value of a measure that passes, and what it comes from.

    Attributes:
        limit: in the measure's unit, 0..255. images: that were measured. quantile: of their values, 0..1.
        factor: that the quantile was multiplied by. refused: of the images.
        why: of quantile or factor, for people.

    >>> QualityLimit(175.0, images=2263, quantile=0.0015, factor=0.73, refused=0).limit
    175.0
    """

    limit: Annotated[float, Meta(ge=0, le=LARGEST_LIMIT)]
    images: Count
    quantile: Share
    factor: Annotated[float, Meta(gt=0)]
    refused: Count
    why: str = ""


class FamilyNumbers(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the images of a model lie in one family of numbers, as `edge.inference.gates.novelty.Family`.

    Attributes:
        numbers: (F,) names, those of the family in `FAMILIES`, in its order. limit: the largest distance that passes.
        centre, scale: (F,). prototypes: (P, F), P <= 1024. precision: (F, F).
        images: whose distances the limit was made from, and quantile, factor and refused as in `QualityLimit`; None
            where that is not known.
    """

    numbers: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_NUMBERS)]
    limit: Annotated[float, Meta(gt=0)]
    centre: Row
    scale: Row
    prototypes: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=MOST_PROTOTYPES)]
    precision: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=MOST_NUMBERS)]
    images: Count | None = None
    quantile: Share | None = None
    factor: Annotated[float, Meta(gt=0)] | None = None
    refused: Count | None = None

    @classmethod
    def of(cls, name: str, family: Family, **origin: Any) -> "FamilyNumbers":
        """The numbers of a fitted family, rounded to six significant digits: a distance then is right to four."""
        rounded = {key: _rounded(getattr(family, key)) for key in ("centre", "scale", "prototypes", "precision")}
        return cls(tuple(FAMILIES[name].words), family.limit, **rounded, **origin)

    def family(self, name: str) -> Family:
        """As the gate uses it; GatesError that begins with `name` on other numbers, shapes or impossible values."""
        words = list(FAMILIES[name].words)
        if list(self.numbers) != words:
            raise GatesError(f"{name}: numbers must be {', '.join(words)}")
        count = len(words)
        for key in ("centre", "scale", "prototypes", "precision"):
            value = getattr(self, key)
            if any(len(row) != count for row in (value if key in ("prototypes", "precision") else [value])):
                raise GatesError(f"{name}: {key} must be {count} numbers a row, one a name in numbers")
        arrays = {
            key: np.array(getattr(self, key), np.float64) for key in ("centre", "scale", "prototypes", "precision")
        }
        try:
            return Family(**arrays, limit=self.limit, compressed=FAMILIES[name].compressed)
        except (SettingsError, np.linalg.LinAlgError) as error:
            raise GatesError(f"{name}: {error}") from error


class GatesSource(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where limits come from.

    Attributes:
        command: that fitted them. images: how many, by use, as {"fitted": 1700, "limits": 563}.
        method: "parts" (limits from other images than prototypes) or "cross-fitted" (from the same ones in turn).
        versions: of the packages. notes: for people: what few images cost, where numbers were taken over from.
    """

    command: str
    images: dict[str, Count]
    method: str
    versions: dict[str, str]
    notes: tuple[str, ...] = ()


class JudgedGates(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the gates did with images that neither fitted nor limited them.

    Attributes:
        images, refused: how many. interval: 95 % of the share refused. by_gate: images that each gate refuses.
    """

    images: Count
    refused: Count
    interval: tuple[Share, Share]
    by_gate: dict[str, Count]


class GatesFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A `gates.json`.

    Attributes:
        format: GATES_FORMAT.
        domain: what the images show, which says what measures there may be.
        size: (width, height) of prepared pixels that the limits are for.
        quality: limits by the names in `QUALITY`; those left out are not asked.
        novelty: families by the names in `FAMILIES`; together they are the gate "unlike_training".
        judged: None where no images were held back.
    """

    format: int
    domain: Domain
    size: tuple[Annotated[int, Meta(ge=8, le=4096)], Annotated[int, Meta(ge=8, le=4096)]]
    quality: dict[str, QualityLimit]
    novelty: dict[str, FamilyNumbers]
    source: GatesSource
    judged: JudgedGates | None

    @classmethod
    def from_bytes(cls, data: bytes, shown: str = "gates.json") -> "GatesFile":
        """Read a file's bytes, and check all that `gates` needs.

        Args:
            shown: what messages call it: a path.

        Raises:
            GatesError: one line that begins with `shown`: too large, no plain JSON, another format, an unknown or
                missing key or name, a value out of range.
        """
        if len(data) > LARGEST_GATES_BYTES:
            raise GatesError(f"{shown}: {len(data)} bytes; {LARGEST_GATES_BYTES >> 20} MiB are the most")
        record = read_object(data, shown, GatesError)
        if record.get("format") != GATES_FORMAT or isinstance(record.get("format"), bool):
            raise GatesError(f"{shown}: format must be {GATES_FORMAT}; got {record.get('format')!r:.40}")
        try:
            file = msgspec.convert(record, cls)
            file.gates()
        except msgspec.ValidationError as error:
            raise GatesError(f"{shown}: {error}") from error
        except GatesError as error:
            raise GatesError(f"{shown}: {error}") from error
        return file

    def to_bytes(self) -> bytes:
        """The file: two spaces an indent, a row of numbers a line, a newline at the end; GatesError if unreadable."""
        try:
            data = _text(msgspec.to_builtins(self)).encode() + b"\n"
        except ValueError as error:  # NaN and infinity are no JSON
            raise GatesError(f"gates.json: {error}") from error
        GatesFile.from_bytes(data)
        return data

    def gates(self) -> Gates:
        """The gates, quality first in the registry's order, and novelty last.

        Last since a spoilt frame is unlike the training images too, and what spoilt it is the better reason.

        Raises:
            GatesError: a name that the domain does not admit, numbers that make no gate, or no gate at all.
        """
        if self.domain not in DOMAINS:
            raise GatesError(f"domain must be {' or '.join(DOMAINS)}; got {self.domain!r}")
        _require_names("quality", self.quality, quality_names(self.domain), QUALITY)
        _require_names("novelty", self.novelty, family_names(self.domain), FAMILIES)
        gates: list[Gate] = [gate_of(name, self.quality[name].limit) for name in QUALITY if name in self.quality]
        if self.novelty:
            families = {name: self.novelty[name].family(name) for name in FAMILIES if name in self.novelty}
            gates.append(Novelty(families))
        if not gates:
            raise GatesError("quality and novelty are both empty: no frame would be refused")
        return Gates(gates, self.size, self.domain)


def gate_names() -> tuple[str, ...]:
    """The names of all gates that a file may have, in the order in which they are asked."""
    return (*QUALITY, NAME)


def require_gates(names: Iterable[str]) -> None:
    """SettingsError, with the nearest right name, unless each is the name of a gate that a file may have."""
    for name in names:
        if name not in gate_names():
            near = difflib.get_close_matches(name, gate_names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(gate_names())}"
            raise SettingsError(f"no gate is called {name!r}; {hint}")


def _require_names(key: str, found: Iterable[str], admitted: Sequence[str], known: Iterable[str]) -> None:
    for name in found:
        if name not in admitted:
            why = "is not measured in this domain" if name in known else "is none"
            there = f"there are {', '.join(admitted)}" if admitted else "there are none"
            raise GatesError(f"{key}: {name!r:.60} {why}; {there}")


def _rounded(values: Any) -> Any:
    return _tuples(np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist())


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _text(value: Any, indent: str = "") -> str:
    """JSON, two spaces an indent; a list without lists and objects in it is one line."""
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        items = [f"{json.dumps(key)}: {_text(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and any(isinstance(each, list | tuple | Mapping) for each in value):
        return "[\n" + ",\n".join(inner + _text(each, inner) for each in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
