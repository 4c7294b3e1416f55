"""Registration of fields: how many that overlap are found, and how many that do not are merged?

    python -m docs.studies.commissioning.registration run --out docs/reference/registration.json

Fields of drawn slides at random known positions, each with its own focus, light and noise, every pair compared; pairs
across slides of different seeds have nothing in common. Plain phase correlation (whole fields, one peak, verified by
the same score) stands beside what the product does. Turned and askew: every second field is turned by 180 degrees, or
by so many degrees, before it is compared.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from docs.studies.command import Study, output, run
from edge.cameras.synthetic.laboratory import Laboratory
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commands.command_line import Outcome
from edge.commissioning.registration import LEAST_SCORE, FieldPrint
from edge.inference.contract import Pixels
from edge.system.progress import tracked

SIZE, FIELDS, SPAN, SEED = (320, 240), 20, 3.0, 0
STEP = 0.36 * 224 / SIZE[1]
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
SLIDES = ("Benign", "Early", "Pre", "Pro")
ALTERED = ("none", "turned", "1 degree", "2 degrees", "3 degrees")


@dataclass(frozen=True)
class RegistrationStudy(Study):
    """Compare all pairs of `slides` slides a class and as many of drawn laboratories."""

    slides: int

    def execute(self) -> Outcome:
        drawn = [_fields(smear, number) for number, smear in enumerate(tracked(_smears(self.slides), "drawing slides"))]
        record: dict[str, Any] = {
            "slides": len(drawn),
            "fields_a_slide": FIELDS,
            "least_score": LEAST_SCORE,
            "altered": {name: _compared(drawn, name) for name in ALTERED},
            "plain_phase_correlation": _by_share(_pairs(drawn), lambda one, other: _plain(one[2], other[2])),
        }
        straight = record["altered"]["none"]
        text = "\n".join(f"{share}: {row['found']} of {row['pairs']}" for share, row in straight["by_share"].items())
        across = straight["across_slides"]
        return self.finished(record, f"{text}\nacross slides: {across['merged']} of {across['pairs']} merged")


def main_run(*, slides: str = "2", out: str = "", json: bool = False) -> RegistrationStudy:
    """Measure the registration.

    Args:
        slides: of each class, and of drawn laboratories.
        out: file for the record.
        json: print it.
    """
    return RegistrationStudy(**output(out, json), slides=int(slides))


Placed = tuple[float, float, Pixels]


def _smears(count: int) -> list[SyntheticSmear]:
    smears = [SyntheticSmear(seed, name) for name in SLIDES for seed in range(1, count + 1)]
    return smears + [Laboratory(site).smear("leukemic", site) for site in range(1, count + 1)]


def _fields(smear: SyntheticSmear, number: int) -> list[Placed]:
    rng, fields = np.random.default_rng((SEED, number)), []
    for noise in range(1, FIELDS + 1):
        x, y = (float(v) for v in rng.uniform(0, SPAN, 2))
        focus, light = float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.7, 1))
        frame = smear.field(x * SIZE[0] * STEP, y * SIZE[1] * STEP, SIZE, STEP, focus, noise=noise).frame
        fields.append((x, y, np.asarray(cv2.convertScaleAbs(frame, alpha=light), np.uint8)))
    return fields


def _altered(frame: Pixels, how: str) -> Pixels:
    if how == "turned":
        return np.ascontiguousarray(frame[::-1, ::-1])
    if how == "none":
        return frame
    matrix = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), float(how.partition(" ")[0]), 1)
    return np.asarray(cv2.warpAffine(frame, matrix, SIZE, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _pairs(drawn: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, Any]]:
    for fields in drawn:
        yield from itertools.combinations(fields, 2)


def _compared(drawn: Sequence[Sequence[Placed]], how: str) -> dict[str, Any]:
    """Every second field altered, and compared with those that are not."""
    made = [
        [
            (x, y, FieldPrint(_altered(frame, how if number % 2 else "none")))
            for number, (x, y, frame) in enumerate(fields)
        ]
        for fields in drawn
    ]
    pairs = [
        (fields[i], fields[j])
        for fields in made
        for i, j in itertools.combinations(range(FIELDS), 2)
        if how == "none" or (i + j) % 2
    ]
    across = [
        one[i][2].overlap(other[j][2]) is not None
        for one, other in itertools.combinations(made, 2)
        for i, j in itertools.product(range(0, FIELDS, 4), range(1, FIELDS, 4))
    ]
    found = _by_share(iter(tracked(pairs, f"comparing pairs ({how})")), lambda a, b: a[2].overlap(b[2]) is not None)
    return {"by_share": found, "across_slides": {"pairs": len(across), "merged": sum(across)}}


def _by_share(pairs: Iterator[tuple[Any, Any]], found: Callable[[Any, Any], bool]) -> dict[str, dict[str, int | float]]:
    counts = {name: [0, 0] for name in ("none", *map(_range, itertools.pairwise(SHARES)))}
    for one, other in pairs:
        share = max(0.0, 1 - abs(one[0] - other[0])) * max(0.0, 1 - abs(one[1] - other[1]))
        name = next((_range(pair) for pair in itertools.pairwise(SHARES) if pair[0] < share <= pair[1]), "none")
        counts[name][0] += 1
        counts[name][1] += found(one, other)
    return {
        name: {"pairs": pairs_, "found": hits, "share_found": round(hits / max(pairs_, 1), 4)}
        for name, (pairs_, hits) in counts.items()
    }


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0%} to {pair[1]:.0%}"


def _plain(one: Pixels, other: Pixels) -> bool:
    """OpenCV's windowed phase correlation of padded planes; its peak is judged by the correlation of what overlaps."""
    planes = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (160, 120), interpolation=cv2.INTER_AREA).astype(np.float64)
        for frame in (one, other)
    ]
    window = cv2.createHanningWindow((160, 120), cv2.CV_64F)
    padded = [np.pad((plane - plane.mean()) * window, ((0, 120), (0, 160))) for plane in planes]
    (x, y), _ = cv2.phaseCorrelate(padded[0], padded[1])
    dx, dy = -round(x), -round(y)
    if abs(dx) > 160 - 6 or abs(dy) > 120 - 6:
        return False
    first = planes[0][max(0, dy) : 120 + min(0, dy), max(0, dx) : 160 + min(0, dx)]
    second = planes[1][max(0, -dy) : 120 + min(0, -dy), max(0, -dx) : 160 + min(0, -dx)]
    correlation = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    return bool(correlation * np.sqrt(first.size / planes[0].size) >= _PLAIN_SCORE)


_PLAIN_SCORE = 0.3  # grey levels correlate further than whitened ones: below it pairs without a common piece pass

if __name__ == "__main__":
    run({"run": main_run})
