"""Stillness: how much two frames of one view differ by noise, and how much by motion?

    python -m docs.studies.slides.stillness run --out docs/reference/stillness.json

Frames of `sim:` while its stage rests and while it moves, at several noises, successive ones compared as the bench does
it; and drawn fields against themselves, shifted.
"""

from collections import defaultdict
from typing import Any

import numpy as np

from docs.studies.command import Study, output, run
from edge.cameras.backends import open_camera
from edge.cameras.base import CameraSettings
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commands.command_line import Outcome
from edge.inference.contract import InputContract
from edge.instrument.bench.stillness import MOST_DIFFERENCE, difference, small
from edge.system.progress import tracked

SIZES = ((1280, 960), (640, 480))
NOISES = (0, 2, 10, 30)
FRAMES, WIDTH, HEIGHT = 400, 1280, 960
SHIFTS = (1, 2, 4, 8, 16)
CONTRACT = InputContract(size=(224, 224), labels=("Benign", "Pre"))


class StillnessStudy(Study):
    """Compare successive frames, and shifted fields."""

    def execute(self) -> Outcome:
        record: dict[str, Any] = {
            "most_difference": MOST_DIFFERENCE,
            "sim": {
                f"{width}x{height}, noise {noise}": _sim((width, height), noise)
                for width, height in tracked(SIZES, "sizes")
                for noise in NOISES
            },
            "shifted": {recipe: _shifted(recipe) for recipe in ("Benign", "Early", "Pre", "Pro")},
        }
        rows = [f"{name}: {row}" for name, row in record["sim"].items()]
        return self.finished(record, "\n".join([*rows, *(f"{name}: {row}" for name, row in record["shifted"].items())]))


def main_run(*, out: str = "", json: bool = False) -> StillnessStudy:
    """Measure how much frames differ at rest and in motion.

    Args:
        out: file for the record.
        json: print it.
    """
    return StillnessStudy(**output(out, json))


def _sim(size: tuple[int, int], noise: int) -> dict[str, list[float]]:
    """Least, median and largest difference, grey levels, by what the stage and the focus did."""
    camera = open_camera(f"sim:Early?motion=0.3&focus_drift=2&empty=0&noise={noise}&seed=4")
    found: dict[str, list[float]] = defaultdict(list)
    before = None
    with camera:
        camera.configure(CameraSettings(size=size))
        for _ in range(FRAMES):
            frame = camera.capture(2.0)
            truth, view = frame.metadata["truth"], small(CONTRACT.prepare(frame.pixels))
            place, focus = (truth["x_um"], truth["y_um"]), truth["defocus_um"]
            if before is not None:
                what = "moving" if before[1] != place else "rest" if before[2] == focus else "focus"
                found[what].append(difference(view, before[0]))
            before = view, place, focus
    return {name: [round(float(np.quantile(values, q)), 2) for q in (0, 0.5, 1)] for name, values in found.items()}


def _shifted(recipe: str) -> dict[str, float]:
    """Difference of a field and the same shifted by so many of 1280 pixels, grey levels; the least of four slides."""
    least: dict[str, float] = {}
    for seed in range(4):
        field = SyntheticSmear(seed, recipe).field(0, 0, (WIDTH + 20, HEIGHT), 80.64 / HEIGHT, noise=None).frame
        views = {
            shift: small(CONTRACT.prepare(np.ascontiguousarray(field[:, shift : shift + WIDTH])))
            for shift in (0, *SHIFTS)
        }
        for shift in SHIFTS:
            found = round(difference(views[shift], views[0]), 2)
            least[str(shift)] = min(found, least.get(str(shift), found))
    return least


if __name__ == "__main__":
    run({"run": main_run})
