"""Golden inputs and outputs: what a bundle's model answered where it was certified, replayed where it is to
serve.

The archive is written and read here rather than with `numpy.savez` and `numpy.load`: its bytes depend on
nothing but the arrays (no timestamps, no compressor), and nothing in it is unpickled or larger than
announced.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import BundleError

LARGEST_GOLDEN_BYTES = 64 * 2**20
_npy: Any = np.lib.format  # numpy publishes no types for it
_MEMBERS = ("inputs.npy", "outputs.npy")
_DOS_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Golden:
    """Prepared inputs with the outputs expected of them.

    Attributes:
        inputs: uint8 (N, height, width, 3) RGB, prepared pixels; synthetic fields and noise, never a data
            set's.
        outputs: int8 or uint8 (N, classes), raw, as the interpreter gave them.
    """

    inputs: npt.NDArray[np.uint8]
    outputs: npt.NDArray[Any]

    def __post_init__(self) -> None:
        inputs, outputs = self.inputs, self.outputs
        if inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[3] != 3 or len(inputs) < 1:
            raise BundleError(f"golden inputs must be uint8 (N, H, W, 3), N >= 1; got {inputs.dtype} {inputs.shape}")
        if outputs.dtype not in (np.int8, np.uint8) or outputs.ndim != 2 or len(outputs) != len(inputs):
            raise BundleError(
                f"golden outputs must be int8 or uint8 ({len(inputs)}, classes); got {outputs.dtype} {outputs.shape}"
            )

    def to_bytes(self) -> bytes:
        """The archive: a zip of two stored `.npy` members; equal arrays give equal bytes on every machine."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as members:
            for name, array in zip(_MEMBERS, (self.inputs, self.outputs), strict=True):
                member = io.BytesIO()
                _npy.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
                entry = zipfile.ZipInfo(name, _DOS_EPOCH)
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                members.writestr(entry, member.getvalue())
        return archive.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "golden.npz") -> "Golden":
        """Read `to_bytes`, or BundleError: object arrays, other members and oversized ones are refused."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = {entry.filename: entry for entry in archive.infolist()}
                if len(archive.infolist()) != len(_MEMBERS) or set(entries) != set(_MEMBERS):
                    raise BundleError(f"{name}: must hold {' and '.join(_MEMBERS)}; got {sorted(entries)[:4]}")
                if sum(entry.file_size for entry in entries.values()) > LARGEST_GOLDEN_BYTES:
                    raise BundleError(f"{name}: unpacks to more than {LARGEST_GOLDEN_BYTES >> 20} MiB")
                return cls(*(_array(_member(archive, entries[m]), f"{name}: {m}") for m in _MEMBERS))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise BundleError(f"{name}: not a readable npz archive ({error})") from error


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:  # the sizes in a zip are claims: read no more than was claimed
        return stream.read(entry.file_size + 1)


def _array(data: bytes, name: str) -> npt.NDArray[Any]:
    """A `.npy` member as an array of bytes; its header is parsed as literals, nothing is unpickled."""
    stream = io.BytesIO(data)
    try:
        if _npy.read_magic(stream) != (1, 0):
            raise BundleError(f"{name}: must be npy version 1.0")
        shape, by_columns, dtype = _npy.read_array_header_1_0(stream, max_header_size=4096)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise BundleError(f"{name}: not a readable npy array ({type(error).__name__})") from error
    if dtype not in (np.dtype(np.uint8), np.dtype(np.int8)) or by_columns:
        raise BundleError(f"{name}: must be uint8 or int8 in C order; got {dtype}")
    body = data[stream.tell() :]
    count = 1
    for side in shape:
        count *= side
    if any(side < 0 for side in shape) or count != len(body):
        raise BundleError(f"{name}: shape {shape} does not fit its {len(body)} bytes")
    return np.frombuffer(body, dtype).reshape(shape)


@dataclass(frozen=True)
class Replay:
    """How an interpreter's outputs compare with the golden ones.

    Attributes:
        images: how many were replayed.
        max_difference: largest difference of any output, in LSB (steps of the output's quantization). Two
            kinds of arithmetic differ by 1 at most; more means another model or a broken runtime.
        differing: indices of the images with any difference.
        reclassified: indices of the images whose class changed.
    """

    images: int
    max_difference: int
    differing: tuple[int, ...]
    reclassified: tuple[int, ...]

    @property
    def exact(self) -> bool:
        """Every output is bit-identical."""
        return not self.differing

    @property
    def same_class(self) -> bool:
        """Every image got its golden class."""
        return not self.reclassified


def compare(golden: Golden, outputs: Sequence[npt.NDArray[Any]]) -> Replay:
    """`outputs`, one (classes,) an image in the golden dtype, against `golden.outputs`."""
    arrived = np.stack(list(outputs))
    if arrived.shape != golden.outputs.shape or arrived.dtype != golden.outputs.dtype:
        raise BundleError(
            f"golden outputs are {golden.outputs.dtype} {golden.outputs.shape}; "
            f"the model gave {arrived.dtype} {arrived.shape}"
        )
    difference = np.abs(arrived.astype(np.int16) - golden.outputs.astype(np.int16)).max(axis=1)
    changed = arrived.argmax(axis=1) != golden.outputs.argmax(axis=1)
    return Replay(
        len(arrived),
        int(difference.max()),
        tuple(np.flatnonzero(difference).tolist()),
        tuple(np.flatnonzero(changed).tolist()),
    )
