"""Refusals of the gates, of good fields and of degraded ones, as `docs.studies.gates.limits` records them.

Spoilt fields are the published test fields and drawn ones, degraded in steps. A shipped network is asked about them
too: what matters is not how much is refused but what is wrong among that which passes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from docs.studies.gates.degradations import defocus, expose, motion, with_noise
from docs.studies.gates.focus_measures import compare
from docs.studies.gates.published_limits import RULES, SIZE, Fields, counted, refusals, values_of
from docs.studies.networks.smear_statistics import SIDE, measure
from edge.bundle import bundle
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SyntheticSmear, synthetic_fields
from edge.inference.benign import benign_labels
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.base import GateReport, Gates
from edge.inference.gates.measures import View
from edge.inference.images import IMAGE_SUFFIXES, read_image
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys
from models.data.published import LABELS, bundles
from models.statistics.intervals import wilson

NETWORK = "mobilenet_v2-int8"
(BENIGN,) = benign_labels(LABELS)
RADII = (0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 16.0)  # px, of the disc
LENGTHS = (0.0, 3.0, 5.0, 7.0, 9.0, 11.0, 15.0, 21.0)  # px, along a line of random angle
STOPS = (-2.0, -1.5, -1.25, -1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
DEFOCUS_UM = (0.0, 0.6, 1.2, 1.8, 2.4, 3.0, 4.0, 6.0)
DRAWN = 100  # drawn fields a step
SEED = 0
_QUARTER = 112  # pixels: a quarter of a field, large enough for a background and small enough to lack white cells
Spoil = Callable[[Pixels, float, np.random.Generator], Pixels]
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Ladder:
    """One kind of damage in steps."""

    name: str
    unit: str
    steps: tuple[float, ...]
    spoil: Spoil


LADDERS = (
    _Ladder("defocus", "px", RADII, lambda p, radius, r: with_noise(defocus(p, radius), r)),
    _Ladder("motion", "px", LENGTHS, lambda p, length, r: with_noise(motion(p, length, r.uniform(0, 180)), r)),
    _Ladder("exposure", "stops", STOPS, lambda p, stops, _: expose(p, stops)),
)


def measured_refusals(gates: Gates, parts: Mapping[str, Fields], others: Path | None, say: Say) -> dict[str, Any]:
    """The record of `gates` on the published fields, by use in `parts`, and on whatever lies in the folder `others`."""
    calibration, test = parts["calibration"], parts["test"]
    record: dict[str, Any] = {"published": {}, "bar": {}}
    for use, fields in parts.items():
        say(f"{use}: refusals")
        record["published"][use] = refusals(gates, fields.without_bar, fields.labels)
        record["published"][f"{use}, own scale bar"] = refusals(gates, fields.pixels, fields.labels)
        record["bar"][use] = _largest_difference(gates, fields)
    record["drawn"] = refusals(gates, drawn_fields(2 * DRAWN))
    record["other"] = {
        folder.name: refusals(gates, _images_in(folder)) for folder in (_folders(others) if others else ())
    }
    say("fields without white cells")
    record["no_white_cell"] = _empties(gates, test.pixels)
    record["spoilt"] = [*_spoilt_published(gates, test, say), *_spoilt_drawn(gates, say)]
    say("measures of focus")
    record["focus_measures"] = compare(
        list(calibration.without_bar), calibration.labels, list(test.without_bar[::3]), RULES["out_of_focus"].share
    )
    return record


def drawn_fields(count: int, seed: int = SEED) -> list[Pixels]:
    """Prepared drawn fields, uint8 (224, 224, 3), in focus as the published ones are."""
    contract = _contract()
    return [contract.prepare(frame) for _, frame in synthetic_fields(count, seed)]


def _contract() -> InputContract:
    return InputContract(SIZE, LABELS)


def _largest_difference(gates: Gates, fields: Fields) -> dict[str, float]:
    """Gate's name -> the most that painting over the scale bar changes a value."""
    own, painted = values_of(gates, fields.pixels), values_of(gates, fields.without_bar)
    return {name: float(np.abs(own[name] - painted[name]).max()) for name in gates.names}


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def _images_in(folder: Path) -> list[Pixels]:
    contract = _contract()
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return [contract.prepare(read_image(path)) for path in files]


