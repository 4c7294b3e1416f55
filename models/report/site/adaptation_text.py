"""An adaptation for a terminal, and its card."""

from edge import RESEARCH_USE_ONLY
from edge.inference.benign import as_labels, in_words
from edge.inference.contract import InputContract
from models.adaptation.adaptation_record import AdaptationRecord, Counted, ExactShare, Method

NOT_COUNTED = "not counted"
METHODS = {
    "adapted": "adapted",
    "six_colours": "six colours",
    "as_it_is": "network as it is",
    "batch_norm_own_head": "batch norms of the site, own head",
    "batch_norm_new_head": "batch norms of the site, new head",
    "without_variations": "without stain variations",
    "fine_tuned": "last block fine-tuned",
    "frozen": "frozen features",
    "normalized": "stain normalized",
}


def share_text(share: ExactShare | None) -> str:
    """ "19 of 20 (75.1 to 99.9 %)"; "not counted" without."""
    if share is None:
        return NOT_COUNTED
    if share.interval is None:
        return f"{share.count} of {share.of}"
    return f"{share.count} of {share.of} ({100 * share.interval.low:.1f} to {100 * share.interval.high:.1f} %)"


def to_text(record: AdaptationRecord) -> str:
    """For a terminal."""
    benign = in_words(as_labels(record.benign))
    slides = ", ".join(f"{label} {count}" for label, count in record.slides.items())
    held = ", ".join(f"{label} {count}" for label, count in record.parity_slides.items())
    lines = [
        f"{record.site}: adapted from {record.start.name}; slides that made the network: {slides}; held back to "
        f"compare float with int8: {held}",
        "every figure is of slides that the network which answered was made without; it is no acceptance",
    ]
    for each in (record.adapted, *record.baselines, *record.tried):
        lines.append(f"  {METHODS.get(each.name, each.name)}: {_method_text(each, benign)}")
    lines += comparisons(record)
    lines += [f"audit: {caution}" for caution in record.audit.cautions]
    lines.append(_identity_text(record))
    expected, gates = record.expected, record.gates
    lines.append(
        f"decision: temperature {record.temperature:g}; answered from "
        + ", ".join(f"{label} {p:g}" for label, p in record.answer_from.items())
        + f"; to expect on other slides: unanswered {expected.unanswered.count} of {expected.fields} fields, wrong "
        f"{expected.wrong}"
    )
    if gates is not None:
        lines.append(f"gates: {share_text(gates.refused)} fields of unseen slides refused")
    lines.append(f"learning curve: {record.curve.forecast.text}")
    lines.append(bound_text(record))
    return "\n".join([*(line for line in lines if line), *(f"note: {note}" for note in record.notes)])


def comparisons(record: AdaptationRecord) -> list[str]:
    """A sentence for each way of making that stood against another: what it gained, and whether it was taken."""
    lines = []
    for each in (*record.baselines, *record.tried):
        found = each.compared
        if found is None:
            continue
        way = "lower" if found.gain >= 0 else "higher"
        fate = "taken" if found.taken else "not taken"
        if each.name == "normalized":
            fate = "never taken, since no device normalizes stain"
        lines.append(
            f"{METHODS.get(each.name, each.name)}: loss by slide {abs(found.gain):.3f} {way} than "
            f"{METHODS.get(found.against, found.against)}, each at its best "
            f"temperature; chance does as well with p = {found.p:.3g}; {fate}"
        )
    return lines


def bound_text(record: AdaptationRecord) -> str:
    """What so few slides cannot rule out; "" where no class is benign."""
    forecast, slides = record.curve.forecast, record.adapted.slides
    if forecast.bound_now is None or forecast.bound_then is None or slides is None or slides.sensitivity is None:
        return ""
    return (
        f"{slides.sensitivity.of} slides that are not benign cannot rule out that {100 * forecast.bound_now:.0f} % of "
        f"such are missed (95 %); with five more, as good as these, {100 * forecast.bound_then:.0f} %. Acceptance "
        "counts other slides again"
    )


