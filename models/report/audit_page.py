"""The audit as one self-contained page. It shows images of the set: not for publishing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge.inference.contract import Pixels
from edge.inference.images import read_image
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.data.dataset import ImageSet, Sample
from models.data.shortcut_probe import PATCH, REGIONS, SIDE
from models.report.figure_style import GREY, ORANGE, SERIES, render
from models.report.figures import colour_figure

Record = Mapping[str, Any]
PAIRS = 24  # overlapping pairs shown, of all sizes of the shared part
TWINS = 8  # contents that occur more than once
NAMES = 4  # of files with the same content
CORNERS = 6  # images a class whose border patch is shown
PROBLEMS = 100  # rows
MARKS = 10  # boxed in the average images; half as many shown enlarged
THUMB = 150  # pixels a side
BAR = 420  # length of a bar that stands for 1
OUTLINE = (213, 94, 0)  # orange, RGB
LEVELS = {"stop": "Settle first", "care": "Take care", "note": "Good to know"}


@dataclass(frozen=True)
class Bar:
    """A share as a bar: its lengths are of `BAR`; low, high and chance are None where it has no interval."""

    label: str
    text: str
    length: float
    colour: str
    low: float | None = None
    high: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Copies:
    """One content, and the names of some of the files that have it."""

    picture: Picture
    names: Sequence[str]


@dataclass(frozen=True)
class Overlap:
    """Two fields with the part that both show outlined."""

    first: Picture
    second: Picture
    text: str


@dataclass(frozen=True)
class Mark:
    """A mark in a fixed place, enlarged from the average image of each class."""

    text: str
    crops: Sequence[Picture]


def page(record: Record, image_set: ImageSet) -> str:
    """The audit of `image_set` as HTML with its pictures inside: no script, nothing loaded from elsewhere.

    Args:
        record: from `audit`.
        image_set: the set it was made from; its files are read for the pictures.

    Raises:
        ImageFileError: a file changed into something unreadable since the audit.
    """
    by_name = {sample.name: sample for sample in image_set.samples}
    description = "mean green against mean blue of images, a colour a class"
    problems = [problem for problem in record["problems"] if problem["kind"] != "duplicate"]
    return render_page(
        "models.report",
        "audit.html",
        record=record,
        levels=LEVELS,
        counts=_counts(record["counts"]),
        problems=_problems(problems[:PROBLEMS]),
        unlisted=max(0, len(problems) - PROBLEMS),
        copies=_copies(record["duplicates"], by_name),
        overlaps=_overlaps(record["fields"]["pairs"], by_name),
        **_border(record, image_set),
        **_marks(record, image_set),
        scatter=Picture(render(colour_figure(record["colour"]["points"])), "png", description),
        colours=_colours(record["colour"]["classes"]),
    )


def _counts(counts: Mapping[str, int]) -> list[Bar]:
    most = max(counts.values())
    return [
        Bar(label, str(count), round(BAR * count / most), SERIES[index % len(SERIES)])
        for index, (label, count) in enumerate(counts.items())
    ]


def _problems(listed: Sequence[Record]) -> Table:
    rows = [(p["name"], p["kind"], p["detail"], "used" if p["used"] else "left out") for p in listed]
    return Table(("File", "Kind", "Detail", ""), rows)


def _copies(twins: Sequence[Record], by_name: Mapping[str, Sample]) -> list[Copies]:
    """Contents with two labels first."""
    chosen = sorted(twins, key=lambda twin: -len(twin["labels"]))[:TWINS]
    return [Copies(_jpeg(_square(by_name[t["names"][0]]), t["names"][0]), t["names"][:NAMES]) for t in chosen]


def _overlaps(pairs: Sequence[Record], by_name: Mapping[str, Sample]) -> list[Overlap]:
    """Some pairs, from the smallest shared part to the largest."""
    if not pairs:
        return []
    in_order = sorted(pairs, key=lambda pair: (pair["shared"], pair["first"]))
    found = []
    for pair in (in_order[i] for i in np.unique(np.linspace(0, len(pairs) - 1, PAIRS).astype(int))):
        first, second = (_square(by_name[pair[key]]).copy() for key in ("first", "second"))
        _outline_shared(first, second, pair["shift"])
        text = f"share {pair['shared']:.0%}, correlation {pair['correlation']:.2f}"
        found.append(Overlap(_jpeg(first, pair["first"]), _jpeg(second, pair["second"]), text))
    return found


def _border(record: Record, image_set: ImageSet) -> dict[str, object]:
    """How well a patch of the border tells the class, and the patch that tells most; nothing if not measured."""
    border = record["border"]
    if border is None:
        return {}
    regions = sorted(border["regions"].items(), key=lambda item: -item[1]["accuracy"])
    shown = border["stand_out"][0] if border["stand_out"] else regions[0][0]
    return {
        "patch": PATCH,
        "side": SIDE,
        "corners": CORNERS,
        "chance": f"{regions[0][1]['chance']:.1%}",
        "regions": [_accuracy(name, guess, name in border["stand_out"]) for name, guess in regions],
        "shown": shown,
        "border_patches": {
            label: [_png(_enlarged(_patch(one, shown), 2), one.name) for one in _some(image_set, label, CORNERS)]
            for label in record["labels"]
        },
    }


def _accuracy(region: str, guess: Record, stands_out: bool) -> Bar:
    low, high = (round(BAR * side, 1) for side in guess["interval"])
    return Bar(
        region,
        f"{guess['accuracy']:.1%}",
        round(BAR * guess["accuracy"]),
        ORANGE if stands_out else GREY,
        low,
        high,
        round(BAR * guess["chance"], 1),
    )


def _marks(record: Record, image_set: ImageSet) -> dict[str, object]:
    """Average images with the marks boxed, and the first marks enlarged."""
    marks = record["marks"]
    if not marks:
        return {"marks": []}
    means = {label: _mean(_some(image_set, label, 200)) for label in record["labels"]}
    averages = []
    for label, mean in means.items():
        picture = mean.copy()
        for mark in marks[:MARKS]:
            top, left, bottom, right = (round(side * SIDE) for side in mark["box"])
            cv2.rectangle(picture, (left - 4, top - 4), (right + 3, bottom + 3), OUTLINE, 1)
        averages.append(_png(picture, f"{label}: average image"))
    return {"marks": [_mark(mark, means) for mark in marks[: MARKS // 2]], "averages": averages}


def _mark(mark: Record, means: Mapping[str, Pixels]) -> Mark:
    kind = "differs between classes" if mark["difference"] >= 0.2 else "alike in all classes"
    crops = [
        _png(_enlarged(_around(mean, mark["box"]), 4), f"{label}: {mark['share'][label]:.0%}")
        for label, mean in means.items()
    ]
    return Mark(f"{mark['pixels']} pixels, {kind}", crops)


def _colours(classes: Mapping[str, Record]) -> Table:
    head = ("Class", "mean R", "mean G", "mean B", "contrast R", "contrast G", "contrast B")
    rows = [
        (
            label,
            *(f"{m:.0f} ± {s:.0f}" for m, s in zip(found["mean_rgb"], found["mean_rgb_spread"], strict=True)),
            *(f"{value:.0f}" for value in found["contrast_rgb"]),
        )
        for label, found in classes.items()
    ]
    return Table(head, rows, numbers=range(1, 7))


def _jpeg(picture: Pixels, description: str) -> Picture:
    return Picture(_encoded(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 82]), "jpeg", description)


def _png(picture: Pixels, description: str) -> Picture:
    return Picture(_encoded(picture, ".png", []), "png", description)


def _encoded(picture: Pixels, suffix: str, options: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def _square(sample: Sample, side: int = THUMB) -> Pixels:
    return np.asarray(cv2.resize(read_image(sample.path), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _outline_shared(first: Pixels, second: Pixels, shift: Sequence[float]) -> None:
    """Draw the part both show into both, in place."""
    down, right = (round(part * THUMB) for part in shift)
    rows, columns = THUMB - abs(down), THUMB - abs(right)
    for picture, y, x in ((first, down, right), (second, -down, -right)):
        top, left = max(0, y), max(0, x)
        cv2.rectangle(picture, (left, top), (left + columns - 1, top + rows - 1), OUTLINE, 2)


def _some(image_set: ImageSet, label: str, count: int) -> list[Sample]:
    """At most `count` images of a class, evenly from first to last."""
    own = [sample for sample in image_set.samples if sample.label == label]
    return [own[i] for i in np.unique(np.linspace(0, len(own) - 1, count).astype(int))] if own else []


def _mean(samples: Sequence[Sample]) -> Pixels:
    total = np.zeros((SIDE, SIDE, 3))
    for sample in samples:
        cv2.accumulate(_square(sample, SIDE), total)
    return np.asarray(np.rint(total / max(1, len(samples))), np.uint8)


def _patch(sample: Sample, region: str) -> Pixels:
    top, left = REGIONS[region]
    return _square(sample, SIDE)[top : top + PATCH[0], left : left + PATCH[1]]


def _around(picture: Pixels, box: Sequence[float]) -> Pixels:
    """The box with a margin, as far as the picture goes."""
    top, left, bottom, right = (round(side * SIDE) for side in box)
    return picture[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8]


def _enlarged(picture: Pixels, times: int) -> Pixels:
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
