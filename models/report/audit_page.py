"""The audit as one self-contained page. It shows images of the set: not for publishing."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import cv2
import numpy as np

from edge.inference.contract import Pixels
from edge.inference.images import read_image
from models.data.dataset import ImageSet, Sample
from models.data.shortcut_probe import PATCH, REGIONS, SIDE

PAIRS = 24  # overlapping pairs shown, of all sizes of the shared part
TWINS = 8  # contents that occur more than once
CORNERS = 6  # images a class whose border patch is shown
PROBLEMS = 100  # rows
THUMB = 150  # pixels a side
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#999999",
)  # Okabe and Ito
LEVELS = {"stop": "Settle first", "care": "Take care", "note": "Good to know"}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 1080px;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem; margin: 0 }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .4rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem }
p { max-width: 46rem }
.quiet { color: #555 }
.warning { background: #fff4e0; border-left: 4px solid #d55e00; padding: .5rem .8rem }
table { border-collapse: collapse; margin: .6rem 0 }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: middle }
th { border-bottom: 1px solid #999; font-weight: 600 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
ul.findings { list-style: none; padding: 0; max-width: 60rem }
ul.findings li { margin: .5rem 0; padding-left: 8.2rem; position: relative }
ul.findings b { position: absolute; left: 0; top: .1rem; width: 7.2rem; text-align: center;
  border-radius: 4px; font-size: .85rem }
b.stop { background: #b3261e; color: #fff }
b.care { background: #f3c46b }
b.note { background: #e3e8ee }
.row { display: flex; flex-wrap: wrap; gap: 1rem; margin: .8rem 0 }
figure { margin: 0 }
figcaption { font-size: .8rem; color: #444; max-width: 304px; overflow-wrap: anywhere }
img { display: block }
.pair { display: flex; gap: 4px }
"""


def page(record: Mapping[str, Any], image_set: ImageSet) -> str:
    """The audit of `image_set` as HTML with its pictures inside: no script, nothing loaded from elsewhere.

    Args:
        record: from `audit`.
        image_set: the set it was made from; its files are read for the pictures.

    Raises:
        ImageFileError: a file changed into something unreadable since the audit.
    """
    by_name = {sample.name: sample for sample in image_set.samples}
    parts = [
        f"<h1>Audit of {escape(record['name'])}</h1>",
        f"<p class=quiet>{record['images']} images in {len(record['labels'])} classes.</p>",
        "<p class=warning>This page contains images of the set. Keep it where the set may be kept.</p>",
        _findings(record["findings"]),
        _counts(record),
        _problems(record["problems"]),
        _duplicates(record["duplicates"], by_name),
        _fields(record["fields"], by_name),
        _border(record, image_set),
        _marks(record, image_set),
        _colour(record["colour"]),
    ]
    body = "".join(parts)
    title = f"Audit of {escape(record['name'])}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    head += f"<style>{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _findings(found: Sequence[Mapping[str, str]]) -> str:
    if not found:
        return "<p>Nothing to report.</p>"
    items = [f"<li><b class={f['level']}>{LEVELS[f['level']]}</b>{escape(f['text'])}</li>" for f in found]
    return f"<ul class=findings>{''.join(items)}</ul>"


def _counts(record: Mapping[str, Any]) -> str:
    most = max(record["counts"].values())
    rows = [
        f"<tr><td>{escape(label)}<td class=n>{count}<td>"
        f'<svg width="320" height="14" role="img" aria-label="{count}">'
        f'<rect width="{320 * count / most:.0f}" height="14" fill="{_colour_of(index)}"/></svg>'
        for index, (label, count) in enumerate(record["counts"].items())
    ]
    return f"<h2>Images a class</h2><table>{''.join(rows)}</table>"


def _problems(problems: Sequence[Mapping[str, Any]]) -> str:
    listed = [p for p in problems if p["kind"] != "duplicate"]
    if not listed:
        return "<h2>Files</h2><p>Every file is a readable image (exact copies: below).</p>"
    rows = [
        f"<tr><td>{escape(p['name'])}<td>{p['kind']}<td>{escape(p['detail'])}<td>{_fate(p)}" for p in listed[:PROBLEMS]
    ]
    more = f"<p class=quiet>and {len(listed) - PROBLEMS} more, in the JSON record</p>" if len(listed) > PROBLEMS else ""
    return f"<h2>Files</h2><table><tr><th>File<th>Kind<th>Detail<th>{''.join(rows)}</table>{more}"


def _fate(problem: Mapping[str, Any]) -> str:
    return "used" if problem["used"] else "left out"


def _duplicates(twins: Sequence[Mapping[str, Any]], by_name: Mapping[str, Sample]) -> str:
    if not twins:
        return "<h2>Exact copies</h2><p>None.</p>"
    conflicts_first = sorted(twins, key=lambda t: -len(t["labels"]))
    figures = [
        _figure(_jpeg(_square(by_name[twin["names"][0]])), "<br>".join(escape(name) for name in twin["names"][:4]))
        for twin in conflicts_first[:TWINS]
    ]
    text = f"<p>{len(twins)} contents occur more than once; {len(figures)} of them:</p>"
    return f"<h2>Exact copies</h2>{text}<div class=row>{''.join(figures)}</div>"


def _fields(fields: Mapping[str, Any], by_name: Mapping[str, Sample]) -> str:
    pairs = sorted(fields["pairs"], key=lambda pair: (pair["shared"], pair["first"]))
    if not pairs:
        return "<h2>Overlapping fields</h2><p>None found.</p>"
    chosen = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, PAIRS).astype(int))]
    figures = []
    for pair in chosen:
        first, second = (_square(by_name[pair[key]]).copy() for key in ("first", "second"))
        _outline_shared(first, second, pair["shift"])
        caption = (
            f"{escape(pair['first'])}<br>{escape(pair['second'])}<br>"
            f"share {pair['shared']:.0%}, correlation {pair['correlation']:.2f}"
        )
        figures.append(f"<figure><div class=pair>{_img(_jpeg(first))}{_img(_jpeg(second))}</div>")
        figures.append(f"<figcaption>{caption}</figcaption></figure>")
    text = (
        f"<p>{fields['images_in_groups']} images form {fields['groups']} groups that share a field or are "
        f"copies; the largest has {fields['largest_group']}. {len(pairs)} pairs overlap; here are "
        f"{len(chosen)} of them, from the smallest shared part to the largest, with that part outlined. "
        "Rotated, mirrored and zoomed copies are not looked for.</p>"
    )
    return f"<h2>Overlapping fields</h2>{text}<div class=row>{''.join(figures)}</div>"


