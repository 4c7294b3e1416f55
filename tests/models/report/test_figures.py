"""Figures: real image bytes, repeatable, no trace left in the process, and refusals by name."""

import subprocess
import sys
from collections.abc import Callable

import cv2
import matplotlib
import numpy as np
import pytest

from models.errors import FigureError
from models.report.figure_style import render
from models.report.figures import (
    confusion_figure,
    contact_sheet,
    drift_figure,
    intervals_figure,
    learning_figure,
    reliability_figure,
)
from models.statistics.formatting import careful_percent

LABELS = ("Benign", "Early", "Pre", "Pro")
RNG = np.random.default_rng(0)
ROWS = RNG.dirichlet(np.full(4, 0.3), 60)
OTHER = 0.9 * ROWS + 0.1 * RNG.dirichlet(np.ones(4), 60)
TRUTH = ROWS.argmax(1)
HISTORY = {"loss": [1.0, 0.5, 0.3], "accuracy": [0.5, 0.7, 0.8], "val_loss": [1.1, 0.7, 0.6]}
TILE = np.zeros((20, 30, 3), np.uint8)

FIGURES: dict[str, Callable[[], object]] = {
    "confusion": lambda: confusion_figure(LABELS, {"float": np.eye(4, dtype=int) * 9, "int8": np.eye(4, dtype=int)}),
    "one confusion": lambda: confusion_figure(("a long class name", "b"), {"": [[3, 1], [0, 0]]}, title="Test"),
    "reliability": lambda: reliability_figure({"float": (ROWS, TRUTH), "int8": (OTHER, TRUTH)}),
    "drift": lambda: drift_figure(ROWS, OTHER, "Drift"),
    "no drift": lambda: drift_figure(ROWS, ROWS),
    "learning": lambda: learning_figure(HISTORY, [("head", 0), ("all layers", 1)], "mobilenet_v2"),
    "intervals": lambda: intervals_figure(("a", "b"), {"float": [(0.9, 0.8, 1.0), None], "int8": [None, None]}),
    "contact sheet": lambda: contact_sheet([TILE] * 7, [f"image {i}\nPre > Pro" for i in range(7)], columns=3),
}


@pytest.mark.parametrize("name", FIGURES)
def test_png_is_an_image_with_ink_on_it(name: str) -> None:
    data = render(FIGURES[name]())  # type: ignore[arg-type]
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and min(image.shape[:2]) > 100
    assert image.max() == 255 and (image < 128).mean() > 0.001


@pytest.mark.parametrize("name", FIGURES)
def test_svg_stands_alone_and_repeats(name: str) -> None:
    first, again = (render(FIGURES[name](), "svg") for _ in range(2))  # type: ignore[arg-type]
    assert first == again
    assert b"<svg" in first and b"<text" not in first  # letters are paths: no font is needed
    assert b'href="http' not in first and b"<dc:date>" not in first


def test_the_process_keeps_its_settings() -> None:
    matplotlib.rcParams["font.size"] = 17.0
    before = dict(matplotlib.rcParams)
    for make in FIGURES.values():
        render(make())  # type: ignore[arg-type]
    assert dict(matplotlib.rcParams) == before
    matplotlib.rcdefaults()


def test_no_pyplot_and_nothing_heavy_at_import() -> None:
    code = (
        "import sys, models.report.figures as f; from models.report.figure_style import render;"
        "assert 'matplotlib' not in sys.modules;"
        "render(f.confusion_figure(['a','b'], {'': [[1,0],[0,1]]}));"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_rounded_share_never_hides_a_mistake() -> None:

    assert careful_percent(1.0, 1) == "100 %"
    assert careful_percent(0.9999, 1) == ">99.9 %"
    assert careful_percent(0.0061, 1) == "0.6 %"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: confusion_figure(LABELS, {}), "matrices"),
        (lambda: confusion_figure(LABELS, {"int8": np.eye(3, dtype=int)}), "int8"),
        (lambda: confusion_figure(LABELS, {"int8": np.eye(4)}), "int8"),
        (lambda: reliability_figure({}), "curves"),
        (lambda: drift_figure(ROWS, ROWS[:3]), "int8_probabilities"),
        (lambda: learning_figure({}), "history"),
        (lambda: learning_figure({"loss": [1.0], "accuracy": [0.1, 0.2]}), "history"),
        (lambda: intervals_figure(LABELS, {"float": []}), "series"),
        (lambda: contact_sheet([], []), "captions"),
        (lambda: contact_sheet([TILE], ["a"], columns=0), "columns"),
        (lambda: contact_sheet([TILE.astype(float)], ["a"]), "images"),
        (lambda: render(FIGURES["drift"](), "pdf"), "format"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_drawn_is_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(FigureError, match=named):
        call()
