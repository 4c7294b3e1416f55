"""What was announced, against what a record and its exports hold: the promises that `nightly.py` checks."""

import csv
import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any


class Broken(AssertionError):  # noqa: N818  (what a promise is, not an error of the program)
    """A promise that was broken, in one line."""


class Ledger:
    """Verdicts that a run printed, and what must be true of the record at any later time.

    Reads SQLite itself, and nothing of the product: what is wrong there must not hide here.

    Args:
        may_be_damaged: a card that lied about syncing lost its power: what it holds is not promised.
    """

    def __init__(self, store: Path, *, may_be_damaged: bool) -> None:
        self._store, self.may_be_damaged = store, may_be_damaged
        self.announced: list[dict[str, Any]] = []

    def announce(self, lines: list[str]) -> None:
        """Take lines of `edge run --json`; the last may be cut where the process was killed."""
        self.announced += [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]

    def begin_anew(self) -> None:
        """The record was given up."""
        self.announced.clear()

    def check(self) -> None:
        """Raise `Broken` where an announced verdict is not in the record, or one is there twice."""
        bodies, pruned = self._entries()
        verdicts = [body for body in bodies.values() if body["type"] == "verdict"]
        for kind, keys in (
            ("frame", [(body["run"], body["sequence"]) for body in verdicts]),
            ("field", [(body["slide"], body["field"]) for body in verdicts]),
        ):
            twice = [key for key, count in Counter(keys).items() if count > 1]
            if twice:
                raise Broken(f"stored twice: {kind} {twice[:3]}")
        for said in self.announced:
            if said["id"] <= pruned:
                continue
            body = bodies.get(said["id"])
            expected = (said["slide"], said["field"], said["label"], said["reason"])
            stored = None if body is None else tuple(body.get(key) for key in ("slide", "field", "label", "reason"))
            if stored != expected and not self.may_be_damaged:
                raise Broken(f"announced {expected} as entry {said['id']}, and the record has {stored}")
            path = None if body is None or body.get("image") is None else self._store / body["image"]["path"]
            if path is not None and not self.may_be_damaged and not path.is_file():
                raise Broken(f"{path} was announced and is missing")
        if self.may_be_damaged:  # sound, and shorter: what was lost is lost, and nothing points to it
            self.announced = [said for said in self.announced if said["id"] in bodies]

    def check_export(self, to: Path) -> None:
        """Raise `Broken` where an export that calls itself sound is not whole, or not what the record holds."""
        for line in (to / "SHA256SUMS").read_text().splitlines():
            digest, _, name = line.partition("  ")
            if hashlib.sha256((to / name).read_bytes()).hexdigest() != digest:
                raise Broken(f"{to / name}: not the file that was hashed")
        bodies, _ = self._entries()
        with (to / "verdicts.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        fields = [int(row["field"]) for row in rows]
        if fields != list(range(fields[0], fields[0] + len(fields)) if fields else []):
            raise Broken(f"{to}: a hole among fields {fields}")
        for row in rows:
            body = bodies.get(int(row["entry"]))
            if body is not None and (row["label"] or None, row["reason"] or None) != (body["label"], body["reason"]):
                raise Broken(f"{to}: field {row['field']} is {row['label']}, and the record says {body['label']}")
            if row["image"] and not (to / row["image"]).is_file():
                raise Broken(f"{to}: {row['image']} is missing")
        chain = json.loads((to / "chain.json").read_text())
        if not chain["sound"] or chain["verdicts"] != len(rows):
            raise Broken(f"{to}: exit code 0, and chain.json says {chain['sound']}, {chain['verdicts']} verdicts")
        if (fields[0] > 1 if fields else False) and chain["removed"] is None:
            raise Broken(f"{to}: begins with field {fields[0]} and does not say why")

    def _entries(self) -> tuple[dict[int, dict[str, Any]], int]:
        """The entries by number, and up to which they were pruned."""
        with closing(sqlite3.connect(self._store / "record.sqlite")) as connection:
            bodies = {number: json.loads(body) for number, body in connection.execute("SELECT id, body FROM entries")}
            pruned = connection.execute("SELECT coalesce(max(through), 0) FROM pruned").fetchone()[0]
        return bodies, pruned
