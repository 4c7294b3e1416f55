"""Limits of the quality gates, measured on the published fields that a network was trained and tuned on.

`python -m docs.studies.gates.limits --data DIR` measures them (training and validation parts of the field-disjoint
list, scale bar painted over), writes them into the shipped networks' `gates.json`, and then measures what they do:
which share of the test part they refuse, by class, and what they catch (`docs/studies/gates/refusals.py`), as JSON and
as a figure.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.domain import SMEAR
from edge.inference.gates.base import GateReport, Gates
from edge.inference.gates.gates_file import QualityLimit
from edge.inference.gates.quality import QUALITY, gate_of, quality_names
from models.data.dataset import Sample, load_pixels
from models.data.published import LABELS, PUBLISHED_SPLIT
from models.data.scale_bar import fill_corner
from models.decision.gates_fit import QUALITY_RULES
from models.errors import DatasetError
from models.statistics.intervals import wilson

SIZE = (224, 224)
BUDGET = 0.01  # of the published fields, all gates together


RULES = {name: QUALITY_RULES[name] for name in quality_names(SMEAR)}  # those of `models gates`


@dataclass(frozen=True)
class Fields:
    """Some published fields.

    Attributes:
        pixels: uint8 (N, 224, 224, 3) RGB as published; labels: their classes.
    """

    pixels: Pixels
    labels: tuple[str, ...]

    @property
    def without_bar(self) -> Pixels:
        """The same with the scale bar painted over."""
        return np.stack([fill_corner(pixels) for pixels in self.pixels])


def read_fields(data: Path) -> dict[str, Fields]:
    """The published fields by use: "calibration" (training and validation parts) and "test", those that `data` has.

    Raises:
        DatasetError: it has too few of them.
    """
    rows = list(csv.DictReader(PUBLISHED_SPLIT.read_text(encoding="utf-8").splitlines()))
    parts: dict[str, list[Sample]] = {"calibration": [], "test": []}
    for row in rows:
        use = {"train": "calibration", "validation": "calibration", "test": "test"}.get(row["part"])
        path = data / row["name"]
        if use and path.is_file():
            parts[use].append(Sample(path, row["name"], row["label"], row["sha256"]))
    for use, samples in parts.items():
        if len({sample.label for sample in samples}) < len(LABELS):
            raise DatasetError(f"data must hold published images of all classes; {data} lacks some for {use}")
    contract = InputContract(SIZE, LABELS)
    return {u: Fields(load_pixels(s, contract), tuple(x.label for x in s)) for u, s in parts.items()}


def values_of(gates: Gates, fields: Sequence[Pixels] | Pixels) -> dict[str, npt.NDArray[np.float64]]:
    """Gate's name -> (N,) measured values."""
    rows = [gates.check(pixels).values for pixels in fields]
    return {name: np.array([row[name] for row in rows]) for name in gates.names}


def smear_gates(limits: Mapping[str, float] | None = None) -> Gates:
    """The gates on quality of a blood smear with these limits; None: with such as refuse nothing."""
    names = quality_names(SMEAR)
    limits = limits or {name: 255.0 if QUALITY[name].is_ceiling else 0.0 for name in names}
    return Gates([gate_of(name, limits[name]) for name in names], SIZE)


def limits_of(values: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, float]:
    """The limits that `RULES` make of the calibration fields' values."""
    return {name: rule.limit(values[name]) for name, rule in RULES.items()}


def quality_of(limits: Mapping[str, float], values: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, QualityLimit]:
    """The limits as `gates.json` holds them, each with what it comes from."""
    found = {}
    for name, rule in RULES.items():
        limit, of = limits[name], values[name]
        refused = int(((of > limit) if rule.ceiling else (of < limit)).sum())
        quantile, factor = float(f"{rule.quantile:g}"), float(f"{rule.factor:.3g}")
        found[name] = QualityLimit(limit, len(of), quantile, factor, refused, rule.why)
    return found


def refusals(gates: Gates, fields: Sequence[Pixels] | Pixels, labels: Sequence[str] = ()) -> dict[str, Any]:
    """What the gates refuse of some fields.

    Returns:
        images, refused, share, interval (Wilson, 95 %), by_gate (images that each refuses, whichever is named),
        reasons (images by the reason named) and, with labels, by_class (class -> the same without `by_class`).
    """
    reports = [gates.check(pixels) for pixels in fields]
    record = counted(gates.names, reports)
    if labels:
        record["by_class"] = {
            label: counted(gates.names, [r for r, own in zip(reports, labels, strict=True) if own == label])
            for label in sorted(set(labels))
        }
    return record


def counted(names: Sequence[str], reports: Sequence[GateReport]) -> dict[str, Any]:
    """As `refusals`, of reports."""
    refused = [report.refusal for report in reports if report.refusal is not None]
    every = [reading.gate for report in reports for reading in report.readings if reading.refused]
    interval = wilson(len(refused), len(reports))
    return {
        "images": len(reports),
        "refused": len(refused),
        "share": round(len(refused) / len(reports), 5),
        "interval": [round(bound, 5) for bound in interval.to_record()],
        "by_gate": {name: every.count(name) for name in names},
        "reasons": {name: sum(reading.gate == name for reading in refused) for name in names},
    }
