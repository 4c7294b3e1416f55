"""The first line of a verdict: what is certain, what is not, how many more images would decide; and what helps."""

from collections.abc import Iterable, Sequence

from msgspec import UnsetType

from convert.parity.check import Check, Verdict
from convert.parity.comparison import Parity

_COUNTS = ("images", "decided-images", "class-images", "called-class-images")
SEARCH = "`convert quantize --search` looks for a file that changes fewer labels"


def summary(parity: Parity, verdict: Verdict, checks: Sequence[Check]) -> str:
    """One line for the verdict on `parity`.

    Args:
        checks: all of them.
    """
    failed = [check for check in checks if check.outcome == "fail"]
    unsure = [check for check in checks if check.outcome == "inconclusive"]
    parts = [f"certain: {_failed(failed)} at {parity.images} images" if failed else _held(verdict, parity)]
    if unsure:
        parts.append(f"not certain: {_names(unsure)}; {_more(unsure)}")
    return "; ".join([*parts, *_undecided(parity)])


def cure(checks: Sequence[Check], searched: bool = False) -> str:
    """What helps where quantization changed too much, by name; "" where it did not, or a search was made already."""
    changed = any(check.outcome != "pass" and check.name not in _COUNTS for check in checks)
    return SEARCH if changed and not searched else ""


def _failed(failed: Sequence[Check]) -> str:
    return f"it fails {_names(failed)}"


def _held(verdict: Verdict, parity: Parity) -> str:
    if verdict == "pass":
        return f"certain: every rule holds at {parity.images} images"
    return f"certain: no rule fails at {parity.images} images"


def _names(checks: Iterable[Check]) -> str:
    return ", ".join(dict.fromkeys(f"{c.name} of {c.subject}" if c.subject else c.name for c in checks))


def _more(unsure: Sequence[Check]) -> str:
    """Images that would decide all of it, where those so far tell what is to come."""
    if any(check.more is None for check in unsure):
        return "no number of images like these would decide"
    whole = [c.more for c in unsure if c.subject is None and isinstance(c.more, int)]
    classes: dict[str, int] = {}
    for check in unsure:
        if check.subject is not None and isinstance(check.more, int):
            classes[check.subject] = max(check.more, classes.get(check.subject, 0))
    needed = max([*whole, sum(classes.values())])
    of = f" ({', '.join(f'{count} of {label}' for label, count in classes.items())} among them)" if classes else ""
    return f"about {needed} more image{'' if needed == 1 else 's'} like these would decide{of}"


def _undecided(parity: Parity) -> list[str]:
    changed = parity.images - parity.agreed
    if isinstance(parity.device, UnsetType) or not changed:
        return []
    if parity.device.label_changes_unanswered == changed:
        return [f"only undecided images changed label: {changed}, and the device answers none of them in either form"]
    return []