def next_text(folder: str, data: str) -> str:
    """The command that goes on."""
    return f"next: convert quantize --int8 {folder}/model.keras --data {data}"


def card(record: AdaptationRecord, contract: InputContract) -> str:
    """`card.md`: Markdown, from the record and the contract alone."""
    labels = ", ".join(record.labels)
    benign = in_words(as_labels(record.benign)) if record.benign else "none is named"
    tiles = (
        "whole field" if contract.tiles is None else f"{contract.tiles[0]} x {contract.tiles[1]} tiles, mean of them"
    )
    rows = [
        f"| {METHODS.get(each.name, each.name)} | {cells[0]} | {cells[1]} | {cells[2]} | {cells[3]} |"
        for each in (record.adapted, *record.baselines, *record.tried)
        for cells in [_cells(each)]
    ]
    slides = "\n".join(
        f"| {label} | {record.slides[label]} | {record.parity_slides[label]} |" for label in record.labels
    )
    width, height = contract.size
    return "\n\n".join(
        [
            f"# Network adapted to {record.site}",
            f"**{RESEARCH_USE_ONLY}**",
            f"{_made_how(record)}. Classes: {labels}; benign: {benign}. Input: {width} x {height} pixels, {tiles}.",
            "Made for the microscope, stain and camera of this site alone. What it may say there follows from its "
            "acceptance on slides that had no part in it (`convert accept`), not from the figures below.",
            "## Slides\n\n| class | made the network | compare float with int8 |\n|---|---|---|\n" + slides,
            "## Figures, slide-disjoint\n\nExact 95 % intervals. Slides are what is independent; a slide's score is "
            "the mean of its fields'.\n\n| | slides named rightly | not-benign slides found | benign slides found | "
            "fields named rightly |\n|---|---|---|---|---|\n" + "\n".join(rows),
            *(_sentence(line) for line in comparisons(record)),
            f"{_identity_text(record)}.",
            f"## More slides\n\n{_sentence(record.curve.forecast.text)} {_sentence(bound_text(record))}".rstrip(),
            f"Features: {record.start.features} of network {record.start.network_sha256[:12]}. Images with sha256 and "
            "slide: `adaptation.json`. Written by `models adapt` from that record.\n",
        ]
    )


def _made_how(record: AdaptationRecord) -> str:
    if record.recipe.fine_tuned:
        return f"{record.start.name} with a new head, its last block fine-tuned"
    return (
        f"A linear head (L2 logistic regression, C = {record.recipe.strength:g}) on frozen features of "
        f"{record.start.name}, folded into its last dense layer"
    )


def _cells(method: Method) -> tuple[str, str, str, str]:
    if method.slides is None or method.fields is None:
        return (f"not tried: {method.why_not}", "", "", "")
    slides = method.slides
    return (
        share_text(slides.right),
        share_text(slides.sensitivity),
        share_text(slides.specificity),
        share_text(method.fields.right),
    )


def _method_text(method: Method, benign: str) -> str:
    if method.slides is None or method.fields is None:
        return f"not tried: {method.why_not}"
    return f"slides {_counted_text(method.slides, benign)}; fields {_counted_text(method.fields, benign)}"


def _counted_text(counted: Counted, benign: str) -> str:
    if counted.sensitivity is None or counted.specificity is None:
        return f"{share_text(counted.right)} named rightly"
    return (
        f"{share_text(counted.sensitivity)} not {benign} found, {share_text(counted.specificity)} {benign} found, "
        f"missed {counted.missed}"
    )


def _identity_text(record: AdaptationRecord) -> str:
    identity = record.audit.identity
    if identity is None:
        return "slide-identity control: not possible with one field a slide"
    return (
        f"slide-identity control: these features tell slides of one class apart at {100 * identity.same_class:.0f} %, "
        f"slides of two classes at {100 * identity.other_class:.0f} % (50 % is chance)"
        + (
            "; slides are told apart as well as classes, so only slide-disjoint figures mean anything"
            if identity.as_much
            else ""
        )
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
