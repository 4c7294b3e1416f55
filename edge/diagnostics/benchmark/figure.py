"""The figure of a bench: contenders beside each other, and where a frame's time goes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.diagnostics.benchmark.record import BenchRecord
from edge.system.interleaved_timing import Percentiles

_OURS, _BARE, _OTHERS, _DRAWN = "#2a6f97", "#6c757d", "#bc6c25", "#a9c6d8"
_NAMES = {
    "frame_224": "224x224 frame",
    "frame_1280x960": "1280x960 frame",
    "mediapipe_224": "MediaPipe, 224x224",
    "mediapipe_1280x960": "MediaPipe, 1280x960",
    "capture": "capture (drawn frames)",
    "store": "store (a verdict's share)",
}


def draw(record: BenchRecord, path: Path) -> None:
    """Write the figure of a record of `edge bench`; bars end at the median, whiskers at minimum and p90.

    Args:
        path: suffix .png, .svg or .pdf.

    Raises:
        ImportError: no matplotlib (`edge bench` looks for it before anything is timed).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    details = record.details
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    against = details.against_invoke
    _bars(
        left,
        details.contenders,
        "From pixels to a verdict, in turns; (x) against invoke",
        _contender_colour,
        lambda name: f"  (x {against[name].ratio:.2f})" if name in against else "",
    )
    _bars(right, details.stages, "Stages of a 1280x960 frame, each by itself", _stage_colour, lambda name: "")
    plural = "s" if record.threads > 1 else ""
    figure.suptitle(
        f"{record.bundle} on {record.runtime} {details.runtime_version}, {record.threads} thread{plural}, "
        f"{details.board}, {details.frames} rounds\npipeline with every verdict stored "
        f"{record.pipeline_fps:.0f} frames/s, bare interpreter {record.invoke_fps:.0f}; peak memory "
        f"{record.peak_rss_mb:.0f} MB",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)


def _bars(
    axes: Any,
    rows: Mapping[str, Percentiles],
    title: str,
    colour: Callable[[str], str],
    more: Callable[[str], str],
) -> None:
    names = list(rows)[::-1]
    medians = [rows[name].p50 for name in names]
    below = [rows[name].p50 - rows[name].min for name in names]
    above = [rows[name].p90 - rows[name].p50 for name in names]
    bars = axes.barh(
        [_NAMES.get(name, name) for name in names],
        medians,
        height=0.62,
        xerr=(below, above),
        color=[colour(name) for name in names],
        error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 3},
    )
    labels = [f"{rows[name].p50:.2f}{more(name)}" for name in names]
    axes.bar_label(bars, labels=labels, padding=6, fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("milliseconds (median; whiskers: minimum and p90)", fontsize=9)
    axes.margins(x=0.3)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _contender_colour(name: str) -> str:
    return _BARE if name == "invoke" else _OTHERS if name.startswith("mediapipe") else _OURS


def _stage_colour(name: str) -> str:
    return _BARE if name == "invoke" else _DRAWN if name == "capture" else _OURS
