"""The page's own SQLite file: users, sessions, tokens, known devices and one-time secrets."""

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.errors import PageFolderError
from edge.system.durable import own_as_parent

FILE = "access.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, role TEXT NOT NULL, password TEXT,
    created REAL NOT NULL, seen REAL, removed REAL
) STRICT;
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users, created REAL NOT NULL, used REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of ON sessions (user, used);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, user INTEGER NOT NULL REFERENCES users, label TEXT NOT NULL,
    role TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL, used REAL
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
    hash BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users, used REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE parameters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE once (
    hash BLOB PRIMARY KEY, user INTEGER REFERENCES users, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""


def new_secret() -> str:
    """256 random bits, as text that fits into a cookie or a header."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """What is stored of a random secret: its SHA-256. (A password has little of chance in it and needs argon2.)"""
    return hashlib.sha256(secret.encode()).digest()


class Database:
    """One reader and one writer on the file, for any thread. Another process may change it at the same time.

    Args:
        folder: the page's; made with mode 0700 where it is missing. The file is made with mode 0600.

    Raises:
        PageFolderError: the folder or the file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._reading, self._writing = threading.Lock(), threading.Lock()
        try:
            self._make(folder)
            self._writer = self._open()
            with self.change() as db:
                self._create(db)
            self._reader = self._open()
        except (OSError, sqlite3.Error) as error:
            raise PageFolderError(f"{self.path}: the page's users cannot be read: {error}") from error

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._writer.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds; microseconds, since nothing is large here."""
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise PageFolderError(f"{self.path}: the page's users cannot be read: {error}") from error

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when the block ends; undone where the block raises. Not for the event loop.

        Raises:
            PageFolderError: it cannot be stored: the disk is full, read-only or failing, or the file is damaged.
        """
        try:
            with self._writing, self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
        except sqlite3.Error as error:
            raise PageFolderError(f"{self.path}: the page's users cannot be stored: {error}") from error

    def parameter(self, name: str, default: int) -> int:
        """A number that is kept with the users."""
        rows = self.rows("SELECT value FROM parameters WHERE name = ?", [name])
        return int(rows[0][0]) if rows else default

    def set_parameter(self, name: str, value: int) -> None:
        """Keep a number."""
        with self.change() as db:
            db.execute("INSERT OR REPLACE INTO parameters VALUES (?, ?)", [name, value])

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            own_as_parent(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        own_as_parent(self.path)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # a session that was revoked stays so after a power cut
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "secure_delete=ON",
        ):
            db.execute(f"PRAGMA {pragma}")
        return db

    def _create(self, db: sqlite3.Connection) -> None:
        [version] = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={_VERSION}")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"it was written by another version of the page ({version}, not {_VERSION})")
