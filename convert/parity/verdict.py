"""The verdict on a parity comparison: each threshold of a policy as a check, with the reasons by name.

Two things are judged: the networks' labels, and what the device would say of the same images (gates, calibrated
probabilities, thresholds). How chance is treated, the same for every limit:

* With enough images (the policy's `[evidence]`) the measured value decides: beyond its limit is a failure.
* With fewer, a value beyond its limit fails only if chance is ruled out (5 %); else it is inconclusive.
* The bound on the accuracy drop is about chance itself: met, or more images are needed.
* The fall of a class's recall, and that of the share answered, fails only if the lower end of its interval is beyond
  the limit; else it is inconclusive. One image lost of a class in which one weighs more than the limit decides nothing.
* Where accuracy or a recall falls too far by images that the device answers in neither form, it passes and says so:
  only undecided images changed label. Not where chance is ruled out.
* A malignant image that turns benign, and a flip that the policy forbids, is counted, not estimated: it fails whatever
  the number of images.

A failure outweighs everything inconclusive.
"""

import math

import msgspec
from msgspec import UnsetType

from convert.errors import ParityError
from convert.parity.check import SLACK, Check, Fall, Verdict, at_most_images, enough, share
from convert.parity.comparison import ClassParity, Parity
from convert.parity.device_checks import device_checks
from convert.parity.evidence import more_for_bound, more_for_fall
from convert.parity.flips import FlipCount
from convert.parity.policy import Policy
from convert.parity.summary import summary
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE
from edge.inference.benign import as_labels, in_words
from models.statistics.intervals import paired_difference_upper

EXIT_CODES: dict[str, int] = {"pass": DONE, "fail": ANSWER_IS_NO, "inconclusive": NOT_ENOUGH_EVIDENCE}


class Judgement(msgspec.Struct, frozen=True):
    """The verdict and every check behind it.

    Attributes:
        reasons: `name: message` of what did not pass, failures first; empty when the verdict is "pass".
        summary: one line: what is certain, what is not, and how many more images would decide.

    >>> Judgement("inconclusive", ("images: 9 images, 300 needed to say",), ()).exit_code
    3
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    summary: str = ""

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive."""
        return EXIT_CODES[self.verdict]


def judge(parity: Parity, policy: Policy) -> Judgement:
    """Hold a comparison against the thresholds.

    Without true labels only agreement is judged (`parity.judged` says which), of labels and of answers.

    Raises:
        ParityError: the comparison was made with another decided margin than the policy's.
    """
    if parity.decided_margin != policy.decided_margin:
        raise ParityError(f"decided_margin must be the policy's, {policy.decided_margin}; got {parity.decided_margin}")
    checks = [*_image_counts(parity, policy), *_agreement(parity, policy)]
    if parity.judged == "labels":
        checks += [*_accuracy(parity, policy), *_recalls(parity, policy), *_flips(parity, policy)]
    if not isinstance(parity.device, UnsetType):
        checks += device_checks(parity.device, policy, in_words(as_labels(parity.benign)))
    outcomes = {check.outcome for check in checks}
    verdict: Verdict = "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
    order: tuple[Verdict, ...] = ("fail", "inconclusive")
    reasons = tuple(f"{c.name}: {c.message}" for outcome in order for c in checks if c.outcome == outcome)
    return Judgement(verdict, reasons, tuple(checks), summary(parity, verdict, checks))


def _image_counts(parity: Parity, policy: Policy) -> list[Check]:
    checks = [
        enough("images", parity.images, policy.min_images, "images"),
        enough(
            "decided-images",
            parity.decided_images,
            policy.min_decided_images,
            f"images on which float is decided (margin >= {policy.decided_margin:g})",
        ),
    ]
    for label, entry in parity.classes.items():
        if parity.judged == "labels":
            what = f"images of {label}"
            check = enough("class-images", entry.images or 0, policy.min_class_images, what, label)
        else:
            what = f"images that float calls {label}"
            check = enough("called-class-images", entry.called_float, policy.min_called_class_images, what, label)
        checks.append(check)
    return checks


def _agreement(parity: Parity, policy: Policy) -> list[Check]:
    return [
        share(
            "agreement",
            f"{parity.agreed} of {parity.images} images keep their label",
            (parity.agreed, parity.images),
            policy.min_agreement_percent,
            policy.min_images,
        ),
        share(
            "decided-agreement",
            f"{parity.decided_agreed} of {parity.decided_images} decided images keep their label",
            (parity.decided_agreed, parity.decided_images),
            policy.min_decided_agreement_percent,
            policy.min_decided_images,
        ),
    ]


def _accuracy(parity: Parity, policy: Policy) -> list[Check]:
    lost, gained, images = parity.lost, parity.gained, parity.images
    assert lost is not None and gained is not None  # judged == "labels"
    fall = Fall.of(lost, gained, images, policy.bound_confidence)
    return [_drop(parity, policy, fall), _bound(lost, gained, images, policy, fall)]


