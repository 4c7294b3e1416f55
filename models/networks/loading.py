"""A trained network from its folder, refused in one line when it is not what its contract says."""

import zipfile
from pathlib import Path
from typing import Any

from edge.inference.contract import InputContract
from models.errors import NetworkError


def load_network(folder: Path) -> tuple[Any, InputContract]:
    """The Keras network and the contract in `folder` (the layout of `models/trained/NAME`).

    Raises:
        NetworkError: `model.keras` is damaged, or its input or outputs are not the contract's.
        ContractError: `contract.json` is missing or wrong.
    """
    contract = InputContract.load(folder / "contract.json")
    path = folder / "model.keras"
    if not zipfile.is_zipfile(path):
        raise NetworkError(f"{path}: truncated, or not a Keras archive")
    network = load_keras(path)
    inputs, outputs = [tuple(t.shape) for t in network.inputs], [tuple(t.shape) for t in network.outputs]
    width, height = contract.size
    if len(inputs) != 1 or inputs[0][1:] != (height, width, 3):
        raise NetworkError(f"{path}: must have one input ({height}, {width}, 3), as its contract says; got {inputs}")
    if len(outputs) != 1 or outputs[0][1:] != (len(contract.labels),):
        raise NetworkError(f"{path}: must have one output for each of {list(contract.labels)}; got {outputs}")
    return network, contract


def load_keras(path: Path) -> Any:
    """The Keras model in a `.keras` or `.h5` file, not compiled.

    Raises:
        NetworkError: damaged, or no Keras model.
        MissingExtraError: TensorFlow is not installed.
    """
    from edge.system.streams import silenced
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    try:
        with silenced():
            return keras.saving.load_model(path.resolve(), compile=False)
    except Exception as error:  # Keras raises whatever a damaged archive makes h5py, zipfile and json raise
        raise NetworkError(f"{path}: not a Keras model that can be loaded: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an exception that says something, shortened: Keras puts whole networks into some."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
