"""Golden inputs and outputs: what a bundle's model answered where it was certified, replayed where it is to
serve.

| member of `golden.npz` | what |
|---|---|
| `inputs.npy` | the prepared inputs |
| `outputs.npy` | the outputs of the interpreter that the certificate names |
| `outputs_KIND.npy`, ... | those of further arithmetic (`edge.inference.runtime.arithmetic`), where certified too |

The archive is written and read here rather than with `numpy.savez` and `numpy.load`: its bytes depend on
nothing but the arrays (no timestamps, no compressor), and nothing in it is unpickled or larger than
announced.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle.archives.zip_directory import check_directory
from edge.errors import BundleError
from edge.inference.runtime.arithmetic import EDGETPU, KINDS, named
from edge.inference.scores import class_scores

LARGEST_GOLDEN_BYTES = 64 * 2**20
_npy: Any = np.lib.format  # numpy publishes no types for it
_INPUTS, _OUTPUTS = "inputs.npy", "outputs.npy"
_KIND = re.compile("|".join(("[A-Z]", *KINDS)))  # a letter in archives of before
_OUTPUTS_OF = re.compile(rf"outputs_({_KIND.pattern})\.npy")
MOST_KINDS = 8
# LSB that another kind may differ by where a bundle holds the outputs of one kind alone and so says nothing of it.
ONE_KIND_LSB = 16
# One kind on x86-64 and aarch64: logits are equal to the bit, and the softmax behind them, whose exponentials are
# float, rounds to a neighbouring step now and then.
ELSEWHERE_LSB = 1
_DOS_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Golden:
    """Prepared inputs with the outputs expected of them.

    Attributes:
        inputs: uint8 (N, height, width, 3) RGB, prepared pixels; synthetic fields and noise, never a data
            set's.
        outputs: int8 or uint8 (N, classes), (N, 1) of a sigmoid, raw, as the interpreter gave them that the
            certificate names.
        others: the same of further kinds of arithmetic, kind -> outputs; at most MOST_KINDS.

    >>> golden = Golden(np.zeros((1, 8, 8, 3), np.uint8), np.array([[-128, 127]], np.int8))
    >>> Golden.from_bytes(golden.to_bytes()).outputs.tolist()
    [[-128, 127]]
    >>> judge(golden, [np.array([-127, 127], np.int8)], "xnnpack", certified="xnnpack").passed
    False
    """

    inputs: npt.NDArray[np.uint8]
    outputs: npt.NDArray[Any]
    others: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inputs, outputs = self.inputs, self.outputs
        if inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[3] != 3 or len(inputs) < 1:
            raise BundleError(f"golden inputs must be uint8 (N, H, W, 3), N >= 1; got {inputs.dtype} {inputs.shape}")
        if outputs.dtype not in (np.int8, np.uint8) or outputs.ndim != 2 or len(outputs) != len(inputs):
            raise BundleError(
                f"golden outputs must be int8 or uint8 ({len(inputs)}, classes); got {outputs.dtype} {outputs.shape}"
            )
        if len(self.others) > MOST_KINDS or not all(_KIND.fullmatch(kind) for kind in self.others):
            raise BundleError(
                f"golden kinds must be of {', '.join(KINDS)}, {MOST_KINDS} at most; got {sorted(self.others)[:9]}"
            )
        for kind, others in self.others.items():
            if others.dtype != outputs.dtype or others.shape != outputs.shape:
                raise BundleError(
                    f"golden outputs of kind {kind} must be {outputs.dtype} {outputs.shape}, as the certified ones; "
                    f"got {others.dtype} {others.shape}"
                )

    def cpu_others(self) -> Mapping[str, npt.NDArray[Any]]:
        """`others` without the Edge TPU's: how far that strays says nothing of what a CPU may."""
        return {kind: outputs for kind, outputs in self.others.items() if kind != EDGETPU}

    def range(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
        """The lowest and the highest output of all kinds of the CPU certified, int16 (N, classes) each."""
        every = np.stack([self.outputs, *self.cpu_others().values()]).astype(np.int16)
        return every.min(axis=0), every.max(axis=0)

    def to_bytes(self) -> bytes:
        """The archive: a zip of stored `.npy` members; equal arrays give equal bytes on every machine."""
        members = {_INPUTS: self.inputs, _OUTPUTS: self.outputs}
        members |= {f"outputs_{kind}.npy": self.others[kind] for kind in sorted(self.others)}
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as stored:
            for name, array in members.items():
                member = io.BytesIO()
                _npy.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
                entry = zipfile.ZipInfo(name, _DOS_EPOCH)
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                stored.writestr(entry, member.getvalue())
        return archive.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "golden.npz") -> "Golden":
        """Read `to_bytes`, or BundleError: object arrays, other members and oversized ones are refused."""
        check_directory(data, name)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = {entry.filename: entry for entry in archive.infolist()}
                kinds = {named(found[1]): m for m in entries if (found := _OUTPUTS_OF.fullmatch(m))}
                known = {_INPUTS, _OUTPUTS, *kinds.values()}
                if len(archive.infolist()) != len(known) or set(entries) != known or len(kinds) > MOST_KINDS:
                    raise BundleError(
                        f"{name}: must hold {_INPUTS} and {_OUTPUTS}, and outputs of kinds as outputs_builtin.npy; "
                        f"got {sorted(entries)[:4]}"
                    )
                if sum(entry.file_size for entry in entries.values()) > LARGEST_GOLDEN_BYTES:
                    raise BundleError(f"{name}: unpacks to more than {LARGEST_GOLDEN_BYTES >> 20} MiB")
                arrays = {m: _array(_member(archive, entries[m]), f"{name}: {m}") for m in entries}
                others = {kind: arrays[member] for kind, member in kinds.items()}
                return cls(arrays[_INPUTS], arrays[_OUTPUTS], others)
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
    except BundleError:  # a ValueError as well
        raise
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
        kind: whose outputs they were compared with; "" for the range of all kinds certified.
        max_difference: largest difference of any output from them, in LSB (steps of the output's quantization).
        allowed: LSB by which an output may differ; 0 where the kind is certified, on this architecture.
        differences: largest difference of an output, LSB, one an image.
        reclassified: indices of the images that got another class and may not; for a kind that is not certified that
            is allowed where the two highest outputs are closer than twice `allowed`.
    """

    images: int
    kind: str
    max_difference: int
    allowed: int
    differences: tuple[int, ...]
    reclassified: tuple[int, ...]
    expected: tuple[int, ...]
    answered: tuple[int, ...]

    @property
    def differing(self) -> tuple[int, ...]:
        """Indices of the images with any difference."""
        return tuple(index for index, difference in enumerate(self.differences) if difference)

    @property
    def passed(self) -> bool:
        """No image differs by more than it may, and none has another class where it may not."""
        return not (self.beyond or self.reclassified)

    @property
    def beyond(self) -> tuple[int, ...]:
        """Indices of the images that differ by more than is allowed."""
        return tuple(index for index, difference in enumerate(self.differences) if difference > self.allowed)

    @property
    def exact(self) -> bool:
        """Every output is bit-identical."""
        return not self.differing

    @property
    def same_class(self) -> bool:
        """Every image got its golden class."""
        return not self.reclassified


def compare(golden: Golden, outputs: Sequence[npt.NDArray[Any]]) -> Replay:
    """`outputs`, one (classes,) an image in the golden dtype, against `golden.outputs`, bit by bit."""
    return _replay(golden.outputs, golden.outputs, golden.outputs, _arrived(golden, outputs), "", 0)


def judge(
    golden: Golden, outputs: Sequence[npt.NDArray[Any]], kind: str, certified: str | None, elsewhere: bool = False
) -> Replay:
    """As `compare`, by the rule that `kind`, the arithmetic of the interpreter that gave `outputs`, comes under.

    - A kind that is certified: bit for bit with its own outputs; `elsewhere`, on a processor of another architecture,
      within ELSEWHERE_LSB, and with the golden class wherever that leads by more than twice as much.
    - Another: outside the range of all kinds certified by no more than these differ among themselves on any golden
      image, 1 LSB at least (ONE_KIND_LSB where one alone is certified, as in bundles of before). The class must be
      the golden one wherever it leads by more than twice that.

    Kinds differ by 1 LSB a layer; depth adds that up and softmax stretches it where a network is undecided, so that
    no number holds for every network (docs/decisions/0017-self-test.md).

    Args:
        kind: `Interpreter.kind`.
        certified: the kind of `golden.outputs`, as the certificate names it; None where it names none.
        elsewhere: this processor's architecture is not the one that the golden outputs were computed on.
    """
    arrived = _arrived(golden, outputs)
    of_kind = {**golden.others, **({} if certified is None else {certified: golden.outputs})}
    if kind in of_kind:
        allowed = ELSEWHERE_LSB if elsewhere and kind != EDGETPU else 0
        return _replay(of_kind[kind], of_kind[kind], of_kind[kind], arrived, kind, allowed)
    low, high = golden.range()
    allowed = max(1, int((high - low).max())) if golden.cpu_others() else ONE_KIND_LSB
    return _replay(low, high, golden.outputs, arrived, "", allowed)


def _arrived(golden: Golden, outputs: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    arrived: npt.NDArray[Any] = np.stack(list(outputs))
    if arrived.shape != golden.outputs.shape or arrived.dtype != golden.outputs.dtype:
        raise BundleError(
            f"golden outputs are {golden.outputs.dtype} {golden.outputs.shape}; "
            f"the model gave {arrived.dtype} {arrived.shape}"
        )
    return arrived


def _replay(
    low: npt.NDArray[Any],
    high: npt.NDArray[Any],
    expected: npt.NDArray[Any],
    arrived: npt.NDArray[Any],
    kind: str,
    allowed: int,
) -> Replay:
    """`arrived` against the outputs from `low` to `high`, and against the classes of `expected`."""
    found = arrived.astype(np.int16)
    outside = np.maximum(low.astype(np.int16) - found, found - high.astype(np.int16)).clip(0).max(axis=1)
    wanted, given = class_scores(expected), class_scores(arrived)
    second, highest = np.sort(wanted, axis=1)[:, -2:].T
    leads = (highest - second > 2 * allowed) | (allowed == 0)
    classes, answered = wanted.argmax(axis=1), given.argmax(axis=1)
    return Replay(
        images=len(arrived),
        kind=kind,
        max_difference=int(outside.max()),
        allowed=allowed,
        differences=tuple(outside.tolist()),
        reclassified=tuple(np.flatnonzero((answered != classes) & leads).tolist()),
        expected=tuple(classes.tolist()),
        answered=tuple(answered.tolist()),
    )
