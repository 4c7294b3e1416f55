"""A person's own download of the published images, checked and laid out: `models fetch`.

The images themselves may not be passed on, so the project ships names and hashes only.
"""

import csv
import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.data.archive import Entry, entries
from models.data.published import PUBLISHED_FILES
from models.errors import DiskFullError, FetchError

FETCH_FORMAT = 1
SHOWN = 20  # names listed of what is unknown
OTHER_HALF = "segmented"  # the download's second half: the same names, with the background painted out
ROOM = 16 * 2**20  # bytes of disk to leave free


@dataclass(frozen=True)
class PublishedFile:
    """One image of the published set: class, file name, sha256 (hex) and size in bytes."""

    label: str
    file: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """`Benign/WBC-Benign-001.jpg`."""
        return f"{self.label}/{self.file}"


def published_files(path: Path = PUBLISHED_FILES) -> tuple[PublishedFile, ...]:
    """The shipped list, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            PublishedFile(row["class"], row["file"], row["sha256"], int(row["bytes"])) for row in csv.DictReader(file)
        )


def fetch(
    source: Path,
    target: Path,
    *,
    listed: Sequence[PublishedFile] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Lay out the published images found in a download as a folder a class.

    Files are recognized by content, wherever they lie and whatever they are called. `target` appears whole or
    not at all, and is made also when images are missing: what is right is laid out.

    Args:
        source: zip, tar or folder, any nesting.
        target: folder to make; it must not exist, or be empty.
        listed: what is looked for; the shipped list when None.
        progress: told how far it is, a line at a time.

    Returns:
        complete (bool), expected, laid_out, counts (label -> [laid out, expected]), missing (names), altered
        (name and the download's path: right name, wrong content), unknown (count and first names), segmented
        (count), target.

    Raises:
        FetchError: `source` cannot be read or holds none of the images, or `target` is in the way.
        DiskFullError: not enough room.
    """
    listed = published_files() if listed is None else listed
    source, target = Path(source), Path(target)
    found = entries(source)
    _check_target(target, sum(file.size for file in listed))
    working = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        sorted_out = _sort_out(found, listed, working, progress or (lambda _: None))
        if not sorted_out.laid_out:
            raise FetchError(_nothing_found(source, sorted_out))
        working.chmod(0o755)
        if target.is_dir():
            target.rmdir()
        working.rename(target)
    except OSError as error:
        if isinstance(error, DiskFullError) or not _is_full(error):
            raise
        raise DiskFullError(f"no room left at {target.parent}; nothing was laid out") from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return _record(listed, sorted_out, target)


def to_text(record: Mapping[str, Any]) -> str:
    """The record as a person reads it on a terminal."""
    lines = [
        f"{label}: {there} of {expected}" + ("" if there == expected else f", {expected - there} not there")
        for label, (there, expected) in record["counts"].items()
    ]
    if record["altered"]:
        first = record["altered"][0]["found"]
        lines.append(f"altered: {len(record['altered'])} with the right name and other content; first: {first}")
    if record["missing"]:
        lines.append(f"missing: {len(record['missing'])}; first: {record['missing'][0]}")
    if record["unknown"]["count"]:
        first = record["unknown"]["names"][0]
        lines.append(f"not in the list, left alone: {record['unknown']['count']}; first: {first}")
    if record["segmented"]:
        lines.append(f"segmented half, not used: {record['segmented']}")
    verdict = "complete" if record["complete"] else "INCOMPLETE"
    lines.append(f"{verdict}: {record['laid_out']} of {record['expected']} images in {record['target']}")
    return "\n".join(lines)


@dataclass
class _SortedOut:
    """What became of the download's files."""

    laid_out: set[str]  # listed names
    same_name: dict[str, str]  # listed name -> path in the download of a file so called with other content
    unknown: list[str]
    segmented: int = 0


