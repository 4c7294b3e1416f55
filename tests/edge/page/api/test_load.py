"""Twenty seconds of fifty clients: no error, and the page does not grow."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.edge.instrument.socket.fake import FakeInstrument

pytestmark = [pytest.mark.slow, pytest.mark.alone]
SECONDS, READERS, BROWSERS = 20.0, 25, 25
WARM_S = 6.0
MOST_GROWTH_MB = 12.0
PATHS = (
    "/slides", "/slides?q=S-0000", "/slides/S-00005", "/slides/S-00005/fields?order=suspicious",
    "/slides/S-00001/fields?label=Pre", "/slides/S-00001/fields/7", "/slides/S-00001/fields/7/image",
    "/slides/S-00001/fields/{n}/image?width=64", "/state", "/labels",
)  # fmt: skip


def memory_mb(process: "subprocess.Popen[str]") -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def read(base: str, ends: float, number: int) -> int:
    answered = 0
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", timeout=10) as client:
        while time.monotonic() < ends:
            path = PATHS[(number + answered) % len(PATHS)].format(n=1 + (number + answered) % 60)
            answer = await client.get(path)
            assert answer.status_code == 200, (path, answer.text)
            answered += 1
            await asyncio.sleep(0.05)
    return answered


async def watch(base: str, ends: float, slow: bool) -> int:
    """Previews that were seen; a slow one takes a second for each."""
    seen = 0
    async with connect(base.replace("http", "ws") + "/api/v1/live", max_size=2**22) as socket:
        while time.monotonic() < ends:
            said = await asyncio.wait_for(socket.recv(), 5)
            if isinstance(said, bytes):
                seen += 1
                await asyncio.sleep(1.0 if slow else 0)
                await socket.send('{"kind":"ready"}')
    return seen


async def load(base: str, process: "subprocess.Popen[str]") -> tuple[list[int], list[int], float, float]:
    ends = time.monotonic() + SECONDS
    readers = [asyncio.create_task(read(base, ends, number)) for number in range(READERS)]
    browsers = [asyncio.create_task(watch(base, ends, number % 5 == 0)) for number in range(BROWSERS)]
    await asyncio.sleep(WARM_S)
    before = memory_mb(process)
    return await asyncio.gather(*readers), await asyncio.gather(*browsers), before, memory_mb(process)


def test_fifty_clients_get_answers_and_the_page_stays_as_large_as_it_is(small_record: Path, tmp_path: Path) -> None:
    with FakeInstrument(tmp_path / "i.sock") as instrument:
        words = [sys.executable, "-m", "edge.cli", "page", "--demo", "--port", "0", "--store", str(small_record)]
        words += ["--socket", str(instrument.path)]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ})
        assert process.stderr is not None
        base = process.stderr.readline().partition(": ")[2].strip().rstrip("/")
        try:
            answered, seen, before, after = asyncio.run(load(base, process))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    slow, fast = seen[::5], [each for number, each in enumerate(seen) if number % 5]
    print(f"{sum(answered)} answers, {min(fast)}..{max(fast)} and {min(slow)}..{max(slow)} previews, "
          f"{before:.0f} to {after:.0f} MB")  # fmt: skip
    assert min(answered) > 10 and min(fast) > 3 * max(slow) and min(slow) > SECONDS / 3
    assert after - before < MOST_GROWTH_MB
