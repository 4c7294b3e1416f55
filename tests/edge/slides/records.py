"""Records with slides for tests: small ones by the product's own hand, and one of any size, written fast."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from msgspec import UNSET, structs, to_builtins

from edge.inference.decision import LOW_CONFIDENCE
from edge.record.chain import canonical, link
from edge.record.entries import EndBody, Entry, RunBody, verdict_body
from edge.record.entry_parts import Image, moment
from edge.record.images import image_path
from edge.record.reader import head_of
from edge.record.schema import connect
from edge.record.slide_entries import CorrectionBody, SlideBody
from edge.record.store import Store
from edge.slides.finding import finding_of
from edge.slides.settings import SlideSettings
from edge.slides.tally import Tally
from edge.system.clock import Instant
from tests.edge.record.records import INFO, NOON

LABELS, BENIGN = INFO.labels, ("Benign",)
SLIDES_INFO = structs.replace(INFO, benign=BENIGN)
REFUSED = ("out_of_focus", "dark", "empty", LOW_CONFIDENCE)
_SECOND_NS = 10**9
_FIELD = 987_654_321  # stands in the template for what differs from verdict to verdict


def large_record(folder: Path, slides: int, fields_each: int, *, images: bool = False, seed: int = 0) -> list[str]:
    """A sound record of closed slides S-00001, ... in `folder`, each opened, run, corrected, ended and closed.

    A slide of 100 fields has some of each class, refused ones by reason, two seen before and one correction; one in
    four slides is leukemic. About 25,000 fields a second without images; with them every field has a small PNG.

    Returns:
        The slides' names, the oldest first.
    """
    Store.open(folder).close()
    names = [f"S-{number:05d}" for number in range(1, slides + 1)]
    writer = _Writer(folder, images)
    rng = np.random.default_rng(seed)
    with closing(connect(folder, read_only=False)) as connection:
        indexes = _fast(connection)
        head = head_of(connection)
        writer.number, writer.digest = head.id, head.digest
        connection.execute("BEGIN")
        for number, name in enumerate(names):
            connection.executemany(
                "INSERT INTO entries (id, body, digest) VALUES (?, ?, ?)", writer.slide(name, fields_each, number, rng)
            )
        connection.executemany("INSERT INTO slides VALUES (?, ?)", [(name, fields_each) for name in names])
        connection.execute(
            "UPDATE head SET id = ?, digest = ?, image_bytes = ?", (writer.number, writer.digest, writer.image_bytes)
        )
        connection.execute("COMMIT")
        for statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return names


def _fast(connection: sqlite3.Connection) -> list[str]:
    """A test's record need not outlive a power cut, and its indexes are made when all is there: how, is returned."""
    connection.execute("PRAGMA synchronous = OFF")
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    indexes = dict(connection.execute(query).fetchall())
    for name in indexes:
        connection.execute(f"DROP INDEX {name}")
    return list(indexes.values())


