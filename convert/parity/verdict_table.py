"""The table of verdicts that `convert quantize` prints."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.data.published import TRAINED
from models.data.published import bundles as shipped_bundles
from models.data.split import DEFAULT_FRACTIONS
from models.statistics.formatting import percent, safety_count


def verdict_table(certificates: Sequence[Mapping[str, Any]], bundles: Sequence[Path]) -> str:
    """A line a certificate, aligned for a terminal, and below them what the figures mean and where the reports are.

    Args:
        bundles: their folders, in the same order.
    """
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
        lines += [f"{c['float_model']['name']}: {c['verdict']}: {c['summary']}"] if "summary" in c else []
        lines += [f"{c['float_model']['name']}: {reason}" for reason in c["reasons"]]
    lines += [text for c in certificates if (text := _images_needed(c))]
    lines.append("agree: images to which int8 and float give the same class")
    if any(c["synthetic"] for c in certificates):
        lines.append(
            "  On synthetic fields that shows that a file is intact, no more: networks are often undecided about fields"
            " unlike those that they were made from."
        )
    lines += [text for c in certificates if c["synthetic"] and (text := _on_real_images(c))]
    lines += [f"report: {folder / 'report.html'}" for folder in bundles]
    lines.append(certificates[0]["notice"] if certificates else "")
    return "\n".join(lines)


def _images_needed(certificate: Mapping[str, Any]) -> str:
    """How many images a set must hold for a verdict; "" where enough judged."""
    evidence, parity = certificate["policy"]["evidence"], certificate["parity"]
    judging = max(evidence["min_images"], evidence["min_class_images"] * len(parity["labels"]))
    if certificate["verdict"] != "inconclusive" or certificate["synthetic"] or parity["images"] >= judging:
        return ""
    return (
        f"{certificate['float_model']['name']}: {judging} images have to judge, {evidence['min_class_images']} or more "
        f"of each class: about {round(judging / DEFAULT_FRACTIONS['test'])} in all, of which a fifth judges. Fewer can "
        "pass only a policy of your own (--policy), which records then name as laxer."
    )


def _on_real_images(synthetic: Mapping[str, Any]) -> str:
    """What the shipped bundle of the same network says of real images; "" for any other network."""
    name = synthetic["float_model"]["name"]
    if name not in TRAINED:
        return ""
    shipped = json.loads((shipped_bundles() / f"{name}-int8" / "certificate.json").read_text(encoding="utf-8"))
    if shipped["synthetic"] or shipped["float_model"]["sha256"] != synthetic["float_model"]["sha256"]:
        return ""
    parity = shipped["parity"]
    return f"  {name}, as it ships, on {parity['images']} published test images: {percent(parity['agreement'])}"