def _drop(parity: Parity, policy: Policy, fall: Fall) -> Check:
    lost, gained, images = parity.lost, parity.gained, parity.images
    assert lost is not None and gained is not None
    limit = policy.max_accuracy_drop_points
    what = f"accuracy falls by {fall.measured:.2f} points ({lost} lost, {gained} gained of {images})"
    if fall.measured <= limit + SLACK:
        return Check("accuracy-drop", "pass", fall.measured, limit, "points", "at most", what)
    silent = [] if isinstance(parity.device, UnsetType) else [*parity.device.unanswered.values()]
    excused = _excused((lost, gained), images, limit, sum(s.lost for s in silent), sum(s.gained for s in silent))
    if fall.proven <= limit and excused:
        return Check("accuracy-drop", "pass", fall.measured, limit, "points", "at most", f"{what}; {excused}")
    message = f"{what}, at most {limit:g} allowed"
    if images >= policy.min_images or fall.proven > limit:
        return Check("accuracy-drop", "fail", fall.measured, limit, "points", "at most", message)
    more = policy.min_images - images
    return Check("accuracy-drop", "inconclusive", fall.measured, limit, "points", "at most", message, more=more)


def _bound(lost: int, gained: int, images: int, policy: Policy, fall: Fall) -> Check:
    limit, confidence = policy.max_accuracy_drop_bound_points, policy.bound_confidence
    bound = 100 * paired_difference_upper(lost, gained, images, confidence)
    what = f"with {100 * confidence:g} % confidence accuracy falls by at most {bound:.2f} points"
    if bound <= limit + SLACK:
        return Check("accuracy-drop-bound", "pass", bound, limit, "points", "at most", what)
    message = f"{what}, at most {limit:g} allowed"
    if fall.proven > limit:
        return Check("accuracy-drop-bound", "fail", bound, limit, "points", "at most", message)
    more = more_for_bound(lost, gained, images, limit, confidence)
    return Check("accuracy-drop-bound", "inconclusive", bound, limit, "points", "at most", message, more=more)


def _recalls(parity: Parity, policy: Policy) -> list[Check]:
    return [_recall(label, entry, parity, policy) for label, entry in parity.classes.items() if entry.images]


def _recall(label: str, entry: ClassParity, parity: Parity, policy: Policy) -> Check:
    assert entry.images is not None and entry.lost is not None and entry.gained is not None
    limit, confidence = policy.max_recall_fall_points, policy.bound_confidence
    fall = Fall.of(entry.lost, entry.gained, entry.images, confidence)
    interval = 100 * paired_difference_upper(entry.lost, entry.gained, entry.images, confidence)
    what = (
        f"recall of {label} falls by {fall.measured:.2f} points ({entry.lost} lost, {entry.gained} gained of "
        f"{entry.images})"
    )
    if fall.measured <= limit + SLACK:
        return Check("recall", "pass", fall.measured, limit, "points", "at most", what, label)
    between = f"; with {100 * confidence:g} % confidence each by {fall.proven:.2f} or more, and {interval:.2f} or less"
    if entry.lost - entry.gained == 1 and limit > 0:
        told = f"{what}: one image cannot tell, with {math.ceil(100 / limit)} of the class it could"
        return Check("recall", "pass", fall.measured, limit, "points", "at most", told, label)
    silent = None if isinstance(parity.device, UnsetType) else parity.device.unanswered.get(label)
    if silent is not None and fall.proven <= limit:
        excused = _excused((entry.lost, entry.gained), entry.images, limit, silent.lost, silent.gained)
        if excused:
            return Check("recall", "pass", fall.measured, limit, "points", "at most", f"{what}; {excused}", label)
    message = f"{what}{between}, at most {limit:g} allowed"
    if fall.proven > limit or limit == 0:
        return Check("recall", "fail", fall.measured, limit, "points", "at most", message, label)
    more = more_for_fall(entry.lost, entry.gained, entry.images, limit, confidence)
    return Check("recall", "inconclusive", fall.measured, limit, "points", "at most", message, label, more)


def _excused(counts: tuple[int, int], images: int, limit: float, lost: int, gained: int) -> str:
    """Why a fall beyond the limit passes: without the images that the device answers in neither form (`lost`,
    `gained`) it is within; "" where that is not so."""
    left = 100 * (counts[0] - lost - (counts[1] - gained)) / images
    if not lost or left > limit + SLACK:
        return ""
    return f"{lost} of the lost were undecided: the device answers them in neither form"


def _flips(parity: Parity, policy: Policy) -> list[Check]:
    checks = []
    if parity.malignant_to_benign is not None:  # else no label is benign: not counted, and said so beside the table
        count, images = parity.malignant_to_benign, "image" if parity.malignant_to_benign == 1 else "images"
        what = f"{count} malignant {images} that float called malignant became {in_words(as_labels(parity.benign))}"
        checks.append(at_most_images("malignant-to-benign", count, policy.max_malignant_to_benign, what))
    forbidden: tuple[FlipCount, ...] = () if isinstance(parity.forbidden, UnsetType) else parity.forbidden
    for found in forbidden:
        what = f"{found.images} images turned from {found.flip.in_words}"
        checks.append(at_most_images("forbidden-flip", found.images, found.flip.max_images, what))
    return checks
