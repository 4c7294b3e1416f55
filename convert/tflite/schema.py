"""Tables of a TFLite file, their fields by the names of LiteRT's schema, every offset checked.

LiteRT's generated reader (`ai_edge_litert.schema_py_generated`) knows the fields and follows any offset it finds; the
device's reader (`edge.inference.tflite.flatbuffer`) checks every offset and knows fields by number alone. Files from
anywhere are inspected, so the second one reads, and the first one tells it where each field stands, of which type and
with which default.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy.typing as npt

from edge.inference.tflite.flatbuffer import Buffer, Table
from edge.inference.tflite.model_file import IDENTIFIER

_CODES = {
    "PrependBoolSlot": "B",
    "PrependInt8Slot": "b",
    "PrependUint8Slot": "B",
    "PrependInt32Slot": "i",
    "PrependUint32Slot": "I",
    "PrependUint64Slot": "Q",
}  # the builder's method -> struct code of the number it writes


class Field(NamedTuple):
    """Where a table's field stands: its slot, the struct code of a number ("" for what an offset leads to), default."""

    slot: int
    code: str
    default: int


class SchemaTable:
    """One table; `kind` is its name in the schema, fields are named as the generated accessors are (`BuiltinCode`).

    Every method raises FlatbufferError where the field, or what it refers to, does not lie inside the file.

    >>> empty = b"\\x0c\\0\\0\\0TFL3" + b"\\4\\0\\4\\0" + b"\\4\\0\\0\\0"
    >>> model = SchemaTable.root(empty)
    >>> model.number("Version"), model.text("Description"), list(model.tables("Subgraphs", "SubGraph"))
    (0, '', [])
    """

    __slots__ = ("kind", "raw")

    def __init__(self, raw: Table, kind: str) -> None:
        self.raw, self.kind = raw, kind

    @classmethod
    def root(cls, model: bytes) -> "SchemaTable":
        """The Model table of a TFLite file."""
        return cls(Buffer(model).root(IDENTIFIER), "Model")

    def number(self, name: str) -> int:
        """An integer, or the schema's default when absent."""
        return self.raw.number(*field(self.kind, name))

    def text(self, name: str) -> str:
        """A string of 64 KiB at most; empty when absent."""
        return self.raw.text(field(self.kind, name).slot)

    def array(self, name: str, dtype: str) -> npt.NDArray[Any]:
        """A vector of numbers, 1-D; empty when absent."""
        return self.raw.array(field(self.kind, name).slot, dtype)

    def content(self, name: str) -> bytes:
        """A vector of bytes; empty when absent."""
        return self.raw.raw(field(self.kind, name).slot)

    def length(self, name: str) -> int:
        """The number of bytes of a vector of bytes; 0 when absent."""
        return self.raw.span(field(self.kind, name).slot, 1)[1]

    def tables(self, name: str, kind: str) -> Iterator["SchemaTable"]:
        """A vector of tables; none when absent."""
        return (SchemaTable(table, kind) for table in self.raw.tables(field(self.kind, name).slot))

    def table(self, name: str, kind: str) -> "SchemaTable | None":
        """A sub-table, None when absent."""
        found = self.raw.table(field(self.kind, name).slot)
        return None if found is None else SchemaTable(found, kind)


@lru_cache(maxsize=256)
def field(kind: str, name: str) -> Field:
    """Where `name` of the table `kind` stands, as the schema's own writer has it.

    >>> field("Conv2DOptions", "DilationWFactor")
    Field(slot=4, code='i', default=1)
    """
    from ai_edge_litert import schema_py_generated as schema

    recorder = _Recorder()
    getattr(schema, f"{kind}Add{name}")(recorder, 0)
    return recorder.written


@lru_cache(maxsize=2)
def names(enumeration: str) -> dict[int, str]:
    """Number -> name of an enumeration of the schema, such as BuiltinOperator."""
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(getattr(schema, enumeration)).items() if isinstance(number, int)}


def pack_model(tree: Any) -> bytes:
    """The bytes of a file whose ModelT is `tree`."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(tree.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class _Recorder:
    """Stands in for a FlatBuffers builder; keeps where the generated writer puts a field instead of writing it."""

    written: Field

    def __getattr__(self, method: str) -> Any:
        def record(slot: int, value: int, default: int) -> None:
            self.written = Field(slot, _CODES.get(method, ""), int(default))

        return record
