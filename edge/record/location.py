"""The folder of the record."""

import os
from pathlib import Path

from edge.errors import UsageError
from edge.record.images import IMAGES
from edge.record.schema import DATABASE


def default_store() -> Path:
    """The record's folder below systemd's state folder, or the user's (XDG base directories)."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if state:
        return Path(state) / "record"
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local/state") / "leukoscope" / "record"


def store_folder(text: str) -> Path:
    """The folder that --store names, or the default one."""
    return Path(text) if text else default_store()


def holds_record(folder: Path) -> bool:
    """Whether something of a record is in `folder`; whether it is sound is another question."""
    return folder.is_dir() and any(os.path.lexists(folder / name) for name in (DATABASE, IMAGES))


def require_record(folder: Path) -> None:
    """Raise UsageError unless something of a record is in `folder`; whether it is sound is another question."""
    if not holds_record(folder):
        raise UsageError(f"{folder}: no record here; name its folder with --store")
