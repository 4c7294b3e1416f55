"""Audit of an image set before anything is trained on it: `models audit`."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.system.progress import tracked
from edge.system.streams import one_line
from models.data import shortcut_probe as shortcuts
from models.data.dataset import KINDS, ImageSet, Sample
from models.data.field_groups import Overlap, distinct_samples, find_overlaps, groups_of

AUDIT_FORMAT = 1
BORDER_IMAGES = 2000  # images, at most, that the border forests learn from: enough for intervals of 2 points
POINTS = 150  # images a class whose colour is kept for the scatter
TELLS = 0.15  # accuracy above chance from which colour alone is worth a warning
UNEQUAL = 0.2  # difference of a mark's share between classes from which it tells the class
CROWDED = 0.2  # part of all images in one group from which grouping itself is to be doubted
IMBALANCE = 3.0  # largest class over smallest

Record = dict[str, Any]


def audit(
    image_set: ImageSet,
    *,
    overlaps: Sequence[Overlap] | None = None,
    slides: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Record:
    """Look an image set over.

    Args:
        image_set: from `scan`.
        overlaps: from `find_overlaps(distinct_samples(image_set.samples))`, when it is known already.
        slides: sha256 -> slide of every image, where slides are known: forests are then asked about slides held out;
            None holds out fields.
        seed: of folds and forests.

    Returns:
        A JSON object: labels, images, counts, problems, duplicates, fields, border, marks, colour, findings.
        Shares and accuracies are 0..1, boxes [top, left, bottom, right] in parts of the image.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
    """
    samples = image_set.samples
    distinct = distinct_samples(samples)
    if overlaps is None:
        overlaps = find_overlaps(distinct)
    groups = groups_of(distinct, overlaps)
    held_out = groups if slides is None else slides
    features = shortcuts.extract(samples, image_set.labels)
    record: Record = {
        "format": AUDIT_FORMAT,
        "name": image_set.root.resolve().name,
        "labels": list(image_set.labels),
        "images": len(samples),
        "counts": image_set.counts(),
        "problem_counts": image_set.problem_counts(),
        "problems": [{"name": p.name, "kind": p.kind, "detail": p.detail, "used": p.used} for p in image_set.problems],
        "duplicates": _duplicates(samples),
        "fields": _fields(samples, distinct, overlaps, groups),
        "border": _border(samples, features, held_out, seed),
        "marks": shortcuts.fixed_marks(features.edges),
        "colour": _colour(samples, features, held_out, seed),
    }
    record["findings"] = findings(record)
    return record


def to_text(record: Mapping[str, Any]) -> str:
    """The record as a person reads it on a terminal."""
    counts = ", ".join(f"{label} {count}" for label, count in record["counts"].items())
    lines = [f"{record['images']} images in {len(record['labels'])} classes: {counts}"]
    lines += [f"{finding['level']:>5}: {one_line(finding['text'])}" for finding in record["findings"]]
    return "\n".join(lines)


def findings(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """The record in sentences, the gravest first; level is "stop", "care" or "note".

    stop: do not train before this is settled; care: an accuracy will mislead; note: good to know.
    """
    found = [
        *_about_files(record),
        *_about_fields(record["fields"]),
        *_about_border(record["border"]),
        *_about_marks(record["marks"]),
        *_about_colour(record["colour"]),
    ]
    return gravest_first([{"level": level, "text": text} for level, text in found])


def gravest_first(found: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Findings by their level, otherwise in their order."""
    order = {"stop": 0, "care": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding["level"]])


def _duplicates(samples: Sequence[Sample]) -> list[Record]:
    """Every content that occurs more than once, with all its names."""
    twins: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        twins[sample.sha256].append(sample)
    return [
        {"names": [s.name for s in same], "labels": sorted({s.label for s in same})}
        for same in twins.values()
        if len(same) > 1
    ]


def _fields(
    samples: Sequence[Sample],
    distinct: Sequence[Sample],
    overlaps: Sequence[Overlap],
    groups: Mapping[str, str],
) -> Record:
    sizes = Counter(groups[sample.sha256] for sample in samples)
    labels: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        labels[groups[sample.sha256]].add(sample.label)
    shared = [sizes[groups[sample.sha256]] for sample in samples]
    return {
        "groups": sum(size > 1 for size in sizes.values()),
        "images_in_groups": sum(size for size in sizes.values() if size > 1),
        "largest_group": max(sizes.values()),
        "groups_across_classes": sum(len(found) > 1 for found in labels.values()),
        # All n - 1 companions of a test image are test images too with probability 0.2^(n-1).
        "random_split_leak": float(np.mean([1 - 0.2 ** (size - 1) for size in shared])),
        "pairs": [
            {
                "first": distinct[pair.first].name,
                "second": distinct[pair.second].name,
                "shift": [round(part, 4) for part in pair.shift],
                "shared": round(pair.shared, 4),
                "correlation": round(pair.correlation, 4),
            }
            for pair in overlaps
        ],
    }


