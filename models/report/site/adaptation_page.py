"""The page of an adaptation, one self-contained HTML file; no image of the site is on it."""

from collections.abc import Sequence

from edge import RESEARCH_USE_ONLY
from edge.inference.benign import as_labels, in_words
from edge.inference.contract import InputContract
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.adaptation.adaptation_record import FIT, AdaptationRecord, Method
from models.report.figure_style import render
from models.report.site.adaptation_figures import curve_figure, slides_figure
from models.report.site.adaptation_text import METHODS, bound_text, comparisons, next_text, share_text

_LABEL_TABLE = 1


def adaptation_page(record: AdaptationRecord, contract: InputContract, folder: str, data: str) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Args:
        folder, data: as the next command names them.
    """
    return render_page(
        "models.report.site",
        "adaptation.html",
        record=record,
        contract=contract,
        notice=RESEARCH_USE_ONLY,
        benign=in_words(as_labels(record.benign)),
        methods=_methods((record.adapted, *record.baselines, *record.tried), benign=bool(record.benign)),
        untried=[(METHODS.get(each.name, each.name), each.why_not) for each in _every(record) if each.why_not],
        slides=_slides(record),
        decision=_decision(record),
        gates=_gates(record),
        told=_told(record),
        bound=bound_text(record),
        comparisons=comparisons(record),
        next=next_text(folder, data),
        pictures={
            "slides": Picture(render(slides_figure(record)), "png", "probabilities of each slide's fields"),
            "curve": Picture(render(curve_figure(record)), "png", "error by number of slides"),
        },
    )


def _every(record: AdaptationRecord) -> Sequence[Method]:
    return (record.adapted, *record.baselines, *record.tried)


def _methods(methods: Sequence[Method], *, benign: bool) -> Table:
    head = ["", "slides named rightly"]
    head += ["not-benign slides found", "benign slides found"] if benign else []
    head += ["fields named rightly", "fields missed"] if benign else ["fields named rightly"]
    head += ["log loss"]
    rows = []
    for each in methods:
        if each.slides is None or each.fields is None:
            continue
        row = [METHODS.get(each.name, each.name), share_text(each.slides.right)]
        row += [share_text(each.slides.sensitivity), share_text(each.slides.specificity)] if benign else []
        row += [share_text(each.fields.right)]
        row += [str(each.fields.missed)] if benign else []
        rows.append([*row, "-" if each.log_loss is None else f"{each.log_loss:.3f}"])
    return Table(head, rows, numbers={len(head) - 1}, strong={0})


def _slides(record: AdaptationRecord) -> Table:
    counts = {label: [each for each in record.images if each.label == label] for label in record.labels}
    return Table(
        ("class", "slides that made the network", "fields", "slides held back for float against int8", "fields"),
        [
            (
                label,
                str(record.slides[label]),
                str(sum(each.use == FIT for each in own)),
                str(record.parity_slides[label]),
                str(sum(each.use != FIT for each in own)),
            )
            for label, own in counts.items()
        ],
        numbers={1, 2, 3, 4},
    )


def _decision(record: AdaptationRecord) -> Table:
    return Table(
        ("class", "answered from a probability of"),
        [(label, f"{value:g}") for label, value in record.answer_from.items()],
        numbers={1},
    )


def _gates(record: AdaptationRecord) -> Table | None:
    if record.gates is None:
        return None
    rows = [(name.replace("_", " "), str(count)) for name, count in record.gates.by_gate.items()]
    return Table(("gate", "fields refused"), rows, numbers={1})


def _told(record: AdaptationRecord) -> Table | None:
    rows = [
        (each.name, f"{100 * each.accuracy:.0f} %", f"{100 * each.chance:.0f} %", str(each.slides))
        for each in record.audit.told
    ]
    return Table(("the class is told by", "accuracy", "chance", "slides"), rows, numbers={1, 2, 3}) if rows else None
