"""The verdict on a parity comparison: each threshold of a policy as a check, with the reasons by name.

How chance is treated, the same for every limit:

* With enough images (the policy's `[evidence]`) the measured value decides: beyond its limit is a failure.
* With fewer, a value beyond its limit fails only if chance is ruled out (5 %); else it is inconclusive.
* The bound on the accuracy drop is about chance itself: met, or more images are needed.
* A class so small that one image weighs more than the limit can show no smaller fall than that. One image
  lost there is inconclusive; two are a failure, as in every class with enough images.
* A malignant image that turns benign is counted, not estimated: it fails whatever the number of images.

A failure outweighs everything inconclusive.
"""

import math
from typing import Literal, NamedTuple

import msgspec

from convert.errors import ParityError
from convert.parity.comparison import ClassParity, Parity
from convert.parity.policy import Policy
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE
from edge.inference.benign import as_labels, in_words
from models.statistics.intervals import p_at_most, paired_difference_lower, paired_difference_upper

Verdict = Literal["pass", "fail", "inconclusive"]
EXIT_CODES: dict[str, int] = {"pass": DONE, "fail": ANSWER_IS_NO, "inconclusive": NOT_ENOUGH_EVIDENCE}
_CHANCE = 0.05  # a p-value below this rules chance out, where images are few
_SLACK = 1e-9  # a value on its limit passes, whatever the last bit of a float says


class Check(msgspec.Struct, frozen=True):
    """One rule applied.

    Attributes:
        name: stable, such as "accuracy-drop".
        outcome: of this rule alone.
        measured, limit: in `unit`; measured is None where there was nothing to measure.
        unit: "percent", "points" or "images".
        sense: "at most" or "at least" the limit.
        message: one sentence a person can act on.
        subject: the class it is about, or None.

    >>> Check("images", "pass", 300, 300, "images", "at least", "300 images").outcome
    'pass'
    """

    name: str
    outcome: Verdict
    measured: float | None
    limit: float
    unit: Literal["percent", "points", "images"]
    sense: Literal["at most", "at least"]
    message: str
    subject: str | None = None


class Judgement(msgspec.Struct, frozen=True):
    """The verdict and every check behind it.

    Attributes:
        reasons: `name: message` of what did not pass, failures first; empty when the verdict is "pass".

    >>> Judgement("inconclusive", ("images: 9 images, 300 needed to say",), ()).exit_code
    3
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive."""
        return EXIT_CODES[self.verdict]


def judge(parity: Parity, policy: Policy) -> Judgement:
    """Hold a comparison against the thresholds.

    Without true labels only agreement is judged (`parity.judged` says which).

    Raises:
        ParityError: the comparison was made with another decided margin than the policy's.
    """
    if parity.decided_margin != policy.decided_margin:
        raise ParityError(f"decided_margin must be the policy's, {policy.decided_margin}; got {parity.decided_margin}")
    checks = [*_image_counts(parity, policy), *_agreement(parity, policy)]
    if parity.judged == "labels":
        checks += [*_accuracy(parity, policy), *_recalls(parity, policy), *_flips(parity, policy)]
    outcomes = {check.outcome for check in checks}
    verdict: Verdict = "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
    order: tuple[Verdict, ...] = ("fail", "inconclusive")
    reasons = tuple(f"{c.name}: {c.message}" for outcome in order for c in checks if c.outcome == outcome)
    return Judgement(verdict, reasons, tuple(checks))


def _image_counts(parity: Parity, policy: Policy) -> list[Check]:
    checks = [
        _enough("images", parity.images, policy.min_images, "images"),
        _enough(
            "decided-images",
            parity.decided_images,
            policy.min_decided_images,
            f"images on which float is decided (margin >= {policy.decided_margin:g})",
        ),
    ]
    for label, entry in parity.classes.items():
        if parity.judged == "labels":
            what = f"images of {label}"
            check = _enough("class-images", entry.images or 0, policy.min_class_images, what, label)
        else:
            what = f"images that float calls {label}"
            check = _enough("called-class-images", entry.called_float, policy.min_called_class_images, what, label)
        checks.append(check)
    return checks


def _enough(name: str, count: int, needed: int, what: str, subject: str | None = None) -> Check:
    enough = count >= needed
    message = f"{count} {what}" + ("" if enough else f", {needed} needed to say")
    return Check(name, "pass" if enough else "inconclusive", count, needed, "images", "at least", message, subject)


