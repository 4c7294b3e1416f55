"""The checks of a policy on what the device says."""

from convert.parity.check import SLACK, Check, Fall, at_most_images, share
from convert.parity.device import DeviceParity
from convert.parity.evidence import more_for_fall
from convert.parity.policy import Policy


def device_checks(found: DeviceParity, policy: Policy, benign: str) -> list[Check]:
    """Every rule on answers; of a policy without `[device]` those on single images alone.

    Args:
        benign: the benign labels in words.
    """
    checks = [] if policy.device is None else _shares(found, policy)
    if found.malignant_to_benign is not None:
        count, are = found.malignant_to_benign, "image is" if found.malignant_to_benign == 1 else "images are"
        what = f"{count} malignant {are} answered {benign} with int8 and not with float"
        checks.append(at_most_images("malignant-answered-benign", count, policy.max_malignant_to_benign, what))
    if found.wrong_int8 is not None:  # flips are judged by true labels alone
        for one in found.forbidden:
            what = f"{one.images} images are answered {one.flip.in_words.replace(' to ', ' as ', 1)} with int8 alone"
            checks.append(at_most_images("forbidden-answer", one.images, one.flip.max_images, what))
    return checks


def _shares(found: DeviceParity, policy: Policy) -> list[Check]:
    limits = policy.device
    assert limits is not None
    alike = found.answered_both - found.changed
    return [
        share(
            "answers",
            f"of {found.same} of {found.images} images the device says the same",
            (found.same, found.images),
            limits.min_same_percent,
            policy.min_images,
        ),
        share(
            "answered-alike",
            f"{alike} of {found.answered_both} images answered with both keep their answer",
            (alike, found.answered_both),
            limits.min_answered_alike_percent,
            policy.min_decided_images,
        ),
        _lost(found, limits.max_lost_points, policy.bound_confidence),
    ]


def _lost(found: DeviceParity, limit: float, confidence: float) -> Check:
    fall = Fall.of(found.lost, found.gained, found.images, confidence)
    what = (
        f"the share answered falls by {fall.measured:.2f} points ({found.lost} answers lost, {found.gained} gained of "
        f"{found.images})"
    )
    if fall.measured <= limit + SLACK:
        return Check("answers-lost", "pass", fall.measured, limit, "points", "at most", what)
    message = f"{what}, at most {limit:g} allowed"
    if fall.proven > limit:
        return Check("answers-lost", "fail", fall.measured, limit, "points", "at most", message)
    more = more_for_fall(found.lost, found.gained, found.images, limit, confidence)
    return Check("answers-lost", "inconclusive", fall.measured, limit, "points", "at most", message, more=more)
