"""The report of a comparison: a table for a terminal and for documents, and a self-contained page."""

from convert.pareto.record import Comparison, EdgeTpu
from edge.inference.runtime.arithmetic import named
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.statistics.formatting import safety_count

NOTICE = "Research use only: not for diagnosis."
HEAD = (
    "",
    "network",
    "size",
    "format",
    "accuracy, % (95 % interval)",
    "malignant called benign",
    "ms (median)",
    "times the reference",
    "file, MB",
    "peak, MB",
    "Edge TPU",
    "parity",
)
FRONT = "*"
_FITS = {"yes": "fits", "perhaps": "may stream", "no": "streams"}


def rows(record: Comparison) -> list[tuple[str, ...]]:
    """A row a point that could be measured, in the order of `HEAD`; those on the front begin with `FRONT`."""
    return [
        (
            FRONT if point.front else "",
            point.network,
            "x".join(map(str, point.size)),
            point.format,
            "{:.2f} ({:.2f} to {:.2f})".format(*(100 * v for v in (point.accuracy, *point.accuracy_interval))),
            safety_count(point.malignant_called_benign),
            f"{point.latency.median_ms:.2f}",
            f"{point.latency.ratio:.2f}",
            f"{point.bytes / 1e6:.2f}",
            "-" if point.peak_rss_mb is None else f"{point.peak_rss_mb:.0f}",
            edgetpu_text(point.edgetpu),
            point.parity.verdict if point.parity else "-",
        )
        for point in record.measured
    ]


def edgetpu_text(found: EdgeTpu) -> str:
    """In a few words: "mapped, 1 subgraph, fits", or what becomes of it instead."""
    if found.verdict not in ("mapped", "partly"):
        return str(found.verdict)
    subgraphs = f"{found.subgraphs} subgraph{'' if found.subgraphs == 1 else 's'}"
    return f"{found.verdict}, {subgraphs}, {_FITS[found.fits]}"


def pareto_text(record: Comparison) -> str:
    """The table set for a terminal, and what has to be said beside it."""
    shown = [("", *HEAD[1:4], "accuracy (95 %)", "M>B", "ms", "ratio", "MB", "peak", *HEAD[10:]), *rows(record)]
    widths = [max(len(row[k]) for row in shown) for k in range(len(HEAD))]
    right = {2, 5, 6, 7, 8, 9}
    lines = [
        "  ".join(
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in shown
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", *remarks(record)])


def markdown(record: Comparison) -> str:
    """The same table for a document; front points in bold."""
    head = [f"| {' | '.join(HEAD[1:])} |", "|" + "---|" * (len(HEAD) - 1)]
    body = []
    for row in rows(record):
        name = f"**{row[1]}**" if row[0] else row[1]
        body.append(f"| {' | '.join((name, *row[2:]))} |")
    return "\n".join([*head, *body])


def remarks(record: Comparison) -> list[str]:
    """What the table leaves unsaid: how to read it, what did not run, what it cost."""
    reference = record.reference
    lines = [
        f"{FRONT}: on the Pareto front, no other point is as accurate and faster; M>B: malignant images called benign",
        "ms: processor time of an inference on one thread, its latency where nothing else runs; load here"
        f" {record.load_before}",
        f"ratio: against {reference.bundle} ({reference.median_ms:.2f} ms), in turns, {record.rounds} rounds;"
        f" {record.runtime} {record.runtime_version} ({named(reference.kind)} arithmetic), {_threads(record.threads)},"
        f" {record.board}",
        f"{record.images} test images: {record.origin}",
    ]
    lines += overlap(record)
    lines += [f"{p.network} {p.format}: not measured: {p.problem}" for p in record.points if p.problem]
    if record.interrupted:
        lines.append(f"interrupted: {len(record.points)} of {record.wanted} points; the same command continues")
    lines.append(
        f"{sum(record.seconds.values()):.0f} s; {record.cpu_seconds:.0f} s of processor time; peak memory"
        f" {record.peak_rss_mb} MB"
    )
    return lines


def overlap(record: Comparison) -> list[str]:
    """Which points on the front have an interval that overlaps the most accurate one's."""
    on_front = [point for point in record.measured if point.front]
    if len(on_front) < 2:
        return []
    best = max(on_front, key=lambda point: float(point.accuracy))
    alike = [p for p in on_front if p is not best and p.accuracy_interval[1] >= best.accuracy_interval[0]]
    if not alike:
        return []
    names = ", ".join(f"{p.network} {p.format}" for p in alike)
    return [f"intervals that overlap that of {best.network} {best.format}, the most accurate on the front: {names}"]


def pareto_page(record: Comparison, figure: bytes) -> str:
    """The page; `figure` is the PNG of `convert.pareto.figure`."""
    description = "Accuracy against latency of every network, size and format, with the Pareto front"
    return render_page(
        "convert.pareto",
        "pareto.html",
        record=record,
        notice=NOTICE,
        figure=Picture(figure, "png", description),
        points=Table(HEAD, rows(record), numbers=range(5, 10)),
        remarks=remarks(record),
        parity=_parity(record),
    )


def _parity(record: Comparison) -> Table:
    found = [(p.network, p.parity) for p in record.measured if p.parity]
    rows_ = [(network, parity.verdict, "; ".join(parity.reasons) or "-") for network, parity in found]
    return Table(("network", "verdict", "reasons"), rows_)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
