"""Styles, scripts and texts as the page serves them: read once, served from memory, and nothing beside them.

A request names a key of a table, never a path on the disk: nothing outside the folder can be asked for.
"""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
}
_IMPORT = re.compile(r"^(?:import|export)\b[^;]*?\bfrom\s+\"(\.{1,2}/[^\"]+)\"", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A file to serve. `kind`: its media type. `tag`: its ETag, in quotes.

    >>> Asset(b"a", "text/css").tag[:5]
    '"ca97'
    """

    data: bytes
    kind: str

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


@cache
def assets() -> Mapping[str, Asset]:
    """All files by the path under `/static/`; the stylesheet of the reports is one of them.

    >>> sorted(assets())[0]
    'bench.css'
    """
    found = {"style.css": _asset(files("edge.page.html") / "templates" / "style.css")}
    room = files("edge.page.front")
    _walk(room / "static", "", found)
    _walk(room / "catalogue", "catalogue/", found)
    return found


@cache
def version() -> str:
    """Of all files together, 12 hexadecimal digits: what is served under it never changes."""
    every = hashlib.sha256()
    for name, asset in sorted(assets().items()):
        every.update(f"{name}\0{asset.tag}\0".encode())
    return every.hexdigest()[:12]


@cache
def modules_of(entry: str) -> tuple[str, ...]:
    """The scripts that `entry` imports, directly or not: what a browser may fetch at once.

    >>> "js/lib/texts.js" in modules_of("js/pages/bench.js")
    True
    """
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        text = assets()[name].data.decode()
        for target in _IMPORT.findall(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if path not in found:
                found[path] = None
                waiting.append(path)
    return tuple(found)


def _walk(folder: Traversable, prefix: str, found: dict[str, Asset]) -> None:
    for each in folder.iterdir():
        if each.is_dir():
            _walk(each, f"{prefix}{each.name}/", found)
        elif posixpath.splitext(each.name)[1] in _KINDS:
            found[f"{prefix}{each.name}"] = _asset(each)


def _asset(file: Traversable) -> Asset:
    return Asset(file.read_bytes(), _KINDS[posixpath.splitext(file.name)[1]])
