"""The figure of a camera's set-up: an empty field before and after, and a lamp that dims from week to week.

    python -m docs.studies.commissioning.camera_figure write --out docs/images/camera_setup.png

Drawn by the virtual microscope and the functions that `edge setup-camera`, `edge run` and `edge doctor` use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from docs.studies.command import run
from edge.cameras.base import CameraSettings
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.commands.command_line import Outcome
from edge.commissioning.camera.light_watch import light_of
from edge.commissioning.camera.looks import look
from edge.commissioning.camera.measure import LightSetup, measure_light
from edge.commissioning.camera.trend import LIMITS, Point, trends
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.measures import View
from edge.system.files import write_whole
from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, render, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MICROSCOPE = "sim:Pro?seed=2&motion=0&focus_drift=0&vignetting=0.35&dirt=14&lamp_white=6"
SIZE = (640, 480)
A_WEEK, WEEKS = 0.012, 11  # part of the lamp's light that is lost a week
_PREPARED = InputContract((224, 224), ("a", "b"))


@dataclass(frozen=True)
class FigureRequest:
    """Where the figure goes.

    >>> write("a.png").out
    PosixPath('a.png')
    """

    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Set the virtual microscope up, look at it for some weeks, and write the figure."""
        before, after, light = _set_up()
        weeks = _weeks(light)
        write_whole(self.out, render(_figure(before, after, light, weeks)))
        found = trends(weeks, light.reference)[0]
        return Outcome(record={"points": len(weeks), "trend": str(found)}, text=f"{self.out}: {found}")


def write(out: str, json: bool = False) -> FigureRequest:
    """Draw an empty field before and after its set-up, and the trend of a lamp that dims.

    Args:
        out: PNG to write.
        json: print one JSON object.
    """
    return FigureRequest(Path(out), json)


def _set_up() -> tuple[Pixels, Pixels, LightSetup]:
    """(an empty field as it is with the lamp locked, the same with the flat field divided out, the set-up)."""
    with SimulatedCamera(f"{MICROSCOPE}&empty=1") as camera:
        light = measure_light(camera, CameraSettings(size=SIZE))
        before = np.rint(look(camera, 8).light).astype(np.uint8)
    after = before.copy()
    light.flat_field.apply(after)
    return before, after, light


def _weeks(light: LightSetup) -> list[Point]:
    """What runs measure, one a week, of a lamp that loses A_WEEK of its light each."""
    points = []
    for week in range(WEEKS):
        lamp = (1 - A_WEEK) ** week
        with SimulatedCamera(f"{MICROSCOPE}&empty=0&lamp={lamp:.4f}&noise=3") as camera:
            camera.configure(light.locked.settings)
            frame = camera.capture(5.0).pixels
        light.flat_field.apply(frame)
        seen = light_of(View(_PREPARED.prepare(frame)))
        assert seen is not None
        points.append(Point(7.0 * week, dict(zip(("brightness", "red", "blue"), seen, strict=True))))
    return points


@styled
def _figure(before: Pixels, after: Pixels, light: LightSetup, weeks: list[Point]) -> "Figure":
    figure, axes = canvas(10.0, 6.2, 2, 2)
    titles = ("Empty field, lamp locked", "Flat field divided out")
    for axis, field, title in zip(axes[0], (before, after), titles, strict=True):
        axis.imshow(field[::4, ::4].mean(axis=2), cmap="gray", vmin=120, vmax=255, interpolation="bilinear")
        axis.set_title(title)
        axis.set_axis_off()
    _draw_row(axes[1, 0], before, after)
    _draw_weeks(axes[1, 1], light, weeks)
    heading(figure, "What a set-up changes, and how it ages (virtual microscope)")
    return figure  # type: ignore[no-any-return]


def _draw_row(axis: "Axes", before: Pixels, after: Pixels) -> None:
    row = before.shape[0] // 2
    for field, colour, name in ((before, ORANGE, "before"), (after, BLUE, "after")):
        axis.plot(field[row - 2 : row + 3].mean(axis=(0, 2)), color=colour, label=name, linewidth=1)
    axis.set_xlabel("pixel of the middle row")
    axis.set_ylabel("grey level")
    axis.set_ylim(100, 255)
    axis.legend()


def _draw_weeks(axis: "Axes", light: LightSetup, weeks: list[Point]) -> None:
    parts = [100 * point.measures["brightness"] / light.reference.brightness for point in weeks]
    axis.plot(range(len(parts)), parts, "o-", color=BLUE, label="each week's run")
    warned = next((n for n in range(1, len(weeks) + 1) if trends(weeks[:n], light.reference)[0].warns), None)
    beyond = next((n for n in range(1, len(weeks) + 1) if trends(weeks[:n], light.reference)[0].beyond), None)
    axis.axhline(100, color=GREY, linewidth=0.8)
    limit = 100 - 100 * LIMITS["brightness"]
    axis.axhline(limit, color=INK, linewidth=0.8, linestyle="--", label="limit of the set-up")
    if warned is not None:
        axis.plot(warned - 1, parts[warned - 1], "s", color=ORANGE, markersize=9, label="edge doctor warns from here")
    if beyond is not None:
        axis.plot(beyond - 1, parts[beyond - 1], "D", color=GREEN, markersize=8, label="beyond: set it up again")
    axis.set_xlabel("week")
    axis.set_ylabel("light, % of the set-up's")
    axis.legend(loc="lower left")


if __name__ == "__main__":
    run({"write": write})
