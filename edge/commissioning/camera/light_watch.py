"""Brightness, white and focus of a run's frames, measured now and then, for the trend.

The numbers are medians over frames that the gates on quality let pass, of the clear glass between the cells.
"""

import math

import numpy as np

from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import is_set_up
from edge.commissioning.camera.trend import Point, trends
from edge.inference.contract import Pixels
from edge.inference.gates.measures import WIDEST, View
from edge.inference.gates.novelty import NAME as UNLIKE_TRAINING

LIGHT = "camera_light"  # the event's kind
QUICK_NS, EVERY_NS = 200_000_000, 1_000_000_000  # between two frames that are measured; quick for the first QUICK
QUICK, MOST_FRAMES = 50, 4000  # the latter for one event
FEWEST_FRAMES = 3
LEAST_GROUND = 0.01  # part of a field that must be clear glass


def light_of(view: View) -> tuple[float, float, float] | None:
    """(grey level of the clear glass, its red and its blue against green); None where hardly any is in view."""
    ground = view.ground > 0
    if ground.mean() < LEAST_GROUND:
        return None
    red, green, blue = (max(float(value), 1.0) for value in view.patches[ground].mean(axis=0))
    return 0.299 * red + 0.587 * green + 0.114 * blue, red / green, blue / green


class LightWatch:
    """Measures frames of a camera under a set-up, five a second at most, and gives their medians.

    Frames count that the gates on quality let pass: a lamp that has changed much makes all of them unlike the training.

    Args:
        camera: without a set-up nothing is measured.
    """

    def __init__(self, camera: Camera) -> None:
        self._reference = camera.setup.reference if is_set_up(camera) else None
        self._due = 0
        self._found: list[tuple[float, float, float, float]] = []

    def __call__(self, prepared: Pixels, refused_by: str, at_ns: int) -> None:
        """Measure a prepared frame, uint8 (H, W, 3), unless one was measured less than a second ago; about 1 ms.

        Args:
            refused_by: name of the gate that refused it, "" for none. at_ns: when it was taken, monotonic nanoseconds.
        """
        if self._reference is None or at_ns < self._due or refused_by not in ("", UNLIKE_TRAINING):
            return
        if len(self._found) >= MOST_FRAMES:
            return
        self._due = at_ns + (QUICK_NS if len(self._found) < QUICK else EVERY_NS)
        view = View(prepared)
        light = light_of(view)
        if light is not None:
            size = (prepared.shape[1], prepared.shape[0])
            width = view.edges.sharp_px if size == self._reference.focus_size else WIDEST
            self._found.append((*light, width if width < WIDEST else math.nan))

    def taken(self) -> dict[str, float]:
        """Medians of what was measured since the last call, `frames` how many; nothing of fewer than FEWEST_FRAMES."""
        found, self._found = self._found, []
        if len(found) < FEWEST_FRAMES:
            return {}
        table = np.array(found)
        names = ("brightness", "red", "blue")
        measures = {name: round(float(np.median(table[:, i])), 4) for i, name in enumerate(names)}
        widths = table[:, 3][~np.isnan(table[:, 3])]
        if widths.size >= FEWEST_FRAMES:
            measures["focus"] = round(float(np.median(widths)), 3)
        return {**measures, "frames": float(len(found))}

    def warnings(self, measures: dict[str, float]) -> list[str]:
        """A sentence for each measure that left what the set-up allows."""
        if self._reference is None or not measures:
            return []
        found = trends([Point(0.0, measures)], self._reference)
        return [f"{trend}: set the camera up again (`edge setup-camera`)" for trend in found if trend.beyond]


def said(measures: dict[str, float]) -> str:
    """What an event says of the measures."""
    text = f"light between the cells at {measures['brightness']:.1f} of 255, "
    text += f"red {measures['red']:.3f} and blue {measures['blue']:.3f} of green"
    if "focus" in measures:
        text += f", edges {measures['focus']:.2f} px wide"
    return f"{text}, in {measures['frames']:.0f} frames"
