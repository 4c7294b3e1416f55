"""The certificate as one HTML page that can be printed, filed and read without this project.

Every figure on it comes from the certificate; only the reliability curves and the drift histogram need the
probabilities themselves, which are checked to be the certificate's.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convert.certification.report_search import search_section
from convert.certification.report_text import check_title, check_value, percent, points
from convert.errors import ReportError
from models.report.figure_style import render
from models.report.figures import confusion_figure, drift_figure, intervals_figure, reliability_figure
from models.report.html_page import Cell, Markup, code, element, facts, figure, image, joined, page, section, table
from models.statistics.intervals import wilson

if TYPE_CHECKING:
    from convert.calibration.evaluation_data import Evidence


Record = dict[str, Any]
MOST_CLASSES_DRAWN = 16  # a larger confusion matrix cannot be read on a page
MOST_CHANGED_LISTED = 200
_SIGNS = {"pass": "\N{CHECK MARK}", "fail": "\N{MULTIPLICATION X}", "inconclusive": "?"}
_WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE"}


def report(
    certificate: Record,
    float_probabilities: npt.ArrayLike,
    int8_probabilities: npt.ArrayLike,
    evidence: "Evidence",
    images_in_report: bool = False,
    log: Record | None = None,
) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Args:
        certificate: from `certify`.
        float_probabilities, int8_probabilities: float (N, C): the outputs the certificate was made from.
        evidence: the images they belong to.
        images_in_report: embed the images that changed class. A page that holds images of a data set must not
            be published.
        log: of the search that found the int8 file, where there was one.

    Raises:
        ReportError: the probabilities are not those of the certificate.
    """
    before, after = np.asarray(float_probabilities), np.asarray(int8_probabilities)
    _check(certificate, before, after)
    parity, name = certificate["parity"], certificate["float_model"]["name"]
    labelled = parity["judged"] == "labels"
    body = [
        *_head(certificate),
        _cards(certificate),
        section("Thresholds and measured values", _checks(certificate)),
        _decisions(parity),
        *([_classes(parity)] if labelled else []),
        _probabilities(parity, before, after, evidence.truth),
        _changed(parity, evidence if images_in_report else None),
        *([search_section(log)] if log else []),
        _provenance(certificate),
        element(
            "footer",
            f"{certificate['notice']} Written by convert from certificate.json, format {certificate['format']}.",
        ),
    ]
    return page(f"{name} int8: {_WORDS[certificate['verdict']]}", body)


