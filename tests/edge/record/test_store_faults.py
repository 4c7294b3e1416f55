"""What can go wrong under the record, and what somebody can do to it: nothing recorded is lost, and it shows."""

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.commands.command_line import main
from edge.commands.records import verify as verify_command
from edge.errors import StoreBusy, StoreError, StoreFull, UsageError
from edge.record.audit import verify
from edge.record.entries import Event
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, PNG, fill, later, tamper, verdict

COMMANDS = {"verify": verify_command.verify}


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small file system in memory; needs root and the right to mount."""
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", *options, "none", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# --- the machine lacks something ------------------------------------------------------------------------------


def still_works(folder: Path, store: Store, run: int, stored: int) -> None:
    """The store goes on as if nothing had been, and the record is sound."""
    more = store.write(run, [verdict(0, PNG), verdict(1)], [Event(NOON, "recording", "there is room again")])
    assert [each.field for each in more] == [stored + 1, stored + 2]
    store.end(run, later(1), {"stored": stored + 2}, "complete")
    report = verify(folder)
    assert (report.findings, report.unrecorded, report.left_over) == ((), 0, 0)


@pytest.mark.parametrize("image_bytes", [200_000, 50])
def test_disk_full(tmp_path: Path, image_bytes: int) -> None:
    """The disk fills up with images, or with rows; both times the batch goes whole and the store goes on."""
    with mounted(tmp_path / "disk", "-o", "size=3m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * 2**20)
        with Store.open(disk / "record") as store:
            run, number = store.begin(INFO, NOON), 0
            with pytest.raises(StoreFull, match=r"cannot be used now \(.*(No space left|full).*make room"):
                while number < 30_000:
                    store.write(run, [verdict(n, bytes(image_bytes) if n % 4 == 0 else None) for n in range(8)])
                    number += 8
            assert number > 0
            before = files(disk)
            for _ in range(3):
                with pytest.raises(StoreFull):
                    store.write(run, [verdict(n, bytes(200_000)) for n in range(64)])
            assert files(disk) == before  # no stray image, no half-written one
            report = verify(disk / "record")
            assert (report.findings, report.verdicts, report.unrecorded) == ((), number, 0)
            ballast.unlink()
            still_works(disk / "record", store, run, number)


def test_disk_full_at_the_start(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=64k") as disk:
        (disk / "ballast").write_bytes(b"\0" * 56_000)
        with pytest.raises(StoreFull, match="cannot be used now"):
            Store.open(disk / "record")
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        fill(disk / "record")
        assert verify(disk / "record").sound


def test_file_size_limit(tmp_path: Path) -> None:
    """The same without root: the system refuses to let the database grow."""
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, PNG)])
        size = (tmp_path / "record.sqlite-wal").stat().st_size
        before, limits = files(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, limits[1]))
        try:
            with pytest.raises(StoreFull, match="cannot be used now"):
                store.write(run, [verdict(n, PNG) for n in range(64)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert files(tmp_path) == before
        still_works(tmp_path, store, run, 1)


def test_images_become_read_only(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=4m") as disk, Store.open(disk) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, PNG)])
        images = str(disk / "images")
        subprocess.run(["mount", "--bind", images, images], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", images], check=True)
        try:
            with pytest.raises(StoreFull, match="Read-only file system"):
                store.write(run, [verdict(1, PNG)])
        finally:
            subprocess.run(["umount", images], check=True)
        still_works(disk, store, run, 1)


def test_a_record_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=4m") as disk:
        fill(disk / "record")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert verify(disk / "record").sound
        with pytest.raises(StoreFull, match="Read-only file system"):
            Store.open(disk / "record")


def test_a_database_that_may_not_be_written(tmp_path: Path) -> None:
    """The database alone refuses, as a failing card does; images were written by then and go again."""
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, PNG)])
        before = files(tmp_path)
        store._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreFull, match="readonly"):
            store.write(run, [verdict(1, PNG)])
        assert files(tmp_path) == before
        store._connection.execute("PRAGMA query_only = OFF")
        still_works(tmp_path, store, run, 1)


def test_out_of_file_handles(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0, PNG)])
        before, limits = files(tmp_path), resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        hoard = [os.open(os.devnull, os.O_RDONLY) for _ in range(highest)]  # fills the gaps between used numbers
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hoard) + 1, limits[1]))
        try:
            for _ in range(3):
                with pytest.raises(StoreFull, match="Too many open files"):
                    store.write(run, [verdict(1, PNG)])
            store.write(run, [verdict(1)])  # a verdict without an image needs no handle
            with pytest.raises(StoreFull):
                Store.open(tmp_path / "other")
        finally:
            for each in hoard:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert files(tmp_path) == before
        still_works(tmp_path, store, run, 2)


def test_a_commit_that_may_or_may_not_have_reached_the_disk(tmp_path: Path) -> None:
    """The images stay, for the rows may come back after a power cut; the next batch takes their place."""

    class Failing:
        """A connection whose next commit fails in fsync."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def execute(self, statement: str, *values: Any) -> Any:
            if statement == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                raise error
            return self.real.execute(statement, *values)

    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        real = store._connection
        store._connection = Failing(real)  # type: ignore[assignment]
        with pytest.raises(StoreFull, match="disk I/O error"):
            store.write(run, [verdict(0, PNG + b"first")])
        store._connection = real
        assert "images/S-1/000/000001.png" in files(tmp_path)
        report = verify(tmp_path)
        assert (report.findings, report.verdicts, report.unrecorded) == ((), 0, 1)
        still_works(tmp_path, store, run, 0)


