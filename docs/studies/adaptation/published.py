"""The published set as if it were a foreign site: what do 5 to 40 fields a class show, and of what?

    python -m docs.studies.adaptation.published --data DIR --weights FILE --work DIR --out FILE

Features are ImageNet's, which know nothing of this set. Heads are made of 5, 10, 20 and 40 fields a class and tried on
the others: once on fields of other microscope-field groups, drawn at random over the whole set, and once on other
blocks of file numbers, the nearest stand-in for slides that these files have. Beside them stand the site's audit with
blocks in the place of slides, and its slide-identity control. Features are kept in `work`, and calculation goes on
from there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from docs.studies.command import Study, output, run
from edge.commands.command_line import Outcome
from edge.commissioning.fields_table import FieldRow
from edge.errors import UsageError
from edge.inference.domain import SMEAR
from models.adaptation.judging.counting import Judged
from models.adaptation.judging.linear_head import fit_heads
from models.adaptation.judging.selection import START
from models.adaptation.network.backbone import IMAGENET, open_backbone
from models.adaptation.network.features import SiteFeatures, site_features
from models.data.dataset import ImageSet, scan
from models.data.folds import assign_folds
from models.data.published import LABELS, PUBLISHED_FILES
from models.data.split import read_groups
from models.errors import DatasetError
from models.site.audit import audit_site
from models.site.fields import SiteField, SiteFields, load_site
from models.support.versions import versions

NUMBERS = (5, 10, 20, 40)  # fields a class
DRAWS = 20
BLOCKS = 10  # of each class
AUDITED = 10  # fields of each block
BENIGN = ("Benign",)
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class PublishedStudy(Study):
    """What is asked."""

    data: Path
    weights: Path
    work: Path

    def execute(self) -> Outcome:
        """The record."""
        images = scan(self.data, LABELS)
        groups = {item.sha256: item.group for item in read_groups(PUBLISHED_FILES)}
        unknown = [sample.name for sample in images.samples if sample.sha256 not in groups]
        if unknown:
            raise UsageError(f"--data must be the published set; {unknown[0]} is not of it")
        blocks = assign_folds(images.samples, groups, "blocks", BLOCKS)
        site = _site(images, blocks)
        backbone = open_backbone(IMAGENET, self.weights)
        contract = replace(backbone.contract, labels=images.labels, domain=SMEAR)
        features = site_features(backbone, contract, site.fields, 0, self.work)
        keys = [groups[each.sample.sha256] for each in site.fields]
        numbers = np.array([blocks[each.sample.sha256] for each in site.fields], np.intp)
        record = {
            "command": "python -m docs.studies.adaptation.published",
            "images": images.counts(),
            "features": {"start": backbone.name, "sha256": backbone.sha256, "count": backbone.count},
            "strength": START,
            "without_slides": _without_slides(self.data),
            "audit_by_blocks": _audited(site, features, numbers),
            "field_groups": _curve(site, features.values[:, 0], keys, numbers, by_blocks=False),
            "blocks": _curve(site, features.values[:, 0], keys, numbers, by_blocks=True),
            "six_colours_by_blocks": _curve(site, features.colours[:, None], keys, numbers, by_blocks=True),
            "versions": versions(),
        }
        return self.finished(record, _text(record))


def _site(images: ImageSet, blocks: dict[str, int]) -> SiteFields:
    """Blocks of file numbers in the place of slides."""
    fields = tuple(
        SiteField(s, FieldRow(s.name, f"{s.label}-{blocks[s.sha256]:02d}", s.label, sha256=s.sha256))
        for s in images.samples
    )
    return SiteFields(images.root, images.labels, fields, images)


def _without_slides(data: Path) -> str:
    """What is said of the set as it is."""
    try:
        load_site(data)
    except DatasetError as error:
        return str(error).replace(str(data), "DATA")
    raise UsageError("--data must be the published set as it is, without fields.csv")


def _audited(site: SiteFields, features: SiteFeatures, blocks: Indices) -> dict[str, Any]:
    """Refusals, cautions and controls of some fields of each block."""
    rows = []
    for label in site.labels:
        for block in range(BLOCKS):
            own = [k for k, each in enumerate(site.fields) if each.label == label and blocks[k] == block]
            rows += own[:: max(1, len(own) // AUDITED)][:AUDITED]
    chosen = np.array(sorted(rows), np.intp)
    fields = tuple(site.fields[k] for k in chosen)
    samples = tuple(each.sample for each in fields)
    some = SiteFields(site.root, site.labels, fields, ImageSet(site.root, site.labels, samples, (), site.images.parts))
    few = features.of(chosen)
    found = audit_site(some, features=few.by_field(fields), painted=few.painted_by_field(fields))
    record: dict[str, Any] = to_builtins(found)
    return {
        "fields": len(fields),
        "refusals": [str(each) for each in found.refusals],
        "cautions": [str(each) for each in found.cautions],
        "told": record["told"],
        "identity": record["identity"],
    }


def _curve(
    site: SiteFields, features: npt.NDArray[Any], groups: Sequence[str], blocks: Indices, *, by_blocks: bool
) -> list[dict[str, Any]]:
    """Figures by number of fields a class; features (N, tiles, D)."""
    truth = np.array([site.labels.index(each.label) for each in site.fields], np.intp)
    rows = []
    for count in NUMBERS:
        drawn = [
            _tried(site, features, truth, learned, judged, [groups[k] for k in learned])
            for learned, judged in _draws(truth, groups, blocks, count, by_blocks=by_blocks)
        ]
        table = {name: [each[name] for each in drawn] for name in drawn[0]}
        summary = {
            name: {
                "mean": round(float(np.mean(values)), 4),
                "low": round(float(np.quantile(values, 0.025)), 4),
                "high": round(float(np.quantile(values, 0.975)), 4),
            }
            for name, values in table.items()
        }
        rows.append({"fields_a_class": count, "draws": len(drawn), **summary})
    return rows


def _draws(
    truth: Indices, groups: Sequence[str], blocks: Indices, count: int, *, by_blocks: bool
) -> Iterator[tuple[Indices, Indices]]:
    """Fields that a head learns, one of each microscope-field group, and fields that judge it.

    By blocks: half of the blocks of each class teach and the other half judge, halves drawn anew each time.
    """
    named = np.asarray(groups)
    for draw in range(DRAWS):
        rng = np.random.default_rng([count, draw])
        order = rng.permutation(len(truth))
        _, first = np.unique(named[order], return_index=True)
        singles = order[np.sort(first)]
        teaching = np.ones(len(truth), np.bool_)
        if by_blocks:
            for k in np.unique(truth):
                half = rng.permutation(BLOCKS)[: BLOCKS // 2]
                teaching[(truth == k) & ~np.isin(blocks, half)] = False
        own = [singles[(truth[singles] == k) & teaching[singles]][:count] for k in np.unique(truth)]
        learned = np.concatenate(own)
        judged = ~np.isin(named, named[learned]) & (~teaching if by_blocks else True)
        yield learned, np.flatnonzero(judged)


def _tried(
    site: SiteFields,
    features: npt.NDArray[Any],
    truth: Indices,
    learned: Indices,
    judged: Indices,
    slides: Sequence[str],
) -> dict[str, float]:
    head = fit_heads(features[learned][:, None], truth[learned], slides, len(site.labels), [START])[START]
    probabilities = head.probabilities(features[judged])
    names = tuple(site.fields[k].sample.name for k in judged)
    counted = Judged(site.labels, BENIGN, probabilities, truth[judged], names).counted()
    assert counted.right and counted.right.share is not None and counted.auroc is not None
    assert counted.sensitivity and counted.specificity and counted.classes
    return {
        "right": counted.right.share,
        "sensitivity": counted.sensitivity.share or 0.0,
        "specificity": counted.specificity.share or 0.0,
        "auroc": counted.auroc,
        **{f"right_{label}": share.share or 0.0 for label, share in counted.classes.items()},
    }


def _text(record: dict[str, Any]) -> str:
    lines = [f"as it is: {record['without_slides']}"]
    lines += [f"audit by blocks refuses {each}" for each in record["audit_by_blocks"]["refusals"]]
    lines += [f"audit by blocks: {each}" for each in record["audit_by_blocks"]["cautions"]]
    for name in ("field_groups", "blocks", "six_colours_by_blocks"):
        for row in record[name]:
            right, found = row["right"], row["sensitivity"]
            lines.append(
                f"{name}, {row['fields_a_class']} fields a class: right {100 * right['mean']:.1f} % "
                f"({100 * right['low']:.1f} to {100 * right['high']:.1f}), not benign found "
                f"{100 * found['mean']:.1f} %, benign found {100 * row['specificity']['mean']:.1f} %"
            )
    return "\n".join(lines)


def published(data: str, weights: str, work: str, *, out: str = "", json: bool = False) -> PublishedStudy:
    """Try heads on ImageNet features of the published set, by field group and by blocks of file numbers.

    Args:
        data: the published images, a folder a class.
        weights: MobileNetV2 backbone weights without top (.h5).
        work: folder that keeps the features.
        out: file for the record.
        json: print the record.
    """
    return PublishedStudy(data=Path(data), weights=Path(weights), work=Path(work), **output(out, json))


if __name__ == "__main__":
    run({"published": published}, "published")
