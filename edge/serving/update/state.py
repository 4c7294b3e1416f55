"""The state of the slots beyond what stands in them: the trial, versions confirmed, bundles rejected."""

import json
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from edge.bundle.statement import BUNDLE_NAME, LARGEST_VERSION
from edge.errors import SlotStateError

LARGEST_STATE_BYTES = 256 * 2**10
SLOTS = ("a", "b")
_MOST_REJECTED = 16

Slot = Annotated[str, Meta(pattern=r"\A[ab]\Z")]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Name = Annotated[str, Meta(pattern=rf"\A(?:{BUNDLE_NAME.pattern})\Z")]
Version = Annotated[int, Meta(ge=1, le=LARGEST_VERSION)]


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle that was switched to and has not served healthily yet.

    Attributes:
        slot, digest: where it is, and sha256 of its manifest: which bundle it is.
        starts: boot ids of the starts of the service that did not end cleanly, oldest first.

    >>> Trial("b", "0" * 64, starts=("x", "y")).without("x").starts
    ('y',)
    """

    slot: Slot
    digest: Digest
    starts: tuple[str, ...]

    def without(self, boot: str) -> "Trial":
        """Without the start in this boot: it ended in order."""
        return replace(self, starts=tuple(each for each in self.starts if each != boot))


class Rejected(Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle that this device went back from; it is not installed again unless told.

    >>> NO_STATE.reject(Rejected("tiny-int8", 3, "0" * 64, "it crashed")).rejection("0" * 64).why
    'it crashed'
    """

    name: Name
    version: Version | None
    digest: Digest
    why: str


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it, as `state.json` holds it. `floors`: name of a bundle to the highest version that was confirmed here.

    >>> NO_STATE.confirm("tiny-int8", 3).to_json()
    b'{"floors": {"tiny-int8": 3}, "format": 1, "rejected": [], "trial": null}\\n'
    """

    trial: Trial | None
    floors: dict[Name, Version]
    rejected: tuple[Rejected, ...]
    format: Literal[1] = 1

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
        return json.dumps(msgspec.to_builtins(self), sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "State":
        """Read `to_json`, or SlotStateError: anything missing, unknown or of another type, with its path."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SlotStateError(f"not the state of a slots folder: {error}") from error


NO_STATE = State(trial=None, floors={}, rejected=())
