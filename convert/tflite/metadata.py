"""Standard TFLite metadata: labels and normalization inside the file, for other runtimes to read.

Written by hand over `flatbuffers`: the table below is small, and the published writers are broken or pin old
versions. Schema:
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
"""

import io as streams
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from convert.errors import BrokenModelError
from convert.tflite.schema import pack_model
from edge.errors import FlatbufferError, ModelFileError
from edge.inference.contract import InputContract
from edge.inference.tflite.flatbuffer import Buffer, Table
from edge.inference.tflite.model_file import check_model

METADATA_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
DESCRIPTION = "Image classifier, full-int8, converted by Leukoscope. Research use only: not for diagnosis."
PARSER_VERSION = "1.0.0"  # oldest metadata parser that knows every field used here
RGB, GRAYSCALE, IMAGE_PROPERTIES, FEATURE_PROPERTIES, NORMALIZATION_OPTIONS = 1, 2, 2, 1, 1
AXIS_LABELS, VALUE_LABELS = 2, 3  # one name an output element (what a classifier has); a name for each value
LARGEST_LABELS = 1 << 20  # bytes unpacked: a zip can promise far more than it holds
EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed one: the same model gives the same bytes


@dataclass(frozen=True)
class ModelInfo:
    """What the metadata of a file says.

    Attributes:
        mean, std: per channel or one for all, in pixel values 0..255: `real = (pixel - mean) / std`. Empty
            when not given.
        labels: in output order; empty when not given.
        files: names of the files appended to the model.

    >>> print(ModelInfo("smear", "a classifier", (128.0,), (128.0,), ("Benign", "Pro"), ()).to_text())
    name: smear
    description: a classifier
    normalization: (pixel - [128.0]) / [128.0]
    labels: Benign, Pro
    """

    name: str
    description: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    files: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "name": self.name,
            "description": self.description,
            "normalization": {"mean": _finite(self.mean), "std": _finite(self.std)} if self.std else None,
            "labels": list(self.labels),
            "files": list(self.files),
        }

    def to_text(self) -> str:
        """For a person."""
        lines = [f"name: {self.name}", f"description: {self.description}"]
        if self.std:
            lines.append(f"normalization: (pixel - {list(self.mean)}) / {list(self.std)}")
        if self.labels:
            lines.append(f"labels: {', '.join(self.labels)}")
        return "\n".join(lines)


def with_metadata(
    model: bytes,
    contract: InputContract,
    io: Literal["int8", "uint8"] = "int8",
    name: str = "Leukoscope classifier",
) -> bytes:
    """`model` with standard metadata for `contract`, which replaces any that was there.

    Channel order is not a field of the standard: it knows RGB and grey. A BGR contract's normalization is stored
    in the model's own order and the description says that the model takes BGR. The labels of a single sigmoid output
    are those of its values 0 and 1.

    Args:
        model: a TFLite file with one input (1, H, W, channels) and one output (1, outputs).
        io: number format of input and output, for the range the metadata states.

    Raises:
        BrokenModelError: not a TFLite file.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        check_model(model)
    except ModelFileError as error:
        raise BrokenModelError(str(error)) from error
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    data = np.frombuffer(_model_metadata(contract, io, name), np.uint8)
    there = [entry for entry in tree.metadata or [] if _text(entry.name) == METADATA_NAME]
    if there:  # replaced where it stands, so that writing twice gives the same bytes
        tree.buffers[there[0].buffer].data = data
    else:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = data
        entry.name, entry.buffer = METADATA_NAME, len(tree.buffers)
        tree.buffers.append(buffer)
        tree.metadata = [*(tree.metadata or []), entry]
    return _with_label_file(pack_model(tree), contract.labels)


def parse_metadata(packed: bytes, model: bytes, name: str) -> ModelInfo:
    """The metadata flatbuffer `packed` and the files appended to `model`; `name` is used in messages.

    Raises:
        BrokenModelError: either is damaged.
    """
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    label_file = ""
    with broken_model(f"{name}: metadata"):
        root = Buffer(packed).root(b"M001")
        title, description = root.text(0), root.text(1)
        for graph in islice(root.tables(3), 1):
            for tensor in islice(graph.tables(2), 1):
                mean, std = _normalization(tensor)
            for tensor in islice(graph.tables(3), 1):
                files = [(f.text(0), f.number(2, "b")) for f in tensor.tables(6)]
                label_file = next((file for file, kind in files if kind in (AXIS_LABELS, VALUE_LABELS)), "")
    files_there, labels = _appended(model, label_file)
    return ModelInfo(title, description, mean, std, labels, files_there)


@contextmanager
def broken_model(name: str) -> Iterator[None]:
    """Narrow what `edge.inference.tflite.flatbuffer` finds to BrokenModelError, which names the file."""
    try:
        yield
    except FlatbufferError as error:
        raise BrokenModelError(f"{name}: not a readable TFLite file: {error}") from error


def _normalization(tensor: Table) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.number(0, "B") == NORMALIZATION_OPTIONS and options:
            return tuple(map(float, options.array(0, "f4"))), tuple(map(float, options.array(1, "f4")))
    return (), ()


def _appended(model: bytes, label_file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(names of the appended files, the labels). A model with nothing appended has neither."""
    try:
        with zipfile.ZipFile(streams.BytesIO(model)) as archive:
            names = tuple(archive.namelist())
            if not label_file or label_file not in names:
                return names, ()
            with archive.open(label_file) as file:
                text = file.read(LARGEST_LABELS + 1)
    except (
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        OverflowError,
    ):
        return (), ()
    except Exception as error:  # zlib.error and whatever a damaged archive makes the decompressors raise
        raise BrokenModelError(f"model: the files appended to it are damaged ({type(error).__name__})") from error
    if len(text) > LARGEST_LABELS:
        raise BrokenModelError(f"model: {label_file} unpacks to more than {LARGEST_LABELS >> 20} MiB")
    return names, tuple(line for line in text.decode("utf-8", "replace").splitlines() if line)


