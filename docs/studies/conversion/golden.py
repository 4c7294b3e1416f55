"""Sensitivity of the golden images, and differences between kinds of arithmetic: the self-test's figures.

    python -m docs.studies.conversion.golden run BUNDLE --out FILE

Single bits of the model's constants are flipped, as a worn card or a bad memory cell does, and each damaged model
answers the golden images, as many drawn fields that nobody chose, and further drawn fields that stand for what a slide
may show. A flip is harmful when it changes the class of any of those.
"""

import json as json_format
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.certification.golden import ArithmeticSet, drawn
from convert.tflite.schema import SchemaTable
from docs.studies.command import Study, output, run
from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.commands.command_line import Outcome
from edge.errors import EdgeError
from edge.inference.contract import Pixels
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tflite.model_file import constant_span
from edge.settings.trusted_keys import machine_keys
from edge.system.option_values import whole_number

_log = logging.getLogger(__name__)

Outputs = npt.NDArray[Any]


@dataclass(frozen=True)
class GoldenStudy(Study):
    """Flip bits of one bundle's model, and ask its kinds."""

    bundle: Path
    flips: int
    fields: int
    seed: int

    def execute(self) -> Outcome:
        """A record; nothing is judged."""
        bundle = bundles.load(self.bundle, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
        _log.info(f"drawing {self.fields} fields")
        fields = np.stack([pixels for _, pixels in drawn(bundle.contract, self.fields)])
        record = {
            "bundle": bundle.name,
            "model_sha256": bundle.certificate["int8_model"]["sha256"],
            "fields": self.fields,
            "golden_images": len(bundle.golden.inputs),
            "kinds": between_kinds(bundle, {"fields": fields, "golden": bundle.golden.inputs}),
            "flips": flipped(bundle, fields, self.flips, self.seed),
        }
        return self.finished(record, json_format.dumps(record, indent=1))


def between_kinds(bundle: Bundle, sets: dict[str, Pixels]) -> list[dict[str, Any]]:
    """For each pair of kinds and each set of images: how many agree to the bit and to 1 LSB, the largest difference
    (LSB), and how many images get another class."""
    kinds = ArithmeticSet(bundle.model, bundle.contract)
    rows = []
    for images, pixels in sets.items():
        _log.info(f"asking kinds {', '.join(kinds.interpreters)} about the {images}")
        raw = {kind: np.stack([kinds.ask(each, kind) for each in pixels]).astype(int) for kind in kinds.interpreters}
        for (one, ours), (other, theirs) in combinations(raw.items(), 2):
            apart = np.abs(ours - theirs).max(axis=1)
            rows.append(
                {
                    "images": images,
                    "kinds": [one, other],
                    "count": len(apart),
                    "identical": int((apart == 0).sum()),
                    "within_1_lsb": int((apart <= 1).sum()),
                    "largest_lsb": int(apart.max()),
                    "other_class": int((ours.argmax(1) != theirs.argmax(1)).sum()),
                }
            )
    return rows


def flipped(bundle: Bundle, fields: Pixels, count: int, seed: int) -> dict[str, int]:
    """Counts of flips: how many there were, were refused by the runtime, were noticed by the golden images and by as
    many unchosen fields, were harmful, and were harmful and went unnoticed."""
    golden, unchosen = bundle.golden.inputs, len(bundle.golden.inputs)
    images = np.concatenate([golden, fields])
    sound = _answers(bundle, bundle.model, images)
    found = dict.fromkeys(
        (
            "flips",
            "refused",
            "noticed",
            "noticed_by_fields",
            "harmful",
            "harmful_unnoticed",
            "harmful_unnoticed_by_fields",
        ),
        0,
    )
    for number, damaged in enumerate(_damaged(bundle.model, count, seed)):
        if number % 25 == 0:
            _log.info(f"flip {number} of {count}")
        found["flips"] += 1
        try:
            answers = _answers(bundle, damaged, images)
        except EdgeError:
            found["refused"] += 1
            continue
        differs = (answers != sound).any(axis=1)
        noticed, by_fields = differs[: len(golden)].any(), differs[len(golden) :][:unchosen].any()
        classes = answers.argmax(axis=1) != sound.argmax(axis=1)
        harmful = classes[len(golden) :].any()
        found["noticed"] += int(noticed)
        found["noticed_by_fields"] += int(by_fields)
        found["harmful"] += int(harmful)
        found["harmful_unnoticed"] += int(harmful and not noticed)
        found["harmful_unnoticed_by_fields"] += int(harmful and not by_fields)
    return found


def _answers(bundle: Bundle, model: bytes, images: Sequence[Pixels] | Pixels) -> Outputs:
    interpreter = open_interpreter(model)
    quantization = interpreter.input.quantization
    return np.stack([interpreter.invoke(bundle.contract.encode(pixels, quantization)) for pixels in images])


def _damaged(model: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies of the model with one bit of one constant flipped, bytes drawn evenly from all of them."""
    root = SchemaTable.root(model)
    described = {item.number("Buffer") for item in root.tables("Metadata", "Metadata")}  # they compute nothing
    buffers = enumerate(root.tables("Buffers", "Buffer"))
    spans = [constant_span(item.raw) for number, item in buffers if number not in described]
    places = np.concatenate([np.arange(start, start + size) for start, size in spans])
    rng = np.random.default_rng(seed)
    for place, bit in zip(rng.choice(places, count), rng.integers(0, 8, count), strict=True):
        damaged = bytearray(model)
        damaged[int(place)] ^= 1 << int(bit)
        yield bytes(damaged)


def study(
    bundle: str, flips: str = "300", fields: str = "48", seed: str = "0", out: str = "", json: bool = False
) -> GoldenStudy:
    """Flip single bits of a bundle's model and count what its golden images notice; compare its kinds of arithmetic.

    Args:
        bundle: its folder.
        flips: how many damaged models.
        fields: drawn fields that stand for what a slide may show; as many again as golden images at least.
        seed: of the flips.
        out: JSON to write.
        json: print the record as JSON.
    """
    return GoldenStudy(
        Path(bundle),
        whole_number(flips, "--flips", at_least=1),
        whole_number(fields, "--fields", at_least=16),
        whole_number(seed, "--seed"),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study})
