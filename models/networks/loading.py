"""A trained network from its folder, refused in one line when it is not what its contract says."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.inference.contract import InputContract
from models.errors import ForeignCodeError, NetworkError
from models.networks.custom_code import NO_CODE, CustomCode, foreign_parts


def load_network(folder: Path, code: CustomCode = NO_CODE) -> tuple[Any, InputContract]:
    """The Keras network and the contract in `folder` (the layout of `models/trained/NAME`).

    Args:
        code: what may be run to load it.

    Raises:
        ForeignCodeError: it needs code that is not given.
        NetworkError: `model.keras` is damaged, or its input or outputs are not the contract's.
        ContractError: `contract.json` is missing or wrong.
    """
    contract = InputContract.load(folder / "contract.json")
    path = folder / "model.keras"
    if not zipfile.is_zipfile(path):
        raise NetworkError(f"{path}: truncated, or not a Keras archive")
    network = load_keras(path, code)
    inputs, outputs = [tuple(t.shape) for t in network.inputs], [tuple(t.shape) for t in network.outputs]
    if len(inputs) != 1 or inputs[0][1:] != contract.input_shape:
        raise NetworkError(f"{path}: must have one input {contract.input_shape}, as its contract says; got {inputs}")
    if len(outputs) != 1 or outputs[0][1:] != (contract.outputs,):
        wanted = "one sigmoid output for" if contract.output == "sigmoid" else "one output for each of"
        raise NetworkError(f"{path}: must have {wanted} {list(contract.labels)}; got {outputs}")
    return network, contract


def load_keras(path: Path, code: CustomCode = NO_CODE) -> Any:
    """The Keras model in a `.keras` or `.h5` file, not compiled.

    Args:
        code: what may be run to load it.

    Raises:
        ForeignCodeError: it needs code that is not given.
        NetworkError: damaged, or no Keras model.
        MissingExtraError: TensorFlow is not installed.
    """
    from edge.system.streams import silenced
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    objects = code.objects()
    if not code.unsafe_lambda:
        _refuse_code(path)
    try:
        with silenced():
            return keras.saving.load_model(
                path.resolve(),
                custom_objects={**_of_keras_2(), **objects},
                compile=False,
                safe_mode=not code.unsafe_lambda,
            )
    except Exception as error:  # Keras raises whatever a damaged archive makes h5py, zipfile and json raise
        missing = _missing_code(path, objects)
        if missing is not None:
            raise ForeignCodeError(f"{path}: {missing}: --custom FILE.py names the file that defines it") from error
        raise NetworkError(f"{path}: not a Keras model that can be loaded: {first_line(error)}") from error


def _refuse_code(path: Path) -> None:
    """A Lambda layer's code stands in the file itself."""
    for part in foreign_parts(path):
        if part.holds_code:
            raise ForeignCodeError(
                f"{path}: {part.to_text()} is code in the model file, which is not run unasked: --unsafe-lambda runs "
                "it, if you trust whoever made the file"
            )


def _missing_code(path: Path, objects: Mapping[str, Any]) -> str | None:
    """What of a file that did not load Keras cannot make by itself, for a person."""
    import keras

    known = {name.rpartition(">")[2] for name in keras.saving.get_custom_objects()} | set(objects)
    return next(
        (
            f"{p.to_text()} is code that Keras does not have"
            for p in foreign_parts(path)
            if p.kind not in known and not p.holds_code
        ),
        None,
    )


def _of_keras_2() -> dict[str, Any]:
    """Keras 2 wrote `groups: 1` into depthwise convolutions; Keras 3 does not take the word, which changes nothing."""
    import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            kept = {key: value for key, value in config.items() if (key, value) != ("groups", 1)}
            return keras.layers.DepthwiseConv2D.from_config(kept)

    return {"DepthwiseConv2D": DepthwiseConv2D}


def first_line(error: BaseException) -> str:
    """The line of an exception that says what is wrong, shortened: Keras puts whole networks into some.

    Where Keras reports what it met inside of a layer, the layer's class and what it met there; else the first line.

    >>> first_line(ValueError("Error when deserializing class 'Dense' using {...}\\n\\nException encountered: no"))
    "class 'Dense': no"
    """
    text = re.sub("\x1b" + r"\[[0-9;]*m", "", str(error))
    met = re.findall(r"^Exception encountered: (.+)$", text, flags=re.MULTILINE)
    if met:
        layer = re.findall(r"deserializing (class '[^']+')", text)
        return (f"{layer[-1]}: {met[-1]}" if layer else met[-1])[:200]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