def _check_target(target: Path, size: int) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FetchError(f"to must be a new or empty folder; {target} is a file or a link")
    if target.is_dir() and any(target.iterdir()):
        raise FetchError(f"to must be a new or empty folder; {target} holds something already")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"to must be a folder that can be made; {target.parent}: {error.strerror}") from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise FetchError(f"to must be in a folder that can be written; {target.parent} is not")
    free = shutil.disk_usage(target.parent).free
    if free < size + ROOM:
        raise DiskFullError(f"{target.parent} has {free >> 20} MiB free; {(size + ROOM) >> 20} MiB are needed")


def _sort_out(found: Any, listed: Sequence[PublishedFile], working: Path, say: Callable[[str], None]) -> _SortedOut:
    by_hash: dict[str, list[PublishedFile]] = defaultdict(list)
    for file in listed:
        by_hash[file.sha256].append(file)
    by_file = {file.file.lower(): file for file in listed}
    sizes = {file.size for file in listed}
    result = _SortedOut(set(), {}, [])
    for entry in found:
        matches = _matches(entry, by_hash, sizes)
        if matches is not None:
            data, files = matches
            for file in files:
                if file.name not in result.laid_out:
                    folder = working / file.label
                    folder.mkdir(exist_ok=True)
                    (folder / file.file).write_bytes(data)
                    result.laid_out.add(file.name)
                    if len(result.laid_out) % 500 == 0:
                        say(f"{len(result.laid_out)} of {len(listed)} images laid out")
            continue
        parts = [part.lower() for part in PurePosixPath(entry.name).parts]
        namesake = by_file.get(parts[-1]) if parts else None
        if OTHER_HALF in parts[:-1]:
            result.segmented += 1
        elif namesake is not None:
            result.same_name.setdefault(namesake.name, entry.name)
        else:
            result.unknown.append(entry.name)
    return result


def _matches(
    entry: Entry, by_hash: Mapping[str, list[PublishedFile]], sizes: set[int]
) -> tuple[bytes, list[PublishedFile]] | None:
    """Content and listed files of a listed image; entries of another size are not even read."""
    if entry.size not in sizes:
        return None
    data = entry.read()
    if data is None:
        return None
    files = by_hash.get(hashlib.sha256(data).hexdigest())
    return None if files is None else (data, files)


def _nothing_found(source: Path, sorted_out: _SortedOut) -> str:
    text = f"from must hold the published images; {source} holds"
    if sorted_out.same_name:
        return f"{text} {len(sorted_out.same_name)} files so named, all altered"
    if sorted_out.segmented:
        return f"{text} the segmented half only, not the originals"
    inner = [n for n in sorted_out.unknown if n.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz"))]
    hint = f"; give the archive {inner[0]} itself" if inner else ""
    return f"{text} none among {len(sorted_out.unknown)} files{hint}"


def _record(listed: Sequence[PublishedFile], sorted_out: _SortedOut, target: Path) -> dict[str, Any]:
    counts: dict[str, list[int]] = {}
    missing, altered = [], []
    for file in listed:
        there = file.name in sorted_out.laid_out
        count = counts.setdefault(file.label, [0, 0])
        count[0] += there
        count[1] += 1
        if not there and file.name in sorted_out.same_name:
            altered.append({"name": file.name, "found": sorted_out.same_name[file.name]})
        elif not there:
            missing.append(file.name)
    namesakes = sorted(path for name, path in sorted_out.same_name.items() if name in sorted_out.laid_out)
    unknown = sorted(sorted_out.unknown) + namesakes  # a right copy was found beside the wrong one
    return {
        "format": FETCH_FORMAT,
        "complete": len(sorted_out.laid_out) == len(listed),
        "expected": len(listed),
        "laid_out": len(sorted_out.laid_out),
        "counts": counts,
        "missing": missing,
        "altered": altered,
        "unknown": {"count": len(unknown), "names": unknown[:SHOWN]},
        "segmented": sorted_out.segmented,
        "target": str(target),
    }


def _is_full(error: OSError) -> bool:
    import errno

    return error.errno in (errno.ENOSPC, errno.EDQUOT)
