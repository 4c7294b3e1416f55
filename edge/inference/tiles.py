"""Tiles: parts of a field that the network sees one by one, and the one answer that they are pooled to.

A field much larger than the network's view would show it cells far smaller than those it was trained on. The contract's
`tiles` cut such a field, so that each tile has about the pixels a red cell that the network knows. Training,
calibration, parity, certificate and device all cut and pool here. The gates look at the whole frame.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType

from edge.errors import FrameError
from edge.inference.benign import indices
from edge.inference.contract import BOUNDED, MEAN, POOLING, SMALLEST_FRAME, InputContract, Pixels, check_frame
from edge.inference.shrinking import Scratch

MOST_ENLARGED = 2  # a tile is enlarged at most so much a side to the network's size; beyond, it holds too few pixels
Box = tuple[int, int, int, int]  # left, top, right, bottom; pixels, right and bottom exclusive
Probabilities = npt.NDArray[np.float32]


class Tiling(Struct, frozen=True):
    """How the run's bundle cuts a field: its contract's tiles, pooling, size and aspect, so that a verdict's tiles can
    be found in its image without the bundle, and which labels are benign.

    >>> Tiling(3, 2, "mean-1", (224, 224), "squeeze").columns
    3
    """

    columns: int
    rows: int
    pooling: str
    size: tuple[int, int]
    aspect: Literal["squeeze", "crop"]
    benign: tuple[str, ...] = ()

    @classmethod
    def of(cls, contract: InputContract) -> "Tiling | UnsetType":
        """Of a bundle's contract; UNSET without tiles."""
        if contract.tiles is None:
            return UNSET
        return cls(*contract.tiles, contract.pooling, contract.size, contract.aspect, contract.benign_labels)

    def contract(self, labels: tuple[str, ...]) -> InputContract:
        """A contract that cuts fields so; what else the bundle's says is not here."""
        tiles = self.columns, self.rows
        return InputContract(self.size, labels, aspect=self.aspect, tiles=tiles, pooling=self.pooling)


def tile_boxes(size: tuple[int, int], tiles: tuple[int, int]) -> list[Box]:
    """Where the tiles of a frame lie, row by row from the top left.

    All tiles have the same size in whole pixels and do not overlap. A side that the tiles do not divide loses the
    remainder, fewer pixels than there are tiles along it, half on either side (as `InputContract.prepare` crops).

    Args:
        size: (width, height) of the frame, pixels, each at least as many as there are tiles along it.
        tiles: (columns, rows).

    >>> tile_boxes((101, 50), (2, 1))
    [(0, 0, 50, 50), (50, 0, 100, 50)]
    """
    (width, height), (columns, rows) = size, tiles
    if width < columns or height < rows:
        raise FrameError(f"frame must have a pixel a tile, {columns}x{rows}; got {width}x{height} pixels")
    wide, high = width // columns, height // rows
    left, top = (width - wide * columns) // 2, (height - high * rows) // 2
    return [
        (left + wide * x, top + high * y, left + wide * (x + 1), top + high * (y + 1))
        for y in range(rows)
        for x in range(columns)
    ]


