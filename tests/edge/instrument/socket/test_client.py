"""The page's link: it comes back, its commands survive that, and no reader loses what is in the record unknowingly."""

import asyncio
import json
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.errors import InstrumentUnavailable, ProtocolError
from edge.instrument.socket import workers
from edge.instrument.socket.client import InstrumentLink
from edge.instrument.socket.messages import Event, Hello, Preview, SlideAct, State, Verdict, Watching
from edge.instrument.socket.protocol import encode
from edge.instrument.socket.subscription import MOST_WAITING, Gap, Link, Received, Subscription, received
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.edge.instrument.socket.samples import ID, SAMPLES


def run(work: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(limited())


async def until(reader: Subscription, kind: type, **values: Any) -> Any:
    """The next message of a kind with these values."""
    async for each in reader:
        message = each.message
        if isinstance(message, kind) and all(getattr(message, name) == value for name, value in values.items()):
            return message
    raise AssertionError(f"no {kind.__name__} came")


async def ended(instrument: FakeInstrument) -> None:
    await asyncio.to_thread(instrument.close)


def test_messages_are_told_to_several_readers_as_they_were_sent(tmp_path: Path) -> None:
    async def work() -> None:
        with FakeInstrument(tmp_path / "s") as instrument:
            async with InstrumentLink(instrument.path) as link:
                one, two = link.subscribe(), link.subscribe()
                assert await link.wait_connected(5)
                assert link.hello is not None
                assert link.hello.instrument == instrument.bench.instrument
                await link.command("open", "anna", {"slide": "s1"})
                await link.command("judge", "anna")
                for reader in (one, two):
                    assert (await until(reader, SlideAct)).act == "opened"
                    verdict = await until(reader, Verdict)
                    assert verdict == instrument.bench.verdicts[0]
                async for each in one:
                    if isinstance(each.message, State):
                        assert json.loads(each.line)["kind"] == "state"
                        break

    run(work())


def test_a_restart_is_seen_within_a_second_and_what_was_missed_is_said(tmp_path: Path) -> None:
    async def work() -> None:
        first = FakeInstrument(tmp_path / "s")
        first.start()
        async with InstrumentLink(tmp_path / "s") as link:
            reader = link.subscribe()
            await until(reader, Link, connected=True)
            assert (await link.command("open", "anna", {"slide": "s1"})).ok
            known = link._entry
            await ended(first)
            assert "the instrument was ended" in (await until(reader, Link, connected=False)).why
            await asyncio.sleep(0.4)
            first.bench.entry += 7  # stored while nobody listened
            with FakeInstrument(tmp_path / "s", bench=first.bench):
                began = time.monotonic()
                up = await until(reader, Link, connected=True)
                assert time.monotonic() - began < 1.0
                assert up.missed == 7
                gap = await until(reader, Gap)
                assert (gap.after, gap.until) == (known, first.bench.entry)
                assert link.state is not None
                assert (link.state.mode, link.state.slide) == ("paused", "s1")

    run(work())


def test_a_command_given_while_the_instrument_is_away_is_done_when_it_is_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with InstrumentLink(tmp_path / "s") as link:
            given = asyncio.create_task(link.command("open", "anna", {"slide": "s1"}))
            await asyncio.sleep(0.2)
            assert not given.done()
            with FakeInstrument(tmp_path / "s") as instrument:
                assert (await given).ok
                assert len(instrument.bench.commands) == 1

    run(work())


def test_a_command_whose_answer_was_lost_is_answered_once_more_and_not_done_twice(tmp_path: Path) -> None:
    async def work() -> None:
        first = FakeInstrument(tmp_path / "s")
        first.start()
        async with InstrumentLink(tmp_path / "s") as link:
            assert await link.wait_connected(5)
            first.bench.slow_s = 0.4
            given = asyncio.create_task(link.command("open", "anna", {"slide": "s1"}, id=ID))
            while not first.bench.commands:
                await asyncio.sleep(0.01)
            connection = next(iter(first.server._clients.values()))
            connection.socket.shutdown(2)  # cut while the command is being done
            answer = await given
            assert answer.ok
            assert [each.id for each in first.bench.commands] == [ID]
            assert len(first.bench.slides) == 1
            await ended(first)
            with FakeInstrument(tmp_path / "s", bench=first.bench):
                assert await link.command("open", "anna", {"slide": "s1"}, id=ID) == answer
            assert len(first.bench.slides) == 1

    run(work())


def test_no_answer_in_time_is_said(tmp_path: Path) -> None:
    async def work() -> None:
        async with InstrumentLink(tmp_path / "s") as link:
            with pytest.raises(InstrumentUnavailable, match=r"no answer to judge within 0.2 s: no instrument on"):
                await link.command("judge", "anna", timeout_s=0.2)
            with pytest.raises(ProtocolError, match="open: "):
                await link.command("open", "anna", {"slide": "../etc"})
            with pytest.raises(ProtocolError, match="no command"):
                await link.command("shutdown", "anna")

    run(work())


def test_previews_come_one_for_each_credit(tmp_path: Path) -> None:
    async def work() -> None:
        with FakeInstrument(tmp_path / "s", fps=50) as instrument:
            async with InstrumentLink(instrument.path) as link:
                looks, idle = link.subscribe(), link.subscribe()
                await link.wait_connected(5)
                assert not instrument.server.wants_preview()
                looks.ready()
                looks.ready()
                async for each in looks:
                    if isinstance(each.message, Preview):
                        assert each.payload[:2] == b"\xff\xd8"
                        assert len(each.payload) == each.message.bytes
                        break
                await asyncio.sleep(0.25)
                assert not instrument.server.wants_preview()
                assert not [each for each in [*looks._waiting, *idle._waiting] if isinstance(each.message, Preview)]

    run(work())


def test_an_instrument_that_hangs_counts_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "HEARTBEAT_S", 0.1)

    async def work() -> None:
        with FakeInstrument(tmp_path / "s") as instrument:
            async with InstrumentLink(instrument.path, patience_s=0.5) as link:
                reader = link.subscribe()
                await until(reader, Link, connected=True)
                instrument._stop.set()  # no meters
                await asyncio.sleep(0.7)
                assert link.connected  # negative control: a state now and then is enough
                instrument.server._pulse.close()
                assert "no sign of life" in (await until(reader, Link, connected=False)).why

    run(work())


