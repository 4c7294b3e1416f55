"""Page and instrument killed while a slide is read: is a stored field lost, a command done twice?

    python -m docs.studies.page.faults --out docs/reference/bench_faults.json

Instrument, page and the clients that ask and listen are processes and connections as on a device.
"""

import json as json_format
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websockets
from websockets.sync.client import connect

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.record.audit import verify
from edge.system.option_values import whole_number
from tests.bench.asking import Api, new_key
from tests.bench.processes import Bench, eventually

SLIDE = "killed-1"
_LATEST_S = 0.4  # after a command was sent, that a process is killed


@dataclass
class Announced:
    """What the stream said was stored, from the first connection to the last; it reconnects as the browser does.

    Attributes:
        verdicts: by number of the entry. missed: those that came as an answer to "since".
    """

    url: str
    headers: dict[str, str]
    verdicts: dict[int, dict[str, Any]] = field(default_factory=dict)
    connections: int = 0
    newest: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(0.05):
            with suppress(OSError, websockets.WebSocketException, TimeoutError):
                self._once()

    def end(self) -> None:
        self._ended.set()

    def _once(self) -> None:
        address, origin = f"ws{self.url.removeprefix('http')}/api/v1/live", websockets.Origin(self.url)
        with connect(address, origin=origin, additional_headers=self.headers) as link:
            self.connections += 1
            if self.newest:
                link.send(json_format.dumps({"kind": "since", "entry": self.newest}))
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    message = link.recv(0.2)
                    if isinstance(message, bytes):
                        link.send(json_format.dumps({"kind": "ready"}))
                    elif (said := json_format.loads(message))["kind"] == "verdict":
                        self.verdicts[said["id"]] = said
                        self.newest = max(self.newest, said["id"])


def killed(bench: Bench, api: Api, *, pages: int, instruments: int, seed: int = 1) -> dict[str, Any]:
    """A slide read while the page is killed `pages` times, the instrument `instruments` times; what is left of it."""
    chance = random.Random(seed)
    rounds = ["page"] * pages + ["instrument"] * instruments
    chance.shuffle(rounds)
    announced = Announced(bench.url, api.headers)
    watching = threading.Thread(target=announced.watch)
    watching.start()
    keys: dict[str, int] = {}
    away: dict[str, list[float]] = {"page": [], "instrument": []}
    try:
        assert api.insist("POST", "/slides", {"slide": SLIDE}).is_success
        for which in rounds:
            key = new_key()
            asking = threading.Thread(target=_ask, args=(bench.url, api, key, keys))
            asking.start()
            time.sleep(chance.uniform(0, _LATEST_S))
            began = time.monotonic()
            bench.kill(which)
            bench.start_page() if which == "page" else bench.start_instrument()
            bench.wait_for_page() if which == "page" else bench.wait_for_instrument()
            away[which].append(time.monotonic() - began)
            asking.join()
            if which == "instrument":  # a slide that was open is taken up again paused
                eventually(lambda: _mode(api) == "paused", "the slide is taken up again")
                assert api.insist("POST", f"/slides/{SLIDE}/continue").is_success
        assert api.insist("POST", f"/slides/{SLIDE}/close").is_success
        newest = _bodies(bench)[-1][0]
        with suppress(AssertionError):  # what the stream did not say is counted below
            eventually(lambda: announced.newest >= _last_verdict(bench), "the stream catches up", 20)
    finally:
        announced.end()
        watching.join()
    return {"kills": dict(Counter(rounds)), **_judge(bench, announced, keys, newest), **_times(away, announced)}


def _mode(api: Api) -> str:
    state = api.get("/state")["state"]
    return str(state["mode"]) if state else ""


def _ask(url: str, session: Api, key: str, keys: dict[str, int]) -> None:
    """One field by key, insisted on with the same key by a client of its own."""
    mine = Api(url, session.user, session.password)
    mine.client.headers.update(session.client.headers)
    mine.client.cookies = session.client.cookies
    with suppress(TimeoutError):
        keys[key] = mine.insist("POST", "/judgements", key=key).status_code
    keys.setdefault(key, 0)


def _bodies(bench: Bench) -> list[tuple[int, dict[str, Any]]]:
    with bench.stored() as record:
        return [(row.id, json_format.loads(row.body)) for row in record.entries(through=record.head().id)]


def _last_verdict(bench: Bench) -> int:
    return max((number for number, body in _bodies(bench) if body["type"] == "verdict"), default=0)


def _judge(bench: Bench, announced: Announced, keys: dict[str, int], newest: int) -> dict[str, Any]:
    bodies = _bodies(bench)
    verdicts = {number: body for number, body in bodies if body["type"] == "verdict"}
    asked = Counter(body["command"] for _, body in bodies if body.get("command"))
    report = verify(bench.record)
    lost = [n for n, said in announced.verdicts.items() if n not in verdicts or verdicts[n]["field"] != said["field"]]
    by_key = [body for body in verdicts.values() if body.get("asked_by")]
    answered = [key for key, code in keys.items() if 200 <= code < 300]
    return {
        "record_sound": report.sound,
        "findings": list(report.findings),
        "entries": newest,
        "fields_stored": len(verdicts),
        "fields_announced": len(announced.verdicts),
        "announced_and_lost": len(lost),
        "stored_and_never_announced": len(set(verdicts) - set(announced.verdicts)),
        "commands_asked": len(keys),
        "commands_answered": len(answered),
        "fields_by_key": len(by_key),
        "commands_done_twice": sum(count > 1 for count in asked.values()) + max(0, len(by_key) - len(keys)),
        "commands_answered_and_not_done": sum(key not in asked for key in answered),
    }


def _times(away: dict[str, list[float]], announced: Announced) -> dict[str, Any]:
    return {
        "away_s": {which: round(sorted(took)[len(took) // 2], 2) for which, took in away.items() if took},
        "reconnections": announced.connections - 1,
    }


def sound(record: dict[str, Any]) -> bool:
    """Nothing lost, nothing done twice."""
    wrong = (
        "announced_and_lost",
        "stored_and_never_announced",
        "commands_done_twice",
        "commands_answered_and_not_done",
    )
    return bool(record["record_sound"]) and not any(record[name] for name in wrong)


@dataclass(frozen=True, kw_only=True)
class FaultsStudy(Study):
    pages: int
    instruments: int

    def execute(self) -> Outcome:
        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
            bench.start()
            api = bench.api()
            record = killed(bench, api, pages=self.pages, instruments=self.instruments)
        text = json_format.dumps(record, indent=1)
        return self.finished(record, text, DONE if sound(record) else ANSWER_IS_NO)


def study(pages: str = "100", instruments: str = "20", out: str = "", json: bool = False) -> FaultsStudy:
    """Kill the page and the instrument while a slide is read, and read what is left.

    Args:
        pages: times that the page is killed.
        instruments: times that the instrument is killed.
        out: file for the record.
        json: print the record.
    """
    return FaultsStudy(
        pages=whole_number(pages, "--pages", at_least=0),
        instruments=whole_number(instruments, "--instruments", at_least=0),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study}, "run")
