"""1,000 damaged TFLite files, with and without --edgetpu: no crash, no hang, bounded memory, one line each."""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from convert.commands.inspect import InspectRequest, PreflightRequest
from convert.errors import BrokenModelError, EdgeTpuModelError
from tests.convert.edgetpu.compiled import compiled
from tests.convert.edgetpu.damage import KINDS, damaged
from tests.convert.edgetpu.models import classifier
from tests.convert.edgetpu.test_rules import MAKERS

COPIES = 1000
MOST_MEMORY = 64 * 2**20  # bytes, for files of a few KiB; the peak is far below 1 MiB
SLOWEST_S = 20  # a hang, on a loaded machine; the slowest file takes some 20 ms
CONVERT = Path(sys.executable).with_name("convert")
BY_COMMAND = 5
PAIRS = 200


def originals() -> list[bytes]:
    plain = classifier()
    return [
        plain,
        compiled(plain),
        compiled(plain, outside=2),
        MAKERS["dynamic-tensor"](True),
        MAKERS["batch-axis"](False),
    ]


def copies() -> list[bytes]:
    sources = originals()
    return [damaged(sources[n // len(KINDS) % len(sources)], n) for n in range(COPIES)]


def look(path: Path) -> str:
    """Both requests, as the command carries them out; what the file turned out to be."""
    results = []
    for request in (InspectRequest(path, False), PreflightRequest(path, None, False)):
        try:
            outcome = request.execute()
            json.dumps(outcome.record, allow_nan=False)
            assert outcome.text and "\x1b" not in outcome.text
            results.append("read")
        except (BrokenModelError, EdgeTpuModelError) as error:
            line = str(error)
            assert line.startswith(str(path)) and len(line) < 500 and "\n" not in line
            results.append("refused")
    return "/".join(results)


@contextmanager
def bounded(more: int) -> Iterator[None]:
    """No more than `more` bytes of address space beyond what this process has now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """TimeoutError for what takes longer: a hang must fail the test, not stop it."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_no_damaged_file_crashes_hangs_or_grows(tmp_path: Path) -> None:
    path, seen, data = tmp_path / "damaged.tflite", [], copies()
    with bounded(MOST_MEMORY):
        for each in data:
            path.write_bytes(each)
            with in_time(SLOWEST_S):
                seen.append(look(path))
    assert len(seen) == COPIES
    # damage that is always fatal, or never, would test nothing
    kinds = {kind: seen.count(kind) for kind in set(seen)}
    assert min(kinds["read/read"], kinds["refused/refused"]) > COPIES // 20, kinds


def test_damaged_pairs_are_compared_or_refused_in_one_line(tmp_path: Path) -> None:
    """`--plain`: the compiled file, the plain one, or both are damaged."""
    plain, made, twin = classifier(), tmp_path / "made.tflite", tmp_path / "plain.tflite"
    pairs = [compiled(plain, outside=2), compiled(plain, spans=[(0, 2), (3, 5)]), compiled(plain, alone=True)]
    codes = []
    with bounded(MOST_MEMORY):
        for n in range(PAIRS):
            made.write_bytes(damaged(pairs[n % len(pairs)], n) if n % 4 else pairs[n % len(pairs)])
            twin.write_bytes(damaged(plain, PAIRS + n) if n % 4 != 1 else plain)
            try:
                with in_time(SLOWEST_S):
                    outcome = PreflightRequest(made, twin, False).execute()
                json.dumps(outcome.record, allow_nan=False)
                codes.append(outcome.code)
            except (BrokenModelError, EdgeTpuModelError) as error:
                assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)
                codes.append(2)
    assert len(codes) == PAIRS and {1, 2} <= set(codes)


def test_the_bounds_above_hold() -> None:
    """Negative control."""
    with pytest.raises(MemoryError), bounded(MOST_MEMORY):
        bytearray(2 * MOST_MEMORY)
    with pytest.raises(TimeoutError), in_time(0.05):
        while True:
            pass


def test_the_same_seed_gives_the_same_damage() -> None:
    assert damaged(classifier(), 7) == damaged(classifier(), 7) != damaged(classifier(), 15)


def limited() -> None:
    """Of the child: 2 GiB of address space, which NumPy's threads need most of, and 20 s of processor time."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (SLOWEST_S, SLOWEST_S))


@pytest.mark.parametrize("edgetpu", [False, True])
def test_damaged_files_by_the_command(tmp_path: Path, edgetpu: bool) -> None:
    """Under a limit of memory: exit 0 or 1 with a report, or exit 2 with one line."""
    codes = []
    sources = originals()
    for number in range(BY_COMMAND):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(damaged(sources[number % len(sources)], 5000 + number))
        done = subprocess.run(
            [CONVERT, "inspect", path, *(["--edgetpu"] if edgetpu else [])],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=limited,
        )
        codes.append(done.returncode)
        if done.returncode == 2:
            assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
            assert done.stderr.startswith(f"error: {path}")
        else:
            assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    assert 2 in codes


def table_list(entries: int, ring: bool) -> bytes:
    """A model whose list of operators repeats one table `entries` times, or refers to itself."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.StartVector(4, 4000, 4)
    for _ in range(4000):
        builder.PrependInt32(0)
    numbers = builder.EndVector()
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(1, numbers, 0)
    operator = builder.EndObject()
    builder.StartVector(4, entries, 4)
    for _ in range(entries):
        builder.PrependUOffsetTRelative(operator)
    operators = builder.EndVector()
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(3, operators, 0)
    graph = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    builder.StartObject(8)
    builder.PrependUint32Slot(0, 3, 0)
    builder.PrependUOffsetTRelativeSlot(2, graphs, 0)
    if ring:
        builder.PrependUOffsetTRelativeSlot(1, graphs, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("ring", [False, True])
def test_a_file_that_asks_for_more_work_than_its_size_explains_is_stopped(tmp_path: Path, ring: bool) -> None:
    path = tmp_path / "many.tflite"
    path.write_bytes(table_list(20_000, ring))
    assert look(path) == "refused/refused"
