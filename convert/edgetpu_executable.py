"""What Coral's compiler put into its custom operator: a DarwiNN package with one executable or more.

The options are a FlexBuffer map whose key 4 holds the package, a FlatBuffer with the identifier DWN1. Field numbers
follow https://github.com/google-coral/libedgetpu/blob/master/executable/executable.fbs
"""

import math
from dataclasses import dataclass
from typing import Any

from convert.flexbuffer import read_map
from edge.errors import FlatbufferError
from edge.flatbuffer import Buffer, Table

PACKAGE_KEY, PACKAGE_IDENTIFIER = "4", b"DWN1"
TYPES = {0: "stand-alone", 1: "parameter-caching", 2: "execution-only"}
MOST_EXECUTABLES = 64
DATA_TYPES = {0: "uint8", 8: "int8"}


@dataclass(frozen=True)
class Layer:
    """An input or output: its tensor's name, extents y, x, z, elements it has room for in an inference (padding
    included), scale and zero point (None when not given)."""

    name: str
    extents: tuple[int, int, int]
    room: int
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Executable:
    """One program for the chip; sizes in bytes."""

    kind: str
    name: str
    chip: str
    parameter_bytes: int
    instruction_bytes: int
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "chip": self.chip,
            "parameter_bytes": self.parameter_bytes,
            "instruction_bytes": self.instruction_bytes,
            "inputs": [layer.name for layer in self.inputs],
            "outputs": [layer.name for layer in self.outputs],
        }


@dataclass(frozen=True)
class Package:
    """The content of one compiled operator.

    Attributes:
        bytes: of the package. compiler: the version that it says made it, "" when it does not say.
        runtime: the oldest runtime version that can run it.
    """

    bytes: int
    compiler: str
    runtime: int
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters that are loaded once and stay on the chip."""
        return sum(e.parameter_bytes for e in self.executables if e.kind != "execution-only")

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent again for every inference."""
        return sum(e.parameter_bytes for e in self.executables if e.kind == "execution-only")

    @property
    def inputs(self) -> tuple[Layer, ...]:
        """Of the executable that computes."""
        return next((e.inputs for e in self.executables if e.kind != "parameter-caching"), ())

    @property
    def outputs(self) -> tuple[Layer, ...]:
        """Of the executable that computes."""
        return next((e.outputs for e in self.executables if e.kind != "parameter-caching"), ())

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "bytes": self.bytes,
            "compiler": self.compiler or None,
            "min_runtime_version": self.runtime,
            "parameter_bytes_cached": self.cached_bytes,
            "parameter_bytes_streamed": self.streamed_bytes,
            "executables": [e.to_record() for e in self.executables],
        }


def read_package(options: bytes) -> Package:
    """The package in a compiled operator's options.

    Raises:
        FlatbufferError: they are no such options, or damaged.
    """
    content = read_map(options).get(PACKAGE_KEY)
    if not isinstance(content, bytes):
        raise FlatbufferError("the compiled operator holds no executable (key 4)")
    package = Buffer(content).root(PACKAGE_IDENTIFIER)
    multi = _nested(package.raw(1))
    executables = [_executable(_nested(data)) for data in _byte_strings(multi, 0)]
    return Package(len(content), package.text(4), package.number(0, "i"), tuple(executables))


def _nested(data: bytes) -> Table:
    """The root of a FlatBuffer inside another, whose identifier is not written."""
    buffer = Buffer(data)
    return Table(buffer, buffer.follow(0))


def _byte_strings(table: Table, slot: int) -> list[bytes]:
    """A vector of strings that hold bytes. Their sum is bounded by the file's size, whatever it claims."""
    start, count = table.span(slot, 4)
    if count > MOST_EXECUTABLES:
        raise FlatbufferError(f"a package of {count} executables")
    found = []
    for n in range(count):
        at = table.buffer.follow(start + 4 * n)
        size = table.buffer.number("I", at)
        if at + 4 + size > len(table.buffer.data):
            raise FlatbufferError(f"an executable of {size} bytes at byte {at} ends outside")
        table.buffer.spend(elements=size)
        found.append(table.buffer.data[at + 4 : at + 4 + size])
    return found


def _executable(table: Table) -> Executable:
    kind = table.number(13, "h")
    return Executable(
        kind=TYPES.get(kind, f"type {kind}"),
        name=table.text(1),
        chip=table.text(10),
        parameter_bytes=table.span(6, 1)[1],
        instruction_bytes=sum(stream.span(0, 1)[1] for stream in table.tables(5)),
        inputs=tuple(_layer(layer) for layer in table.tables(8)),
        outputs=tuple(_layer(layer) for layer in table.tables(9)),
    )


def _layer(table: Table) -> Layer:
    numerics = table.table(5)
    scale = numerics.decimal(1) if numerics else None
    extents = (table.number(2, "i"), table.number(3, "i"), table.number(4, "i"))
    room = max(math.prod(extents), table.number(1, "i")) * table.number(9, "i", 1)
    return Layer(table.text(0), extents, room, scale, numerics.number(0, "i") if numerics else None)
