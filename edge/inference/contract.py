"""What a model is fed: the only preprocessing in the project.

Training, calibration, evaluation and the device all call `prepare` and `encode`: what was validated is what
runs. Every step is one whose bytes are the same on x86-64 and aarch64 (DESIGN, decision 1): cropping,
`INTER_AREA` by whole factors, `INTER_LINEAR_EXACT`, grey levels in whole numbers, and a table of 256 entries a channel.
`INTER_LINEAR`, `INTER_CUBIC` and fractional `INTER_AREA` are not, and are not used.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ContractError, FrameError
from edge.inference import benign
from edge.inference.decision import Decision
from edge.inference.domain import DOMAINS, Domain
from edge.inference.shrinking import Scratch, centre, shrink

Pixels = npt.NDArray[np.uint8]
Encoder = Callable[..., npt.NDArray[Any]]  # (pixels, into=None)
Floats = tuple[float, ...]  # one a channel
ChannelOrder = Literal["RGB", "BGR", "GRAY"]
OutputKind = Literal["softmax", "sigmoid"]
CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
SMALLEST_FRAME = 16  # pixels a side: below this no cell can be seen at any magnification
CONTRACT_FORMAT = 1
MOST_TILES = 8  # a side
MEAN, BOUNDED = "mean-1", "bounded-1"  # names and versions of rules by which tiles are pooled: `tiles.pool`
POOLING = (MEAN, BOUNDED)


@dataclass(frozen=True)
class Quantization:
    """A tensor's number format: `real = scale * (q - zero_point)`; for float32, scale 0 and zero point 0.

    Source: https://ai.google.dev/edge/litert/models/quantization_spec

    >>> Quantization("int8", 1 / 256, -128).zero_point
    -128
    """

    dtype: Literal["int8", "uint8", "float32"]
    scale: float = 0.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in ("int8", "uint8", "float32"):
            raise ContractError(f"dtype must be int8, uint8 or float32; got {self.dtype!r}")
        if self.dtype != "float32" and not (math.isfinite(self.scale) and self.scale > 0):
            raise ContractError(f"scale of a {self.dtype} tensor must be > 0; got {self.scale}")


FLOAT32 = Quantization("float32")


@dataclass(frozen=True)
class InputContract:
    """How a frame becomes a model's input, and what its outputs are called.

    Attributes:
        size: (width, height) of the model's input, pixels.
        labels: class names in output order.
        channel_order: order the model was trained with; frames are always RGB on the way in. "GRAY" is one channel,
            made of prepared pixels by `grey_levels`.
        aspect: "squeeze" maps the whole frame onto `size` (the published set was squeezed from 4:3 to
            square), "crop" keeps proportions and takes the centre.
        scale, offset: `real = pixel * scale + offset` per channel in `channel_order`, pixel 0..255: three numbers
            each, one for "GRAY". The default, 1/128 and -1, makes the int8 tensor `pixel - 128` once calibration has
            seen 0 and 255.
        decision: when a class is answered; None takes the outputs as they are and always answers.
        benign: labels whose wrong answer is the worst error, as the user named them; () for none. None leaves it to
            the labels' spelling; ask `benign_labels`.
        domain: what the images show, by which measures of focus, exposure and novelty are chosen; None where it is not
            said.
        output: "softmax", one probability a label, or "sigmoid": one output p, the second label's probability of two;
            the first one's is 1 - p, and from p > 0.5 on the class is the second.
        tiles: (columns, rows), each 1..8, into which a field much larger than the network's view is cut
            (`edge.inference.tiles`): the network sees each tile, the gates the whole frame. None for the whole frame,
            which (1, 1) would be too, and is refused: one meaning, one spelling.
        pooling: the rule by which the tiles' probabilities become the field's; left out it is BOUNDED where a label is
            benign, else MEAN; "" without tiles.

    >>> contract = InputContract((224, 224), ("Benign", "Early"))
    >>> contract.prepare(np.zeros((480, 640, 3), np.uint8)).shape
    (224, 224, 3)
    """

    size: tuple[int, int]
    labels: tuple[str, ...]
    channel_order: ChannelOrder = "RGB"
    aspect: Literal["squeeze", "crop"] = "squeeze"
    scale: Floats = (1 / 128, 1 / 128, 1 / 128)
    offset: Floats = (-1.0, -1.0, -1.0)
    decision: Decision | None = None
    benign: tuple[str, ...] | None = None
    domain: Domain | None = None
    output: OutputKind = "softmax"
    tiles: tuple[int, int] | None = None
    pooling: str = ""

    def __post_init__(self) -> None:
        self._check_outputs()
        self._check_tiles()
        if len(self.size) != 2 or any(not isinstance(n, int) or not 8 <= n <= 4096 for n in self.size):
            raise ContractError(f"size must be (width, height) in pixels, both 8..4096; got {self.size}")
        if self.channel_order not in tuple(CHANNELS):  # a tuple, since JSON may hold what has no hash
            raise ContractError(f"channel_order must be RGB, BGR or GRAY; got {self.channel_order!r}")
        if self.aspect not in ("squeeze", "crop"):
            raise ContractError(f"aspect must be squeeze or crop; got {self.aspect!r}")
        for name, values in (("scale", self.scale), ("offset", self.offset)):
            if len(values) != self.channels or not all(math.isfinite(v) for v in values):
                count = {1: "one finite number", 3: "three finite numbers"}[self.channels]
                raise ContractError(f"{name} must be {count}, one a channel of {self.channel_order}; got {values}")
        if any(s <= 0 for s in self.scale):
            raise ContractError(f"scale must be > 0; got {self.scale}")
        if self.domain not in (None, *DOMAINS):
            raise ContractError(f"domain must be {' or '.join(DOMAINS)}; got {self.domain!r}")
        if self.benign is not None:
            benign.check_named(self.labels, self.benign)

    def _check_outputs(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or not all(self.labels):
            raise ContractError(f"labels must be two or more different names; got {list(self.labels)}")
        if any(not isinstance(name, str) or "\n" in name for name in self.labels):
            raise ContractError(f"labels must be single-line texts; got {list(self.labels)}")
        if self.output not in ("softmax", "sigmoid"):
            raise ContractError(f"output must be softmax or sigmoid; got {self.output!r}")
        if self.output == "sigmoid" and len(self.labels) != 2:
            raise ContractError(f"output sigmoid needs two labels, of 1 - p and of p; got {list(self.labels)}")
        if self.decision is not None and len(self.decision.answer_from) != len(self.labels):
            raise ContractError(
                f"decision answer_from must be one a label, {len(self.labels)}; got {list(self.decision.answer_from)}"
            )

    def _check_tiles(self) -> None:
        tiles = self.tiles
        if self.pooling and self.pooling not in POOLING:
            raise ContractError(f"pooling must be {' or '.join(POOLING)}; got {self.pooling!r}")
        if tiles is None:
            object.__setattr__(self, "pooling", "")  # `replace` may have taken the tiles away
            return
        if len(tiles) != 2 or any(type(n) is not int or not 1 <= n <= MOST_TILES for n in tiles):
            raise ContractError(f"tiles must be (columns, rows), both 1..{MOST_TILES}; got {tiles}")
        if tiles == (1, 1):
            raise ContractError("tiles (1, 1) are the whole frame: leave tiles out")
        if not self.pooling:
            object.__setattr__(self, "pooling", BOUNDED if self.benign_labels else MEAN)

    @property
    def tile_count(self) -> int:
        """How often the network is asked about one frame: once a tile, 1 without tiles."""
        return 1 if self.tiles is None else self.tiles[0] * self.tiles[1]

    @property
    def field_size(self) -> tuple[int, int]:
        """(width, height) of a prepared field, its tiles side by side; `size` without tiles."""
        columns, rows = self.tiles or (1, 1)
        return columns * self.size[0], rows * self.size[1]

    @property
    def benign_labels(self) -> tuple[str, ...]:
        """The benign labels, in the labels' order: those named, else those spelt so; () where there are none."""
        return benign.benign_labels(self.labels, self.benign)

    @property
    def channels(self) -> int:
        """Of the model's input: 3, or 1 for "GRAY"."""
        return CHANNELS[self.channel_order]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model's input."""
        return self.size[1], self.size[0], self.channels

    @property
    def outputs(self) -> int:
        """How many numbers the model answers: one a label, or the one of a sigmoid."""
        return 1 if self.output == "sigmoid" else len(self.labels)

    def prepare(self, frame: Pixels, scratch: Scratch | None = None) -> Pixels:
        """Resize a frame to the model's size.

        Args:
            frame: uint8 (H, W, 3), RGB, 0..255, each side >= 16.
            scratch: buffers to work in instead of allocating new ones; the bytes are the same.

        Returns:
            uint8 (height, width, 3), RGB, C-contiguous; the frame itself when it already has that form. With
            `scratch` it lies there, and is overwritten by the next call with the same one.

        Raises:
            FrameError: the frame has another dtype, shape or is too small.
        """
        check_frame(frame)
        if self.aspect == "crop":
            frame = centre(frame, *self.size)
        return shrink(frame, *self.size, scratch or Scratch())

    def encode(self, pixels: Pixels, quantization: Quantization = FLOAT32) -> npt.NDArray[Any]:
        """Prepared pixels as the model's input tensor.

        Args:
            pixels: uint8 (height, width, 3) RGB from `prepare`.
            quantization: number format of the input tensor, read from the model.

        Returns:
            (1, height, width, channels) in `quantization.dtype`, channels in `channel_order`.
        """
        return self.encoder(quantization)(pixels)

    def encoder(self, quantization: Quantization = FLOAT32) -> "Encoder":
        """`encode` for one number format, with all that does not depend on the pixels done beforehand.

        Returns:
            A function of the pixels and of `into`: a C-contiguous array of the tensor's shape and dtype that is filled
            and returned instead of a new one.
        """
        width, height = self.size
        shape, order = (height, width, 3), self.channel_order
        table, is_shift = _pixel_table(self.scale, self.offset, quantization)

        def encode(pixels: Pixels, into: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
            if pixels.dtype != np.uint8 or pixels.shape != shape:
                raise FrameError(f"pixels must be uint8 {shape} from prepare(); got {pixels.dtype} {pixels.shape}")
            if order == "BGR":
                pixels = cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
            elif order == "GRAY":
                pixels = grey_levels(pixels)
            tensor = np.empty((1, *self.input_shape), table.dtype) if into is None else into
            if is_shift:  # pixel - 128: flip the top bit, the fastest form of the same table
                np.bitwise_xor(pixels, 0x80, out=tensor[0].view(np.uint8))
            else:
                cv2.LUT(pixels, table, dst=tensor[0])
            return tensor

        return encode

    def table(self, quantization: Quantization) -> npt.NDArray[Any]:
        """(1, 256, channels): the tensor value of every pixel value and channel, in `quantization.dtype`."""
        return _pixel_table(self.scale, self.offset, quantization)[0]

    def to_json(self) -> str:
        """The contract as it stands in a bundle: sorted keys, one trailing newline. What is None has no key, nor has
        `output` for a softmax; `pooling` stands beside `tiles` only."""
        record = {"format": CONTRACT_FORMAT, **asdict(self.undecided())}
        del record["decision"]
        for name in ("benign", "domain", "tiles"):
            if record[name] is None:
                del record[name]
        if self.output == "softmax":
            del record["output"]
        if self.tiles is None:
            del record["pooling"]
        if self.decision is not None:
            record["decision"] = self.decision.to_record()
        return json.dumps(record, indent=2, sort_keys=True) + "\n"

    def alike(self, other: "InputContract") -> bool:
        """Whether both are the same but for decision and domain; a benign label may be named in one and spelt so in the
        other."""
        first, second = (replace(one, decision=None, benign=None, domain=None) for one in (self, other))
        return first == second and self.benign_labels == other.benign_labels

    def undecided(self) -> "InputContract":
        """The same without its decision: what a network is trained with and a model's outputs are compared under."""
        return self if self.decision is None else replace(self, decision=None)

    def untiled(self) -> "InputContract":
        """The same without tiles: how gates see a field, and what one tile is to the network."""
        return self if self.tiles is None else replace(self, tiles=None)

    @classmethod
    def from_json(cls, text: str | bytes) -> "InputContract":
        """Read `to_json`; a missing, unknown or impossible field raises ContractError by name."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ContractError(f"contract is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ContractError(f"contract must be a JSON object; got {type(record).__name__}")
        return cls._from_record(record)

    @classmethod
    def _from_record(cls, record: Mapping[str, Any]) -> "InputContract":
        fields = dict(record)
        found = fields.pop("format", None)
        if found != CONTRACT_FORMAT:
            raise ContractError(f"contract format must be {CONTRACT_FORMAT}; got {found!r}")
        decision = Decision.from_record(fields.pop("decision")) if "decision" in fields else None
        named = _named_benign(fields.pop("benign")) if "benign" in fields else None
        domain = _stated_domain(fields.pop("domain")) if "domain" in fields else None
        tiles = _stated_tiles(fields.pop("tiles")) if "tiles" in fields else None
        kinds = {"output": fields.pop("output", "softmax"), "pooling": fields.pop("pooling", "")}
        expected = {"size", "labels", "channel_order", "aspect", "scale", "offset"}
        if set(fields) != expected:
            raise ContractError(f"contract fields must be {sorted(expected)}; got {sorted(fields)}")
        for name in ("size", "labels", "scale", "offset"):
            if not isinstance(fields[name], list):
                raise ContractError(f"contract {name} must be a list; got {fields[name]!r}")
        try:
            fields["scale"] = tuple(float(v) for v in fields["scale"])
            fields["offset"] = tuple(float(v) for v in fields["offset"])
        except (TypeError, ValueError) as error:
            raise ContractError(f"contract scale and offset must be numbers: {error}") from error
        texts = {"size": tuple(fields["size"]), "labels": tuple(fields["labels"])}
        if "pooling" in record and tiles is None:
            raise ContractError("contract pooling goes with tiles, which it does not have")
        made = cls(**{**fields, **texts, **kinds}, decision=decision, benign=named, domain=domain, tiles=tiles)
        if made.pooling == BOUNDED and not made.benign_labels:
            raise ContractError(f"pooling {BOUNDED} needs a benign label; got {list(made.labels)}")
        return made

    @classmethod
    def load(cls, path: Path) -> "InputContract":
        """Read a `contract.json`.

        Raises:
            ContractError: naming the file: it cannot be read or holds no contract.
        """
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise ContractError(f"{path}: {error.strerror}") from error
        except ContractError as error:
            raise ContractError(f"{path}: {error}") from error


def _named_benign(value: object) -> tuple[str, ...]:
    """The key `benign` of a contract: a label or a list of labels."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContractError(f"contract benign must be a label or a list of labels; got {value!r}")
    return tuple(names)


def _stated_domain(value: Any) -> Domain:
    if value not in DOMAINS:  # null among them: what is not said has no key
        raise ContractError(f"contract domain must be {' or '.join(DOMAINS)}; got {value!r}")
    return cast(Domain, value)


def _stated_tiles(value: object) -> tuple[int, int]:
    if not isinstance(value, list):  # null among them: what is not tiled has no key
        raise ContractError(f"contract tiles must be [columns, rows]; got {value!r}")
    return cast(tuple[int, int], tuple(value))


def grey_levels(pixels: Pixels) -> Pixels:
    """uint8 (H, W, 1): the luma of uint8 (H, W, 3) RGB, `(9798 R + 19235 G + 3735 B + 16384) >> 15`.

    ITU-R BT.601's weights in 15 bits; equal channels give that value. Pillow's "L", TensorFlow's `rgb_to_grayscale` and
    what JPEG decoders give differ from it by one level at most where they start from the same RGB.

    >>> grey_levels(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).ravel().tolist()
    [76, 150, 29]
    """
    return cast(Pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis])


