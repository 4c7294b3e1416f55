"""What tells the pictures of one's own model from any others: candidates for the gate, weighed on three sets.

    python -m docs.studies.novelty.any_pictures --data DIR --weights FILE --out docs/reference/any_pictures.json

Each set is fitted to four fifths of its groups, limits come from these in turns (as `models.decision.gates_fit` does
with few images), and the last fifth tells what is refused of one's own; all pictures of the other sets tell the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from docs.studies.command import Output, Study, output, run
from docs.studies.novelty.own_sets import SIZES, Pictures, Texts, read_sets
from edge.commands.command_line import Outcome
from edge.inference.contract import Pixels
from edge.inference.domain import ANY, SMEAR
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, Family
from edge.system.progress import Progress
from models.decision.gates_fit import CODE_PER_STOP, FOLDS, NOVELTY_RULES, fit
from models.decision.limits import LimitRule
from models.support.versions import versions

Floats = npt.NDArray[np.float64]
Distances = Callable[[Floats], Floats]
SHARE, FACTOR = 0.01, 1.05  # of candidates that have no rule of their own
OTHERS, DEGRADED = 200, 60  # pictures asked of each other set; own held-back ones that are degraded
BLUR = 0.026  # standard deviation of the defocus, as a part of the side
FEATURES = "features"


@dataclass(frozen=True)
class Candidate:
    """Sources of numbers, each with the rule of its limit; a picture is refused where one is beyond."""

    parts: Mapping[str, LimitRule]


CANDIDATES = {
    "appearance, plain and compressed": Candidate(
        {name: NOVELTY_RULES[name] for name in ("appearance", "appearance_compressed")}
    ),
    "appearance, plain": Candidate({"appearance": LimitRule(True, SHARE, FACTOR)}),
    "appearance, compressed": Candidate({"appearance_compressed": LimitRule(True, SHARE, FACTOR)}),
    "stain and structure": Candidate({name: NOVELTY_RULES[name] for name in ("stain", "structure")}),
    "features of the network, a Gaussian": Candidate({"features_gaussian": LimitRule(True, SHARE, FACTOR)}),
    "features of the network, nearest neighbour": Candidate({"features_nearest": LimitRule(True, SHARE, FACTOR)}),
    "features of the network, nearest direction": Candidate({"features_direction": LimitRule(True, SHARE, FACTOR)}),
}


@dataclass(frozen=True)
class AnyPictures(Study):
    """Weigh candidates on the three sets."""

    data: Path
    weights: Path
    repetitions: int

    def execute(self) -> Outcome:
        """Writes the record."""
        sets = read_sets(self.data)
        trials = {
            "fields": sets["fields"].some(150, 0),
            "fields, 20 a class": sets["fields"].some(20, 1),
            "cells": sets["cells"].some(300, 0),
            "cells, 20 a class": sets["cells"].some(20, 1),
            "photographs": sets["photographs"],
        }
        found: dict[str, Any] = {}
        lines = []
        for name, own in trials.items():
            kind = name.split(",")[0]
            others = {other: some.some(OTHERS // 2, 2) for other, some in sets.items() if other != kind}
            found[name] = _trial(own, others, SIZES[kind], self.weights, self.repetitions)
            for candidate, shares in found[name]["candidates"].items():
                lines.append(
                    f"{name}; {candidate}: " + ", ".join(f"{key} {100 * v:.1f} %" for key, v in shares.items())
                )
        record = {
            "share": SHARE,
            "factor": FACTOR,
            "repetitions": self.repetitions,
            "blur_of_side": BLUR,
            "trials": found,
            "versions": versions(),
        }
        return self.finished(record, "\n".join(lines))


def _trial(own: Pictures, others: Mapping[str, Pictures], size: int, weights: Path, repetitions: int) -> dict[str, Any]:
    """Shares refused, by candidate."""
    pixels = own.prepared(size)
    few = np.random.default_rng(0).permutation(len(pixels))[:DEGRADED]
    asked = {"own": pixels, **{f"others: {name}": other.prepared(size) for name, other in others.items()}}
    asked |= {
        "defocused": np.stack([cv2.GaussianBlur(each, (0, 0), BLUR * size) for each in pixels[few]]),
        "two stops darker": np.stack([stops(each, -2) for each in pixels[few]]),
        "two stops lighter": np.stack([stops(each, 2) for each in pixels[few]]),
    }
    features = _network(weights, size)
    numbers = {name: _numbers(each, features) for name, each in asked.items()}
    shares: dict[str, dict[str, list[float]]] = {name: {key: [] for key in asked} for name in CANDIDATES}
    for seed in range(repetitions):
        held = _fifth(own.groups, seed)
        for name, candidate in CANDIDATES.items():
            beyond = {key: np.zeros(len(each), bool) for key, each in asked.items()}
            for part, rule in candidate.parts.items():
                limit, distances = _limited(part, numbers["own"][_source(part)], own, ~held, rule)
                for key in asked:
                    beyond[key] |= distances(numbers[key][_source(part)]) > limit
            for key in asked:
                shares[name][key].append(float((beyond[key][held] if key == "own" else beyond[key]).mean()))
    means = {name: {key: round(float(np.mean(v)), 4) for key, v in found.items()} for name, found in shares.items()}
    return {"pictures": len(pixels), "size": size, "candidates": means}


def _limited(
    part: str, values: Floats, own: Pictures, training: npt.NDArray[np.bool_], rule: LimitRule
) -> tuple[float, Distances]:
    """The limit of distances in turns, and distances to all that trains."""
    kept, labels, groups = values[training], own.labels[training], own.groups[training]
    fields = np.unique(groups)
    folds = dict(
        zip(fields.tolist(), (np.random.default_rng(0).permutation(len(fields)) % FOLDS).tolist(), strict=True)
    )
    fold = np.array([folds[group] for group in groups.tolist()])
    far = np.zeros(len(kept))
    for number in np.unique(fold):
        out = fold == number
        far[out] = _distances(part, kept[~out], labels[~out])(kept[out])
    return rule.limit(far), _distances(part, kept, labels)


def _distances(part: str, values: Floats, labels: Texts) -> Distances:
    if part in FAMILIES:
        family = fit(part, values, labels)
        return lambda asked: _to_family(family, asked)
    if part == "features_direction":
        towards = values / np.linalg.norm(values, axis=1, keepdims=True)
        return lambda asked: 1 - ((asked / np.linalg.norm(asked, axis=1, keepdims=True)) @ towards.T).max(axis=1)
    centre, spread = values.mean(axis=0), values.std(axis=0) + 1e-3
    scaled = (values - centre) / spread
    if part == "features_nearest":
        return lambda asked: _nearest((asked - centre) / spread, scaled)
    from sklearn.covariance import LedoitWolf

    means = {label: scaled[labels == label].mean(axis=0) for label in np.unique(labels)}
    residuals = np.vstack([scaled[labels == label] - mean for label, mean in means.items()])
    axes = np.linalg.cholesky(np.linalg.inv(LedoitWolf(assume_centered=True).fit(residuals).covariance_))
    return lambda asked: np.min(
        [np.linalg.norm(((asked - centre) / spread - m) @ axes, axis=1) for m in means.values()], 0
    )


def _nearest(asked: Floats, known: Floats) -> Floats:
    squared = (asked**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * asked @ known.T
    return np.asarray(np.sqrt(np.maximum(squared.min(axis=1), 0)))


def _to_family(family: Family, values: Floats) -> Floats:
    return np.array([family.distance(row)[0] for row in values])


def _source(part: str) -> str:
    return FEATURES if part.startswith(FEATURES) else part


def _numbers(pixels: Pixels, features: Callable[[Pixels], Floats]) -> dict[str, Floats]:
    rows: dict[str, list[Any]] = {name: [] for name in FAMILIES}
    with Progress("measuring", len(pixels)) as bar:
        for each in pixels:
            for name, found in rows.items():
                found.append(FAMILIES[name].measure(View(each, SMEAR if ANY not in FAMILIES[name].domains else ANY)))
            bar.advance()
    return {FEATURES: features(pixels), **{name: np.array(found, np.float64) for name, found in rows.items()}}


def _network(weights: Path, size: int) -> Callable[[Pixels], Floats]:
    """Pooled features of MobileNetV2 (alpha 0.35), what a head of one's own is trained on."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    backbone = keras.applications.MobileNetV2(
        alpha=0.35, weights=str(weights), include_top=False, input_shape=(size, size, 3), pooling="avg"
    )
    return lambda pixels: np.asarray(backbone.predict(pixels / np.float32(128) - 1, verbose=0), np.float64)


def _fifth(groups: Texts, seed: int) -> npt.NDArray[np.bool_]:
    fields = np.unique(groups)
    chosen = np.random.default_rng(seed).permutation(fields)[: len(fields) // 5]
    return np.isin(groups, chosen)


def stops(pixels: Pixels, count: int) -> Pixels:
    """Prepared pixels with 2^count times the light, through a camera's tone curve."""
    light = (pixels / 255.0) ** (1 / CODE_PER_STOP) * 2.0**count
    return np.asarray(np.round(255 * np.clip(light, 0, 1) ** CODE_PER_STOP), np.uint8)


def weigh(*, data: str, weights: str, repetitions: str = "5", out: str = "", json: bool = False) -> AnyPictures:
    """Weigh ways to tell the pictures of one's own model from others.

    Args:
        data: folder with `all`, `ood/bccd` and `ood/natural`.
        weights: MobileNetV2 weights, alpha 0.35, without its top.
        repetitions: divisions of each set.
        out: JSON to write.
        json: print the record.
    """
    options: Output = output(out, json)
    return AnyPictures(data=Path(data), weights=Path(weights), repetitions=int(repetitions), **options)


if __name__ == "__main__":
    run({"weigh": weigh}, "weigh")
