"""The certificate as one HTML page that can be printed, filed and read without this project.

Every figure on it comes from the certificate; only the reliability curves and the drift histogram need the
probabilities themselves, which are checked to be the certificate's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UnsetType

from convert.calibration.evaluation_data import ConversionImages
from convert.certification.certificate import Certificate
from convert.certification.gates import gates_text
from convert.certification.report_search import confirmation, trials
from convert.certification.report_text import check_limit, check_measured, check_title, points
from convert.errors import ReportError
from convert.parity.comparison import Changed, Parity
from convert.recovery.search_log import SearchLog
from edge.bundle.certified_policy import laxer_policy
from edge.inference.benign import as_labels, in_words
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.report.figure_style import render
from models.report.figures import confusion_figure, drift_figure, intervals_figure, reliability_figure
from models.statistics.formatting import careful_percent, safety_count
from models.statistics.intervals import Interval, wilson

MOST_CLASSES_DRAWN = 16  # a larger confusion matrix cannot be read on a page
MOST_CHANGED_LISTED = 200


def report(
    certificate: Certificate,
    float_probabilities: npt.ArrayLike,
    int8_probabilities: npt.ArrayLike,
    images: ConversionImages,
    images_in_report: bool = False,
    log: SearchLog | None = None,
    gates: bytes | None = None,
) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Args:
        certificate: from `certify`.
        float_probabilities, int8_probabilities: float (N, C): the outputs the certificate was made from.
        images: the images they belong to.
        images_in_report: embed the images that changed class. A page that holds images of a data set must not
            be published.
        log: of the search that found the int8 file, where there was one.
        gates: `gates.json` of the bundle, where it has one.

    Raises:
        ReportError: the probabilities are not those of the certificate.
    """
    before, after = np.asarray(float_probabilities), np.asarray(int8_probabilities)
    _check(certificate, before, after)
    parity = certificate.parity
    listed = parity.changed[:MOST_CHANGED_LISTED]
    return render_page(
        "convert.certification",
        "report.html",
        certificate=certificate,
        lax_policy=laxer_policy(certificate.to_record()),
        decision=certificate.contract.decision,
        summary="" if isinstance(certificate.summary, UnsetType) else certificate.summary,
        device=_device(parity),
        device_changes=_device_changes(parity),
        benign=in_words(as_labels(parity.benign)),
        key_figures=_key_figures(certificate),
        checks=[
            (check_title(check), check_measured(check), check_limit(check), check.outcome)
            for check in certificate.checks
        ],
        figures=_figures(parity, before, after, images.truth),
        classes=_classes(parity) if parity.judged == "labels" else None,
        changed=_changed(listed),
        unlisted=len(parity.changed) - len(listed),
        thumbnails=_thumbnails(listed, images) if images_in_report else [],
        search=log,
        gates=None if gates is None else gates_text(gates),
        trials=trials(log) if log else None,
        confirmation=confirmation(log) if log else None,
    )


