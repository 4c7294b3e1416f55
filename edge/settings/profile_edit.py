"""Values written into a profile: comments, other keys and their order stay; the file is replaced whole."""

import os
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.errors import SettingsError
from edge.system.durable import sync_path, write_new


def with_values(text: str, section: str, values: Mapping[str, Any]) -> str:
    """A profile's text with these keys of a section set; None removes one.

    Args:
        text: TOML. section: its name; made at the end where it is missing.
        values: numbers, texts, tuples of numbers, true and false.

    Raises:
        SettingsError: the text is no TOML, or the section is not written as `[section]` with a key a line.

    >>> print(with_values("[camera]\\nuri = 'uvc:0' # left\\ngain = 1\\n", "camera", {"gain": 2.0}))
    [camera]
    uri = 'uvc:0' # left
    gain = 2.0
    <BLANKLINE>
    """
    before = _parsed(text)
    wanted = {**before, section: {**before.get(section, {}), **values}}
    wanted[section] = {name: _plain(value) for name, value in wanted[section].items() if value is not None}
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if _header(line) == section), None)
    if start is None:
        if section in before:
            raise SettingsError(f"{section} must be written as a section [{section}], a key a line, to be set here")
        blank = [""] if text.strip() else []
        while lines and not lines[-1].strip():
            lines.pop()
        lines += [*blank, f"[{section}]", ""]
        start = len(lines) - 2
    end = next((i for i in range(start + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
    body = lines[start + 1 : end]
    for name, value in values.items():
        body = _set(body, name, value)
    edited = "\n".join([*lines[: start + 1], *body, *lines[end:]])
    try:
        found = tomllib.loads(edited)
    except tomllib.TOMLDecodeError:
        found = {}
    if found != wanted:
        raise SettingsError(f"[{section}] must have a key a line to be set here: write it so, and try again")
    return edited


def set_values(path: Path, section: str, values: Mapping[str, Any]) -> None:
    """Set keys of a section in a profile: whole or not at all, with the owner and permissions it had.

    Raises:
        SettingsError: as `with_values`, naming the file. OSError: it cannot be read or written.
    """
    path = path.resolve()
    status = path.stat()
    try:
        text = with_values(path.read_bytes().decode(), section, values)
    except (SettingsError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    staging = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        write_new(staging, text.encode(), 0o600)
        if os.geteuid() == 0:
            os.chown(staging, status.st_uid, status.st_gid)
        staging.chmod(status.st_mode & 0o7777)
        staging.replace(path)
        sync_path(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


def _set(body: list[str], name: str, value: Any) -> list[str]:
    """The lines of a section with one key set, in its place, or behind the last key."""
    for first, line in enumerate(body):
        if _key(line) != name:
            continue
        last = _last_line(body, first)
        if value is None:
            return [*body[:first], *body[last + 1 :]]
        comment = _comment(body[last]) if last == first else ""
        indent = line[: len(line) - len(line.lstrip())]
        return [*body[:first], f"{indent}{name} = {_written(value)}{comment}", *body[last + 1 :]]
    if value is None:
        return body
    keys = [i for i, line in enumerate(body) if _key(line)]
    place = _last_line(body, keys[-1]) + 1 if keys else 0
    return [*body[:place], f"{name} = {_written(value)}", *body[place:]]


def _last_line(body: list[str], first: int) -> int:
    """The line where the value that begins on line `first` ends."""
    for last in range(first, len(body)):
        with suppress(tomllib.TOMLDecodeError):
            tomllib.loads("\n".join(body[first : last + 1]))
            return last
    raise SettingsError("a value does not end")


def _comment(line: str) -> str:
    """The comment behind a value, with the blanks before it; "" without one."""
    whole = tomllib.loads(line)
    for place in (i for i, letter in enumerate(line) if letter == "#"):
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(line[:place]) == whole:
                return line[len(line[:place].rstrip()) :]
    return ""


def _header(line: str) -> str:
    """The name of the section that a line begins; "" for any other line."""
    bare = line.partition("#")[0].strip()
    return bare[1:-1].strip().strip("\"'") if bare.startswith("[") and not bare.startswith("[[") else ""


def _key(line: str) -> str:
    name, equals, _ = line.partition("=")
    return name.strip().strip("\"'") if equals and not line.lstrip().startswith("#") else ""


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_written(each) for each in value)}]"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not a TOML file: {error}") from error
