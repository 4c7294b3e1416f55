"""Trained Keras image classifiers, ours or anybody's: loading, and refusal of what is none.

Three forms on disk: `.keras`, `.h5`, and a SavedModel folder. What comes back takes float32 (N, H, W, 3) in
the order of its contract and answers probabilities, whatever the file held.
"""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.errors import FloatModelError
from edge.errors import ContractError
from edge.inference.contract import InputContract
from edge.system.streams import silenced
from models.errors import NetworkError
from models.networks.loading import first_line, load_keras
from models.networks.prediction import traced
from models.support.quiet_tensorflow import import_tensorflow

Floats = npt.NDArray[np.float32]
PROBES = 4  # images of noise that show whether the outputs are probabilities; few, for the memory's sake
SUM_TOLERANCE = 1e-3  # of a probability vector


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A float classifier.

    Attributes:
        network: a Keras model, or any callable Keras can trace, from (N, H, W, 3) float32 to (N, classes).
        path: where it came from.
        sha256: of the file, or of a folder's file names and contents.
        size: (width, height) of its input, pixels.
        classes: number of outputs.
        notes: what was decided about it and should be said, one sentence each.

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

    def predict(self, inputs: Floats) -> Floats:
        """Probabilities.

        Args:
            inputs: float32 (N, height, width, 3), as `InputContract.encode(pixels, FLOAT32)` makes them.

        Returns:
            float32 (N, classes), rows sum to 1.

        Raises:
            FloatModelError: another shape or dtype.
        """
        width, height = self.size
        if inputs.dtype != np.float32 or inputs.ndim != 4 or inputs.shape[1:] != (height, width, 3):
            raise FloatModelError(
                f"inputs must be float32 (N, {height}, {width}, 3); got {inputs.dtype} {inputs.shape}"
            )
        return self._outputs(inputs) if len(inputs) else np.empty((0, self.classes), np.float32)

    @cached_property
    def _outputs(self) -> Callable[[Floats], Floats]:
        return traced(self.network, self.size)


def load_float(path: Path) -> FloatModel:
    """Load a trained classifier.

    Args:
        path: a `.keras` file, an `.h5` file, or a SavedModel folder.

    Raises:
        FloatModelError: missing, truncated, no Keras model, more than one input or output, a size that is not
            fixed, an input that is no colour image, or outputs that are no probabilities. One line each.
        MissingExtraError: TensorFlow is not installed.
    """
    check_form(path)
    import_tensorflow()
    if path.is_dir():
        network, shape, outputs = _load_saved_model(path)
    else:
        network, shape, outputs = _load_keras(path)
    size = _image_size(path, shape)
    classes = _class_count(path, outputs)
    model = FloatModel(network, path, digest(path), model_name(path), size, classes)
    return _with_probabilities(model)


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
    if len(contract.labels) != model.classes:
        raise ContractError(
            f"{model.path}: has {model.classes} outputs; the contract has {len(contract.labels)} labels:"
            f" {', '.join(contract.labels)}"
        )


def check_form(path: Path) -> None:
    """What can be refused before TensorFlow is loaded."""
    if not path.exists():
        raise FloatModelError(f"{path}: no such file or folder")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise FloatModelError(f"{path}: not a SavedModel folder (no saved_model.pb in it)")
        return
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise FloatModelError(f"{path}: must be a .keras file, an .h5 file or a SavedModel folder")
    with path.open("rb") as file:
        head = file.read(8)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        state = "truncated" if head.startswith(b"PK") else "not a Keras archive"
        raise FloatModelError(f"{path}: {state if head else 'the file is empty'}")
    if path.suffix != ".keras" and head != b"\x89HDF\r\n\x1a\n":
        raise FloatModelError(f"{path}: {'not an HDF5 file' if head else 'the file is empty'}")


