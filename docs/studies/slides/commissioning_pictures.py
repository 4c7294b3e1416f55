"""The pictures of "Commission your microscope": drawn smears, and what the product's own rules make of them.

    python -m docs.studies.slides.commissioning_pictures --to docs/images/commission

No image of a data set is on any of them. What stands on a picture is measured while it is drawn.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from docs.studies.command import Study, output, run
from edge.bundle.acceptance import tier
from edge.cameras.base import CameraSettings
from edge.cameras.setup.flat_field import flat_field_of
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.cameras.simulation.stage import FRAMES_A_STOP
from edge.cameras.synthetic.laboratory import HEALTHY, LEUKEMIC, Laboratory
from edge.commands.command_line import Outcome
from edge.commissioning.camera.red_cells import measure_red_cells
from edge.errors import UsageError
from edge.inference.contract import Pixels
from edge.system.files import write_whole
from models.report.figure_style import BLUE, GREEN, GREY, INK, ORANGE, canvas, heading, render, styled
from models.statistics.intervals import exact_upper

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SITE = 3
SIZE = (480, 360)
LEVELS = (12, 29, 59, 149, 299)  # slides whose bound is marked
MOST_SLIDES = 320
LAMP_A_DAY = 0.003  # that the light falls, from the 21st day on
DAYS, SLIDES_A_DAY = 6, 6
COLOURS = {HEALTHY: BLUE, LEUKEMIC: ORANGE}


@dataclass(frozen=True)
class Pictures(Study):
    """Draw them all."""

    to: Path

    def execute(self) -> Outcome:
        """One PNG a step."""
        self.to.mkdir(parents=True, exist_ok=True)
        for name, draw in PICTURES.items():
            write_whole(self.to / f"{name}.png", with_palette(render(draw())))
        return self.finished({"pictures": sorted(PICTURES)}, f"{len(PICTURES)} pictures in {self.to}")


@styled
def set_up() -> "Figure":
    """An empty field before and after its flat field is divided out, and the scale by red cells."""
    soiled = "vignetting=0.45&dirt=14&motion=0&focus_drift=0&noise=0"
    empty = [f.astype(np.float64) for f in frames(f"sim:healthy?site={SITE}&empty=1&exposure_error=-0.3&{soiled}", 8)]
    flat, *_ = flat_field_of(np.mean(empty, axis=0))
    before = np.asarray(np.rint(empty[0]), np.uint8)
    after = before.copy()
    flat.apply(after)
    scan = frames(f"sim:healthy?site={SITE}&empty=0&exposure_error=-0.3&{soiled}", 141)[::FRAMES_A_STOP]
    for cells in scan:
        flat.apply(cells)
    diameter = measure_red_cells(scan).median
    figure, axes = canvas(10.0, 3.4, 1, 3)
    spread = [f"brightness {levels(pixels)}" for pixels in (before, after)]
    show(axes[0], before, "1. An empty field, light locked", f"{spread[0]}: the lamp's edge, and dirt", ORANGE)
    show(axes[1], after, "2. Its flat field divided out", spread[1], GREEN)
    show(axes[2], scan[0], "3. The scale: red cells, 7.5 µm", f"median {diameter:.1f} pixels a red cell", GREEN)
    axes[2].plot([14, 14 + diameter], [SIZE[1] - 16] * 2, color=INK, linewidth=3)
    heading(figure, "edge setup-camera: once, before the first slide")
    return figure  # type: ignore[no-any-return]


@styled
def collect() -> "Figure":
    """Fields that are stored and fields that are not."""
    laboratory = Laboratory(SITE)
    smear = laboratory.smear(LEUKEMIC, 8)
    step = laboratory.um_per_px(0, SIZE[1])
    good = smear.field(0.0, 0.0, SIZE, step, noise=None).frame
    again = smear.field(SIZE[0] * step * 0.3, 0.0, SIZE, step, noise=None).frame
    blurred = smear.field(400.0, 0.0, SIZE, step, 4.0, noise=None).frame
    empty = frames(f"sim:healthy?site={SITE}&empty=1&motion=0&focus_drift=0&noise=0", 1)[0]
    figure, axes = canvas(10.0, 2.9, 1, 4)
    show(axes[0], good, "stored", "sharp, lit, with cells", GREEN)
    show(axes[1], again, "not stored", "the same piece of slide: move on", ORANGE)
    show(axes[2], blurred, "not stored", "out of focus", ORANGE)
    show(axes[3], empty, "not stored", "nothing on it", ORANGE)
    heading(figure, "edge collect: new, sharp fields of a slide, and no piece of it twice")
    return figure  # type: ignore[no-any-return]


@styled
def sessions() -> "Figure":
    """How slides are spread over days: so that day tells the class, and so that it does not."""
    figure, axes = canvas(10.0, 2.7, 1, 2)
    rule: dict[bool, Callable[[int, int], bool]] = {
        False: lambda day, _: day >= DAYS // 2,
        True: lambda day, place: (day + place) % 2 == 1,
    }
    for axis, mixed in zip(axes, (False, True), strict=True):
        for day in range(DAYS):
            for place in range(SLIDES_A_DAY):
                label = LEUKEMIC if rule[mixed](day, place) else HEALTHY
                axis.add_patch(_slide(day, place, COLOURS[label]))
        axis.set_xlim(-0.2, DAYS)
        axis.set_ylim(-0.2, SLIDES_A_DAY)
        axis.set_xticks([day + 0.42 for day in range(DAYS)], [f"day {day + 1}" for day in range(DAYS)])
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        good = ("in turn: usable", GREEN) if mixed else ("class by class: refused, class_is_day", ORANGE)
        axis.set_title(good[0], color=good[1])
    for label, colour in COLOURS.items():
        axes[1].plot([], [], "s", color=colour, label=f"slide, {label}")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    heading(figure, "Take slides of every class on every day")
    return figure  # type: ignore[no-any-return]


@styled
def audit() -> "Figure":
    """Fields of two classes as a clean site has them, and as three confounded ones do."""
    laboratory = Laboratory(SITE)
    small = (SIZE[0] * 2 // 3, SIZE[1] * 2 // 3)

    def field(label: str, slide: int, camera: int = 0, light: float = 1.0) -> Pixels:
        frame = laboratory.field(label, slide, 0, camera=camera, size=small, light=light).frame
        return np.asarray(cv2.medianBlur(frame, 3), np.uint8)  # noise makes a picture's file large

    def fields(*, camera: int = 0, light: float = 1.0, labels: tuple[str, str] = (HEALTHY, LEUKEMIC)) -> list[Pixels]:
        return [field(labels[0], 2, light=light), field(labels[1], 5, camera)]

    columns = [
        ("nothing refused", "only the cells differ", GREEN, fields()),
        ("class_is_camera", "leukemic: another camera", ORANGE, fields(camera=1)),
        ("class_is_colour", "healthy: with less light", ORANGE, fields(light=0.86)),
        ("labels_at_chance", "labels mixed up: cells alike", ORANGE, fields(labels=(HEALTHY, HEALTHY))),
    ]
    figure, axes = canvas(10.0, 4.6, 2, 4)
    for place, (title, text, colour, pair) in enumerate(columns):
        show(axes[0, place], pair[0], title, "", colour)
        show(axes[1, place], pair[1], "", text, colour)
    axes[0, 0].set_ylabel("labelled healthy")
    axes[1, 0].set_ylabel("labelled leukemic")
    heading(figure, "models audit: what gives the class away without a cell")
    return figure  # type: ignore[no-any-return]


@styled
def held_back() -> "Figure":
    """The part of the slides that adapts, and the part that accepts."""
    figure, axis = canvas(10.0, 1.9)
    parts = [(12, "adapt: 10 to 12 slides a class", BLUE), (30, "accept: 29 leukemic slides or more", GREEN)]
    left = 0.0
    for count, text, colour in parts:
        for place in range(count):
            axis.add_patch(_slide(left + place * 0.8, 0.3, colour, width=0.6))
        axis.text(left, 1.3, text, color=colour, fontweight="bold")
        left += count * 0.8 + 1.2
    axis.text(0, -0.35, "No slide in both: convert accept refuses it by image and by name.", color=INK)
    axis.set_xlim(-0.3, left)
    axis.set_ylim(-0.7, 1.9)
    axis.axis("off")
    heading(figure, "Hold slides back before anything is adapted")
    return figure  # type: ignore[no-any-return]


@styled
def accept() -> "Figure":
    """How large a share of leukemic slides can be missed where none of n was."""
    slides = np.arange(3, MOST_SLIDES)
    figure, axis = canvas(10.0, 3.4)
    for missed, colour in ((0, BLUE), (1, GREY)):
        axis.plot(slides, [100 * exact_upper(missed, int(n)) for n in slides], color=colour, label=f"{missed} missed")
    for count in LEVELS:
        bound = 100 * exact_upper(0, count)
        says = tier(count, 0).says_benign
        axis.plot([count], [bound], "o" if says else "X", color=GREEN if says else ORANGE, markersize=7)
        axis.annotate(f"{count}: {bound:.0f} %", (count, bound), (6, 6), textcoords="offset points")
    axis.axvspan(0, 28.5, color=ORANGE, alpha=0.12, linewidth=0)
    axis.text(31, 62, "left of 29 slides the device never says Benign", color=ORANGE)
    axis.set_xlim(0, MOST_SLIDES)
    axis.set_ylim(0, 70)
    axis.set_xlabel("leukemic slides that were held back")
    axis.set_ylabel("missed at most, percent\n(95 % confidence)")
    axis.legend(loc="center right")
    heading(figure, "convert accept: what so many slides can show")
    return figure  # type: ignore[no-any-return]


@styled
def control() -> "Figure":
    """A control slide's brightness while the lamp dims, against the first twenty days."""
    days = 36
    laboratory = Laboratory(SITE)
    values = []
    for day in range(days):
        light = 1.0 - LAMP_A_DAY * max(0, day - 20)
        frame = laboratory.field(HEALTHY, 1, day % 6, session=day, size=(160, 120), light=light).frame
        values.append(float(np.percentile(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 80)))
    series = np.array(values)
    mean, deviation = series[:20].mean(), series[:20].std(ddof=1)
    z = (series - mean) / deviation
    figure, axis = canvas(10.0, 2.9)
    for level, colour in ((0, GREY), (-2, BLUE), (2, BLUE), (-3, ORANGE), (3, ORANGE)):
        axis.axhline(level, color=colour, linewidth=0.8, linestyle="-" if level == 0 else "--")
    axis.plot(range(1, days + 1), z, "o-", color=INK, markersize=3.5, linewidth=0.8)
    axis.axvspan(0.5, 20.5, color=GREEN, alpha=0.10, linewidth=0)
    axis.text(1, 3.5, "the first twenty make the baseline", color=GREEN)
    axis.text(21, 3.5, f"a lamp that dims by {100 * LAMP_A_DAY:g} % a day", color=ORANGE)
    axis.set_xlabel("day")
    axis.set_ylabel("brightness, SD")
    axis.set_xlim(0.5, days + 0.5)
    axis.set_ylim(min(-4.2, z.min() - 0.3), 4.6)
    heading(figure, "edge control: one slide, every day")
    return figure  # type: ignore[no-any-return]


