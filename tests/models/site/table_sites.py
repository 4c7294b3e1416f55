"""Sites that are a table alone, without files, and measures drawn for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.commissioning.fields_table import FieldRow
from models.data.dataset import ImageSet, Sample
from models.site.evidence.measures import Measures
from models.site.fields import SiteField, SiteFields


@dataclass(frozen=True)
class Slide:
    """A slide of such a site."""

    name: str
    label: str
    session: str = ""
    camera: str = ""
    date: str = ""
    fields: int = 2


def site_of(slides: Sequence[Slide]) -> SiteFields:
    fields = []
    for slide in slides:
        for _ in range(slide.fields):
            name = f"{slide.label}/{len(fields)}.png"
            sample = Sample(Path(name), name, slide.label, f"{len(fields):064x}")
            row = FieldRow(name, slide.name, slide.label, slide.session, slide.camera, slide.date)
            fields.append(SiteField(sample, row))
    labels = tuple(sorted({slide.label for slide in slides}))
    images = ImageSet(Path("site"), labels, tuple(field.sample for field in fields), ())
    return SiteFields(Path("site"), labels, tuple(fields), images)


def mixed(slides: int = 10, labels: Sequence[str] = ("healthy", "leukemic"), sessions: int = 3) -> list[Slide]:
    """Slides of every class in every session, which is a day; one camera."""
    return [
        Slide(f"{label}{k}", label, f"s{k % sessions}", "c0", f"2026-03-{1 + k % sessions:02d}")
        for label in labels
        for k in range(slides)
    ]


def measures_of(site: SiteFields, seed: int, slide_shift: float = 1.0) -> Measures:
    """Numbers that know slide and session and nothing of the class."""
    rng = np.random.default_rng(seed)
    shifts: dict[str, np.ndarray] = {}

    def rows(count: int) -> np.ndarray:
        def own(name: str) -> np.ndarray:
            return shifts.setdefault(f"{name} {count}", slide_shift * rng.normal(size=count))

        return np.array(
            [own(f"slide {f.slide}") + own(f"session {f.row.session}") + rng.normal(size=count) for f in site.fields]
        )

    count = len(site.fields)
    border = rows(40).astype(np.float32)
    return Measures(((320, 240),) * count, ("PNG",) * count, rows(6), rows(6), border, rows(9))