class _Writer:
    """Entries of one slide after the other, chained."""

    def __init__(self, folder: Path, images: bool) -> None:
        self._folder, self._images = folder, images
        self.number, self.digest, self.image_bytes = 0, "", 0
        self._at = NOON.utc_ns

    def slide(self, name: str, fields: int, number: int, rng: np.random.Generator) -> list[tuple[int, str, str]]:
        rows: list[tuple[int, str, str]] = []
        leukemic = number % 4 == 0
        rows.append(self._row(SlideBody(run=None, slide=name, **self._moment(), act="opened", by="reader",
                                        command=f"{number:031x}0")))  # fmt: skip
        run = self.number + 1
        rows.append(
            self._row(RunBody(run=run, **self._moment(), **structs.asdict(structs.replace(SLIDES_INFO, slide=name))))
        )
        tally, templates = Tally(BENIGN), _templates(run, name)
        kinds = _kinds(fields, leukemic, rng)
        for field, kind in enumerate(kinds, 1):
            seen = field - 3 if field in (50, 90) else None
            body, counted = templates[kind]
            if seen is not None:
                body = body.replace('"sequence"', f'"seen":{seen},"sequence"', 1)
            text = body.replace(str(_FIELD), str(field)).replace('"image":null', self._image(name, field))
            tally.add(structs.replace(counted, seen=UNSET if seen is None else seen))
            self.number += 1
            self.digest = link(self.digest, self.number, text)
            rows.append((self.number, text, self.digest))
        counters = {"captured": fields, "stored": fields}
        rows.append(self._row(EndBody(run=run, slide=name, **self._moment(), counters=counters, why="closed")))
        if fields:
            label = templates[kinds[0]][1].label or ""
            agrees = number % 5 != 0
            correction = CorrectionBody(
                slide=name, **self._moment(), corrects=1, verdict=run + 1, by="reader",
                label=label if agrees else next(each for each in LABELS if each != label), agrees=agrees,
                command=f"{number:031x}1",
            )  # fmt: skip
            tally.correct(correction)
            rows.append(self._row(correction))
        found = finding_of(tally, SlideSettings()).as_record()
        rows.append(self._row(SlideBody(run=None, slide=name, **self._moment(), act="closed", by="reader",
                                        command=f"{number:031x}2", finding=found)))  # fmt: skip
        return rows

    def _row(self, body: Any) -> tuple[int, str, str]:
        text = canonical(to_builtins(body))
        self.number += 1
        self.digest = link(self.digest, self.number, text)
        return self.number, text, self.digest

    def _moment(self) -> dict[str, Any]:
        self._at += _SECOND_NS
        return moment(Instant(self._at, self._at - NOON.utc_ns, True))

    def _image(self, slide: str, field: int) -> str:
        if not self._images:
            return '"image":null'
        path = self._folder / image_path(slide, field, ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.full((60, 80, 3), (200, 180, 220), np.uint8)
        cv2.circle(drawn, (10 + field * 7 % 60, 10 + field * 11 % 40), 8, (120, 40, 120), -1)
        data = cv2.imencode(".png", drawn)[1].tobytes()
        path.write_bytes(data)
        self.image_bytes += len(data)
        image = Image(image_path(slide, field, ".png"), hashlib.sha256(data).hexdigest(), len(data))
        return f'"image":{canonical(to_builtins(image))}'


def _kinds(fields: int, leukemic: bool, rng: np.random.Generator) -> list[int]:
    """Which template each field is made from: a label's number, or behind them a reason's."""
    likely = [0.45, 0.25, 0.1, 0.05] if leukemic else [0.84, 0.005, 0.005, 0.0]
    rest = (1 - sum(likely)) / len(REFUSED)
    return [int(kind) for kind in rng.choice(len(LABELS) + len(REFUSED), fields, p=[*likely, *[rest] * len(REFUSED)])]


def _templates(run: int, slide: str) -> list[tuple[str, Any]]:
    """(JSON text with `_FIELD` for what differs, body) for each label, then each reason."""
    made = []
    for number, name in enumerate((*LABELS, *REFUSED)):
        asked = number < len(LABELS) or name == LOW_CONFIDENCE
        label = name if number < len(LABELS) else None
        highest = number % len(LABELS)
        entry = Entry(
            captured=NOON, sequence=_FIELD, source="", label=label, reason=None if label else name,
            detail=None if label else f"{name.replace('_', ' ')}: 0.8, needs 2.1 or more",
            probabilities=tuple(0.91 if k == highest else 0.03 for k in range(len(LABELS))) if asked else None,
            gates={"out_of_focus": 31.5, "dark": 0.62, "empty": 0.31, "novelty": 0.75},
            latency_ms={"capture": 1.25, "gate": 0.3, "classify": 4.1}, image=None,
        )  # fmt: skip
        body = verdict_body(run, slide, _FIELD, entry, None)
        made.append((canonical(to_builtins(body)), body))
    return made


def bodies(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of a kind, read with nothing of ours."""
    with closing(sqlite3.connect(folder / "record.sqlite")) as connection:
        rows = connection.execute("SELECT body FROM entries WHERE type = ? ORDER BY id", (kind,)).fetchall()
    return [json.loads(row[0]) for row in rows]
