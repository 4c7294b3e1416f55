"""The lint of a calibration set: what is wrong with it, by rule, before a converter learns its ranges from it.

A bad set gives no error: it gives a model that is quietly worse. Refused: what makes the ranges meaningless
or the parity result a lie. Warned of: what a careful person would want to know.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.quantization.findings import Finding
from edge.inference.contract import FLOAT32, InputContract, Pixels
from models.training.training_statistics import TrainingStatistics

FEWEST = 16  # below this a range is a matter of luck
RECOMMENDED = 100  # TFLite's guide asks for 100 to 500: ai.google.dev/edge/litert/models/post_training_quantization
NEAR_CONSTANT = 2.0  # grey levels of standard deviation: an empty, black or saturated frame
NEAR_CONSTANT_SHARE = 0.25  # of a set: beyond it the set is refused
REPEATED_SHARE = 0.5  # distinct images in a set: below it a generator is stuck
SWAP_RATIO = 0.5  # distance to the training colours after swapping red and blue, over that before
SWAP_LEAST = 8.0  # grey levels: nearer than this to the training colours is no swap
FAR_COLOUR = 4.0  # deviations between training images
RANGE_SLACK = 0.02  # of the contract's range
UNIT_RANGE = 2  # grey levels: 8-bit pixels that never exceed this were scaled to 0..1 before


def lint_files(
    names: Sequence[str],
    sha256s: Sequence[str],
    labels: Sequence[str],
    contract: InputContract,
    *,
    evaluation_sha256s: Collection[str] = (),
    groups: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Rules on the files.

    They are too-few, class-missing, unknown-class, duplicate, evaluation-overlap and field-overlap.

    Args:
        names, sha256s, labels: one each an image; a label of "" says that the class is not known.
        evaluation_sha256s: of every image that will judge the model.
        groups: sha256 to the microscope field, of these images and of the evaluation's.
    """
    findings = [*_too_few(len(names)), *_classes(labels, contract)]
    findings += _duplicates(names, sha256s)
    seen = set(evaluation_sha256s)
    shared = tuple(name for name, sha in zip(names, sha256s, strict=True) if sha in seen)
    if shared:
        findings.append(Finding("refuse", "evaluation-overlap", f"{len(shared)} images also judge the model", shared))
    if groups:
        fields = {groups[sha] for sha in seen if sha in groups}
        same = tuple(
            name for name, sha in zip(names, sha256s, strict=True) if sha not in seen and groups.get(sha) in fields
        )
        if same:
            said = f"{len(same)} images show a microscope field that also judges the model"
            findings.append(Finding("refuse", "field-overlap", said, same))
    return findings


def lint_pixels(names: Sequence[str], pixels: Pixels, statistics: TrainingStatistics | None = None) -> list[Finding]:
    """Rules on prepared pixels, uint8 (N, H, W, 3) RGB.

    They are value-range, near-constant, repeated-image, channel-order and colour-shift.
    """
    if not len(pixels):
        return []
    findings: list[Finding] = []
    brightest = int(pixels.max())
    if brightest <= UNIT_RANGE:
        said = f"pixels must be 0..255; the brightest is {brightest}, as after a division by 255"
        return [Finding("refuse", "value-range", said, tuple(names))]
    findings += _repeated(names, [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels])
    flat = tuple(n for n, image in zip(names, pixels, strict=True) if float(image.std()) < NEAR_CONSTANT)
    if flat:
        severity: Any = "refuse" if len(flat) > NEAR_CONSTANT_SHARE * len(pixels) else "warn"
        findings.append(Finding(severity, "near-constant", f"{len(flat)} images show next to nothing", flat))
    return findings + _colours(np.stack([image.mean(axis=(0, 1)) for image in pixels]), statistics)


