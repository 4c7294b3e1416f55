"""The picture of a bench: contenders beside each other, and where a frame's time goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OURS, _BARE, _OTHERS = "#2a6f97", "#6c757d", "#bc6c25"


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Write the figure of a record of `edge bench`; bars end at the median, whiskers at minimum and p90.

    Args:
        path: suffix .png, .svg or .pdf.

    Raises:
        ImportError: no matplotlib (`bench_request` looks for it before anything is timed).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    details = record["details"]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _bars(left, details["contenders"], "one interleaved run", _colour)
    _bars(right, details["stages"], "stages of one frame", lambda name: _BARE if name == "invoke" else _OURS)
    figure.suptitle(
        f"{record['bundle']}, {record['runtime']} {details['runtime_version']}, {record['threads']} thread(s), "
        f"{details['board']}\npipeline {record['pipeline_fps']:.0f} frames/s stored, bare interpreter "
        f"{record['invoke_fps']:.0f}; peak memory {record['peak_rss_mb']:.0f} MB",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)


def _bars(axes: Any, rows: Mapping[str, Mapping[str, float]], title: str, colour: Any) -> None:
    names = list(rows)[::-1]
    medians = [rows[name]["p50"] for name in names]
    below = [rows[name]["p50"] - rows[name]["min"] for name in names]
    above = [rows[name]["p90"] - rows[name]["p50"] for name in names]
    bars = axes.barh(names, medians, xerr=(below, above), color=[colour(n) for n in names], ecolor="#333333", capsize=3)
    axes.bar_label(bars, labels=[f"{value:.2f}" for value in medians], padding=10, fontsize=9)
    axes.set_title(f"{title} (median; whiskers: minimum to p90)", fontsize=9)
    axes.set_xlabel("milliseconds")
    axes.margins(x=0.18)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _colour(name: str) -> str:
    return _BARE if name == "invoke" else _OTHERS if name.startswith("mediapipe") else _OURS
