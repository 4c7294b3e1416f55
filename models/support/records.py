"""Reading and writing of record files: JSON, typed by Structs."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge.system.files import write_whole
from models.errors import ModelsError

Record = TypeVar("Record")


def write_json(path: Path, record: Any) -> None:
    """Write a record whole or not at all; NaN and infinity are refused."""
    write_whole(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def as_json(*parts: msgspec.Struct) -> dict[str, Any]:
    """One JSON object of all parts' fields, in their order."""
    return {key: value for part in parts for key, value in msgspec.to_builtins(part).items()}


def read_record(path: Path, kind: type[Record], command: str, error: type[ModelsError]) -> Record:
    """The record that `command` wrote.

    Args:
        path: the file. kind: what it holds; fields that `kind` does not name are passed over.
        error: the class to raise.

    Raises:
        ModelsError: `error`, naming file, command and the path of what is wrong in it.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror}); `{command}` writes it") from problem
    except msgspec.ValidationError as problem:
        raise error(f"{path} is not as `{command}` writes it: {problem}") from problem
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise error(f"{path} cannot be read ({problem}); `{command}` writes it") from problem


def record_text(record: dict[str, Any]) -> str:
    """As JSON to be read and compared: a line for each entry, and for each layer within one."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n" + ",\n".join(f"  {json.dumps(entry, allow_nan=False)}" for entry in value) + "\n ]"
        else:
            text = json.dumps(value, allow_nan=False)
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