def lint_inputs(inputs: npt.NDArray[Any], contract: InputContract) -> list[Finding]:
    """The rule value-range on what a representative dataset feeds: (N, H, W, 3) in model values."""
    if not len(inputs):
        return []
    table = contract.table(FLOAT32)
    low, high = float(table.min()), float(table.max())
    least, most = float(inputs.min()), float(inputs.max())
    due = f"{low:.4g}..{high:.4g} is due for the contract; got {least:.4g}..{most:.4g}"
    if not (np.isfinite(least) and np.isfinite(most)):
        return [Finding("refuse", "value-range", f"{due}: not finite numbers")]
    width = high - low
    if least < low - RANGE_SLACK * width or most > high + RANGE_SLACK * width:
        looks = ": looks like pixels 0..255 never normalized" if most > 32 and least >= 0 and high < 32 else ""
        return [Finding("refuse", "value-range", due + looks)]
    if most - least < width / 8:
        looks = ": looks like values normalized that should be pixels" if high > 32 else ""
        return [Finding("refuse", "value-range", due + looks)]
    if low < 0 and least >= 0 and most <= 1.0:
        return [Finding("warn", "value-range", f"{due}: no value below 0, as if scaled to 0..1 instead")]
    return []


def _too_few(count: int) -> list[Finding]:
    if count < FEWEST:
        return [Finding("refuse", "too-few", f"at least {FEWEST} images needed, {RECOMMENDED} advised; got {count}")]
    if count < RECOMMENDED:
        return [Finding("warn", "too-few", f"{RECOMMENDED} images or more are advised; got {count}")]
    return []


def _classes(labels: Sequence[str], contract: InputContract) -> list[Finding]:
    if not any(labels):
        return [Finding("info", "classes-unknown", "the images carry no class, so its balance is not checked")]
    counts = Counter(labels)
    findings = []
    missing = [label for label in contract.labels if not counts[label]]
    if missing:
        findings.append(Finding("refuse", "class-missing", f"no image of {', '.join(missing)}"))
    unknown = sorted(set(labels) - set(contract.labels) - {""})
    if unknown:
        said = f"{', '.join(unknown)} not among the labels {', '.join(contract.labels)}"
        findings.append(Finding("warn", "unknown-class", said))
    return findings


def _duplicates(names: Sequence[str], digests: Sequence[str]) -> list[Finding]:
    """Files with the same bytes, warned of by name; a set that is mostly one image is the other rule's."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name, digest in zip(names, digests, strict=True):
        by_digest[digest].append(name)
    copies = tuple(name for same in by_digest.values() for name in same[1:])
    if not copies:
        return []
    return [Finding("warn", "duplicate", f"{len(copies)} images are copies of others in the set", copies)]


def _repeated(names: Sequence[str], digests: Sequence[str]) -> list[Finding]:
    """A generator that starts again at every call yields its first image for ever."""
    distinct = len(set(digests))
    if len(names) < 2 or distinct > REPEATED_SHARE * len(names):
        return []
    common, times = Counter(digests).most_common(1)[0]
    said = f"{len(names)} images are only {distinct} different ones; one occurs {times} times"
    return [
        Finding(
            "refuse",
            "repeated-image",
            said,
            tuple(n for n, d in zip(names, digests, strict=True) if d == common),
        )
    ]


def _colours(means: npt.NDArray[Any], statistics: TrainingStatistics | None) -> list[Finding]:
    """Compare the set's mean colour with the training images', as it stands and with red and blue swapped."""
    if statistics is None:
        said = "no training_statistics.json beside the model, so channel order and colours are not checked"
        return [Finding("info", "colours-unchecked", said)]
    mean, training = means.mean(axis=0), np.array(statistics.mean)
    straight, swapped = float(np.linalg.norm(mean - training)), float(np.linalg.norm(mean[::-1] - training))
    shown = f"mean R, G, B {_levels(mean)}; in training {_levels(training)}"
    if straight > SWAP_LEAST and swapped < SWAP_RATIO * straight:
        return [Finding("refuse", "channel-order", f"red and blue look swapped: {shown}")]
    spread = np.maximum(np.array(statistics.spread), 1.0)
    if float((np.abs(mean - training) / spread).max()) > FAR_COLOUR:
        return [Finding("warn", "colour-shift", f"far from the training images: {shown}")]
    return []


def _levels(values: npt.NDArray[Any]) -> str:
    return ", ".join(f"{v:.0f}" for v in values)
