"""Trained Keras image classifiers, ours or anybody's: loading, and refusal of what is none.

Three forms on disk: `.keras`, `.h5`, and a SavedModel folder. What comes back takes float32 (N, H, W, channels) in
the order of its contract and answers probabilities, whatever the file held.
"""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import FloatModelError
from convert.quantization.float_ends import classifier_head, image_input, size_text
from convert.quantization.float_source import load_keras_file, load_saved_model
from convert.quantization.front import Front, front_of
from edge.errors import ContractError
from edge.inference.contract import InputContract, OutputKind
from models.networks.custom_code import NO_CODE, CustomCode
from models.networks.prediction import traced
from models.support.quiet_tensorflow import import_tensorflow

Floats = npt.NDArray[np.float32]
_FROM_ONNX = "a SavedModel folder (onnx2tf, a package of its own: `onnx2tf -i FILE.onnx -osd`), and give that folder"
_PYTORCH = f"a PyTorch file: export it to ONNX (torch.onnx.export), then that to {_FROM_ONNX}"
OTHER_FORMS = {  # suffix -> what it is, and the way from there
    ".tflite": "converted already (`convert inspect` shows what it holds): give the float Keras model of it",
    ".onnx": f"an ONNX file: convert it to {_FROM_ONNX}",
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".pb": "one file of a SavedModel: give the folder that holds it",
}


@dataclass(frozen=True)
class Loading:
    """How a model is to be loaded, where the file leaves that open.

    Attributes:
        size: (width, height) that its input is to have, which one whose size is not fixed then gets.
        open_size: the same for one whose size is not fixed alone.
        code: what may be run to load it.

    >>> Loading().size is None
    True
    """

    size: tuple[int, int] | None = None
    open_size: tuple[int, int] | None = None
    code: CustomCode = NO_CODE


AS_IT_IS = Loading()


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A float classifier.

    Attributes:
        network: a Keras model, or any callable Keras can trace, from (N, H, W, channels) float32 to (N, outputs).
        path: where it came from.
        sha256: of the file, or of a folder's file names and contents.
        size: (width, height) of its input, pixels.
        classes: number of classes.
        notes: what was decided about it and should be said, one sentence each.
        channels: of its input, 3 or 1.
        output: "softmax", one output a class, or "sigmoid", one output for two classes.
        front: what its first layers say about the values it wants; None where they say nothing.
        loading: how it was loaded; with it, `path` gives the same model again.

    >>> model = FloatModel(lambda batch: batch, Path("dots.keras"), "0" * 64, "dots", (32, 32), 4)
    >>> model.predict(np.empty((0, 32, 32, 3), np.float32)).shape
    (0, 4)
    """

    network: Callable[..., Any]
    path: Path
    sha256: str
    name: str
    size: tuple[int, int]
    classes: int
    notes: tuple[str, ...] = ()
    channels: int = 3
    output: OutputKind = "softmax"
    front: Front | None = None
    loading: Loading = AS_IT_IS

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.size[1], self.size[0], self.channels

    def predict(self, inputs: Floats) -> Floats:
        """Probabilities.

        Args:
            inputs: float32 (N, height, width, channels), as `InputContract.encode(pixels, FLOAT32)` makes them.

        Returns:
            float32 (N, classes), rows sum to 1; of a sigmoid 1 - p and p.

        Raises:
            FloatModelError: another shape or dtype.
        """
        if inputs.dtype != np.float32 or inputs.ndim != 4 or inputs.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, self.input_shape))
            raise FloatModelError(f"inputs must be float32 (N, {wanted}); got {inputs.dtype} {inputs.shape}")
        return self._outputs(inputs) if len(inputs) else np.empty((0, self.classes), np.float32)

    @cached_property
    def _outputs(self) -> Callable[[Floats], Floats]:
        return traced(self.network, self.input_shape)


def load_float(path: Path, loading: Loading = AS_IT_IS) -> FloatModel:
    """Load a trained classifier.

    Args:
        path: a `.keras` file, an `.h5` file, or a SavedModel folder.
        loading: what the file leaves open.

    Raises:
        FloatModelError: missing, truncated, no Keras model, code that is not given, more than one input or output, a
            size that is not fixed, an input that is no image, or outputs that are no probabilities. One line each.
        MissingExtraError: TensorFlow is not installed.
    """
    check_form(path)
    import_tensorflow()
    source = load_saved_model(path) if path.is_dir() else load_keras_file(path, loading.code)
    size, channels = image_input(path, source.inputs, loading.size or loading.open_size)
    if loading.size not in (None, size):
        raise FloatModelError(
            f"{path}: takes {size_text(size)} pixels, fixed in the file; --size {size_text(loading.size)} was asked for"
        )
    head = classifier_head(path, source, (size[1], size[0], channels))
    return FloatModel(
        head.network,
        path,
        digest(path),
        model_name(path),
        size,
        head.classes,
        (*source.notes, *head.notes),
        channels,
        head.output,
        front_of(source.network),
        loading,
    )


def digest(path: Path) -> str:
    """Sha256 of a file; of a folder, over the sorted lines `sha256-of-file  relative/posix/name`."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != "fingerprint.pb")
        lines = [f"{digest(p)}  {p.relative_to(path).as_posix()}\n" for p in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_fits(model: FloatModel, contract: InputContract) -> None:
    """Raise ContractError unless the contract's size and number of labels are the model's."""
    if contract.size != model.size:
        raise ContractError(
            f"{model.path}: takes {size_text(model.size)} pixels; the contract says {size_text(contract.size)}"
        )
    if contract.channels != model.channels:
        kinds = {1: "one channel: channel_order GRAY", 3: "three channels: channel_order RGB or BGR"}
        raise ContractError(f"{model.path}: takes {kinds[model.channels]}; the contract says {contract.channel_order}")
    if contract.output != model.output:
        kind = {"sigmoid": "one sigmoid output", "softmax": f"{model.classes} outputs"}[model.output]
        raise ContractError(f'{model.path}: has {kind}; the contract must say output "{model.output}"')
    if len(contract.labels) != model.classes:
        has = f"{model.classes} outputs" if model.output == "softmax" else "one sigmoid output, which is two classes"
        raise ContractError(
            f"{model.path}: has {has}; the contract has {len(contract.labels)} labels: {', '.join(contract.labels)}"
        )


def check_form(path: Path) -> None:
    """What can be refused before TensorFlow is loaded."""
    if not path.exists():
        raise FloatModelError(f"{path}: no such file or folder")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise FloatModelError(f"{path}: not a SavedModel folder (no saved_model.pb in it)")
        return
    if path.suffix.lower() in OTHER_FORMS:
        raise FloatModelError(f"{path}: {OTHER_FORMS[path.suffix.lower()]}")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise FloatModelError(f"{path}: must be a .keras file, an .h5 file or a SavedModel folder")
    with path.open("rb") as file:
        head = file.read(8)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        state = "truncated" if head.startswith(b"PK") else "not a Keras archive"
        raise FloatModelError(f"{path}: {state if head else 'the file is empty'}")
    if path.suffix != ".keras" and head != b"\x89HDF\r\n\x1a\n":
        raise FloatModelError(f"{path}: {'not an HDF5 file' if head else 'the file is empty'}")


def model_name(path: Path) -> str:
    """The folder's name for our own `NAME/model.keras`, else the file's."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.stem == "model" else resolved.stem