def check_frame(frame: object) -> None:
    """Raise FrameError unless `frame` is uint8 (H, W, 3) with sides >= 16."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        arrived = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise FrameError(f"frame must be a uint8 array (H, W, 3) in RGB; got {arrived}")
    if min(frame.shape[:2]) < SMALLEST_FRAME:
        raise FrameError(f"frame must be at least {SMALLEST_FRAME} pixels a side; got {frame.shape[:2]}")


@lru_cache(maxsize=32)
def _pixel_table(scale: Floats, offset: Floats, quantization: Quantization) -> tuple[npt.NDArray[Any], bool]:
    """(1, 256, channels) table, and whether it is `pixel - 128`. Rounds half away from zero, as QUANTIZE does."""
    real = np.arange(256, dtype=np.float64)[:, None] * np.array(scale) + np.array(offset)
    if quantization.dtype == "float32":
        table = real.astype(np.float32)
    else:
        steps = real / quantization.scale
        whole = np.sign(steps) * np.floor(np.abs(steps) + 0.5) + quantization.zero_point
        limits = np.iinfo(quantization.dtype)
        table = np.clip(whole, limits.min, limits.max).astype(quantization.dtype)
    table = np.ascontiguousarray(table[np.newaxis])
    table.flags.writeable = False
    shift = np.arange(256, dtype=np.int16)[:, None] - 128
    is_shift = quantization.dtype == "int8" and np.array_equal(table[0], np.broadcast_to(shift, table[0].shape))
    return table, bool(is_shift)
