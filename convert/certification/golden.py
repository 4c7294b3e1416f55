"""Golden inputs, which a device replays before it serves, and the answers certified for them; no image of a data set.

Chosen by the int8 model's own outputs from synthetic fields and what can be made of them: a confident answer of each
class, mixtures of two fields at which the answer turns from one class to another (a changed weight shows there first),
the least decided field, noise, black and white. The same model gives the same images on every machine.
"""

import contextlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle.golden import Golden
from edge.cameras.synthetic.smear import synthetic_fields
from edge.errors import ModelFileError
from edge.inference.contract import InputContract, Pixels
from edge.inference.runtime.interpreters import Interpreter, open_interpreter
from edge.inference.scores import Scores, class_scores

FIELDS = 12  # drawn; what is chosen is chosen from these, their negatives, noise and plain colours
MOST_CLASSES = 4  # confident answers, and turns between them
SEED = 2_000_000
_WEIGHTS = 256  # steps from one field to another
_AROUND = 3  # steps on either side of a turn that are looked at
_KERNELS = ((True, False), (False, False), (False, True))  # xnnpack, reference: the device's default first
_COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}

Raw = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A prepared image, uint8 (height, width, 3), what it is, and the device's class and margin (LSB)."""

    what: str
    pixels: Pixels
    label: int
    margin: int


class ArithmeticSet:
    """The model under every kind of arithmetic that this machine can compute, the device's default first.

    On a machine whose kinds were never measured that is the default alone, "?". Kernels that do not know an operator
    of the model are left out, as are reference kernels that the model may end: no device can run it with them either.
    """

    def __init__(self, int8: bytes, contract: InputContract) -> None:
        self._contract = contract
        (xnnpack, plain), *others = _KERNELS
        opened = [open_interpreter(int8, xnnpack=xnnpack, reference=plain)]
        for xnnpack, plain in others:
            with contextlib.suppress(ModelFileError):
                opened.append(open_interpreter(int8, xnnpack=xnnpack, reference=plain))
        self.interpreters: dict[str, Interpreter] = {}
        for interpreter in opened:
            self.interpreters.setdefault(interpreter.kind, interpreter)
        self.first = opened[0].kind
        for kind in [kind for kind in self.interpreters if kind == "?" and kind != self.first]:
            del self.interpreters[kind]

    def ask(self, pixels: Pixels, kind: str | None = None) -> Raw:
        """Raw outputs (classes,) of one image."""
        interpreter = self.interpreters[kind or self.first]
        return interpreter.invoke(self._contract.encode(pixels, interpreter.input.quantization))

    def candidate(self, what: str, pixels: Pixels) -> Candidate:
        """The image with the first kind's answer."""
        scores = self._scores(pixels, self.first)
        second, highest = np.sort(scores)[-2:]
        return Candidate(what, pixels, int(scores.argmax()), int(highest - second))

    def agree(self, candidate: Candidate) -> bool:
        """Whether every kind gives its class."""
        others = (kind for kind in self.interpreters if kind != self.first)
        return all(int(self._scores(candidate.pixels, kind).argmax()) == candidate.label for kind in others)

    def _scores(self, pixels: Pixels, kind: str) -> Scores:
        return class_scores(self.ask(pixels, kind))


def certified_golden(int8: bytes, contract: InputContract) -> tuple[Golden, dict[str, Any]]:
    """The golden images of a model with the outputs of every kind, and what the certificate says of them.

    Returns:
        The archive, at most 2 * MOST_CLASSES + 4 images, and a JSON-safe record: `kinds` (kind -> runtime and version),
        `architecture` (of the processor that computed the outputs), `answered` and `not_answered` (labels the chosen
        images get, and those that nothing tried here got), `images` (of each: what it is, label, margin and the widest
        range of an output between kinds, both in LSB).
    """
    kinds = ArithmeticSet(int8, contract)
    chosen, answered = choose(kinds, contract)
    outputs = {kind: np.stack([kinds.ask(each.pixels, kind) for each in chosen]) for kind in kinds.interpreters}
    others = {kind: raw for kind, raw in outputs.items() if kind not in (kinds.first, "?")}
    golden = Golden(np.stack([each.pixels for each in chosen]), outputs[kinds.first], others)
    low, high = golden.range()
    record = {
        "kinds": {kind: f"{i.runtime} {i.version}" for kind, i in sorted(kinds.interpreters.items()) if kind != "?"},
        "architecture": platform.machine(),
        "answered": [label for index, label in enumerate(contract.labels) if index in answered],
        "not_answered": [label for index, label in enumerate(contract.labels) if index not in answered],
        "images": [
            {
                "what": each.what,
                "label": contract.labels[each.label],
                "margin": each.margin,
                "between_kinds": int(width),
            }
            for each, width in zip(chosen, (high - low).max(axis=1), strict=True)
        ],
    }
    return golden, record