def _finite(values: tuple[float, ...]) -> list[float | None]:
    """JSON has no infinity: what a damaged file may hold becomes null."""
    return [v if math.isfinite(v) else None for v in values]


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def _with_label_file(model: bytes, labels: tuple[str, ...]) -> bytes:
    """`model` with a zip archive behind it, found from the end of the file; stored, not compressed."""
    held = streams.BytesIO(model)
    with zipfile.ZipFile(held, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, EARLIEST_ZIP_DATE), "\n".join(labels) + "\n")
    return held.getvalue()


def _model_metadata(contract: InputContract, io: str, name: str) -> bytes:
    """The ModelMetadata flatbuffer. Slots are positions in the schema; children come before their table."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    order = "" if contract.channel_order != "BGR" else " Takes its channels in the order blue, green, red."
    inputs = _tables(builder, [_input(builder, contract, io)])
    outputs = _tables(builder, [_output(builder, contract, io)])
    subgraphs = _tables(builder, [_table(builder, {2: inputs, 3: outputs})])
    texts = [builder.CreateString(text) for text in (name, DESCRIPTION + order, "1", PARSER_VERSION)]
    root = _table(builder, {0: texts[0], 1: texts[1], 2: texts[2], 3: subgraphs, 7: texts[3]})
    builder.Finish(root, file_identifier=b"M001")
    return bytes(builder.Output())


def _input(builder: Any, contract: InputContract, io: str) -> int:
    """TensorMetadata of the image: colour space, normalization and range in pixel values."""
    mean = [-offset / scale for scale, offset in zip(contract.scale, contract.offset, strict=True)]
    std = [1 / scale for scale in contract.scale]
    options = _table(builder, {0: _floats(builder, mean), 1: _floats(builder, std)})
    unit = _table(builder, {1: options}, small={0: NORMALIZATION_OPTIONS})
    name = builder.CreateString("image")
    said = builder.CreateString(f"Field of view to classify, {contract.size[0]}x{contract.size[1]} pixels.")
    space = GRAYSCALE if contract.channel_order == "GRAY" else RGB
    content = _table(builder, {1: _table(builder, {}, small={0: space})}, small={0: IMAGE_PROPERTIES})
    fields = {0: name, 1: said, 3: content, 4: _tables(builder, [unit]), 5: _range(builder, io)}
    return _table(builder, fields)


def _output(builder: Any, contract: InputContract, io: str) -> int:
    """TensorMetadata of the probabilities, with the label file."""
    single = contract.output == "sigmoid"
    what = f"Probability of {contract.labels[1]}" if single else "Probability of each class"
    said = builder.CreateString(f"{what}. Research use only.")
    name = builder.CreateString("probability")
    content = _table(builder, {1: _table(builder, {})}, small={0: FEATURE_PROPERTIES})
    labels = _table(builder, {0: builder.CreateString(LABELS_FILE)}, small={2: VALUE_LABELS if single else AXIS_LABELS})
    fields = {0: name, 1: said, 3: content, 5: _range(builder, io), 6: _tables(builder, [labels])}
    return _table(builder, fields)


def _range(builder: Any, io: str) -> int:
    """Stats: the largest and smallest value of an 8-bit tensor."""
    limits = np.iinfo(io)
    return _table(builder, {0: _floats(builder, [limits.max]), 1: _floats(builder, [limits.min])})


def _table(builder: Any, offsets: dict[int, int], small: dict[int, int] | None = None) -> int:
    """A table of child offsets and single-byte numbers, both by slot."""
    bytes_by_slot = small or {}
    builder.StartObject(max([*offsets, *bytes_by_slot], default=-1) + 1)
    for slot, child in offsets.items():
        builder.PrependUOffsetTRelativeSlot(slot, child, 0)
    for slot, number in bytes_by_slot.items():
        builder.PrependUint8Slot(slot, number, 0)
    return int(builder.EndObject())


def _tables(builder: Any, children: list[int]) -> int:
    builder.StartVector(4, len(children), 4)
    for child in reversed(children):
        builder.PrependUOffsetTRelative(child)
    return int(builder.EndVector())


def _floats(builder: Any, values: list[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
