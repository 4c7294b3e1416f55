"""`edge bench`: what a frame costs here, stage by stage, beside the bare interpreter in one interleaved run."""

from collections.abc import Mapping
from typing import Any

FEWEST_FRAMES = 10
BUSY_LOAD = 0.5  # processes that wanted to run in the minute before


def table(record: Mapping[str, Any]) -> str:
    """The record for people."""
    details = record["details"]
    lines = [
        f"{record['bundle']} on {record['runtime']} {details['runtime_version']} (kind {details['kind']}), "
        f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}, {details['board']}",
        "",
        f"{'milliseconds':<20}{'median':>9}{'p90':>9}{'p99':>9}{'min':>9}   against invoke (95 % interval)",
    ]
    for name, row in details["contenders"].items():
        lines.append(f"{name:<20}{_row(row)}{_ratio(details['against_invoke'].get(name))}")
    for name, against in details["against_mediapipe"].items():
        lines.append(f"{name} / mediapipe: {against['ratio']:.3f}")
    lines += ["", f"{'stage, milliseconds':<20}{'median':>9}{'p90':>9}{'p99':>9}{'min':>9}"]
    lines += [f"{name:<20}{_row(row)}" for name, row in details["stages"].items()]
    lines.append(f"the gate against frames unlike the training images: {details['novelty_share']:.3f} of an inference")
    share = details["pipeline"]["ratio"]
    lines += [
        "",
        f"pipeline, every verdict stored: {record['pipeline_fps']:.1f} frames/s; bare interpreter in turns with it: "
        f"{record['invoke_fps']:.1f} ({share:.3f})",
        f"peak memory {record['peak_rss_mb']:.0f} MB",
    ]
    if details["instead"]:
        lines.append(f"warning: these are times of the CPU: {details['instead']}")
    after = details["temperature_c"]["after"]
    if after is not None:
        lines.append(f"temperature {details['temperature_c']['before']:.1f} to {after:.1f} C")
    if details["load_before"] > BUSY_LOAD:
        lines.append(
            f"warning: other programs were busy here (load {details['load_before']}): these times are theirs too"
        )
    if details["throttled"]:
        lines.append(f"warning: this board throttles (0x{details['throttled']:x}): see `edge doctor`")
    return "\n".join(lines)


def _row(row: Mapping[str, float]) -> str:
    return "".join(f"{row[name]:9.3f}" for name in ("p50", "p90", "p99", "min"))


def _ratio(against: Mapping[str, float] | None) -> str:
    if against is None:
        return ""
    interval = f"{against['ratio_low']:.3f} to {against['ratio_high']:.3f}"
    return f"   x {against['ratio']:.3f} ({interval}), {against['difference_ms']:+.3f} ms"
