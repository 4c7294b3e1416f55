"""Networks of other number formats as float32: mixed precision, float16, bfloat16, float64, and whole-number inputs."""

from typing import Any

from models.errors import NetworkError

_FLOATS = frozenset({"float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"})
_WHOLE = frozenset({"uint8", "int8", "uint16", "int16", "int32", "int64"})


def in_float32(network: Any, objects: dict[str, Any]) -> tuple[Any, str | None]:
    """A Keras model that computes and is fed in float32, with the weights of `network`, and what was changed.

    Args:
        network: as loaded.
        objects: its custom classes and functions, by name.

    Returns:
        `network` itself and None where it is float32 throughout.

    Raises:
        NetworkError: quantized by Keras, or no model that can be built from its configuration.
    """
    import keras

    found = sorted({_policy(layer) for layer in _layers(network)} - {"float32"})
    inputs = {str(tensor.dtype) for tensor in getattr(network, "inputs", None) or ()}
    whole = sorted(inputs & _WHOLE)
    strange = [name for name in found if name not in _FLOATS and name not in _WHOLE]
    if strange:
        raise NetworkError(f"its layers are of the kind {', '.join(strange)}; save the network before it is quantized")
    found = sorted({name for name in found if name in _FLOATS} | (inputs & _FLOATS))
    if not found and not whole:
        return network, None
    try:
        config = keras.saving.serialize_keras_object(network)
        plain = keras.saving.deserialize_keras_object(_replaced(config), custom_objects=objects, safe_mode=False)
        plain.set_weights([weight.astype("float32") for weight in network.get_weights()])
    except Exception as error:  # whatever a user's own layers raise
        what = ", ".join(found + whole)
        raise NetworkError(
            f"computes in {what}, and cannot be built again in float32; where it was made, build it under"
            ' keras.mixed_precision.set_global_policy("float32"), load_weights() into it, and save that'
        ) from error
    parts = [f"computed in {', '.join(found)}"] if found else []
    parts += [f"took {', '.join(whole)}"] if whole else []
    return plain, f"number format: the network {' and '.join(parts)}; it is loaded as float32"


def _layers(network: Any) -> list[Any]:
    """All layers, those of models inside it too."""
    flat = getattr(network, "_flatten_layers", None)
    return list(flat(include_self=False, recursive=True)) if flat else list(getattr(network, "layers", ()))


def _policy(layer: Any) -> str:
    policy = getattr(layer, "dtype_policy", None)
    return str(getattr(policy, "name", "float32"))


def _replaced(node: Any, key: str = "") -> Any:
    """A configuration in which every number format of real numbers is float32, and every input's."""
    if isinstance(node, dict):
        kind = node.get("class_name")
        made = {name: _replaced(value, name) for name, value in node.items()}
        if kind == "DTypePolicy":
            made["config"] = {**made["config"], "name": "float32"}
        if kind == "InputLayer":
            made["config"] = {**made["config"], "dtype": "float32"}
        return made
    if isinstance(node, list | tuple):
        return [_replaced(each) for each in node]
    return "float32" if key == "dtype" and node in _FLOATS else node