def _border(record: Mapping[str, Any], image_set: ImageSet) -> str:
    border = record["border"]
    title = "<h2>Does the border tell the class?</h2>"
    if border is None:
        return f"{title}<p>Too few fields a class to measure.</p>"
    regions = sorted(border["regions"].items(), key=lambda item: -item[1]["accuracy"])
    chance = regions[0][1]["chance"]
    bars = "".join(_interval_bar(name, guess, name in border["stand_out"]) for name, guess in regions)
    text = (
        f"<p>Accuracy of a forest that sees one patch of {PATCH[1]}x{PATCH[0]} pixels (of {SIDE}x{SIDE}) in "
        f"grey, with 95 % intervals; the dotted line is chance ({chance:.1%}). Plain smear tells a little "
        "too; a patch that stands out holds something burned in.</p>"
    )
    shown = border["stand_out"][0] if border["stand_out"] else regions[0][0]
    rows = []
    for label in record["labels"]:
        patches = [_img(_png(_enlarged(_patch(sample, shown), 2))) for sample in _some(image_set, label, CORNERS)]
        rows.append(f"<tr><td>{escape(label)}<td><div class=row>{''.join(patches)}</div>")
    table = f"<p>The {shown} patch of {CORNERS} images a class:</p><table>{''.join(rows)}</table>"
    return f"{title}{text}<table>{bars}</table>{table}"


def _marks(record: Mapping[str, Any], image_set: ImageSet) -> str:
    marks = record["marks"]
    title = "<h2>Marks in a fixed place</h2>"
    if not marks:
        return f"{title}<p>None: no pixel has an edge in a third of a class's images.</p>"
    means = {label: _mean(_some(image_set, label, 200)) for label in record["labels"]}
    whole = []
    for label, mean in means.items():
        picture = mean.copy()
        for mark in marks[:10]:
            top, left, bottom, right = (round(side * SIDE) for side in mark["box"])
            cv2.rectangle(picture, (left - 4, top - 4), (right + 3, bottom + 3), (213, 94, 0), 1)
        whole.append(_figure(_png(picture), f"{escape(label)}: average image"))
    rows = []
    for mark in marks[:5]:
        crops = [
            _figure(_png(_enlarged(_around(mean, mark["box"]), 4)), f"{escape(label)}: {mark['share'][label]:.0%}")
            for label, mean in means.items()
        ]
        kind = "differs between classes" if mark["difference"] >= 0.2 else "alike in all classes"
        rows.append(f"<p>{mark['pixels']} pixels, {kind}; averages, and how many images have it:</p>")
        rows.append(f"<div class=row>{''.join(crops)}</div>")
    text = "<p>Cells lie at random, so an edge found in the same place in many images belongs to no cell.</p>"
    return f"{title}{text}<div class=row>{''.join(whole)}</div>{''.join(rows)}"