def _load_keras(path: Path) -> tuple[Any, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(network, input shapes, output shapes)."""
    try:
        network = load_keras(path)
    except NetworkError as error:
        raise FloatModelError(str(error)) from error
    try:
        inputs, outputs = network.inputs, network.outputs
    except (AttributeError, ValueError) as error:
        raise FloatModelError(f"{path}: has no defined input (a model never built); save it after a call") from error
    if not inputs or not outputs:
        raise FloatModelError(f"{path}: has no defined input (a model never built); save it after a call")
    for tensor in inputs:
        if "float" not in str(tensor.dtype):
            raise FloatModelError(f"{path}: its input must be float32; got {tensor.dtype}")
    return network, [tuple(t.shape) for t in inputs], [tuple(t.shape) for t in outputs]


def _load_saved_model(path: Path) -> tuple[Any, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(callable, input shapes, output shapes) of a SavedModel's `serving_default` signature."""
    import keras
    import tensorflow as tf

    try:
        with silenced():
            loaded = tf.saved_model.load(str(path))
            signature = loaded.signatures.get("serving_default")
            if signature is None:
                raise FloatModelError(f"{path}: has no signature serving_default; got {sorted(loaded.signatures)}")
            layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    except FloatModelError:
        raise
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
        raise FloatModelError(f"{path}: not a SavedModel that can be loaded: {first_line(error)}") from error
    specs = list(signature.structured_input_signature[1].values())
    if any(spec.dtype != tf.float32 for spec in specs):
        raise FloatModelError(f"{path}: its input must be float32; got {', '.join(s.dtype.name for s in specs)}")
    shapes = [tuple(s.shape) if s.shape.rank is not None else () for s in specs]
    outputs = [tuple(s.shape) if s.shape.rank is not None else () for s in signature.structured_outputs.values()]

    def network(inputs: Any, training: bool = False) -> Any:
        answer = layer(inputs)
        return next(iter(answer.values())) if isinstance(answer, dict) else answer

    return network, shapes, outputs


def _image_size(path: Path, shapes: list[tuple[Any, ...]]) -> tuple[int, int]:
    """(width, height) of the only input, which must be (batch, height, width, 3)."""
    if len(shapes) != 1:
        raise FloatModelError(f"{path}: must have one input; got {len(shapes)}")
    shape = shapes[0]
    if len(shape) != 4 or shape[3] != 3:
        raise FloatModelError(f"{path}: its input must be colour images (batch, height, width, 3); got {_shape(shape)}")
    if shape[1] is None or shape[2] is None:
        raise FloatModelError(f"{path}: its input size must be fixed; got {_shape(shape)}; save it with a fixed size")
    return int(shape[2]), int(shape[1])


def _class_count(path: Path, shapes: list[tuple[Any, ...]]) -> int:
    if len(shapes) != 1:
        raise FloatModelError(f"{path}: must have one output; got {len(shapes)}")
    shape = shapes[0]
    if len(shape) != 2 or shape[1] is None:
        raise FloatModelError(f"{path}: its output must be (batch, classes); got {_shape(shape)}")
    if shape[1] < 2:
        raise FloatModelError(f"{path}: must answer a probability for two or more classes; got one output")
    return int(shape[1])


def _with_probabilities(model: FloatModel) -> FloatModel:
    """`model` itself when it answers probabilities, with a softmax behind it when it answers logits.

    Raises:
        FloatModelError: neither, such as independent sigmoids.
    """
    import keras

    width, height = model.size
    probe = np.random.default_rng(0).uniform(-1, 1, (PROBES, height, width, 3)).astype(np.float32)
    probe[1::2] = (probe[1::2] + 1) * 127.5  # a model that takes 0..255 sees such too
    try:
        with silenced():
            answers = model.predict(probe)
    except FloatModelError:
        raise
    except Exception as error:  # whatever a user's own layers raise
        raise FloatModelError(f"{model.path}: cannot be run: {first_line(error)}") from error
    if answers.shape != (PROBES, model.classes) or not np.isfinite(answers).all():
        raise FloatModelError(f"{model.path}: answers {answers.shape} with values that are not finite numbers")
    sums = answers.sum(axis=1)
    if (answers >= 0).all() and np.abs(sums - 1).max() <= SUM_TOLERANCE:
        return model
    if (answers >= 0).all() and (answers <= 1).all():
        raise FloatModelError(
            f"{model.path}: its outputs must be a softmax over the classes; they lie in 0..1 and sum to"
            f" {sums.min():.3g}..{sums.max():.3g}, as independent sigmoids do"
        )
    inner, softmax = model.network, keras.layers.Softmax()
    note = "outputs: logits, so a softmax was put behind them"
    return replace(
        model,
        network=lambda inputs, training=False: softmax(inner(inputs, training=training)),
        notes=(*model.notes, note),
    )


def model_name(path: Path) -> str:
    """The folder's name for our own `NAME/model.keras`, else the file's."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.stem == "model" else resolved.stem


def size_text(size: tuple[int, int]) -> str:
    """(224, 160) -> "224x160"."""
    return f"{size[0]}x{size[1]}"


def _shape(shape: tuple[Any, ...]) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"