def _check(certificate: Certificate, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> None:
    parity = certificate.parity
    shape = (parity.images, len(parity.labels))
    if before.shape != shape or after.shape != shape:
        raise ReportError(f"probabilities must be the certificate's, {shape}; got {before.shape} and {after.shape}")
    agreed = int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
    if agreed != parity.agreed:
        raise ReportError(
            f"probabilities must be the certificate's, which agree on {parity.agreed} images; got {agreed}"
        )


def _key_figures(certificate: Certificate) -> list[tuple[str, str]]:
    """Values, and what they are."""
    parity, latency = certificate.parity, certificate.latency
    found = [
        (careful_percent(parity.agreement), f"of images keep their label ({_range(parity.agreement_interval)})"),
        (
            careful_percent(parity.decided_agreement),
            f"of the {parity.decided_images} on which float is decided (margin of {parity.decided_margin:g} or more)",
        ),
    ]
    if parity.judged == "labels":
        fall = _range(parity.accuracy_drop_interval, " points")
        found += [
            (careful_percent(parity.accuracy_float), f"accuracy, float ({_range(parity.accuracy_float_interval)})"),
            (careful_percent(parity.accuracy_int8), f"accuracy, int8 ({_range(parity.accuracy_int8_interval)})"),
            (points(parity.accuracy_drop), f"fall of accuracy ({fall})"),
        ]
        text = f"malignant images that int8 turns {in_words(as_labels(parity.benign))}"
        found.append((safety_count(parity.malignant_to_benign), text))
    size = f"int8 file; {certificate.float_tflite_bytes / 1e6:.2f} MB as float TFLite"
    times = f"{latency.float_ms:.2f} ms float, {latency.int8_ms:.2f} ms int8, one thread, median"
    return [
        *found,
        (f"{certificate.int8_model.bytes / 1e6:.2f} MB", size),
        (f"{latency.ratio:.1f} x as fast", times),
    ]


def _figures(
    parity: Parity, before: npt.NDArray[Any], after: npt.NDArray[Any], truth: npt.NDArray[np.int64] | None
) -> dict[str, Picture | None]:
    """What is drawn, by name; None for what true labels or fewer classes would be needed for."""
    few = len(parity.labels) <= MOST_CLASSES_DRAWN
    drift = render(drift_figure(before, after), "svg")
    figures: dict[str, Picture | None] = {
        "matrix": _matrix(parity) if few else None,
        "recall": _recall(parity) if few and parity.judged == "labels" else None,
        "reliability": None,
        "drift": Picture(drift, "svg+xml", "Histogram of probability drift"),
    }
    if truth is not None:
        drawn = reliability_figure({"float": (before, truth), "int8": (after, truth)})
        figures["reliability"] = Picture(render(drawn, "svg"), "svg+xml", "Reliability curves")
    return figures


def _matrix(parity: Parity) -> Picture:
    if parity.confusion_float is not None and parity.confusion_int8 is not None:
        title, sides = "What each network called the images", ("true", "called")
        matrices = {"float": parity.confusion_float, "int8": parity.confusion_int8}
    else:
        title, sides = "What the two networks called the images", ("float", "int8")
        matrices = {"": parity.transitions}
    drawn = confusion_figure(parity.labels, matrices, sides=sides)
    return Picture(render(drawn, "svg"), "svg+xml", title)


def _recall(parity: Parity) -> Picture:
    classes = [parity.classes[label] for label in parity.labels]
    series = {
        "float": [_recall_interval(entry.recall_float, entry.images) for entry in classes],
        "int8": [_recall_interval(entry.recall_int8, entry.images) for entry in classes],
    }
    drawn = intervals_figure(parity.labels, series, "recall, percent")
    return Picture(render(drawn, "svg"), "svg+xml", "Recall by class")


def _recall_interval(recall: float | None, images: int | None) -> tuple[float, float, float] | None:
    if recall is None or images is None:
        return None
    interval = wilson(round(recall * images), images)
    return recall, interval.low, interval.high


def _classes(parity: Parity) -> Table:
    head = ("Class", "Images", "Recall, float", "Recall, int8", "Fall", "95 % interval", "Lost / gained")
    rows = [
        (
            label,
            str(entry.images),
            careful_percent(entry.recall_float),
            careful_percent(entry.recall_int8),
            points(entry.recall_fall),
            _range(entry.recall_fall_interval, " points"),
            "-" if entry.lost is None else f"{entry.lost} / {entry.gained}",
        )
        for label, entry in ((label, parity.classes[label]) for label in parity.labels)
    ]
    return Table(head, rows, numbers=range(1, 7))


def _changed(listed: Sequence[Changed]) -> Table:
    rows = [
        (
            entry.name,
            entry.true or "-",
            f"{entry.float_label} {entry.float_probability:.3f}",
            f"{entry.int8_label} {entry.int8_probability:.3f}",
            f"{entry.float_margin:.3f}",
        )
        for entry in listed
    ]
    return Table(("Image", "True", "Float", "int8", "Float's margin"), rows, numbers={4}, code={0})


def _device(parity: Parity) -> Table | None:
    """What the device says with each network."""
    found = parity.device
    if isinstance(found, UnsetType):
        return None
    benign = in_words(as_labels(parity.benign))
    rows = [
        ("answered", str(found.answered_float), str(found.answered_int8)),
        ("refused by a gate", str(found.refused_by_gates), str(found.refused_by_gates)),
        ("answers changed", "", str(found.changed)),
        ("answers lost", "", str(found.lost)),
        ("answers gained", "", str(found.gained)),
    ]
    if found.wrong_int8 is not None:
        missed = (found.malignant_answered_benign_float, found.malignant_answered_benign_int8)
        rows += [
            ("answered wrongly", str(found.wrong_float), str(found.wrong_int8)),
            (
                f"malignant answered {benign}",
                safety_count(missed[0], found.malignant),
                safety_count(missed[1], found.malignant),
            ),
        ]
    return Table((f"of {found.images} images", "float", "int8"), rows, numbers={1, 2})


def _device_changes(parity: Parity) -> Table | None:
    found = parity.device
    if isinstance(found, UnsetType):
        return None
    rows = [
        (
            one.name,
            one.true or "-",
            one.float_answer or f"no answer: {one.float_reason}",
            one.int8_answer or f"no answer: {one.int8_reason}",
        )
        for one in found.changes[:MOST_CHANGED_LISTED]
    ]
    return Table(("Image", "True", "With float", "With int8"), rows, code={0})


def _thumbnails(changed: Sequence[Changed], images: ConversionImages) -> list[Picture]:
    import cv2

    at = {name: i for i, name in enumerate(images.names)}
    tiles = []
    for entry in changed:
        pixels = images.pixels[at[entry.name]]
        _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
        text = f"{entry.name}: {entry.float_label} became {entry.int8_label}"
        tiles.append(Picture(data.tobytes(), "jpeg", text))
    return tiles


def _range(interval: Interval | None, unit: str = " %") -> str:
    """A 95 % interval of shares, in percent or points."""
    if interval is None:
        return "-"
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}{unit}"