def _agreement(parity: Parity, policy: Policy) -> list[Check]:
    return [
        _share(
            "agreement",
            f"{parity.agreed} of {parity.images} images keep their label",
            (parity.agreed, parity.images),
            policy.min_agreement_percent,
            enough=parity.images >= policy.min_images,
        ),
        _share(
            "decided-agreement",
            f"{parity.decided_agreed} of {parity.decided_images} decided images keep their label",
            (parity.decided_agreed, parity.decided_images),
            policy.min_decided_agreement_percent,
            enough=parity.decided_images >= policy.min_decided_images,
        ),
    ]


def _share(name: str, what: str, counts: tuple[int, int], limit: float, *, enough: bool) -> Check:
    """`counts`, agreed and all, at least `limit` percent."""
    agreed, images = counts
    if images == 0:
        return Check(name, "inconclusive", None, limit, "percent", "at least", f"{what}: nothing to judge")
    share = 100 * agreed / images
    if share >= limit - _SLACK:
        return Check(name, "pass", share, limit, "percent", "at least", f"{what} ({share:.2f} %)")
    proven = p_at_most(agreed, images, limit / 100) < _CHANCE
    outcome: Verdict = "fail" if enough or proven else "inconclusive"
    message = f"{what} ({share:.2f} %), at least {limit:g} % required"
    return Check(name, outcome, share, limit, "percent", "at least", message)


class _Fall(NamedTuple):
    """A fall in points: as measured, and the part of it that is beyond chance (its one-sided lower bound)."""

    measured: float
    proven: float


def _accuracy(parity: Parity, policy: Policy) -> list[Check]:
    lost, gained, images = parity.lost, parity.gained, parity.images
    assert lost is not None and gained is not None  # judged == "labels"
    confidence = policy.bound_confidence
    drop = 100 * (lost - gained) / images
    bound = 100 * paired_difference_upper(lost, gained, images, confidence)
    proven = 100 * paired_difference_lower(lost, gained, images, confidence)
    return [
        _limited(
            "accuracy-drop",
            f"accuracy falls by {drop:.2f} points ({lost} lost, {gained} gained of {images})",
            _Fall(drop, proven),
            policy.max_accuracy_drop_points,
            enough=images >= policy.min_images,
        ),
        _limited(
            "accuracy-drop-bound",
            f"with {100 * confidence:g} % confidence accuracy falls by at most {bound:.2f} points",
            _Fall(bound, proven),
            policy.max_accuracy_drop_bound_points,
            enough=False,
        ),
    ]


def _recalls(parity: Parity, policy: Policy) -> list[Check]:
    return [_recall(label, entry, policy) for label, entry in parity.classes.items() if entry.images]


def _recall(label: str, entry: ClassParity, policy: Policy) -> Check:
    assert entry.images is not None and entry.lost is not None and entry.gained is not None
    limit, net = policy.max_recall_fall_points, entry.lost - entry.gained
    fall = 100 * net / entry.images
    proven = 100 * paired_difference_lower(entry.lost, entry.gained, entry.images, policy.bound_confidence)
    what = f"recall of {label} falls by {fall:.2f} points ({entry.lost} lost, {entry.gained} gained of {entry.images})"
    if net == 1 and fall > limit > 0:
        what += f"; one image cannot tell, with {math.ceil(100 / limit)} of the class it could"
    enough = entry.images >= policy.min_class_images and net > 1
    return _limited("recall", what, _Fall(fall, proven), limit, enough=enough, subject=label)


def _limited(name: str, what: str, fall: _Fall, limit: float, *, enough: bool, subject: str | None = None) -> Check:
    """`fall.measured` at most `limit`, both in points."""
    if fall.measured <= limit + _SLACK:
        return Check(name, "pass", fall.measured, limit, "points", "at most", what, subject)
    outcome: Verdict = "fail" if enough or fall.proven > limit else "inconclusive"
    message = f"{what}, at most {limit:g} allowed"
    return Check(name, outcome, fall.measured, limit, "points", "at most", message, subject)


def _flips(parity: Parity, policy: Policy) -> list[Check]:
    if parity.malignant_to_benign is None:  # no label is benign: not counted, and said so where the table is shown
        return []
    count, limit = parity.malignant_to_benign, policy.max_malignant_to_benign
    images = "image" if count == 1 else "images"
    what = f"{count} malignant {images} that float called malignant became {in_words(as_labels(parity.benign))}"
    message = what if count <= limit else f"{what}, {limit} allowed"
    outcome: Verdict = "pass" if count <= limit else "fail"
    return [Check("malignant-to-benign", outcome, count, limit, "images", "at most", message)]