def _empties(gates: Gates, fields: Pixels) -> dict[str, Any]:
    """How the stain gate reads quarters of published fields by whether they hold a white cell.

    White cells are found by another rule than the gate's (`docs.studies.networks.smear_statistics`: against a fitted
    illumination, opened by an ellipse), in the quarter enlarged to a whole field.
    """
    limit = next(r.limit for r in gates.check(fields[0]).readings if r.gate == "empty_field")
    counts = {"without": [0, 0], "with": [0, 0]}
    for field in fields[::2]:
        for top, left in ((0, 0), (0, _QUARTER), (_QUARTER, 0)):  # the fourth has the scale bar
            quarter = np.ascontiguousarray(field[top : top + _QUARTER, left : left + _QUARTER])
            share = measure(cv2.resize(quarter, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR_EXACT)).white_share  # type: ignore[arg-type]
            if 0 < share < 0.04:  # a part of a cell, or a platelet
                continue
            tally = counts["with" if share else "without"]
            tally[0] += 1
            tally[1] += View(quarter).nuclear_percent < limit
    return {
        key: {"quarters": total, "refused": refused, "interval": wilson(refused, total).to_record() if total else None}
        for key, (total, refused) in counts.items()
    }


def _spoilt_published(gates: Gates, test: Fields, say: Say) -> Iterable[dict[str, Any]]:
    shipped = bundle.load(bundles() / NETWORK, trust=machine_keys(), allow_unsigned=True)
    classifier = Classifier(shipped.contract, open_interpreter(shipped.model))
    for ladder in LADDERS:
        random = np.random.default_rng(SEED)
        for step in ladder.steps:
            say(f"test fields, {ladder.name} {step:g} {ladder.unit}")
            frames = [np.ascontiguousarray(ladder.spoil(pixels, step, random)) for pixels in test.pixels]
            reports = [gates.check(pixels) for pixels in frames]
            row = {"set": "test", "kind": ladder.name, "unit": ladder.unit, "step": step, **_row(gates, reports)}
            answers = [classifier.classify_prepared(pixels).label for pixels in frames]
            passed = [report.refusal is None for report in reports]
            row["network"] = {
                "all": _answers(answers, test.labels, [True] * len(answers)),
                "passed": _answers(answers, test.labels, passed),
            }
            yield row


def _spoilt_drawn(gates: Gates, say: Say) -> Iterable[dict[str, Any]]:
    """Drawn fields: out of focus by the drawing's own optics, the rest as the published ones."""
    contract, names = _contract(), list(RECIPES)
    for um in DEFOCUS_UM:
        say(f"drawn fields, defocus {um:g} um")
        slides = (SyntheticSmear(SEED + k, names[k % len(names)]) for k in range(DRAWN))
        frames = [contract.prepare(slide.field(0, 0, defocus_um=um).frame) for slide in slides]
        yield {
            "set": "drawn",
            "kind": "defocus",
            "unit": "um",
            "step": um,
            **_row(gates, [gates.check(pixels) for pixels in frames]),
        }
    fields = drawn_fields(DRAWN)
    for ladder in LADDERS[1:]:
        random = np.random.default_rng(SEED)
        for step in ladder.steps:
            frames = [np.ascontiguousarray(ladder.spoil(pixels, step, random)) for pixels in fields]
            yield {
                "set": "drawn",
                "kind": ladder.name,
                "unit": ladder.unit,
                "step": step,
                **_row(gates, [gates.check(pixels) for pixels in frames]),
            }


def _row(gates: Gates, reports: Sequence[GateReport]) -> dict[str, Any]:
    values = [report.values for report in reports]
    medians = {name: round(float(np.median([found[name] for found in values])), 3) for name in gates.names}
    return {**counted(gates.names, reports), "median": medians}


def _answers(answers: Sequence[str], labels: Sequence[str], chosen: Sequence[bool]) -> dict[str, Any]:
    """Images chosen, how many of them are right, and how many malignant ones are called benign."""
    pairs = [(a, b) for a, b, use in zip(answers, labels, chosen, strict=True) if use]
    return {
        "images": len(pairs),
        "right": sum(answer == label for answer, label in pairs),
        "malignant": sum(label != BENIGN for _, label in pairs),
        "malignant_to_benign": sum(answer == BENIGN != label for answer, label in pairs),
    }
