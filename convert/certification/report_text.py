"""The text of a comparison's figures, for the page and the terminal."""

from msgspec import UnsetType

from convert.parity.check import Check
from convert.parity.comparison import Parity
from convert.parity.summary import cure
from convert.parity.verdict import Judgement
from edge.inference.benign import as_labels, in_words
from models.statistics.formatting import careful_percent, safety_count

CHECK_TITLES = {
    "images": "Images",
    "decided-images": "Images on which float is decided",
    "class-images": "Images of",
    "called-class-images": "Images float calls",
    "agreement": "Top-1 agreement",
    "decided-agreement": "Agreement where float is decided",
    "accuracy-drop": "Fall of accuracy",
    "accuracy-drop-bound": "Fall of accuracy, upper bound",
    "recall": "Fall of recall,",
    "malignant-to-benign": "Malignant turned benign by int8",
    "forbidden-flip": "Forbidden flips",
    "answers": "Device says the same",
    "answered-alike": "Device's answers kept, where both answer",
    "answers-lost": "Fall of the share answered",
    "malignant-answered-benign": "Malignant answered benign with int8 alone",
    "forbidden-answer": "Forbidden flips among answers",
}
_UNITS = {"percent": " %", "points": " points", "images": ""}


def points(share: float | None, digits: int = 2) -> str:
    """A difference of shares in percentage points, with its sign unless it is 0."""
    if share is None:
        return "-"
    return "0 points" if share == 0 else f"{100 * share:+.{digits}f} points"


def check_title(check: Check) -> str:
    """A check's name for people, with the class it is about."""
    title = CHECK_TITLES[check.name]
    return f"{title} {check.subject}" if check.subject else title


def check_measured(check: Check) -> str:
    """The measured value with its unit; images as a whole number."""
    if check.measured is None:
        return "-"
    if check.unit == "percent":
        return careful_percent(check.measured / 100)
    return f"{check.measured:.0f}" if check.unit == "images" else f"{check.measured:.2f}{_UNITS[check.unit]}"


def check_limit(check: Check) -> str:
    """The limit with its unit."""
    return f"{check.sense} {check.limit:g}{_UNITS[check.unit]}"


def first_line(judgement: Judgement, *, searched: bool = False) -> str:
    """The verdict in one line, with what helps."""
    return "; ".join(part for part in (judgement.summary, cure(judgement.checks, searched)) if part)


def parity_text(parity: Parity, judgement: Judgement) -> str:
    """The comparison and its verdict as a table for a terminal."""
    rows = [(check_title(c), check_measured(c), check_limit(c), c.outcome) for c in judgement.checks]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{judgement.verdict}: {first_line(judgement)}", ""]
    lines += [
        f"{title:<{widths[0]}}  {measured:>{widths[1]}}  {limit:<{widths[2]}}  {outcome}"
        for title, measured, limit, outcome in rows
    ]
    lines += ["", *_facts(parity), "", f"verdict: {judgement.verdict}"]
    return "\n".join([*lines, *(f"  {reason}" for reason in judgement.reasons)])


def _facts(parity: Parity) -> list[str]:
    device = device_text(parity)
    drift = f"probability drift: mean {parity.drift_mean:.4f}, worst {parity.drift_worst:.4f}"
    if parity.judged == "agreement":
        return ["no true labels: only agreement was judged", *device, drift]
    return [
        f"accuracy: float {careful_percent(parity.accuracy_float)}, int8 {careful_percent(parity.accuracy_int8)}"
        f" (exact McNemar p = {parity.mcnemar_p:.3g})",
        f"malignant turned {in_words(as_labels(parity.benign))}: {_counted(parity)}",
        *device,
        f"calibration error: float {careful_percent(parity.ece_float)}, int8 {careful_percent(parity.ece_int8)}",
        drift,
    ]


def device_text(parity: Parity) -> list[str]:
    """What the device says with each network, and how often it is something else."""
    found = parity.device
    if isinstance(found, UnsetType):
        return []
    changes = f"{found.changed} changed, {found.lost} lost, {found.gained} gained"
    lines = [
        f"device: of {found.images} images the gates refuse {found.refused_by_gates}; with float "
        f"{found.answered_float} are answered, with int8 {found.answered_int8}: {changes}"
    ]
    if found.wrong_int8 is not None:
        counts = (found.malignant_answered_benign_float, found.malignant_answered_benign_int8)
        missed = ", ".join(safety_count(count, found.malignant) for count in counts)
        lines.append(
            f"device, with float and with int8: answered wrongly {found.wrong_float}, {found.wrong_int8}; malignant "
            f"answered {in_words(as_labels(parity.benign))}: {missed}"
        )
    return lines


def _counted(parity: Parity) -> str:
    """Malignant images turned benign; what would make them counted where they are not."""
    cure = "" if parity.benign is not None else ": no label is benign (--benign LABEL names one)"
    return f"{safety_count(parity.malignant_to_benign)}{cure}"
