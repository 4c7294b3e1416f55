"""Which frames are judged: without a selector every one that is taken, with one those that it chooses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge.inference.contract import Pixels
from edge.inference.gates.base import GateReport
from edge.system.clock import Instant


@dataclass(frozen=True)
class Look:
    """A frame at the end of the gate stage; its pixels are lent for the call.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, as captured. prepared: uint8 (height, width, 3), as the gates see it.
        report: what the gates found. at: when it was taken. exposed_ns: monotonic nanoseconds of the exposure, where
            the camera says it. sequence, source, metadata: as of the camera's frame.
    """

    pixels: Pixels
    prepared: Pixels
    report: GateReport
    at: Instant
    sequence: int
    exposed_ns: int
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """Why a frame is judged.

    Attributes:
        asked_by: who asked for it; "" where nobody did. seen: the counted field of the slide that it shows again.

    >>> Choice(seen=3).asked_by
    ''
    """

    asked_by: str = ""
    seen: int | None = None


class Selector(Protocol):
    """Chooses the frames that are judged. What it chooses is judged and recorded with its image, whatever comes after
    it: no newer frame takes its place."""

    def choose(self, look: Look) -> Choice | None:
        """Whether to judge a frame, and why; None passes over it. Called by the gate stage, once a frame."""

    def given_up(self, captured_ns: int) -> None:
        """A chosen frame, by when it was taken (monotonic nanoseconds), was not judged: the pipeline ends."""
