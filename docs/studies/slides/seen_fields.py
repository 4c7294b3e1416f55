"""Fields that were counted before: how many are recognized on `sim:` slides, and how many new ones are taken for one?

    python -m docs.studies.slides.seen_fields run --out docs/reference/seen_fields.json

Each slide is a `sim:` camera that looks at places of its smear, nine stops each; one still frame of every stop is asked
about and, where it is new, counted, as at the bench. Where a frame lies is known. A frame with a tenth of its
area or more in common with a remembered field must be recognized (recall); one with nothing in common must not be
(false merges); what lies between is listed. Focus drifts by up to 1 um, noise is 3 grey levels.
"""

import statistics
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from docs.studies.command import Study, output, run
from edge.cameras.simulation.settings import parse
from edge.cameras.simulation.stage import FRAMES_A_PLACE, FRAMES_A_STOP
from edge.cameras.simulation.view import View, draw_specimen
from edge.commands.command_line import Outcome
from edge.inference.contract import Pixels
from edge.slides.seen import LEAST_SHARE, NEWEST, SeenFields
from edge.system.progress import tracked

SIZE, STILL = (320, 240), 12  # pixels; the frame of each stop that is asked about, when the stage stands still
RECIPES = ("Benign", "Early", "Pre", "Pro")
SAME = 0.1  # of a field: what must be recognized
Placed = tuple[Pixels, dict[str, Any]]
SHARES = ((0.0, 0.0), (0.0, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5), (0.5, 1.0))


@dataclass(frozen=True)
class SeenStudy(Study):
    """Look at `slides` slides of each recipe, `places` places each."""

    slides: int
    places: int

    def execute(self) -> Outcome:
        cv2.setNumThreads(1)
        asked: list[tuple[float, bool]] = []
        milliseconds: list[float] = []
        uris = [
            f"sim:{recipe}?seed={seed}&places={self.places}&empty=0&focus_drift=1&noise=3"
            for recipe in RECIPES
            for seed in range(1, self.slides + 1)
        ]
        for uri in tracked(uris, "looking at slides"):
            asked += look_at(uri, self.places, milliseconds)
        record = {
            "slides": len(uris),
            "frames": len(asked),
            "newest": NEWEST,
            "least_share": LEAST_SHARE,
            **measured(asked),
            "processor_ms_a_frame": {
                "median": round(statistics.median(milliseconds), 1),
                "largest": round(max(milliseconds), 1),
            },
        }
        text = f"recall {record['recall']}, false merges {record['false_merges']}"
        return self.finished(record, text)


def main_run(*, slides: str = "1", places: str = "45", out: str = "", json: bool = False) -> SeenStudy:
    """Measure the recognition of fields.

    Args:
        slides: of each recipe.
        places: of each slide.
        out: file for the record.
        json: print it.
    """
    return SeenStudy(**output(out, json), slides=int(slides), places=int(places))


def look_at(uri: str, places: int, milliseconds: list[float]) -> list[tuple[float, bool]]:
    """(largest share with a remembered field, recognized) of one still frame a stop."""
    fields = SeenFields()
    counted: deque[tuple[float, float]] = deque(maxlen=NEWEST)
    asked = []
    for number, (pixels, truth) in enumerate(still_frames(uri, places), 1):
        begun = time.thread_time()
        picture = fields.picture(pixels)
        seen = fields.seen(picture)
        milliseconds.append((time.thread_time() - begun) * 1e3)
        at = position(truth)
        asked.append((max((share(at, before) for before in counted), default=0.0), seen is not None))
        if seen is None:
            fields.add(number, picture)
            counted.append(at)
    return asked


def still_frames(uri: str, places: int) -> Iterator[Placed]:
    """One frame of each stop of the scan, with the truth about it."""
    settings = parse(uri)
    view = View(settings, draw_specimen(settings, SIZE), SIZE)
    for number in range(STILL, places * FRAMES_A_PLACE, FRAMES_A_STOP):
        pixels = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
        yield pixels, view.draw(number, pixels)


def position(truth: dict[str, Any]) -> tuple[float, float]:
    """Where a frame lies on its slide, in fields."""
    return truth["x_um"] / truth["um_per_px"] / SIZE[0], truth["y_um"] / truth["um_per_px"] / SIZE[1]


def share(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Of a field that both show."""
    return max(0.0, 1 - abs(one[0] - other[0])) * max(0.0, 1 - abs(one[1] - other[1]))


def measured(asked: list[tuple[float, bool]]) -> dict[str, Any]:
    """Recall and false merges, with the counts that they are made of."""
    same = [seen for overlap, seen in asked if overlap >= SAME]
    new = [seen for overlap, seen in asked if overlap == 0]
    by_share = {}
    for low, high in SHARES:
        some = [seen for overlap, seen in asked if (low < overlap <= high or overlap == low == high)]
        by_share["none" if high == 0 else f"{low:.0%} to {high:.0%}"] = {"frames": len(some), "seen": sum(some)}
    return {
        "recall": round(sum(same) / max(len(same), 1), 4),
        "same": {"frames": len(same), "recognized": sum(same)},
        "false_merges": round(sum(new) / max(len(new), 1), 4),
        "new": {"frames": len(new), "merged": sum(new)},
        "by_share": by_share,
    }


if __name__ == "__main__":
    run({"run": main_run})