def _border(
    samples: Sequence[Sample],
    features: shortcuts.Features,
    groups: Mapping[str, str],
    seed: int,
) -> Record | None:
    """What each border patch tells of the class; None when there are too few fields to say."""
    chosen = np.arange(len(samples))
    if len(samples) > BORDER_IMAGES:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(samples))[:BORDER_IMAGES])
    truth = [samples[i].label for i in chosen]
    names = [groups[samples[i].sha256] for i in chosen]
    if not shortcuts.enough_groups(truth, names):
        return None
    guesses = {}
    for region, patches in tracked(features.patches.items(), "probing the border", len(features.patches)):
        guesses[region] = shortcuts.guess(patches[chosen], truth, names, seed)
    return {"regions": guesses, **shortcuts.judge_border(guesses)}


def _colour(samples: Sequence[Sample], features: shortcuts.Features, groups: Mapping[str, str], seed: int) -> Record:
    """Colour statistics a class, a few points to draw, and what six numbers alone tell."""
    truth = np.array([sample.label for sample in samples])
    names = [groups[sample.sha256] for sample in samples]
    guess = None
    if shortcuts.enough_groups(list(truth), names):
        guess = shortcuts.guess(features.colour, list(truth), names, seed)
    classes, points = {}, {}
    for label in sorted(set(truth)):
        own = features.colour[truth == label]
        classes[label] = {
            "mean_rgb": [round(float(v), 2) for v in own[:, :3].mean(axis=0)],
            "mean_rgb_spread": [round(float(v), 2) for v in own[:, :3].std(axis=0)],
            "contrast_rgb": [round(float(v), 2) for v in own[:, 3:].mean(axis=0)],
        }
        kept = np.random.default_rng(seed).permutation(len(own))[:POINTS]
        points[label] = [[round(float(v), 1) for v in row] for row in own[kept, :3]]
    return {"guess": guess, "classes": classes, "points": points}


def _about_files(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    conflicts = [d for d in record["duplicates"] if len(d["labels"]) > 1]
    if conflicts:
        names = ", ".join(conflicts[0]["names"])
        found.append(("stop", f"{len(conflicts)} contents carry two labels, such as {names}"))
    for kind, count in record["problem_counts"].items():
        if kind in ("duplicate", "conflict"):
            continue
        first = next(p for p in record["problems"] if p["kind"] == kind)
        level = "note" if kind in ("other", "hidden", "nested", "unlisted") or first["used"] else "care"
        found.append((level, f"{count} {kind}: {KINDS[kind]}; first: {first['name']} ({first['detail']})"))
    extra = sum(len(d["names"]) - 1 for d in record["duplicates"])
    if extra:
        labels = sorted({label for d in record["duplicates"] for label in d["labels"]})
        found.append(("care", f"{extra} images are exact copies of others (in {', '.join(labels)})"))
    counts = [count for count in record["counts"].values() if count]
    if max(counts) > IMBALANCE * min(counts):
        found.append(("care", f"classes are unbalanced: {min(counts)} to {max(counts)} images"))
    return found


def _about_fields(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    leak = fields["random_split_leak"]
    if fields["groups"]:
        found.append(
            (
                "care",
                f"{fields['images_in_groups']} images share a microscope field with another one, in "
                f"{fields['groups']} groups: in a random 80/20 split {leak:.0%} of the test "
                "images share a field with a training image; use a field-disjoint split",
            )
        )
    if fields["groups_across_classes"]:
        found.append(("stop", f"{fields['groups_across_classes']} fields occur in two classes: check the labels"))
    total = fields["images_in_groups"]
    if fields["largest_group"] > max(50, CROWDED * total):
        found.append(
            (
                "note",
                f"one group holds {fields['largest_group']} images: look whether they are one field indeed",
            )
        )
    return found


def _about_border(border: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if border is None:
        return [("note", "too few fields a class to measure what the border tells")]
    regions = border["regions"]
    usual = regions[border["usual"]]["accuracy"]
    return [
        (
            "care",
            f"the {name} patch alone gives {_guess_text(regions[name])}, a usual border patch {usual:.1%}: "
            "something burned in there tells the class; neutralize it in training",
        )
        for name in border["stand_out"]
    ]


def _about_marks(marks: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for mark in marks[:10]:
        top, left, bottom, right = (f"{100 * side:.0f}" for side in mark["box"])
        where = f"at {left} to {right} % across and {top} to {bottom} % down"
        shares = ", ".join(f"{label} {share:.0%}" for label, share in mark["share"].items())
        if mark["difference"] >= UNEQUAL:
            found.append(("care", f"a fixed mark {where} looks different from class to class ({shares} have it)"))
        else:
            found.append(
                (
                    "note",
                    f"a fixed mark {where} is in all classes alike ({shares}): the camera's own, or a frame",
                )
            )
    return found


def _about_colour(colour: Mapping[str, Any]) -> list[tuple[str, str]]:
    guess = colour["guess"]
    if guess is None:
        return [("note", "too few fields a class to measure what colour tells")]
    text = f"six colour numbers alone (mean and deviation of R, G, B) give {_guess_text(guess)}"
    if guess["interval"][0] > guess["chance"] + TELLS:
        return [("care", f"{text}: stain and lamp nearly are the label; an accuracy here says little elsewhere")]
    return [("note", text)]


def _guess_text(guess: Mapping[str, Any]) -> str:
    low, high = guess["interval"]
    spread = f"95 % interval {low:.1%} to {high:.1%}, chance {guess['chance']:.1%}"
    return f"{guess['accuracy']:.1%} accuracy ({spread})"
