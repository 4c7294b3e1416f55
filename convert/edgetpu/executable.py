"""The content of the compiler's custom operator: a DarwiNN package with one executable or more.

The options are a FlexBuffer map whose key 4 holds the package, a FlatBuffer with the identifier DWN1. Field numbers
follow https://github.com/google-coral/libedgetpu/blob/master/executable/executable.fbs
"""

import math
from dataclasses import dataclass, field
from typing import Any

from convert.tflite.flexbuffer import read_map
from edge.errors import FlatbufferError
from edge.inference.tflite.flatbuffer import Buffer, Table

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
    """One program for the chip; sizes in bytes. `parameters` is a view into the file's bytes."""

    kind: str
    name: str
    chip: str
    parameters: memoryview = field(repr=False, compare=False)
    instruction_bytes: int
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]

    @property
    def parameter_bytes(self) -> int:
        """Size of its parameters."""
        return len(self.parameters)

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
        problem: why it cannot be read, "" when it was; `executables` is empty then.

    >>> read = Executable("parameter-caching", "main", "beagle", memoryview(bytes(64)), 16, (), ())
    >>> Package(1024, "16.0", 14, (read,)).cached_bytes
    64
    """

    bytes: int
    compiler: str
    runtime: int
    executables: tuple[Executable, ...]
    problem: str = ""

    @property
    def cached_bytes(self) -> int:
        """Parameters that are loaded once and stay on the chip."""
        return sum(e.parameter_bytes for e in self.executables if e.kind == TYPES[1])

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent again for every inference: also all of a program that stands alone."""
        return sum(e.parameter_bytes for e in self.executables if e.kind != TYPES[1])

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
            "problem": self.problem or None,
        }


def read_package(options: bytes) -> Package:
    """The package in a compiled operator's options; what is laid out in another way is a package with a `problem`.

    Key 1 is the options' version, 2 and 3 were given up, 4 is the package, 5 an execution preference, 6 and 7 are for
    further chips (tflite/custom_op_data.cc of google-coral/libedgetpu).

    Raises:
        FlatbufferError: they are no such options at all.
    """
    found = read_map(options)
    content = found.get(PACKAGE_KEY)
    if not isinstance(content, bytes):
        keys = ", ".join(sorted(key for key in found if key.isalnum())[:8]) or "none"
        return Package(len(options), "", 0, (), f"no package under key {PACKAGE_KEY} (keys that can be read: {keys})")
    try:
        return _package(content)
    except FlatbufferError as error:
        return Package(len(content), "", 0, (), str(error))


def _package(content: bytes) -> Package:
    package = Buffer(content).root(PACKAGE_IDENTIFIER)
    compiler, runtime = package.text(4), package.number(0, "i")
    if not package.raw(1) and package.span(6, 4)[1]:
        return Package(len(content), compiler, runtime, (), f"made for {package.span(6, 4)[1]} chips together")
    executables = tuple(_executable(_nested(data)) for data in _byte_strings(_nested(package.raw(1)), 0))
    return Package(len(content), compiler, runtime, executables, "" if executables else "it holds no program")


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
    start, count = table.span(6, 1)
    return Executable(
        kind=TYPES.get(kind, f"type {kind}"),
        name=table.text(1),
        chip=table.text(10),
        parameters=memoryview(table.buffer.data)[start : start + count],
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