def _check(certificate: Record, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> None:
    parity = certificate["parity"]
    shape = (parity["images"], len(parity["labels"]))
    if before.shape != shape or after.shape != shape:
        raise ReportError(f"probabilities must be the certificate's, {shape}; got {before.shape} and {after.shape}")
    agreed = int((before.argmax(axis=1) == after.argmax(axis=1)).sum())
    if agreed != parity["agreed"]:
        raise ReportError(
            f"probabilities must be the certificate's, which agree on {parity['agreed']} images; got {agreed}"
        )


def _head(certificate: Record) -> list[Markup]:
    verdict, parity = certificate["verdict"], certificate["parity"]
    if parity["judged"] == "labels":
        basis = f"Judged on {parity['images']} images with true labels that took no part in calibration."
    else:
        basis = f"Judged on {parity['images']} images without true labels: agreement only, no accuracy."
    reasons = [element("ul", *(element("li", reason) for reason in certificate["reasons"]))]
    parts = [
        element("h1", f"Does the int8 {certificate['float_model']['name']} decide as the float network does?"),
        element("p", f"Quantization certificate, {certificate['created']}", css="sub"),
        element("div", certificate["notice"], css="notice"),
        element(
            "div",
            element("div", f"{_SIGNS[verdict]} {_WORDS[verdict]}", css="word"),
            element("p", basis),
            *(reasons if certificate["reasons"] else []),
            css=f"banner {verdict}",
        ),
    ]
    if certificate["synthetic"]:
        parts.append(
            element(
                "div",
                element("strong", "Synthetic images. "),
                "The images judged here are drawn by a program. They show whether both files agree with each "
                "other, and nothing about blood smears.",
                css="warning",
            )
        )
    return parts


def _cards(certificate: Record) -> Markup:
    parity, latency = certificate["parity"], certificate["latency"]
    agreement = _range(parity["agreement_interval"])
    cards = [
        (percent(parity["agreement"]), f"of images keep their label ({agreement})"),
        (
            percent(parity["decided_agreement"]),
            f"of the {parity['decided_images']} on which float is decided "
            f"(margin of {parity['decided_margin']:g} or more)",
        ),
    ]
    if parity["judged"] == "labels":
        drop = points(parity["accuracy_drop"])
        cards += [
            (
                percent(parity["accuracy_float"]),
                f"accuracy, float ({_range(parity['accuracy_float_interval'])})",
            ),
            (
                percent(parity["accuracy_int8"]),
                f"accuracy, int8 ({_range(parity['accuracy_int8_interval'])})",
            ),
            (drop, f"fall of accuracy ({_range(parity['accuracy_drop_interval'], ' points')})"),
        ]
        if parity["benign"] is not None:
            text = f"malignant images that int8 turns {parity['benign']}"
            cards.append((str(parity["malignant_to_benign"]), text))
    cards.append((f"{certificate['int8_model']['bytes'] / 1e6:.2f} MB", _size_text(certificate)))
    if latency is not None:
        times = f"{latency['float_ms']:.2f} ms float, {latency['int8_ms']:.2f} ms int8, one thread, median"
        cards.append((f"{latency['ratio']:.1f} x as fast", times))
    return element(
        "div",
        *(
            element("div", element("span", v, css="value"), element("span", t, css="label"), css="card")
            for v, t in cards
        ),
        css="cards",
    )


def _size_text(certificate: Record) -> str:
    size = certificate["float_tflite_bytes"]
    return "int8 file" if size is None else f"int8 file; {size / 1e6:.2f} MB as float TFLite"


def _checks(certificate: Record) -> Markup:
    rows: list[list[Cell]] = [
        [
            check_title(check),
            check_value(check, "measured"),
            check_value(check, "limit"),
            element("span", f"{_SIGNS[check['outcome']]} {check['outcome']}", css=f"o-{check['outcome']}"),
        ]
        for check in certificate["checks"]
    ]
    policy = certificate["policy"]
    confidence = 100 * policy["accuracy"]["bound_confidence"]
    note = (
        f"Policy \u201c{policy['name']}\u201d, in full in certificate.json. The upper bound of the fall of "
        f"accuracy is one-sided, {confidence:g} %, by Tango's score for paired proportions. Below the needed "
        "numbers of images the answer is inconclusive, unless a limit is broken beyond doubt."
    )
    return joined(table(["Rule", "Measured", "Limit", "Outcome"], rows, [1]), element("p", note, css="note"))


def _decisions(parity: Record) -> Markup:
    labels = parity["labels"]
    if parity["judged"] == "labels":
        heading = "What each network called the images"
        matrices = {"float": parity["confusion_float"], "int8": parity["confusion_int8"]}
        caption = (
            "Rows: true class. Columns: what the network called it. Percentages are of the row. "
            f"Exact McNemar test of the two accuracies: {parity['lost']} images only float names rightly, "
            f"{parity['gained']} only int8, p = {parity['mcnemar_p']:.3g}."
        )
    else:
        heading = "What the two networks called the images"
        matrices = {"": parity["transitions"]}
        caption = "Rows: float's label. Columns: int8's label. Off the diagonal: images that changed."
        if parity["benign"] is not None:
            count = parity["called_malignant_to_benign"]
            caption += f" {count} turn from malignant to {parity['benign']}: without true labels shown, not judged."
    if len(labels) > MOST_CLASSES_DRAWN:
        return section(heading, element("p", f"{len(labels)} classes: the matrices are in certificate.json."))
    sides = ("true", "called") if parity["judged"] == "labels" else ("float", "int8")
    drawn = confusion_figure(labels, matrices, sides=sides)
    return section(heading, figure(render(drawn, "svg"), heading, caption))


def _classes(parity: Record) -> Markup:
    rows: list[list[Cell]] = []
    series: dict[str, list[tuple[float, float, float] | None]] = {"float": [], "int8": []}
    for label in parity["labels"]:
        entry = parity["classes"][label]
        for which, values in series.items():
            values.append(_recall_interval(entry, which))
        rows.append(
            [
                label,
                str(entry["images"]),
                percent(entry["recall_float"]),
                percent(entry["recall_int8"]),
                points(entry["recall_fall"]),
                _range(entry["recall_fall_interval"], " points"),
                "-" if entry["lost"] is None else f"{entry['lost']} / {entry['gained']}",
            ]
        )
    head = ["Class", "Images", "Recall, float", "Recall, int8", "Fall", "95 % interval", "Lost / gained"]
    parts: list[Cell] = [table(head, rows, range(1, 7))]
    if len(parity["labels"]) <= MOST_CLASSES_DRAWN:
        drawn = intervals_figure(parity["labels"], series, "recall, percent")
        caption = "Recall by class with 95 % Wilson intervals."
        parts.append(figure(render(drawn, "svg"), "Recall by class", caption))
    return section("By class", *parts)


def _recall_interval(entry: Record, which: str) -> tuple[float, float, float] | None:
    recall = entry[f"recall_{which}"]
    if recall is None:
        return None
    interval = wilson(round(recall * entry["images"]), entry["images"])
    return recall, interval.low, interval.high


def _probabilities(
    parity: Record, before: npt.NDArray[Any], after: npt.NDArray[Any], truth: npt.NDArray[np.int64] | None
) -> Markup:
    drift = figure(
        render(drift_figure(before, after), "svg"),
        "Histogram of probability drift",
        f"For every image the largest change of any class's probability; the worst is {parity['drift_worst_name']}.",
    )
    if truth is None:
        return section("Probabilities", drift)
    curves = {"float": (before, truth), "int8": (after, truth)}
    reliability = figure(
        render(reliability_figure(curves), "svg"),
        "Reliability curves",
        "Of the images a network was so sure of, how many it named rightly (95 % intervals); below, how many "
        "there were. The expected calibration error, over 15 bins, is overstated by a small set.",
    )
    return section("Probabilities", element("div", reliability, drift, css="pair"))


def _changed(parity: Record, evidence: "Evidence | None") -> Markup:
    changed = parity["changed"]
    heading = f"Images that changed class: {len(changed)}"
    if not changed:
        return section(heading, element("p", "Both networks give every image the same label."))
    listed = changed[:MOST_CHANGED_LISTED]
    rows: list[list[Cell]] = [
        [
            code(entry["name"]),
            entry["true"] or "-",
            f"{entry['float']} {entry['float_probability']:.3f}",
            f"{entry['int8']} {entry['int8_probability']:.3f}",
            f"{entry['float_margin']:.3f}",
        ]
        for entry in listed
    ]
    parts: list[Cell] = [table(["Image", "True", "Float", "int8", "Float's margin"], rows, [4])]
    if len(changed) > len(listed):
        parts.append(element("p", f"{len(changed) - len(listed)} more are in certificate.json.", css="note"))
    if evidence is not None:
        parts.append(_thumbnails(listed, evidence))
    return section(heading, *parts)


def _thumbnails(changed: list[Record], evidence: "Evidence") -> Markup:
    import cv2

    at = {name: i for i, name in enumerate(evidence.names)}
    tiles = []
    for entry in changed:
        pixels = evidence.pixels[at[entry["name"]]]
        _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
        text = f"{entry['name']}: {entry['float']} became {entry['int8']}"
        tiles.append(element("div", image(data.tobytes(), "jpeg", text), text))
    return element("div", *tiles, css="thumbs")


def _decision(contract: Record) -> str:
    if "decision" not in contract:
        return "none: every field that the gates let through is answered"
    decision = contract["decision"]
    answered = ", ".join(f"{label} {p:g}" for label, p in decision["answer_from"].items())
    return (
        f"temperature {decision['temperature']:g}; answered from {answered}. The probabilities compared in this report "
        "are the models' own, before it."
    )


def _provenance(certificate: Record) -> Markup:
    calibration, evaluation = certificate["calibration"], certificate["evaluation"]
    interpreter, machine = certificate["interpreter"], certificate["machine"]
    runtime = " ".join(part for part in (interpreter["runtime"], interpreter["version"]) if part) or "not recorded"
    drawn = ", synthetic" if calibration["synthetic"] else ""
    rows: list[tuple[str, Cell]] = [
        (
            "Float model",
            joined(certificate["float_model"]["file"], " ", code(certificate["float_model"]["sha256"])),
        ),
        ("int8 model", code(certificate["int8_model"]["sha256"])),
        ("Input contract", code(certificate["contract"]["sha256"])),
        ("Decision", _decision(certificate["contract"])),
        (
            "Calibration set",
            joined(
                f"{calibration['images']} images{drawn}, method {calibration['method']}, seed {calibration['seed']} ",
                code(calibration["images_sha256"]),
            ),
        ),
        (
            "Evaluation set",
            joined(f"{evaluation['images']} images, {evaluation['origin']} ", code(evaluation["images_sha256"])),
        ),
        ("Interpreter", f"{runtime}, arithmetic kind {interpreter['kind']}"),
        ("Machine", f"{machine['architecture']}, {machine['system']}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in certificate["versions"].items())),
    ]
    findings = [*calibration["findings"], *certificate["verification"]]
    parts: list[Cell] = [facts(rows)]
    if findings:
        parts.append(element("h3", "What calibration lint and verification said"))
        parts.append(
            table(
                ["Level", "Rule", "Finding"],
                [[f["severity"], code(f["rule"]), f["message"]] for f in findings],
            )
        )
    note = "Hashes are sha256. That of a set is taken over its images' sorted hashes, one a line."
    return section("Provenance", *parts, element("p", note, css="note"))


def _range(interval: list[float] | None, unit: str = " %") -> str:
    """A 95 % interval of shares, in percent or points."""
    if interval is None:
        return "-"
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}{unit}"
