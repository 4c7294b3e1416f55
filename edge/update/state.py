"""What a device knows about its slots beyond what stands in them: the trial, versions seen, bundles rejected."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge.bundle.statement import BUNDLE_NAME, LARGEST_VERSION
from edge.errors import SlotStateError

FORMAT = 1
LARGEST_STATE_BYTES = 256 * 2**10
SLOTS = ("a", "b")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_REJECTED = 16


@dataclass(frozen=True)
class Trial:
    """A bundle that was switched to and has not served healthily yet.

    Attributes:
        slot, digest: where it is, and sha256 of its manifest: which bundle it is.
        starts: boot ids of the starts of the service that did not end cleanly, oldest first.
    """

    slot: str
    digest: str
    starts: tuple[str, ...] = ()

    def without(self, boot: str) -> "Trial":
        """Without the start in this boot: it ended in order."""
        return Trial(self.slot, self.digest, tuple(each for each in self.starts if each != boot))


@dataclass(frozen=True)
class Rejected:
    """A bundle that this device went back from; it is not installed again unless told."""

    digest: str
    name: str
    version: int | None
    why: str


@dataclass(frozen=True)
class State:
    """All of it. `floors`: name of a bundle to the highest version that was confirmed here."""

    trial: Trial | None = None
    floors: Mapping[str, int] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()

    def rejection(self, digest: str) -> Rejected | None:
        """Why this bundle is not to be installed again."""
        return next((each for each in self.rejected if each.digest == digest), None)

    def reject(self, rejected: Rejected) -> "State":
        """With one more rejected bundle, and no trial."""
        others = tuple(each for each in self.rejected if each.digest != rejected.digest)
        return replace(self, trial=None, rejected=(*others, rejected)[-_MOST_REJECTED:])

    def accept(self, digest: str) -> "State":
        """Without a rejection of this bundle."""
        return replace(self, rejected=tuple(each for each in self.rejected if each.digest != digest))

    def confirm(self, name: str, version: int | None) -> "State":
        """With no trial, and the floor of `name` at `version` if it was lower; an unsigned bundle has no version."""
        floors = dict(self.floors)
        if version is not None:
            floors[name] = max(version, floors.get(name, 0))
        return replace(self, trial=None, floors=floors)

    def to_json(self) -> bytes:
        """One line; what `from_json` reads."""
        trial = None
        if self.trial is not None:
            trial = {"slot": self.trial.slot, "digest": self.trial.digest, "starts": list(self.trial.starts)}
        record = {
            "format": FORMAT,
            "trial": trial,
            "floors": dict(sorted(self.floors.items())),
            "rejected": [
                {"digest": r.digest, "name": r.name, "version": r.version, "why": r.why} for r in self.rejected
            ],
        }
        return json.dumps(record, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "State":
        """Read `to_json`, or SlotStateError: anything missing, unknown or of another type."""
        try:
            record = json.loads(data)
            _keys(record, {"format", "trial", "floors", "rejected"})
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']!r}, and {FORMAT} is known here")
            floors = {_matched(BUNDLE_NAME, name): _version(number) for name, number in record["floors"].items()}
            return cls(_trial(record["trial"]), floors, tuple(_rejected(each) for each in record["rejected"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SlotStateError(f"not the state of a slots folder: {error}") from error


def _trial(record: Any) -> Trial | None:
    if record is None:
        return None
    _keys(record, {"slot", "digest", "starts"})
    if record["slot"] not in SLOTS:
        raise ValueError(f"slot {record['slot']!r}")
    starts = record["starts"]
    if not isinstance(starts, list) or not all(isinstance(each, str) for each in starts):
        raise ValueError("starts must be texts")
    return Trial(record["slot"], _matched(_DIGEST, record["digest"]), tuple(starts))


def _rejected(record: Any) -> Rejected:
    _keys(record, {"digest", "name", "version", "why"})
    version = None if record["version"] is None else _version(record["version"])
    if not isinstance(record["why"], str):
        raise ValueError("why must be a text")
    return Rejected(_matched(_DIGEST, record["digest"]), _matched(BUNDLE_NAME, record["name"]), version, record["why"])


def _keys(record: Any, keys: set[str]) -> None:
    if not isinstance(record, dict) or set(record) != keys:
        raise ValueError(f"must hold {', '.join(sorted(keys))}")


def _matched(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is not of the form expected")
    return value


def _version(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_VERSION:
        raise ValueError(f"version {value!r}")
    return value