PICTURES: dict[str, Callable[[], "Figure"]] = {
    "set_up": set_up,
    "collect": collect,
    "sessions": sessions,
    "audit": audit,
    "held_back": held_back,
    "accept": accept,
    "control": control,
}


def with_palette(png: bytes) -> bytes:
    """The same picture in 128 colours: a third of the bytes."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def frames(uri: str, count: int) -> list[Pixels]:
    """The first frames of a simulated camera."""
    with SimulatedCamera(uri) as camera:
        camera.configure(CameraSettings(size=SIZE))
        return [camera.capture(5).pixels.copy() for _ in range(count)]


def levels(pixels: Pixels) -> str:
    """Darkest and lightest twentieth of a smoothed frame, in words."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 3)
    low, high = np.percentile(grey, (1, 99))
    return f"{low:.0f} to {high:.0f}"


def show(axis: "Axes", pixels: Pixels, title: str, text: str, colour: str) -> None:
    """A field with a line above and one below, framed in a colour."""
    axis.imshow(pixels)
    axis.set_title(title, color=colour)
    axis.set_xlabel(text)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color(colour)
        spine.set_linewidth(2)


def _slide(x: float, y: float, colour: str, width: float = 0.8) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, 0.7, color=colour)


def pictures(*, to: str, out: str = "", json: bool = False) -> Pictures:
    """Draw the pictures of "Commission your microscope".

    Args:
        to: folder for them.
        out: file for the list of them.
        json: print it.
    """
    if not to:
        raise UsageError("--to must name a folder; got none")
    return Pictures(to=Path(to), **output(out, json))


if __name__ == "__main__":
    run({"pictures": pictures}, "pictures")
