"""The record's database: its tables, how an older one is brought up to date, and how it is opened.

An entry is one line of JSON in `entries`, the truth that the chain covers; columns over it are generated, and
views such as `verdicts`, `runs` and `slide_acts` give them names. So a migration never touches what was recorded.
"""

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edge.errors import StoreError, StoreFull
from edge.record.chain import genesis
from edge.system.durable import sync_path
from edge.system.media.os_errors import cure

DATABASE = "record.sqlite"
BUSY_TIMEOUT_S = 10.0
_ALONE = "end what else writes to it"
_WAL_PAGES = 1000  # of 4 KiB: the write-ahead log is folded back into the database after so many

# Migration n brings a database from user_version n to n + 1; one that was published is never edited.
MIGRATIONS = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,            -- 1, 2, 3, ...: without a gap
        body TEXT NOT NULL,                -- canonical JSON (edge/record/chain.py)
        digest TEXT NOT NULL,
        type TEXT GENERATED ALWAYS AS (json_extract(body, '$.type')) VIRTUAL,
        run INTEGER GENERATED ALWAYS AS (json_extract(body, '$.run')) VIRTUAL,
        slide TEXT GENERATED ALWAYS AS (json_extract(body, '$.slide')) VIRTUAL,
        field INTEGER GENERATED ALWAYS AS (json_extract(body, '$.field')) VIRTUAL
    ) STRICT;
    CREATE UNIQUE INDEX fields ON entries (slide, field);
    CREATE INDEX others ON entries (type, run) WHERE type != 'verdict';

    CREATE TABLE head (                    -- one row: the end of the chain
        one INTEGER PRIMARY KEY CHECK (one = 1),
        record TEXT NOT NULL,              -- random name of this record
        id INTEGER NOT NULL,
        digest TEXT NOT NULL,
        image_bytes INTEGER NOT NULL       -- of all images that entries name
    ) STRICT;
    CREATE TABLE slides (                  -- numbers go on even where the fields themselves were pruned
        slide TEXT PRIMARY KEY,
        fields INTEGER NOT NULL            -- the last field number given
    ) STRICT, WITHOUT ROWID;

    CREATE VIEW verdicts AS SELECT
        id, run, slide, field,
        json_extract(body, '$.utc') AS utc, json_extract(body, '$.utc_ns') AS utc_ns,
        json_extract(body, '$.synchronized') AS synchronized, json_extract(body, '$.monotonic_ns') AS monotonic_ns,
        json_extract(body, '$.sequence') AS sequence, json_extract(body, '$.source') AS source,
        json_extract(body, '$.label') AS label, json_extract(body, '$.reason') AS reason,
        json_extract(body, '$.detail') AS detail, json_extract(body, '$.probabilities') AS probabilities,
        json_extract(body, '$.gates') AS gates, json_extract(body, '$.latency_ms') AS latency_ms,
        json_extract(body, '$.image.path') AS image, json_extract(body, '$.image.sha256') AS image_sha256
        FROM entries WHERE type = 'verdict';
    CREATE VIEW events AS SELECT
        id, run, slide, json_extract(body, '$.utc') AS utc, json_extract(body, '$.synchronized') AS synchronized,
        json_extract(body, '$.kind') AS kind, json_extract(body, '$.detail') AS detail
        FROM entries WHERE type = 'event' AND type != 'verdict';
    CREATE VIEW runs AS SELECT
        begun.run, begun.slide, json_extract(begun.body, '$.utc') AS begun,
        json_extract(ended.body, '$.utc') AS ended, json_extract(ended.body, '$.why') AS why,
        json_extract(ended.body, '$.counters') AS counters,
        json_extract(begun.body, '$.camera') AS camera, json_extract(begun.body, '$.simulated') AS simulated,
        json_extract(begun.body, '$.bundle') AS bundle, json_extract(begun.body, '$.bundle_digest') AS bundle_digest,
        json_extract(begun.body, '$.certified') AS certified, json_extract(begun.body, '$.kind') AS kind,
        json_extract(begun.body, '$.labels') AS labels
        FROM entries AS begun LEFT JOIN entries AS ended
            ON ended.type = 'end' AND ended.type != 'verdict' AND ended.run = begun.run
        WHERE begun.type = 'run' AND begun.type != 'verdict';
    """,
    """
    CREATE TABLE exports (                 -- what may be pruned; no part of the chain
        slide TEXT PRIMARY KEY,
        through INTEGER NOT NULL,          -- every entry of the slide up to this one was exported
        digest TEXT NOT NULL,              -- of that entry: the head when it was exported
        utc TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pruned (                  -- at most one row: entries up to `through` are gone
        one INTEGER PRIMARY KEY CHECK (one = 1),
        through INTEGER NOT NULL,
        digest TEXT NOT NULL
    ) STRICT;
    CREATE TABLE doomed (                  -- images whose entries were pruned, until they are deleted
        path TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;
    """,
    """
    DROP VIEW runs;
    CREATE VIEW runs AS SELECT             -- signed_by, bundle_version: NULL of runs older than signatures
        begun.run, begun.slide, json_extract(begun.body, '$.utc') AS begun,
        json_extract(ended.body, '$.utc') AS ended, json_extract(ended.body, '$.why') AS why,
        json_extract(ended.body, '$.counters') AS counters,
        json_extract(begun.body, '$.camera') AS camera, json_extract(begun.body, '$.simulated') AS simulated,
        json_extract(begun.body, '$.bundle') AS bundle, json_extract(begun.body, '$.bundle_digest') AS bundle_digest,
        json_extract(begun.body, '$.certified') AS certified, json_extract(begun.body, '$.kind') AS kind,
        json_extract(begun.body, '$.labels') AS labels, json_extract(begun.body, '$.signed_by') AS signed_by,
        json_extract(begun.body, '$.bundle_version') AS bundle_version
        FROM entries AS begun LEFT JOIN entries AS ended
            ON ended.type = 'end' AND ended.type != 'verdict' AND ended.run = begun.run
        WHERE begun.type = 'run' AND begun.type != 'verdict';
    """,
    "",  # new images lie in folders of a thousand fields, where an older leukoscope would not look for them
    """
    CREATE VIEW IF NOT EXISTS reference_fields AS SELECT -- entries that an older leukoscope does not know
        id, slide, field, json_extract(body, '$.reference.label') AS label,
        json_extract(body, '$.reference.session') AS session, json_extract(body, '$.reference.day') AS day,
        json_extract(body, '$.reference.camera') AS camera, json_extract(body, '$.utc') AS utc,
        json_extract(body, '$.image.path') AS image, json_extract(body, '$.image.sha256') AS image_sha256
        FROM entries WHERE type = 'reference' AND type != 'verdict';
    """,
    """
    DROP VIEW verdicts;
    CREATE VIEW verdicts AS SELECT
        id, run, slide, field,
        json_extract(body, '$.utc') AS utc, json_extract(body, '$.utc_ns') AS utc_ns,
        json_extract(body, '$.synchronized') AS synchronized, json_extract(body, '$.monotonic_ns') AS monotonic_ns,
        json_extract(body, '$.sequence') AS sequence, json_extract(body, '$.source') AS source,
        json_extract(body, '$.label') AS label, json_extract(body, '$.reason') AS reason,
        json_extract(body, '$.detail') AS detail, json_extract(body, '$.probabilities') AS probabilities,
        json_extract(body, '$.gates') AS gates, json_extract(body, '$.latency_ms') AS latency_ms,
        json_extract(body, '$.image.path') AS image, json_extract(body, '$.image.sha256') AS image_sha256,
        json_extract(body, '$.seen') AS seen, json_extract(body, '$.asked_by') AS asked_by
        FROM entries WHERE type = 'verdict';
    CREATE INDEX IF NOT EXISTS acts ON entries (type, slide) WHERE type IN ('run', 'slide');
    CREATE INDEX IF NOT EXISTS commands ON entries (json_extract(body, '$.command'))
        WHERE type IN ('slide', 'correction', 'command');
    CREATE VIEW IF NOT EXISTS slide_acts AS SELECT       -- finding: NULL unless the slide was closed
        id, slide, run, json_extract(body, '$.utc') AS utc, json_extract(body, '$.act') AS act,
        coalesce(json_extract(body, '$.by'), '') AS by, coalesce(json_extract(body, '$.why'), '') AS why,
        coalesce(json_extract(body, '$.command'), '') AS command,
        json_extract(body, '$.finding.finding') AS finding, json_extract(body, '$.finding.rule') AS rule,
        json_extract(body, '$.finding') AS finding_json
        FROM entries WHERE type = 'slide' AND type IN ('run', 'slide');
    CREATE VIEW IF NOT EXISTS corrections AS SELECT      -- answer: the verdict's; NULL where it had none, or was pruned
        corrected.id, corrected.slide, json_extract(corrected.body, '$.corrects') AS field,
        json_extract(corrected.body, '$.verdict') AS verdict, json_extract(corrected.body, '$.utc') AS utc,
        json_extract(corrected.body, '$.by') AS by, json_extract(corrected.body, '$.label') AS label,
        json_extract(corrected.body, '$.agrees') AS agrees,
        coalesce(json_extract(corrected.body, '$.note'), '') AS note,
        json_extract(judged.body, '$.label') AS answer
        FROM entries AS corrected LEFT JOIN entries AS judged ON judged.id = json_extract(corrected.body, '$.verdict')
        WHERE corrected.type = 'correction' AND corrected.type != 'verdict';
    """,
)
VERSION = len(MIGRATIONS)
OLDEST_READABLE = 2  # what came later are views for people, and indexes; nothing here needs them


def create(folder: Path) -> None:
    """Make a new database in `folder`, whole or not at all."""
    staging = folder / f".{DATABASE}.{secrets.token_hex(6)}.partial"
    try:
        with narrowed(folder), closing(_connected(staging, "rwc")) as connection:
            _prepare_for_writing(connection)
            migrate(connection, folder)
            record = secrets.token_hex(16)
            connection.execute("INSERT INTO head VALUES (1, ?, 0, ?, 0)", (record, genesis(record)))
        staging.replace(folder / DATABASE)  # closing folded the write-ahead log in and synced
        sync_path(folder)
    finally:
        for left in folder.glob(f"{staging.name}*"):
            with suppress(OSError):
                left.unlink()


def connect(folder: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection to the record in `folder`, in autocommit mode, usable from any one thread at a time.

    Raises:
        StoreError: no database there, damaged, or written by a newer version.
        StoreFull: it cannot be written now, and `read_only` is false.
    """
    path = folder / DATABASE
    if not path.is_file():
        what = "is no file" if path.exists() else "is missing"
        raise StoreError(f"{path}: the record's database {what}; restore it, or name another folder")
    mode = "rw"
    if read_only and not os.access(folder, os.W_OK):
        _require_index(path)
        mode = "ro" if _unfolded(path) else "ro&immutable=1"
    elif read_only:
        mode = "ro"
    with narrowed(folder):
        connection = _connected(path, mode)
        try:
            found = _version(connection)
            if found == 0:
                raise StoreError(f"{path}: the record's database is empty; restore it, or name another folder")
            if found > VERSION:
                raise StoreError(
                    f"{path}: schema {found}, and this leukoscope knows {VERSION} at most; install a newer one"
                )
            if found < OLDEST_READABLE and read_only:
                raise StoreError(
                    f"{path}: schema {found} of {VERSION}; `edge run` or `edge prune` brings it up to date"
                )
            if not read_only:
                _prepare_for_writing(connection)
                migrate(connection, folder)
        except BaseException:
            connection.close()
            raise
    return connection


def migrate(connection: sqlite3.Connection, folder: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a database up to date, each step in a transaction of its own that also counts it."""
    with narrowed(folder):
        for number in range(_version(connection), len(migrations)):
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {migrations[number]} PRAGMA user_version = {number + 1}; COMMIT;"
                )
            except sqlite3.Error:
                roll_back(connection)
                raise


@contextmanager
def narrowed(folder: Path) -> Iterator[None]:
    """What SQLite and the system raise leaves as StoreFull (not now) or StoreError (not like this), chained."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if primary in _NOT_NOW:
            raise StoreFull(_cannot(folder, str(error), _NOT_NOW[primary])) from error
        raise StoreError(f"{folder / DATABASE}: {error}") from error
    except (StoreError, StoreFull):
        raise
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}; a record needs that name") from error
    except OSError as error:
        raise StoreFull(_cannot(folder, error.strerror or str(error), cure(error.errno))) from error


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed, if SQLite has not done so already."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


_NOT_NOW = {  # what may pass, and the cure
    sqlite3.SQLITE_FULL: cure(errno.ENOSPC),
    sqlite3.SQLITE_IOERR: cure(errno.EIO),
    sqlite3.SQLITE_READONLY: cure(errno.EROFS),
    sqlite3.SQLITE_CANTOPEN: f"{cure(errno.EACCES)}, or {cure(errno.EMFILE)}",
    sqlite3.SQLITE_PERM: cure(errno.EACCES),
    sqlite3.SQLITE_NOMEM: cure(errno.ENOMEM),
    sqlite3.SQLITE_BUSY: _ALONE,
    sqlite3.SQLITE_LOCKED: _ALONE,
}


def _cannot(folder: Path, why: str, cure: str) -> str:
    text = f"{folder}: the record cannot be used now ({why}); what is stored is safe"
    return f"{text}: {cure}" if cure else text


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    """A connection with the record's settings; the first statement finds out whether it is a database."""
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    try:
        connection.execute("PRAGMA temp_store = MEMORY")  # no temporary files: they would need handles and room
        connection.execute("PRAGMA foreign_keys = ON")
        _version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_for_writing(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {4 * _WAL_PAGES * 4096}")


def _unfolded(path: Path) -> bool:
    """Whether a write-ahead log stands beside the database, without which it may not be complete."""
    return path.with_name(f"{path.name}-wal").exists()


def _require_index(path: Path) -> None:
    """StoreFull where a reader who may not write cannot tell how far the record goes: SQLite would say that it is
    unable to open the file."""
    index = path.with_name(f"{path.name}-shm")
    if _unfolded(path) and not index.exists():
        raise StoreFull(
            f"{path}: was not closed in order, and {index.name}, by which a reader follows it, is gone; what is stored "
            "is safe, and can be read once `edge run` or `edge prune` has opened it"
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
