"""The table of verdicts that `convert quantize` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.statistics.formatting import percent, safety_count


def verdict_table(certificates: Sequence[Mapping[str, Any]]) -> str:
    """A line a certificate, aligned for a terminal."""
    header = ("model", "verdict", "images", "agree", "float", "int8", "mal->ben", "MB", "speed-up")
    rows = [header]
    for c in certificates:
        parity, latency = c["parity"], c["latency"]
        rows.append(
            (
                c["float_model"]["name"],
                c["verdict"],
                f"{parity['images']}{' synthetic' if c['synthetic'] else ''}",
                percent(parity["agreement"]),
                percent(parity["accuracy_float"]),
                percent(parity["accuracy_int8"]),
                safety_count(parity["malignant_to_benign"]),
                f"{c['int8_model']['bytes'] / 1e6:.2f}",
                "-" if latency is None else f"{latency['ratio']:.1f}x",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for c in certificates:
        lines += [f"{c['float_model']['name']}: {reason}" for reason in c["reasons"]]
    lines.append(certificates[0]["notice"] if certificates else "")
    return "\n".join(lines)
