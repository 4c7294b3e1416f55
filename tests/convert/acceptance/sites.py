"""Sites of slides whose reference is what the tiny network says of them, and fields that were never judged."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from convert.acceptance.judging import JudgedField
from edge.bundle import bundle as bundles
from edge.bundle.bundle import NO_KEYS
from edge.commissioning.fields_table import TABLE_NAME, FieldRow, table_text
from edge.inference.classifier import Classifier
from edge.inference.contract import Pixels
from edge.inference.runtime.interpreters import open_interpreter
from models.data.dataset import Sample
from models.site.fields import SiteField

BENIGN, LEUKEMIC = "Benign", "Pre"
FIELDS = 2  # a slide


def patch(number: int) -> Pixels:
    """A picture of 48 coloured squares, uint8 (48, 64, 3)."""
    colours = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(colours, (64, 48), interpolation=cv2.INTER_NEAREST), np.uint8)


class Patches:
    """Pictures by what a bundle's network says of them: benign, or not."""

    def __init__(self, path: Path) -> None:
        bundle = bundles.load(path, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
        self._classifier = Classifier(bundle.contract, open_interpreter(bundle.model))
        self._benign = bundle.contract.benign_labels
        self._next = 0
        self._found: dict[bool, list[int]] = {True: [], False: []}

    def take(self, benign: bool) -> Pixels:
        """One that nobody has taken."""
        while not self._found[benign]:
            says = self._classifier.classify(patch(self._next)).label in self._benign
            self._found[says].append(self._next)
            self._next += 1
        return patch(self._found[benign].pop(0))


def write_site(
    root: Path, patches: Patches, healthy: int, leukemic: int, *, missed: int = 0, first: int = 0, **columns: str
) -> Path:
    """So many slides of each kind, of two fields; of the leukemic ones `missed` look benign to the network."""
    rows = []
    for number in range(healthy + leukemic):
        label = BENIGN if number < healthy else LEUKEMIC
        looks_benign = number < healthy + missed
        (root / label).mkdir(parents=True, exist_ok=True)
        for field in range(FIELDS):
            name = f"{label}/S-{first + number:04}_{field}.png"
            cv2.imwrite(str(root / name), cv2.cvtColor(patches.take(looks_benign), cv2.COLOR_RGB2BGR))
            digest = hashlib.sha256((root / name).read_bytes()).hexdigest()
            rows.append(FieldRow(name, f"S-{first + number:04}", label, sha256=digest, **columns))
    (root / TABLE_NAME).write_text(table_text(rows))
    return root


def judged(slide: int, label: str, says: Sequence[tuple[str, float]]) -> list[JudgedField]:
    """Fields of one slide that were answered so: class and probability."""
    name = f"S-{slide:04}"
    found = []
    for number, (called, probability) in enumerate(says):
        file = f"{label}/{name}_{number}.png"
        sample = Sample(Path(file), file, label, hashlib.sha256(file.encode()).hexdigest())
        found.append(JudgedField(SiteField(sample, FieldRow(file, name, label)), True, None, called, probability))
    return found
