"""Blocks of file numbers in place of slides, for a set of images of which nobody says the slides.

Files of one slide most likely stand side by side, so a run of numbers holds few slides. A block is no slide: what its
control shows is that images near one another are alike beyond their class, and no figure by blocks is of a new slide.
"""

from collections.abc import Sequence

import numpy as np

from edge.commissioning.fields_table import FieldRow
from models.data.dataset import ImageSet, Sample
from models.data.folds import FoldError, file_number
from models.site.fields import SiteField, SiteFields
from models.site.image_facts import image_facts

BLOCKS = 10  # a class
FEWEST_IMAGES = 2  # a block


def block_site(images: ImageSet) -> SiteFields | None:
    """The images as a site whose slides are blocks of file numbers, camera and day from EXIF; each content once.

    Returns:
        None where a class has too few images for two blocks.
    """
    first = {sample.sha256: sample for sample in reversed(images.samples)}
    fields: list[SiteField] = []
    for label in images.labels:
        own = sorted((s for s in images.samples if s.label == label and first[s.sha256] is s), key=_in_order)
        blocks = min(BLOCKS, len(own) // FEWEST_IMAGES)
        if blocks < 2:
            return None
        for number, block in enumerate(np.array_split(np.arange(len(own)), blocks)):
            fields += [_field(own[index], f"{label} {number + 1}") for index in block]
    kept: Sequence[SiteField] = sorted(fields, key=lambda field: field.sample.name)
    return SiteFields(images.root, images.labels, tuple(kept), images)


def _field(sample: Sample, block: str) -> SiteField:
    facts = image_facts(sample.path)
    return SiteField(sample, FieldRow(sample.name, block, sample.label, camera=facts.camera, date=facts.date))


def _in_order(sample: Sample) -> tuple[int, str]:
    try:
        return file_number(sample), sample.name
    except FoldError:
        return 0, sample.name
