"""What every record says about where it comes from, and how it is written."""

import json
import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.system.files import write_whole

if TYPE_CHECKING:
    pass


def write_json(path: Path, record: Any) -> None:
    """Write a record whole or not at all; NaN and infinity are refused."""
    write_whole(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def record_text(record: dict[str, Any]) -> str:
    """As JSON to be read and compared: a line for each entry, and for each layer within one."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n" + ",\n".join(f"  {json_text.dumps(entry, allow_nan=False)}" for entry in value) + "\n ]"
        else:
            text = json_text.dumps(value, allow_nan=False)
        lines.append(f" {json_text.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
