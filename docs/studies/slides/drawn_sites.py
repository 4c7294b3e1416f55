"""Does the audit find every planted giveaway, and accuse no clean site? Do a site's gates refuse other sites' fields?

    python -m docs.studies.slides.drawn_sites --work DIR --out docs/reference/drawn_sites.json

Asked of drawn laboratories. Twenty clean sites and, of some laboratories, each of the confounded ones are written,
audited and taken away again; gates are fitted to some, and asked about new slides of these and of the others. What is
known of a site is kept in DIR: an interrupted study goes on.
"""

import json as json_format
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from docs.studies.command import Output, Study, output, run
from edge.cameras.synthetic.laboratory import HEALTHY, LEUKEMIC, Laboratory
from edge.commands.command_line import Outcome
from edge.errors import UsageError
from edge.inference.contract import InputContract
from edge.inference.domain import SMEAR
from edge.system.files import write_whole
from edge.system.option_values import whole_number
from models.decision.gates_fit import GateImages, fit_measured, measure
from models.site.audit import audit_site
from models.site.fields import load_site
from models.statistics.intervals import exact_upper
from models.support.versions import versions
from tests.laboratories import CONFOUNDED, Plan, clean, write_site

CLEAN, FEW_FIELDS = "clean", "clean, few fields"
CLEAN_SITES, PLANTED_SITES, GATED_SITES = 20, 2, 5
CONTRACT = InputContract((224, 224), (HEALTHY, LEUKEMIC))  # as the shipped networks prepare a field
FITTED, UNSEEN = clean(10, 3), clean(6, 3, first=1000, sessions=4)  # slides that gates are fitted to, and new ones
SLIDES, FIELDS, FEW, SESSIONS = 10, 4, 2, 4
# The refusal that names what was planted, where its name is another.
NAMED = {"labels_shuffled": "labels_at_chance", "one_class_brighter": "class_is_colour"}


@dataclass(frozen=True)
class DrawnSites(Study):
    """Audit clean sites and planted ones."""

    work: Path
    clean: int
    planted: int
    gated: int

    def execute(self) -> Outcome:
        """A row a site, and how many were found and falsely accused."""
        self.work.mkdir(parents=True, exist_ok=True)
        rows = [self._row(CLEAN, seed) for seed in range(1, self.clean + 1)]
        rows += [self._row(FEW_FIELDS, seed) for seed in range(1, self.clean + 1)]
        rows += [self._row(name, seed) for name in CONFOUNDED for seed in range(1, self.planted + 1)]
        gates = self._gates()
        few = sum(bool(row["refusals"]) for row in rows if row["planted"] == FEW_FIELDS)
        accused = sum(bool(row["refusals"]) for row in rows if row["planted"] == CLEAN)
        found = Counter(row["planted"] for row in rows if named(row["planted"]) in row["refusals"])
        told = [row["by_cells"] for row in rows if row["planted"] == CLEAN]
        colour = [row["six_colours"] for row in rows if row["planted"] == CLEAN]
        record = {
            "of": {"slides": SLIDES, "fields": FIELDS, "few_fields": FEW, "sessions": SESSIONS, "cameras": 2},
            "clean_sites": self.clean,
            "falsely_accused": accused,
            "falsely_accused_at_most": round(exact_upper(accused, self.clean), 4),  # one-sided, 95 %
            "falsely_accused_of_few_fields": few,
            "clean_by_cells": told,
            "clean_by_six_colours": colour,
            "planted_sites": dict.fromkeys(CONFOUNDED, self.planted),
            "found": {name: found[name] for name in CONFOUNDED},
            "gates": gates,
            "sites": rows,
            "versions": versions(),
        }
        lines = [f"clean sites accused: {accused} of {self.clean}; with {FEW} fields a slide {few}"]
        lines += [f"{name}: {found[name]} of {self.planted} found as {named(name)}" for name in CONFOUNDED]
        lines.append(f"own new slides' fields refused: at most {gates['own_most']:.0%} of a site")
        lines.append(f"other sites' fields refused: at least {gates['others_least']:.0%} of a pair")
        return self.finished(record, "\n".join(lines))

    def _gates(self) -> dict[str, Any]:
        """Which part of each site's new fields the gates of each site refuse."""
        seeds = range(1, self.gated + 1)
        shares = {str(fitted): self.refused(fitted, seeds) for fitted in seeds}
        others = [share for one, row in shares.items() for other, share in row.items() if one != other]
        return {
            "own": {seed: shares[seed][seed] for seed in shares},
            "own_most": max(shares[seed][seed] for seed in shares),
            "others_least": min(others, default=1.0),
            "refused": shares,
        }

    def refused(self, fitted: int, seeds: range) -> dict[str, float]:
        """Which part of the new fields of each laboratory the gates of one of them refuse."""
        kept = self.work / f"gates-{fitted}-of-{len(seeds)}.json"
        if kept.is_file():
            known: dict[str, float] = json_format.loads(kept.read_text(encoding="utf-8"))
            return known
        pixels, labels, slides = drawn(fitted, FITTED)
        gates = fit_measured(SMEAR, CONTRACT.size, measure(SMEAR, GateImages(pixels, labels, slides)), "study").gates()
        row = {}
        for seed in seeds:
            new = drawn(seed, UNSEEN)[0]
            row[str(seed)] = round(float(np.mean([gates.check(each).refusal is not None for each in new])), 4)
        write_whole(kept, json_format.dumps(row))
        return row

    def _row(self, planted: str, seed: int) -> dict[str, Any]:
        kept = self.work / f"{planted}-{seed}.json"
        if kept.is_file():
            known: dict[str, Any] = json_format.loads(kept.read_text(encoding="utf-8"))
            return known
        folder = Path(tempfile.mkdtemp(dir=self.work))
        try:
            audit = audit_site(load_site(write_site(folder / f"site-{seed}", seed, plan(planted))))
        finally:
            shutil.rmtree(folder)
        told = {each.name: {"accuracy": round(each.accuracy, 3), "p": round(each.p, 4)} for each in audit.told}
        row = {
            "planted": planted,
            "laboratory": seed,
            "refusals": [refusal.name for refusal in audit.refusals],
            "details": [refusal.detail for refusal in audit.refusals],
            "cautions": [caution.name for caution in audit.cautions],
            "told": told,
            "six_colours": told.get("colour", {}).get("accuracy"),
            "by_cells": None if audit.by_cells is None else round(audit.by_cells.accuracy, 3),
        }
        write_whole(kept, json_format.dumps(row))
        return row


