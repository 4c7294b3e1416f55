"""A reader with an account of its own, as the bench page has: it reads while the writer writes, after it ended and
after it was killed, and it cannot write."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge.errors import StoreError, StoreFull
from edge.page.asking import ask
from edge.record.chain import link
from edge.record.schema import DATABASE
from edge.record.store import Store
from edge.system.clock import Clock
from tests.edge.record.records import INFO, PNG, verdict

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two other users")
WRITER, READER, STRANGER = 61001, 61002, 61003  # uid and gid; the reader is in the writer's group too


@pytest.fixture
def record() -> Iterator[Path]:
    """Where the writer will make its record: as /var/lib/leukoscope is."""
    outer = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="leukoscope-users"))
    outer.chmod(0o755)
    state = outer / "state"
    state.mkdir(mode=0o750)
    os.chown(state, WRITER, WRITER)
    yield state / "record"
    shutil.rmtree(outer)


def begin_as(uid: int, do: Callable[[], Any], groups: tuple[int, ...] = ()) -> tuple[int, int]:
    """(pid, pipe) of a child that acts as another user, under the units' umask, and writes its answer as JSON."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, ours
    code = 1
    try:
        os.setgroups(groups)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.umask(0o027)
        os.chdir("/")
        os.write(theirs, json.dumps(do()).encode())
        code = 0
    except BaseException as error:
        print(f"as {uid}: {error!r}", file=sys.stderr)
    finally:
        os._exit(code)


def answer_of(pid: int, pipe: int) -> Any:
    with os.fdopen(pipe) as stream:
        text = stream.read()
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"
    return json.loads(text)


def as_reader(do: Callable[[], Any]) -> Any:
    return answer_of(*begin_as(READER, do, (WRITER,)))


def write(folder: Path, seconds: float, pause_s: float = 0.001) -> int:
    """Verdicts with images, until the time is over; how many entries there are then."""
    with Store.open(folder) as store:
        run, number, end = store.begin(INFO, Clock().now()), 0, time.monotonic() + seconds
        while time.monotonic() < end or number == 0:
            store.write(run, [verdict(number, PNG * 50)])
            number += 1
            time.sleep(pause_s)
        store.end(run, Clock().now(), {"stored": number}, "complete")
        return store.head().id


def whole(folder: Path) -> int:
    """The chain read through at one moment: its last number. A torn read would break a link."""

    def walk(record: Store) -> int:
        with record.at_one_moment():
            start = record.snapshot()
            last = start.base
            for row in record.entries(through=start.head.id):
                if row.digest != link(last.digest, row.id, row.body):
                    raise StoreError(f"entry {row.id} does not follow")
                last = row
            if last.id != start.head.id:
                raise StoreError(f"{last.id} of {start.head.id}")
            return last.id

    return ask(folder, walk)


def read_for(folder: Path, seconds: float) -> list[int]:
    """Numbers of the last entry, over and over."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append(whole(folder))
    return seen


def refused(do: Callable[[], object]) -> str:
    try:
        do()
    except (StoreError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


def test_it_reads_while_the_writer_writes_and_after_it_ended(record: Path) -> None:
    answer_of(*begin_as(WRITER, lambda: write(record, 0.0)))
    writer = begin_as(WRITER, lambda: write(record, 1.0))
    seen = as_reader(lambda: read_for(record, 0.7))
    assert seen == sorted(seen) and seen[-1] > seen[0] + 10 and len(seen) > 10
    last = answer_of(*writer)
    assert sorted(path.name for path in record.iterdir() if path.name.startswith(DATABASE)) == [DATABASE]
    assert as_reader(lambda: whole(record)) == last
    image = next((record / "images").rglob("*.png"))
    assert as_reader(lambda: len(image.read_bytes())) == len(PNG) * 50


def test_it_reads_after_a_kill_all_that_was_stored(record: Path) -> None:
    pid, pipe = begin_as(WRITER, lambda: write(record, 60.0))
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(pipe)
    assert (record / f"{DATABASE}-wal").stat().st_size > 0
    stored = as_reader(lambda: whole(record))
    assert stored > 10
    (record / f"{DATABASE}-shm").unlink()  # as where a record was copied without it
    said = as_reader(lambda: refused(lambda: whole(record)))
    assert said.startswith("StoreFull") and "once `edge run` or `edge prune` has opened it" in said
    after = answer_of(*begin_as(WRITER, lambda: write(record, 0.0)))
    assert after - stored in (3, 4)  # nothing was lost; an image that no entry named yet is moved, and an event says so
    assert as_reader(lambda: whole(record)) == after


def test_it_cannot_write(record: Path) -> None:
    answer_of(*begin_as(WRITER, lambda: write(record, 0.1)))
    image = next((record / "images").rglob("*.png"))
    for attempt in (
        lambda: Store.open(record),
        lambda: (record / "new").write_text("x"),
        lambda: (record / DATABASE).open("r+b"),
        (record / DATABASE).unlink,
        image.unlink,
        lambda: image.write_bytes(b""),
    ):
        assert "ermission denied" in as_reader(lambda attempt=attempt: refused(attempt))


def test_who_is_not_in_the_group_reads_nothing(record: Path) -> None:
    answer_of(*begin_as(WRITER, lambda: write(record, 0.0)))
    said = answer_of(*begin_as(STRANGER, lambda: refused(lambda: whole(record))))
    assert "nothing was refused" not in said
    assert refused(lambda: whole(record)) == "nothing was refused"


def test_a_writer_that_comes_and_goes_gives_no_torn_read(record: Path) -> None:
    """Between writers there is no lock that a reader could take: what changed under it is asked again."""

    def come_and_go() -> int:
        last = 0
        for _ in range(15):
            last = write(record, 0.02, 0.0)
        return last

    answer_of(*begin_as(WRITER, lambda: write(record, 0.0)))
    writer = begin_as(WRITER, come_and_go)
    tried = as_reader(lambda: [_number_or_why(record) for _ in range(80)])
    last = answer_of(*writer)
    numbers = [each for each in tried if isinstance(each, int)]
    assert numbers == sorted(numbers) and len(numbers) > 40
    assert all("ask again" in each or "once `edge run`" in each for each in tried if isinstance(each, str)), tried
    assert as_reader(lambda: whole(record)) == last


def _number_or_why(record: Path) -> int | str:
    try:
        return whole(record)
    except StoreFull as error:
        return str(error)


def test_a_connection_that_is_kept_would_not_see_the_next_writer(record: Path) -> None:
    """Negative control: why each question opens the record anew."""
    before = answer_of(*begin_as(WRITER, lambda: write(record, 0.0)))
    go, ready = os.pipe(), os.pipe()

    def keep() -> int:
        with Store.open(record, read_only=True) as kept:
            kept.head()
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            return kept.head().id

    reader = begin_as(READER, keep, (WRITER,))
    os.read(ready[0], 1)
    after = {}

    def write_on() -> int:
        store = Store.open(record)  # stays open: nothing is folded into the database yet
        run = store.begin(INFO, Clock().now())
        store.write(run, [verdict(0, None)])
        os.write(go[1], b"x")
        time.sleep(0.5)
        return store.head().id

    with suppress(ChildProcessError):
        after["id"] = answer_of(*begin_as(WRITER, write_on))
    assert answer_of(*reader) == before < after["id"]
    assert as_reader(lambda: whole(record)) == after["id"]
