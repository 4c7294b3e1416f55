"""The bench killed at any moment: no stored field is lost, no command is done twice, and the slide is taken up."""

import json
import random
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.errors import InstrumentUnavailable
from edge.instrument.socket.blocking import BlockingClient
from edge.instrument.socket.messages import Answer, Command, Verdict
from edge.record.audit import verify
from edge.record.store import Store
from tests.edge.commands.test_run import BUNDLES, EDGE, SMALL

CAMERA = "sim:Early?fps=30&motion=0.4&empty=0&focus_drift=0&places=3&seed={}"


@contextmanager
def started(folder: Path, seed: int) -> Iterator["tuple[subprocess.Popen[str], BlockingClient]"]:
    """`edge run --socket`, and somebody who watches it."""
    (folder / "edge.toml").write_text(SMALL + "[bench]\nstill_s = 0.1\n")
    words = ["--store", folder / "record", "--config", folder / "edge.toml", "--bundle", BUNDLES / "custom_cnn-int8"]
    words += ["--socket", folder / "socket", "--camera", CAMERA.format(seed), "--json"]
    with subprocess.Popen(
        [EDGE, "run", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running, connected(running, folder / "socket")
        finally:
            running.kill()


def connected(running: "subprocess.Popen[str]", path: Path) -> BlockingClient:
    deadline = time.monotonic() + 60
    while True:
        try:
            client = BlockingClient(path)
        except InstrumentUnavailable:
            assert running.poll() is None and time.monotonic() < deadline, running.stderr and running.stderr.read()
            time.sleep(0.05)
        else:
            client.watch(events=True)
            return client


def recorded(folder: Path) -> list[dict[str, Any]]:
    with Store.open(folder / "record", read_only=True) as store:
        return [{"id": row.id, **json.loads(row.body)} for row in store.entries(through=store.head().id)]


class Given:
    """The commands that were given, by id, and what was answered and told."""

    def __init__(self) -> None:
        self.commands: dict[str, tuple[str, dict[str, Any]]] = {}
        self.answers: dict[str, Answer] = {}
        self.told: dict[int, Verdict] = {}

    def give(self, client: BlockingClient, name: str, id: str = "", **arguments: Any) -> Answer:
        id = id or secrets.token_hex(16)
        self.commands[id] = name, arguments
        answer = client.command(name, "anna", arguments, id=id, timeout_s=20.0)
        if answer.ok:
            assert self.answers.setdefault(id, answer) == answer, "answered alike however often it is given"
        return answer

    def hear(self, client: BlockingClient) -> None:
        """Take what was told so far, also what was on its way when the instrument was killed."""
        try:
            while True:
                message, _ = client.receive(timeout_s=0.05)
                if isinstance(message, Verdict):
                    self.told[message.id] = message
        except InstrumentUnavailable:
            return

    def again(self, client: BlockingClient) -> None:
        """Give every command again, with its id, as a page does that does not know what became of them."""
        for id, (name, arguments) in list(self.commands.items()):
            self.give(client, name, id, **arguments)

    def check(self, folder: Path) -> None:
        report, entries = verify(folder / "record"), recorded(folder)
        assert report.sound, report.findings
        done = Counter(each["command"] for each in entries if each.get("command") and not each.get("refused"))
        assert max(done.values(), default=1) == 1, "a command was done twice"
        assert set(self.answers) <= set(done), "a command that was answered is not in the record"
        judged = {each["id"]: each for each in entries if each["type"] == "verdict"}
        for number, verdict in self.told.items():
            of = judged[number]
            assert (of["field"], of["label"], of["reason"]) == (verdict.field, verdict.label, verdict.reason)
            assert (folder / "record" / of["image"]["path"]).is_file()
        asked = [each for each in entries if each["type"] == "command" and each["name"] == "judge"]
        assert all(each["id"] + 1 in judged for each in asked if not each.get("refused"))


def killed(folder: Path, given: Given, seed: int, mode: str, *, in_order: bool = False) -> None:
    """One life of the instrument, killed in that mode, or ended by SIGTERM."""
    choice, slide = random.Random(seed), f"S-{seed}"
    with started(folder, seed) as (running, client):
        if client.state.mode != "none":
            assert client.state.mode == "paused" and client.state.why
            given.again(client)
            assert given.give(client, "close").error in ("", "no_slide")
        if mode != "none":
            assert given.give(client, "open", slide=slide).ok
            time.sleep(choice.uniform(0.2, 0.8))
            given.give(client, "judge")
        if mode == "paused":
            assert given.give(client, "pause").ok
        unanswered = {"none": "open", "open": "judge", "paused": "continue", "closing": "close"}[mode]
        if choice.random() < 0.7:  # killed while it is done, or before
            id = secrets.token_hex(16)
            arguments = {"slide": slide} if unanswered == "open" else {}
            given.commands[id] = unanswered, arguments
            client.send(Command(id=id, name=unanswered, by="anna", arguments=arguments))  # type: ignore[arg-type]
            time.sleep(choice.uniform(0, 0.1))
        if in_order:
            running.terminate()
            assert running.wait(20) == 0
        else:
            running.kill()
            running.wait()
        given.hear(client)
        client.close()
    given.check(folder)
    if in_order:
        assert verify(folder / "record").not_ended == 0


def test_killed_in_each_mode(tmp_path: Path) -> None:
    given = Given()
    killed(tmp_path, given, 1, "open", in_order=True)  # its slide stays open, and is taken up
    for seed, mode in enumerate(("open", "paused"), 2):
        killed(tmp_path, given, seed, mode)
    assert given.told


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_twenty_times(tmp_path: Path) -> None:
    given = Given()
    for seed in range(20):
        killed(tmp_path, given, 100 + seed, ("none", "open", "paused", "closing")[seed % 4])
    assert len(given.told) > 20