def drawn(seed: int, slides: Plan) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """A laboratory's fields as a network sees them, uint8 (N, H, W, 3), with the class and the slide of each."""
    laboratory = Laboratory(seed)
    taken = [(slide, index) for slide in slides for index in range(slide.fields)]
    pixels = [
        CONTRACT.prepare(laboratory.field(s.truth, s.number, index, session=s.session, size=s.size).frame)
        for s, index in taken
    ]
    return np.stack(pixels), np.array([s.label for s, _ in taken]), np.array([s.name for s, _ in taken])


def plan(planted: str) -> Plan:
    """The slides of a site; planted sites have few fields a slide."""
    mixed = clean(SLIDES, FIELDS if planted == CLEAN else FEW, sessions=SESSIONS, cameras=2)
    return CONFOUNDED[planted](mixed) if planted in CONFOUNDED else mixed


def named(planted: str) -> str:
    """The refusal that names what was planted.

    >>> named("labels_shuffled"), named("class_is_day")
    ('labels_at_chance', 'class_is_day')
    """
    return NAMED.get(planted, planted)


def drawn_sites(
    *,
    work: str,
    clean: str = str(CLEAN_SITES),
    planted: str = str(PLANTED_SITES),
    gated: str = str(GATED_SITES),
    out: str = "",
    json: bool = False,
) -> DrawnSites:
    """Audit clean sites and planted ones.

    Args:
        work: folder where what is known of each site is kept.
        clean: clean sites, each of a laboratory of its own.
        planted: laboratories of which each confounded site is drawn.
        gated: laboratories that gates are fitted to, and asked about.
        out: file for the record.
        json: print the record.
    """
    given: Output = output(out, json)
    if not work:
        raise UsageError("--work must name a folder; got none")
    words = {"clean": clean, "planted": planted, "gated": gated}
    counts = {name: whole_number(word, f"--{name}", 1, 1000) for name, word in words.items()}
    return DrawnSites(work=Path(work), **counts, **given)


if __name__ == "__main__":
    run({"drawn_sites": drawn_sites}, "drawn_sites")
