"""The frames on their way through the pipeline, and the buffers they live in, which are used again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.inference.classifier import Verdict
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.base import GateReport
from edge.instrument.pipeline.selection import Choice
from edge.system.clock import Instant
from edge.system.queues import Handover


@dataclass
class FrameJob:
    """A frame on its way, and what was found out so far. Both buffers go back to their pools."""

    at: Instant
    sequence: int
    source: str
    buffer: "FrameBuffer | None"
    pixels: Pixels | None  # the frame, in `buffer` or in memory of its own
    prepared: "PreparedBuffer | None" = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    report: GateReport | None = None
    verdict: Verdict | None = None
    exposed_ns: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    choice: Choice | None = None  # by a selector, where there is one


class FrameBuffer:
    """uint8 (H, W, 3), allocated when its size is first known.

    >>> buffer = FrameBuffer()
    >>> buffer.of((4, 2)).shape, buffer.of((4, 2)) is buffer.of((4, 2))
    ((2, 4, 3), True)
    """

    def __init__(self) -> None:
        self._pixels: Pixels | None = None

    def of(self, size: tuple[int, int]) -> Pixels:
        """The buffer for frames of (width, height), the same as long as that stays."""
        if self._pixels is None or self._pixels.shape[:2] != (size[1], size[0]):
            self._pixels = np.empty((size[1], size[0], 3), np.uint8)
        return self._pixels


class PreparedBuffer:
    """What gates and network see of a frame, one below the other in one piece of memory: the whole frame prepared, then
    its tiles; without tiles both are the same pixels.

    >>> buffer = PreparedBuffer()
    >>> tiled = InputContract((32, 24), ("a", "b"), tiles=(2, 1))
    >>> buffer.whole(tiled).shape, buffer.views(tiled).shape
    ((24, 32, 3), (2, 24, 32, 3))
    """

    def __init__(self) -> None:
        self._pixels = FrameBuffer()

    def whole(self, contract: InputContract) -> Pixels:
        """uint8 (height, width, 3), for the gates."""
        return self._all(contract)[: contract.size[1]]

    def views(self, contract: InputContract) -> Pixels:
        """For the network: uint8 (n, height, width, 3) of n tiles; without tiles `whole`."""
        width, height = contract.size
        if contract.tiles is None:
            return self.whole(contract)
        return self._all(contract)[height:].reshape(contract.tile_count, height, width, 3)

    def _all(self, contract: InputContract) -> Pixels:
        width, height = contract.size
        return self._pixels.of((width, height * (1 if contract.tiles is None else 1 + contract.tile_count)))


def prepared_pool(count: int) -> Handover[PreparedBuffer]:
    """As `buffer_pool`, of what is prepared."""
    pool: Handover[PreparedBuffer] = Handover(count)
    for _ in range(count):
        pool.put(PreparedBuffer())
    return pool


def buffer_pool(count: int) -> Handover[FrameBuffer]:
    """A pool of `count` buffers: taken with `get`, given back with `put`."""
    pool: Handover[FrameBuffer] = Handover(count)
    for _ in range(count):
        pool.put(FrameBuffer())
    return pool
