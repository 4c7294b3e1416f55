"""Code that a Keras file needs and does not hold: custom layers and functions, and Lambda layers, which do hold code.

Nothing of it is run unasked: a model file is data from somebody, a Lambda layer in it is a program of theirs.
"""

import hashlib
import importlib
import importlib.util
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edge.system.option_values import switch
from models.errors import NetworkError

_PYTHON_LAMBDA = "__lambda__"
_OURS = ("keras.", "keras_core.", "tensorflow.", "tf_keras.", "builtins")


@dataclass(frozen=True)
class CustomCode:
    """What may be run to load a network.

    Attributes:
        modules: Python files, or names of modules, that define its custom layers and functions.
        unsafe_lambda: run the Lambda layers that the file itself holds.

    >>> CustomCode().objects()
    {}
    """

    modules: tuple[str, ...] = ()
    unsafe_lambda: bool = False

    def objects(self) -> dict[str, Any]:
        """The classes and functions of the modules, by name; what they register with Keras is known to it, too.

        Raises:
            NetworkError: a module that is not there, or that cannot be imported.
        """
        found: dict[str, Any] = {}
        for word in self.modules:
            module = _module(word)
            found |= {
                name: value
                for name, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", None) == module.__name__
            }
        return found

    def digests(self) -> dict[str, str]:
        """File name to sha256 of each module, and "lambda" where code of the model file is run; runs nothing."""
        files = {Path(word).name: _location(word) for word in self.modules}
        found = {name: hashlib.sha256(file.read_bytes()).hexdigest() if file else "" for name, file in files.items()}
        return found | ({"lambda": "of the model file"} if self.unsafe_lambda else {})


NO_CODE = CustomCode()


def code_named(custom: str, unsafe_lambda: bool) -> CustomCode:
    """Values of the options `--custom` (files or modules, several with commas) and `--unsafe-lambda`.

    >>> code_named("layers.py, other.module", False).modules
    ('layers.py', 'other.module')
    """
    modules = tuple(word.strip() for word in custom.split(",") if word.strip())
    return CustomCode(modules, switch(unsafe_lambda, "--unsafe-lambda"))


@dataclass(frozen=True)
class Foreign:
    """A part of a network that Keras cannot make by itself: a layer's name and what it is of.

    >>> Foreign("scale", "Lambda", holds_code=True).to_text()
    'layer "scale" (Lambda)'
    """

    layer: str
    kind: str
    holds_code: bool

    def to_text(self) -> str:
        """`layer "scale" (Lambda)`."""
        return f'layer "{self.layer}" ({self.kind})'


def foreign_parts(path: Path) -> tuple[Foreign, ...]:
    """Lambda layers and custom objects in a `.keras` or `.h5` file; () where its configuration cannot be read."""
    try:
        return tuple(_foreign(_configuration(path), "?"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RecursionError, RuntimeError):
        return ()


def _configuration(path: Path) -> Any:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        return json.loads(file.attrs["model_config"])


def _foreign(node: Any, layer: str) -> Iterator[Foreign]:
    """Every foreign part below `node` of a configuration, which is inside `layer`."""
    if isinstance(node, list):
        for each in node:
            yield from _foreign(each, layer)
    if not isinstance(node, dict):
        return
    kind, config = str(node.get("class_name", "")), node.get("config")
    if isinstance(config, dict) and isinstance(config.get("name"), str):
        layer = config["name"]
    if kind == _PYTHON_LAMBDA or (
        kind == "Lambda" and isinstance(config, dict) and isinstance(config.get("function"), list)
    ):
        yield Foreign(layer, "Lambda", holds_code=True)
    elif kind and _is_foreign(node, kind):
        yield Foreign(layer, _short(str(config) if kind == "function" else kind), holds_code=False)
    for key, each in node.items():
        if key != "class_name":
            yield from _foreign(each, layer)


def _is_keras2_code(config: Any) -> bool:
    """The bytecode of a Lambda layer as Keras 2 wrote it."""
    return isinstance(config, dict) and isinstance(config.get("function"), list)


def _is_foreign(node: dict[str, Any], kind: str) -> bool:
    """A class or function that stands in no module of Keras."""
    if "registered_name" not in node:
        return ">" in kind
    module = node.get("module")
    ours = isinstance(module, str) and (module == "keras" or module.startswith(_OURS))
    if kind == "function" and module == "builtins":
        return node.get("registered_name") not in (None, "function") or not _in_keras(str(node.get("config")))
    return node.get("registered_name") is not None and not ours


def _in_keras(name: str) -> bool:
    import keras

    return any(hasattr(part, name) for part in (keras.activations, keras.ops, keras.initializers))


def _short(name: str) -> str:
    return name.rpartition(">")[2]


def _location(word: str) -> Path | None:
    """The file of a module; None where there is none, which `CustomCode.objects` says."""
    for path in (Path(word), Path(*word.split(".")).with_suffix(".py")):
        if path.is_file():
            return path
    try:
        spec = importlib.util.find_spec(word)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _module(word: str) -> ModuleType:
    path = Path(word)
    try:
        if path.suffix == ".py" or path.is_file():
            return _from_file(path.resolve())
        return importlib.import_module(word)
    except ModuleNotFoundError as error:
        if error.name == word.partition(".")[0]:
            beside = Path(*word.split(".")).with_suffix(".py")
            if beside.is_file():
                return _from_file(beside.resolve())
            raise NetworkError(f"custom must be a Python file or the name of a module; there is no {word}") from error
        raise NetworkError(f"custom {word}: cannot be imported: {error}") from error
    except Exception as error:  # whatever the user's module raises
        raise NetworkError(f"custom {word}: cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    name = f"leukoscope_custom_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:  # imported once: Keras refuses to register a class twice under one name
        return sys.modules[name]
    if not path.is_file():
        raise NetworkError(f"custom must be a Python file or the name of a module; there is no {path.name}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NetworkError(f"custom must be a Python file or the name of a module; got {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