def test_events_that_begin_again_say_what_was_missed(tmp_path: Path) -> None:
    async def work() -> None:
        with FakeInstrument(tmp_path / "s") as instrument:
            async with InstrumentLink(instrument.path) as link:
                reader = link.subscribe()
                await until(reader, Link, connected=True)
                link.watch(events=False)
                while instrument.server.watched:
                    await asyncio.sleep(0.01)
                before = instrument.bench.entry
                assert (await link.command("open", "anna", {"slide": "s1"})).ok  # commands work without events
                link.watch(events=True)
                gap = await until(reader, Gap)
                assert (gap.after, gap.until) == (before, before + 1)

    run(work())


def verdict(number: int) -> Received:
    return Received(
        Verdict(
            id=number,
            slide="s1",
            field=number,
            sequence=number,
            label="Pre",
            reason=None,
            detail=None,
            probabilities=None,
            gates={},
            seen=None,
            asked_by="",
            utc="",
            image=False,
        ),
        str(number),
        b"",
    )


def test_a_slow_reader_is_told_of_a_gap_and_keeps_the_newest_state() -> None:
    async def work() -> None:
        reader = Subscription(lambda _: None, lambda: None)
        reader.put(received(Link(connected=True, since=1)))
        reader.put(received(Link(connected=True, since=2)))
        for number in range(1, 3 * MOST_WAITING):
            reader.put(verdict(number))
        assert len(reader._waiting) <= MOST_WAITING
        reader.close()
        got = [each.message async for each in reader]
        told = {each.id for each in got if isinstance(each, Verdict)}
        gaps = [each for each in got if isinstance(each, Gap)]
        assert gaps
        covered = {number for gap in gaps for number in range(gap.after + 1, gap.until + 1)}
        assert told | covered >= set(range(1, 3 * MOST_WAITING))
        assert told
        assert [each.since for each in got if isinstance(each, Link)] == [2]

    run(work())


def test_events_beside_the_record_make_no_gap_in_it() -> None:
    """Their id is null: a gap that began at 0 would have everything fetched again."""

    async def work() -> None:
        reader = Subscription(lambda _: None, lambda: None)
        reader.put(verdict(41))
        await anext(reader)
        event = msgspec.structs.replace(SAMPLES[Event], id=None)
        for _ in range(MOST_WAITING):
            reader.put(Received(event, "", b""))
        reader.put(verdict(42))
        gap = (await anext(reader)).message
        assert gap == Gap(after=41, until=41)
        assert (await anext(reader)).message == verdict(42).message

    run(work())


def test_a_closed_link_ends_readers_and_commands(tmp_path: Path) -> None:
    async def work() -> None:
        link = InstrumentLink(tmp_path / "s")
        link.start()
        reader = link.subscribe()
        given = asyncio.create_task(link.command("judge", "anna"))
        await asyncio.sleep(0.05)
        await link.close()
        with pytest.raises(InstrumentUnavailable, match="closed"):
            await given
        assert [type(each.message) async for each in reader] == [Link]

    run(work())


def test_a_preview_that_is_cut_is_thrown_away_and_the_next_is_whole(tmp_path: Path) -> None:
    """An instrument that is killed while it sends one."""
    hello, state, watching = (encode(SAMPLES[kind]) for kind in (Hello, State, Watching))
    preview = msgspec.structs.replace(SAMPLES[Preview], bytes=1000)
    greeted: list[int] = []

    async def serve(reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
        greeted.append(1)
        writes.write(hello + state)
        await reads.readline()  # watch
        writes.write(watching + state)
        await reads.readline()  # ready
        payload = b"x" * 1000
        writes.write(encode(preview) + (payload if len(greeted) > 1 else payload[:400]))
        await writes.drain()
        if len(greeted) == 1:
            writes.close()

    async def work() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "s"), InstrumentLink(tmp_path / "s") as link:
            reader = link.subscribe()
            reader.ready()
            async for each in reader:
                if isinstance(each.message, Preview):
                    assert each.payload == b"x" * 1000
                    break
            assert len(greeted) == 2

    run(work())


def test_an_instrument_of_another_version_is_not_talked_to(tmp_path: Path) -> None:
    async def serve(reads: asyncio.StreamReader, writes: asyncio.StreamWriter) -> None:
        writes.write(b'{"kind":"hello","version":2}\n')
        await reads.read()
        writes.close()

    async def work() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "s"), InstrumentLink(tmp_path / "s") as link:
            reader = link.subscribe()
            async for each in reader:
                if isinstance(each.message, Link) and "version" in each.message.why:
                    assert each.message.why == "version must be 1; got 2"
                    break
            assert not link.connected

    run(work())