def _colour(colour: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{escape(label)}"
        + "".join(
            f"<td class=n>{mean:.0f} ± {spread:.0f}"
            for mean, spread in zip(found["mean_rgb"], found["mean_rgb_spread"], strict=True)
        )
        + "".join(f"<td class=n>{value:.0f}" for value in found["contrast_rgb"])
        for label, found in colour["classes"].items()
    ]
    head = "<tr><th>Class<th class=n>mean R<th class=n>mean G<th class=n>mean B<th class=n>contrast R"
    head += "<th class=n>contrast G<th class=n>contrast B"
    table = f"<table>{head}{''.join(rows)}</table>"
    return f"<h2>Does colour tell the class?</h2><div class=row>{_scatter(colour['points'])}</div>{table}"


def _scatter(points: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Mean green against mean blue, a dot an image."""
    everything = np.array([point for some in points.values() for point in some])
    low = [math.floor((everything[:, c].min() - 2) / 10) * 10 for c in (1, 2)]
    high = [math.ceil((everything[:, c].max() + 2) / 10) * 10 for c in (1, 2)]
    width, height, margin = 560, 380, 48

    def at(green: float, blue: float) -> tuple[float, float]:
        x = margin + (green - low[0]) / (high[0] - low[0]) * (width - 2 * margin)
        y = height - margin - (blue - low[1]) / (high[1] - low[1]) * (height - 2 * margin)
        return round(x, 1), round(y, 1)

    drawn = []
    for axis in (0, 1):
        step = 10 if high[axis] - low[axis] <= 80 else 20
        for value in range(low[axis], high[axis] + 1, step):
            x, y = at(value, low[1]) if axis == 0 else at(low[0], value)
            place = (
                f'x="{x}" y="{y + 18}" text-anchor="middle"'
                if axis == 0
                else f'x="{x - 8}" y="{y + 4}" text-anchor="end"'
            )
            drawn.append(f'<text {place} font-size="12">{value}</text>')
    (x0, y0), (x1, y1) = at(low[0], low[1]), at(high[0], high[1])
    drawn.append(f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#888"/>')
    for index, (label, some) in enumerate(points.items()):
        dots = "".join('<circle cx="{}" cy="{}" r="3"/>'.format(*at(green, blue)) for _, green, blue in some)
        drawn.append(f'<g fill="{_colour_of(index)}" fill-opacity="0.55">{dots}</g>')
        drawn.append(
            f'<circle cx="{x1 + 20}" cy="{y1 + 8 + 20 * index}" r="5" fill="{_colour_of(index)}"/>'
            f'<text x="{x1 + 30}" y="{y1 + 12 + 20 * index}" font-size="13">{escape(label)}</text>'
        )
    drawn.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle" font-size="13">mean green</text>')
    place = f'transform="translate(12 {height / 2}) rotate(-90)" text-anchor="middle"'
    drawn.append(f'<text {place} font-size="13">mean blue</text>')
    label = "mean green against mean blue of images, a colour a class"
    head = f'<svg width="{width + 80}" height="{height}" role="img" aria-label="{label}">'
    return f"{head}{''.join(drawn)}</svg>"


def _interval_bar(name: str, guess: Mapping[str, Any], stands_out: bool) -> str:
    width = 420
    low, high = (width * side for side in guess["interval"])
    colour = "#d55e00" if stands_out else "#7a8794"
    drawn = (
        f'<rect x="0" y="3" width="{width * guess["accuracy"]:.0f}" height="12" fill="{colour}"/>'
        f'<path d="M{low:.1f} 9H{high:.1f}" stroke="#1b1b1b" stroke-width="2"/>'
        f'<path d="M{width * guess["chance"]:.1f} 0V18" stroke="#000" stroke-dasharray="2 2"/>'
    )
    svg = f'<svg width="{width}" height="18" role="img" aria-label="{guess["accuracy"]:.1%}">{drawn}</svg>'
    return f"<tr><td>{name}<td class=n>{guess['accuracy']:.1%}<td>{svg}"


def _colour_of(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _figure(source: str, caption: str) -> str:
    return f"<figure>{_img(source)}<figcaption>{caption}</figcaption></figure>"


def _img(source: str) -> str:
    return f'<img alt="" src="{source}">'


def _jpeg(picture: Pixels) -> str:
    return _data_uri(picture, ".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, 82])


def _png(picture: Pixels) -> str:
    return _data_uri(picture, ".png", "image/png", [])


def _data_uri(picture: Pixels, suffix: str, mime: str, options: list[int]) -> str:
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return f"data:{mime};base64,{base64.b64encode(data.tobytes()).decode()}"


def _square(sample: Sample, side: int = THUMB) -> Pixels:
    return np.asarray(cv2.resize(read_image(sample.path), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _outline_shared(first: Pixels, second: Pixels, shift: Sequence[float]) -> None:
    """Draw the part both show into both, in place."""
    down, right = (round(part * THUMB) for part in shift)
    rows, columns = THUMB - abs(down), THUMB - abs(right)
    for picture, y, x in ((first, down, right), (second, -down, -right)):
        top, left = max(0, y), max(0, x)
        cv2.rectangle(picture, (left, top), (left + columns - 1, top + rows - 1), (213, 94, 0), 2)


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