def choose(kinds: ArithmeticSet, contract: InputContract) -> tuple[list[Candidate], set[int]]:
    """The golden images in their order, and the classes among them."""
    fields = [kinds.candidate(what, pixels) for what, pixels in drawn(contract)]
    made = [kinds.candidate(what, pixels) for what, pixels in _made(fields, contract)]
    seen = {each.label for each in fields}
    confident = _confident([*fields, *(each for each in made if each.label not in seen)])
    turns = [turn for one, other in _pairs(confident) if (turn := _turn(kinds, one, other)) is not None]
    taken = {id(each) for each in confident}
    rest = sorted((f for f in fields if id(f) not in taken), key=lambda f: f.margin)
    undecided = [next((f for f in rest if kinds.agree(f)), rest[0])]
    always = [each for each in made if each.what in ("noise", "black", "white")]
    every = [*confident, *turns, *undecided, *(each for each in always if id(each) not in taken)]
    return every, {each.label for each in every}


def drawn(contract: InputContract, count: int = FIELDS) -> Iterator[tuple[str, Pixels]]:
    """Synthetic fields, prepared, with their names."""
    for number, (recipe, frame) in enumerate(_frames(count)):
        yield f"field {number} ({recipe})", contract.prepare(frame)


@cache  # two models in one go draw once
def _frames(count: int) -> list[tuple[str, Pixels]]:
    return synthetic_fields(count, SEED)


def _made(fields: Sequence[Candidate], contract: InputContract) -> Iterator[tuple[str, Pixels]]:
    """What no camera sees: it pins the ends of the input's range, and reaches classes that no field gets."""
    width, height = contract.size
    shape = (height, width, 3)
    yield "noise", np.random.default_rng(SEED).integers(0, 256, shape, np.uint8)
    yield "black", np.zeros(shape, np.uint8)
    yield "white", np.full(shape, 255, np.uint8)
    for name, colour in _COLOURS.items():
        yield name, np.broadcast_to(np.array(colour, np.uint8), shape).copy()
    for field in fields[:4]:
        yield f"negative of {field.what}", np.invert(field.pixels)


def _confident(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The widest margin of each class, by class; of more than MOST_CLASSES those that were answered most often."""
    by_class: dict[int, list[Candidate]] = {}
    for each in candidates:
        by_class.setdefault(each.label, []).append(each)
    often = sorted(by_class, key=lambda label: (-len(by_class[label]), label))[:MOST_CLASSES]
    return [max(by_class[label], key=lambda each: each.margin) for label in sorted(often)]


def _pairs(confident: Sequence[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """Each with the next, and the last with the first where that is another pair."""
    yield from pairwise(confident)
    if len(confident) > 2:
        yield confident[-1], confident[0]


def _turn(kinds: ArithmeticSet, one: Candidate, other: Candidate) -> Candidate | None:
    """The mixture of two images nearest to where the answer turns on which all kinds agree; None where none is near."""

    def mixed(weight: int) -> Candidate:
        blend = one.pixels.astype(np.uint16) * (_WEIGHTS - weight) + other.pixels.astype(np.uint16) * weight
        pixels = ((blend + _WEIGHTS // 2) // _WEIGHTS).astype(np.uint8)
        return kinds.candidate(f"{one.what}, {weight}/{_WEIGHTS} of it {other.what}", pixels)

    low, high = 0, _WEIGHTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mixed(middle).label == one.label else (low, middle)
    around = [mixed(weight) for weight in range(max(0, low - _AROUND), min(_WEIGHTS, high + _AROUND) + 1)]
    return next((each for each in sorted(around, key=lambda each: each.margin) if kinds.agree(each)), None)