def test_interrupted_just_after_the_commit(tmp_path: Path) -> None:
    """Ctrl-C between commit and return: the rows are there, so their images must stay."""
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        real = store.transaction

        @contextmanager
        def interrupted() -> Iterator[Any]:
            with real() as transaction:
                yield transaction
            raise KeyboardInterrupt

        store.transaction = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            store.write(run, [verdict(0, PNG)])
        store.transaction = real  # type: ignore[method-assign]
        still_works(tmp_path, store, run, 1)


# --- who else is there ----------------------------------------------------------------------------------------


def test_two_processes_on_one_record(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from edge.record.store import Store; Store.open(Path(sys.argv[1]))"
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        other = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert f"StoreBusy: {tmp_path}: process {os.getpid()} writes to this record" in other.stderr
        with pytest.raises(StoreBusy):
            Store.open(tmp_path)
        still_works(tmp_path, store, run, 0)
    Store.open(tmp_path).close()


def test_the_record_is_moved_away_under_a_run(tmp_path: Path) -> None:
    """What would be written then would be announced, and be nowhere."""
    with Store.open(tmp_path / "record") as store:
        run = store.begin(INFO, NOON)
        store.write(run, [verdict(0)])
        (tmp_path / "record").rename(tmp_path / "moved")
        with pytest.raises(StoreError, match="moved or replaced"):
            store.write(run, [verdict(1)])
    assert verify(tmp_path / "moved").verdicts == 1


def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        run = store.begin(INFO, NOON)
        back = replace(later(2), utc_ns=0, synchronized=False)
        store.write(run, [verdict(0), verdict(1, captured=back), verdict(2)], [Event(back, "clock_jump", "-1.7e9 s")])
        rows = [json.loads(row.body) for row in store.entries(through=store.head().id)][2:]
    assert [row["field"] for row in rows] == [1, 2, 3]
    assert [row["utc"][:4] for row in rows] == ["2025", "1970", "2025"]
    assert [row["synchronized"] for row in rows] == [True, False, True]
    assert verify(tmp_path).sound


# --- what was done to it --------------------------------------------------------------------------------------

Damage = Callable[[Path], object]


def sql(statement: str) -> Damage:
    return lambda folder: tamper(folder, statement)


def altered_image(folder: Path) -> None:
    path = folder / "images/S-1/000/000004.png"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def linked_image(folder: Path) -> None:
    path = folder / "images/S-1/000/000004.png"
    path.rename(folder / "elsewhere.png")
    path.symlink_to(folder / "elsewhere.png")


def truncated(folder: Path) -> None:
    with (folder / "record.sqlite").open("r+b") as stream:
        stream.truncate(12_288 + 100)


def replaced_by_a_folder(folder: Path) -> None:
    (folder / "record.sqlite").unlink()
    (folder / "record.sqlite").mkdir()


def flipped_page(folder: Path) -> None:
    """In the row, and in whatever copy of it SQLite left in a page's free space."""
    data = (folder / "record.sqlite").read_bytes()
    assert b'"field":4,' in data
    (folder / "record.sqlite").write_bytes(data.replace(b'"field":4,', b'"field":5,'))


def with_right_digest(folder: Path) -> None:
    """An entry changed with its own digest computed anew: the next one does not follow it."""
    from edge.record.chain import link

    with sqlite3.connect(folder / "record.sqlite") as connection:
        before = connection.execute("SELECT digest FROM entries WHERE id = 5").fetchone()[0]
        body = connection.execute("SELECT body FROM entries WHERE id = 6").fetchone()[0].replace('"Pre"', '"Pro"')
        connection.execute("UPDATE entries SET body = ?, digest = ? WHERE id = 6", (body, link(before, 6, body)))
    connection.close()


def inserted(folder: Path) -> None:
    copy = "INSERT INTO entries (id, body, digest) SELECT 13, replace(body, ?, ?), digest FROM entries WHERE id = 11"
    tamper(folder, copy, '"field":9', '"field":10')


# Entries of `fill`: 1 run, 2 event, 3..11 verdicts of fields 1..9, 12 end.
DAMAGES: dict[str, tuple[Damage, str]] = {
    "altered verdict": (
        sql("UPDATE entries SET body = replace(body, '\"Pre\"', '\"Benign\"') WHERE id = 7"),
        "entry 7 was altered, or does not follow entry 6",
    ),
    "altered digest": (sql("UPDATE entries SET digest = lower(hex(zeroblob(32))) WHERE id = 7"), "entry 7 was altered"),
    "altered with its digest": (with_right_digest, "entry 7 was altered, or does not follow entry 6"),
    "altered run": (
        sql("UPDATE entries SET body = replace(body, 'tiny-int8', 'other') WHERE id = 1"),
        "entry 1 was altered",
    ),
    "altered event": (
        sql("UPDATE entries SET body = replace(body, 'stall', 'ok') WHERE id = 2"),
        "entry 2 was altered",
    ),
    "altered end": (
        sql("UPDATE entries SET body = replace(body, '\"stored\":9', '\"stored\":8') WHERE id = 12"),
        "run 1 says that it stored 8 verdicts, and the record has 9",
    ),
    "byte flipped on the disk": (flipped_page, "entry 6 was altered"),
    "deleted in the middle": (sql("DELETE FROM entries WHERE id = 7"), "entry 7 is missing"),
    "several deleted": (sql("DELETE FROM entries WHERE id BETWEEN 4 AND 8"), "entries 4 to 8 are missing"),
    "deleted at the beginning": (sql("DELETE FROM entries WHERE id < 4"), "entries 1 to 3 are missing"),
    "deleted at the end": (sql("DELETE FROM entries WHERE id = 12"), "entries 12 to 12 are missing at the end"),
    "all deleted": (sql("DELETE FROM entries"), "entries 1 to 12 are missing at the end"),
    "head set back": (
        sql("UPDATE head SET id = 11, digest = (SELECT digest FROM entries WHERE id = 11)"),
        "entries 12 to 12 stand behind the head",
    ),
    "head of another chain": (
        sql("UPDATE head SET digest = record || record"),
        "entry 12 is not the one that the head",
    ),
    "head deleted": (sql("DELETE FROM head"), "the row that holds the head of the chain is missing"),
    "another record's name": (sql("UPDATE head SET record = 'other'"), "entry 1 was altered"),
    "inserted at the end": (inserted, "entries 13 to 13 stand behind the head"),
    "beginning cut off, said to be pruned": (
        lambda folder: (
            tamper(folder, "INSERT INTO pruned SELECT 1, id, digest FROM entries WHERE id = 4"),
            tamper(folder, "DELETE FROM entries WHERE id <= 4"),
        ),
        "entries up to 4 are missing, and no checkpoint in the chain accounts for it",
    ),
    "field numbers set back": (sql("UPDATE slides SET fields = 3"), "slide S-1: 3 fields counted"),
    "image bytes miscounted": (sql("UPDATE head SET image_bytes = 0"), "0 bytes of images counted"),
    "altered image": (altered_image, "images/S-1/000/000004.png: was altered"),
    "missing image": (lambda folder: (folder / "images/S-1/000/000004.png").unlink(), "000004.png: No such file"),
    "image behind a link": (linked_image, "images/S-1/000/000004.png: "),
    "missing folder of images": (lambda folder: shutil.rmtree(folder / "images"), "000001.png: No such file"),
    "orphan image": (
        lambda folder: (folder / "images/S-1/000/000004.jpg").write_bytes(b"x"),
        "000004.jpg: no entry names",
    ),
    "stray file": (lambda folder: (folder / "images/notes.txt").write_text("x"), "images/notes.txt: no entry names"),
    "truncated database": (truncated, "record.sqlite: database disk image is malformed"),
    "empty database": (
        lambda folder: (folder / "record.sqlite").write_bytes(b""),
        "record.sqlite: the record's database is empty",
    ),
    "garbage": (lambda folder: (folder / "record.sqlite").write_bytes(b"garbage\n" * 999), "file is not a database"),
    "missing database": (lambda folder: (folder / "record.sqlite").unlink(), "the record's database is missing"),
    "a folder in its place": (replaced_by_a_folder, "the record's database is no file"),
    "a table dropped": (sql("DROP TABLE slides"), "no such table: slides"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_shows(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path)
    assert main("edge", COMMANDS, ["verify", "--store", str(tmp_path)]) == 0  # the control
    capsys.readouterr()
    damage, finding = DAMAGES[name]
    damage(tmp_path)
    assert main("edge", COMMANDS, ["verify", "--store", str(tmp_path), "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["sound"] is False and any(finding in each for each in record["findings"])


@pytest.mark.parametrize(
    "name", ["truncated database", "empty database", "garbage", "missing database", "a folder in its place"]
)
def test_a_damaged_database_is_neither_used_nor_replaced(name: str, tmp_path: Path) -> None:
    fill(tmp_path)
    DAMAGES[name][0](tmp_path)
    before = {path: path.read_bytes() for path in map(tmp_path.joinpath, files(tmp_path)) if path.name != "record.lock"}
    with pytest.raises(StoreError) as caught:
        fill(tmp_path)
    assert "\n" not in str(caught.value) and "record.sqlite" in str(caught.value)
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize("name", ["record.lock", "images"])
def test_a_folder_or_file_where_the_other_should_be(name: str, tmp_path: Path) -> None:
    if name == "images":
        (tmp_path / name).write_text("a file")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=name):
        fill(tmp_path)


def test_nothing_is_written_through_a_link_out_of_the_record(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "record/images").mkdir(parents=True)
    (tmp_path / "record/images/S-1").symlink_to(outside)
    with pytest.raises(StoreError):
        fill(tmp_path / "record")
    assert list(outside.iterdir()) == []


def test_findings_are_bounded_and_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, 150, images=False)
    tamper(tmp_path, 'UPDATE entries SET body = replace(body, \'"type":"verdict"\', \'"type":"a\\nb"\')')
    assert main("edge", COMMANDS, ["verify", "--store", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert 100 < len(lines) < 105 and "more" in lines[100]


def test_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        assert main("edge", COMMANDS, ["verify", "--store", str(folder)]) == 2
        assert capsys.readouterr().err == f"error: {folder}: no record here; name its folder with --store\n"


def test_what_an_interrupted_write_left_is_cleared_away(tmp_path: Path) -> None:
    fill(tmp_path)
    folder = tmp_path / "images/S-1"
    (folder / ".000010.png.aa.partial").write_bytes(b"half")
    (folder / "000010.png").write_bytes(b"whole, and its entry was never committed")
    report = verify(tmp_path)
    assert (report.sound, report.unrecorded) == (True, 2)
    with Store.open(tmp_path) as store:
        events = [json.loads(row.body) for row in store.entries(after=12, through=store.head().id)]
    assert [(e["kind"], e["detail"].split(" that")[0]) for e in events] == [("swept", "1 image of slide S-1")]
    assert [p.read_bytes()[:5] for p in (tmp_path / "left-over").iterdir()] == [b"whole"]
    report = verify(tmp_path)
    assert (report.sound, report.unrecorded, report.left_over) == (True, 0, 1)
    assert [s.field for s in fill(tmp_path, 1)] == [10]


def test_a_file_in_place_of_the_folder_is_a_wrong_request(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_bytes(b"notes")
    with pytest.raises(UsageError, match=r"--store must be a folder; .*record is a file"):
        Store.open(file)
    assert file.read_bytes() == b"notes"
