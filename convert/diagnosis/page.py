"""The report of a diagnosis: text for a terminal, and a self-contained page without images."""

from msgspec import UnsetType

from convert.diagnosis.record import CauseRecord, DiagnosisRecord, LayerRecord
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table

WORST_SHOWN = 8
NOTICE = "Research use only: not for diagnosis."


def diagnosis_text(record: DiagnosisRecord) -> str:
    """Ranked causes, then the layers that add most of the error."""
    lines = [_headline(record)]
    for number, cause in enumerate(record.faults, 1):
        lines += [f"{number}. {cause.rule}{_at(cause)}: {cause.message}", f"   try: {cause.cure}"]
    lines += [f"-  {cause.rule}{_at(cause)}: {cause.message}" for cause in record.remarks]
    lines.append("where the error at the logits comes from (signal over error, dB):")
    lines.append(f"  {'layer':<34}{'share':>8}{'alone':>8}{'adds':>8}{'total':>8}{'codes':>8}{'clipped':>9}")
    for layer in _worst(record):
        lines.append(
            f"  {layer.name[:33]:<34}{100 * layer.error_share:>6.1f} %{layer.output_db:>8.1f}"
            f"{layer.added_db:>8.1f}{layer.sqnr_db:>8.1f}{layer.channel_codes:>8.0f}"
            f"{100 * layer.clipped:>7.2f} %"
        )
    lines.append(
        f"{sum(record.seconds.values()):.0f} s; {record.cpu_seconds:.0f} s of processor time; peak memory"
        f" {record.peak_rss_mb} MB"
    )
    return "\n".join(lines)


def diagnosis_page(record: DiagnosisRecord, figure: bytes) -> str:
    """The page; `figure` is the PNG of `convert.diagnosis.figure`."""
    description = "Error, share of the error at the logits, and use of the range, by layer"
    return render_page(
        "convert.diagnosis",
        "diagnosis.html",
        record=record,
        notice=NOTICE,
        headline=_headline(record),
        figure=Picture(figure, "png", description),
        causes=_causes(record),
        layers=_layers(record),
        weights=_weights(record),
        ranges=_ranges(record),
    )


def _headline(record: DiagnosisRecord) -> str:
    faults = len(list(record.faults))
    said = f"{faults} cause{'' if faults == 1 else 's'} of weight" if faults else "no cause of weight"
    return (
        f"{said}; {100 * record.agreement:.1f} % of {record.images} images get the same class from float and"
        f" int8, and the logits agree to {record.logits_db:.1f} dB"
    )


def _at(cause: CauseRecord) -> str:
    return f" at {cause.layer}" if cause.layer else ""


def _worst(record: DiagnosisRecord) -> list[LayerRecord]:
    known = [layer for layer in record.layers if layer.share]
    return sorted(known, key=lambda layer: -layer.error_share)[:WORST_SHOWN]


def _causes(record: DiagnosisRecord) -> Table:
    """Causes of weight by number, then remarks."""
    numbered = [
        *((str(k), cause) for k, cause in enumerate(record.faults, 1)),
        *(("-", cause) for cause in record.remarks),
    ]
    return Table(
        ("", "Cause", "Layer", "Evidence", "What was found", "What to try"),
        [(number, c.rule, c.layer or "-", f"{c.evidence:g} {c.measure}", c.message, c.cure) for number, c in numbered],
    )


def _layers(record: DiagnosisRecord) -> Table:
    head = ["Layer", "Operator", "Total dB", "Adds dB", "Median channel dB", "Alone dB", "Share", "Cosine"]
    head += ["Codes used", "Clipped", "Dead", "Lost"]
    rows = [
        (
            layer.name,
            layer.operator,
            f"{layer.sqnr_db:.1f}",
            f"{layer.added_db:.1f}",
            f"{layer.channel_db:.1f}",
            "-" if isinstance(layer.output_db, UnsetType) else f"{layer.output_db:.1f}",
            "-" if isinstance(layer.share, UnsetType) else f"{100 * layer.share:.1f} %",
            f"{layer.cosine:.4f}",
            f"{100 * layer.range_used:.0f} %",
            f"{100 * layer.clipped:.2f} %",
            f"{layer.dead_channels}/{layer.channels}",
            str(layer.lost_channels),
        )
        for layer in record.layers
    ]
    return Table(head, rows, numbers=range(2, 12))


def _weights(record: DiagnosisRecord) -> Table:
    head = ("Layer", "Scales", "Greatest channel over median", "over the next", "Codes used", "dB", "Bias, steps off")
    rows = [
        (
            w.name,
            str(w.scales),
            f"{w.outlier:.1f} (channel {w.loudest})",
            f"{w.gap:.2f}",
            f"{100 * w.codes:.0f} %",
            f"{w.sqnr_db:.1f}",
            f"{w.bias_steps:.2f}",
        )
        for w in record.weights
    ]
    return Table(head, rows, numbers=range(1, 7))


def _ranges(record: DiagnosisRecord) -> Table:
    head = ("Layer", "Recorded width", "Measured width", "Beyond it by", "One image's width", "Halves differ")
    rows = [
        (
            one.name,
            f"{one.recorded:.4g}",
            f"{one.measured:.4g}",
            f"{100 * one.exceeds:.1f} %",
            f"{100 * one.one_image:.0f} %",
            f"{100 * one.halves:.1f} %",
        )
        for one in record.calibration.layers
    ]
    return Table(head, rows, numbers=range(1, 6))