def field_boxes(contract: InputContract, size: tuple[int, int]) -> list[Box]:
    """Where the network's views lie in a frame of `size` (width, height): its tiles, or the one box of the whole view.

    With aspect "crop" the frame is first cut to the largest centred part in which every tile has the network's
    proportions; with "squeeze" the tiles cover all of it but the remainder.

    Raises:
        FrameError: a tile has less than half the network's width or height (or 16 pixels): it would be enlarged more
            than twice. Without tiles a frame of any size passes, as in `InputContract.prepare`.

    >>> field_boxes(InputContract((224, 224), ("a", "b"), aspect="crop", tiles=(2, 1)), (1000, 500))[1]
    (500, 0, 1000, 500)
    """
    columns, rows = contract.tiles or (1, 1)
    (width, height), (left, top) = size, (0, 0)
    if contract.aspect == "crop":
        wide, high = columns * contract.size[0], rows * contract.size[1]
        if width * high > height * wide:
            width = max(1, height * wide // high)
        else:
            height = max(1, width * high // wide)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if contract.tiles is None:
        return [(left, top, left + width, top + height)]
    least = [max(SMALLEST_FRAME, -(-side // MOST_ENLARGED)) for side in contract.size]
    if width // columns < least[0] or height // rows < least[1]:
        raise FrameError(
            f"frame must give each of {columns}x{rows} tiles {least[0]}x{least[1]} pixels, half the network's "
            f"{contract.size[0]}x{contract.size[1]}; got {size[0]}x{size[1]} pixels"
        )
    return [
        (left + x0, top + y0, left + x1, top + y1) for x0, y0, x1, y1 in tile_boxes((width, height), (columns, rows))
    ]


def prepare_tiles(
    contract: InputContract, frame: Pixels, scratch: Scratch | None = None, into: Pixels | None = None
) -> Pixels:
    """What the network sees of a frame: each tile, cut out in whole pixels and then prepared as a frame is.

    Args:
        frame: uint8 (H, W, 3), RGB, 0..255.
        scratch: buffers to work in instead of allocating new ones; the bytes are the same.
        into: uint8 (n, height, width, 3) that is filled and returned.

    Returns:
        uint8 (n, height, width, 3), RGB, C-contiguous: the tiles row by row, `contract.tile_count` of them; without
        tiles the prepared frame alone. With `scratch` and no `into` it lies there, and is overwritten by the next call
        with the same one.

    Raises:
        FrameError: not such a frame, or too small for the tiles (`field_boxes`).

    >>> contract = InputContract((224, 224), ("Benign", "Early"), tiles=(3, 2))
    >>> prepare_tiles(contract, np.zeros((960, 1280, 3), np.uint8)).shape
    (6, 224, 224, 3)
    """
    if contract.tiles is None and into is None:
        return contract.prepare(frame, scratch)[np.newaxis]
    check_frame(frame)
    work = scratch or Scratch()
    width, height = contract.size
    boxes = field_boxes(contract, (frame.shape[1], frame.shape[0]))
    made = work.buffer("tiles", width, height * len(boxes)) if into is None else into
    made = made.reshape(len(boxes), height, width, 3)
    for tile, (left, top, right, bottom) in zip(made, boxes, strict=True):
        np.copyto(tile, contract.prepare(frame[top:bottom, left:right], work))
    return made


def prepare_field(contract: InputContract, frame: Pixels, scratch: Scratch | None = None) -> Pixels:
    """What the network sees of a field as one picture, the prepared tiles side by side as in the field: how fields go
    through training, calibration and evaluation. Without tiles the prepared frame.

    Returns:
        uint8 (rows * height, columns * width, 3), RGB.

    Raises:
        FrameError: as `prepare_tiles`.

    >>> contract = InputContract((32, 24), ("Benign", "Early"), tiles=(3, 2))
    >>> prepare_field(contract, np.zeros((96, 128, 3), np.uint8)).shape
    (48, 96, 3)
    """
    if contract.tiles is None:
        return contract.prepare(frame, scratch)
    (width, height), (columns, rows) = contract.size, contract.tiles
    tiles = prepare_tiles(contract, frame, scratch).reshape(rows, columns, height, width, 3)
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3, 4)).reshape(rows * height, columns * width, 3)


def tiles_of(contract: InputContract, fields: Pixels) -> Pixels:
    """The tiles of fields from `prepare_field`, one after the other, row by row: uint8 (N * tile_count, height, width,
    3) of (N, rows * height, columns * width, 3); without tiles the fields themselves.

    Raises:
        FrameError: no such fields; a frame that was prepared whole is none.

    >>> contract = InputContract((32, 24), ("Benign", "Early"), tiles=(3, 2))
    >>> tiles_of(contract, np.zeros((5, 48, 96, 3), np.uint8)).shape
    (30, 24, 32, 3)
    """
    (width, height), (columns, rows) = contract.size, contract.tiles or (1, 1)
    if contract.tiles is None:
        return fields
    if fields.dtype != np.uint8 or fields.ndim != 4 or fields.shape[1:] != (rows * height, columns * width, 3):
        raise FrameError(
            f"fields must be uint8 (N, {rows * height}, {columns * width}, 3) from prepare_field(), {columns}x{rows} "
            f"tiles of {width}x{height}; got {fields.dtype} {fields.shape}"
        )
    tiles = fields.reshape(len(fields), rows, height, columns, width, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(tiles).reshape(-1, height, width, 3)


def pool(probabilities: npt.NDArray[Any], rule: str = MEAN, benign: Sequence[int] = ()) -> Probabilities:
    """The field's probabilities from its tiles', by a rule that the contract names (`InputContract.pooling`).

    "mean-1" is the mean over the tiles of the network's own outputs (int8: dequantized), added up in the tiles' order
    in float64 and rounded to float32: the same bits wherever it is calculated. Temperature and thresholds of the
    decision apply to the result.

    "bounded-1" is the same, and then no field is surer of a benign class than one of two tiles would be, its least
    benign one and one that is benign beyond doubt: the share of the benign classes is (1 + least) / 2 at most. What is
    taken from them goes to the others, in proportion. A mean alone lets a single tile count for less the more there
    are.

    Args:
        probabilities: (..., n, classes), 0..1: one row a tile.
        benign: positions of the benign classes (`edge.inference.benign.indices`); only "bounded-1" asks.

    Returns:
        float32 (..., classes), 0..1.

    Raises:
        ValueError: another rule, no tile, or a number that is not finite: a tile without an answer is no benign tile.

    >>> pool(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
    [0.75, 0.25]
    >>> pool(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), "bounded-1", [0]).tolist()
    [0.5, 0.5]
    """
    if rule not in POOLING:
        raise ValueError(f"rule must be {' or '.join(POOLING)}; got {rule!r}")
    tiles = np.asarray(probabilities, np.float64)
    if tiles.ndim < 2 or tiles.shape[-2] == 0:
        raise ValueError(f"probabilities must be (..., tiles, classes) with a tile or more; got {tiles.shape}")
    if not np.isfinite(tiles).all():
        raise ValueError("probabilities must be finite; a tile's are not")
    total = np.zeros(tiles.shape[:-2] + tiles.shape[-1:])
    for number in range(tiles.shape[-2]):
        total += tiles[..., number, :]
    mean = total / tiles.shape[-2]
    return (mean if rule == MEAN else _bounded(mean, tiles, list(benign))).astype(np.float32)


def _bounded(
    mean: npt.NDArray[np.float64], tiles: npt.NDArray[np.float64], benign: list[int]
) -> npt.NDArray[np.float64]:
    """The mean (..., classes) of tiles (..., n, classes), its benign share at most half of 1 and the least tile's."""
    if not benign:
        raise ValueError(f"benign must name a class for the rule {BOUNDED}; got none")
    others = np.setdiff1d(np.arange(mean.shape[-1]), benign)
    share, rest = mean[..., benign].sum(axis=-1), mean[..., others].sum(axis=-1)
    excess = np.maximum(share - (1 + tiles[..., benign].sum(axis=-1).min(axis=-1)) / 2, 0) * (rest > 0)
    bounded = mean.copy()
    bounded[..., benign] *= (1 - excess / np.where(share > 0, share, 1))[..., np.newaxis]
    bounded[..., others] *= (1 + excess / np.where(rest > 0, rest, 1))[..., np.newaxis]
    return bounded


def rule_for(labels: Sequence[str], benign: Sequence[str]) -> tuple[str, list[int]]:
    """The rule of a contract that names none, and the positions of the benign classes: arguments of `pool`.

    >>> rule_for(["Benign", "Pre"], ["Benign"]), rule_for(["a", "b"], [])
    (('bounded-1', [0]), ('mean-1', []))
    """
    return BOUNDED if benign else MEAN, indices(labels, benign)


def pool_contract(contract: InputContract, tiles: npt.NDArray[Any]) -> Probabilities:
    """`pool` of (..., n, classes) by the contract's rule and benign labels."""
    return pool(tiles, contract.pooling, indices(contract.labels, contract.benign_labels))


def pool_fields(contract: InputContract, probabilities: npt.NDArray[np.float32]) -> Probabilities:
    """float32 (N, classes) of N fields from (N * tile_count, classes) of their tiles, field by field; without tiles the
    argument itself.

    >>> tiled = InputContract((32, 32), ("a", "b"), tiles=(2, 1))
    >>> pool_fields(tiled, np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]], np.float32)).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    if contract.tiles is None:
        return probabilities
    if len(probabilities) % contract.tile_count:
        raise ValueError(f"probabilities must be {contract.tile_count} a field; got {len(probabilities)}")
    return pool_contract(contract, probabilities.reshape(-1, contract.tile_count, probabilities.shape[-1]))


def require_views(contract: InputContract, pixels: Pixels) -> Pixels:
    """What a network is asked about, as one row a view: uint8 (n, height, width, 3) of one field.

    Args:
        pixels: one field as `prepare_tiles` or `prepare_field` gives it.

    Raises:
        FrameError: a whole frame where the contract has tiles, or another number of them.
    """
    width, height = contract.size
    is_field = pixels.ndim == 3 and (contract.tiles is None or pixels.shape[1::-1] == contract.field_size)
    views = tiles_of(contract, pixels[np.newaxis]) if is_field else pixels
    if views.ndim != 4 or len(views) != contract.tile_count:
        tiles = "" if contract.tiles is None else f" of {contract.tiles[0]}x{contract.tiles[1]} tiles"
        expected = (contract.tile_count, height, width, 3)
        raise FrameError(f"pixels must be uint8 {expected} from prepare_tiles(){tiles}; got {pixels.shape}")
    return views
