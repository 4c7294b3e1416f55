"""The export of one slide (`edge export`): a folder that stands alone, written whole or not at all."""

import csv
import json as json_format
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from msgspec import UNSET, Struct, convert, to_builtins

from edge.bundle.provenance import BY_LAXER_POLICY, Provenance
from edge.errors import StoreError, UsageError
from edge.record.audit import VerifyReport, verify
from edge.record.chain import ChainEnd
from edge.record.entries import Body, ControlBody, ReferenceBody, RunBody, VerdictBody, read_body
from edge.record.entry_parts import Image
from edge.record.exports.cells import CONTROLS, cell, safe, write_controls
from edge.record.exports.folder import IMAGES, SUMS, Sums, check_target, new_folder, warn_of_target
from edge.record.images import Place
from edge.record.reader import Head, PrunedMeanwhile, Row
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.wording import counted

_log = logging.getLogger(__name__)

CSV, JSON_LINES, HEAD, README = "verdicts.csv", "record.jsonl", "chain.json", "README.txt"
_BEFORE = ("field", "utc", "utc_ns", "clock_synchronized", "slide", "label", "reason", "detail")
_OF_RUN = (
    *("camera", "simulated", "bundle", "bundle_digest", "certified", "runtime", "runtime_version", "kind"),
    *("signed_by", "bundle_version", "synthetic_certificate", "ungated", "acceptance", "camera_setup"),
)
_AFTER = ("run", *_OF_RUN, "sequence", "source", "monotonic_ns", "image", "image_sha256", "entry", "digest")


class Removed(Struct, frozen=True):
    """Fields of a slide that retention removed before the export, and when it last removed anything (ISO 8601).

    >>> str(Removed(1, 500, "2026-11-29T12:00:00Z"))
    'fields 1 to 500 were removed by retention on 2026-11-29T12:00:00Z or before'
    """

    first: int
    last: int
    by: str

    def __str__(self) -> str:
        return f"fields {self.first} to {self.last} were removed by retention on {self.by} or before"


@dataclass
class SlideSummary:
    """What one pass over a slide's entries finds out, and the next needs.

    Attributes:
        first_field, last_field: of the verdicts read, 0 before the first. removed: those that are gone.
        run: of the entry read last. carried: the beginnings of runs that were removed while their verdicts stayed.
        problems: what is wrong with what was read, one sentence each.

    >>> SlideSummary(verdicts=3, images=1).problems
    []
    """

    verdicts: int = 0
    entries: int = 0
    images: int = 0
    controls: int = 0
    first_field: int = 0
    last_field: int = 0
    removed: Removed | None = None
    run: int = 0
    carried: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    simulated: bool = False
    bundles: dict[Provenance, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)  # in the order first seen, here and below
    gates: dict[str, None] = field(default_factory=dict)
    stages: dict[str, None] = field(default_factory=dict)
    tiles: int = 0  # the most of a verdict
    problems: list[str] = field(default_factory=list)


class ChainRecord(Struct, frozen=True):
    """What `chain.json` holds.

    Attributes:
        record, head: name of the record, and the end of its chain at the time of the export.
        exported: that time, ISO 8601.
        entries, verdicts, images, simulated, bundles: of the slide, as in `SlideSummary`.
        sound, findings: what `edge verify` says of the record, and what the export found wrong with fields or images.
        removed: fields that retention had removed before, or None.

    >>> end, bundle = ChainEnd(3, "0" * 64), Provenance("tiny-int8", None, "unsigned")
    >>> ChainRecord("s1", "ab" * 16, end, "2026-11-03T12:00:00Z", 3, 1, 0, True, (bundle,), True, ()).head.id
    3
    """

    slide: str
    record: str
    head: ChainEnd
    exported: str
    entries: int
    verdicts: int
    images: int
    simulated: bool
    bundles: tuple[Provenance, ...]
    sound: bool
    findings: tuple[str, ...]
    removed: Removed | None = None


def export(folder: Path, slide: str, to: Path) -> tuple[SlideSummary, VerifyReport]:
    """Write everything about `slide` in the record `folder` to the new folder `to`, while a run may go on.

    What is exported is the slide up to the record's head now. The entries are marked as exported unless
    something was found wrong with them: retention keeps those. Where retention removes meanwhile what was not yet
    read, the export begins again.

    Raises:
        UsageError: no such slide, or `to` is not an empty or new folder outside the record, in one that exists.
        StoreError: the record cannot be read. OSError: `to` cannot be written; nothing of it stays.
    """
    check_target(folder, to)
    warn_of_target(folder, to)
    while True:
        try:
            return _export_once(folder, slide, to)
        except PrunedMeanwhile:
            _log.info("retention removed entries meanwhile; beginning again")


def _export_once(folder: Path, slide: str, to: Path) -> tuple[SlideSummary, VerifyReport]:
    checked = verify(folder, images=False)
    with Store.open(folder, read_only=True) as store:
        known = store.slides()
        if slide not in known:
            raise UsageError(f"slide {slide!r} is not in this record; {_near(slide, known)}")
        if checked.head is None:
            raise StoreError(checked.findings[0])
        head = Head(
            store.head().record, checked.head.id, checked.head.digest, image_bytes=0
        )  # what was checked is what is exported
        with new_folder(to) as staging:
            summary = _write(store, slide, head, staging, checked)
        if summary.removed:
            _log.warning(f"slide {slide}: {summary.removed}; the export begins after them")
        if checked.sound and not summary.problems:
            try:
                store.mark_exported(slide, Row(head.id, "", head.digest), Clock().now().utc)
            except StoreError as error:
                _log.warning(f"exported, and not marked as exported: {error}")
    return summary, checked


def _write(store: Store, slide: str, head: Head, staging: Path, checked: VerifyReport) -> SlideSummary:
    summary = SlideSummary()
    with Sums(staging) as sums:
        with sums.text(JSON_LINES) as lines:
            _read_entries(store, slide, head, summary, lines)
        _copy_images(store, staging / JSON_LINES, sums, summary)
        with sums.text(CSV) as table:
            _write_table(staging / JSON_LINES, summary, table)
        if summary.controls:
            with sums.text(CONTROLS) as table:
                write_controls(staging / JSON_LINES, table)
        with sums.text(HEAD) as stream:
            stream.write(json_format.dumps(to_builtins(_chain_record(slide, head, summary, checked)), indent=2) + "\n")
        with sums.text(README) as stream:
            stream.write(_readme(slide, head, summary, checked))
    return summary


def _read_entries(store: Store, slide: str, head: Head, summary: SlideSummary, lines: IO[str]) -> None:
    """Write all entries of the slide up to `head`, of one moment: all that is needed of the database, and complete.

    Images are copied later: a stick may take an hour for them, and a moment must not last so long.
    """
    with store.at_one_moment():
        start = store.snapshot()
        if start.base.id >= head.id:  # all that was checked is gone; what is left of it was checked
            raise PrunedMeanwhile
        for row in store.slide_entries(slide, through=head.id):
            lines.write(f'{{"id":{row.id},"digest":"{row.digest}","entry":{row.body}}}\n')
            _count(store, summary, read_body(row.body))
        following = store.next_field(slide, head.id)  # recorded since `verify`
        last = start.slides[slide] if following is None else following - 1
        if summary.last_field == 0:
            summary.first_field = last + 1
        elif summary.last_field < last:
            summary.problems.append(_missing(summary.last_field + 1, last))
        if summary.first_field > 1:
            gone = 1, summary.first_field - 1
            if start.base.id:
                summary.removed = Removed(*gone, store.last_removal() or "an unknown day")
            else:
                summary.problems.append(_missing(*gone))


def _missing(first: int, last: int) -> str:
    return f"field {first} is missing" if first == last else f"fields {first} to {last} are missing"


def _count(store: Store, summary: SlideSummary, body: Body) -> None:
    """Take an entry into the summary."""
    summary.entries += 1
    if isinstance(body, RunBody):
        _count_run(summary, body)
    elif isinstance(body, ControlBody):
        summary.controls += 1
    elif isinstance(body, VerdictBody):
        if body.run != summary.run:  # its beginning was removed: columns and warnings rest on it all the same
            text = store.run_body(body.run)
            summary.run, summary.carried[body.run] = body.run, json_format.loads(text or "{}")
            if text is not None and isinstance(begun := read_body(text), RunBody):
                _count_run(summary, begun)
        _count_field(summary, body.field)
        summary.verdicts += 1
        summary.gates.update(dict.fromkeys(body.gates))
        summary.stages.update(dict.fromkeys(body.latency_ms))
        summary.tiles = max(summary.tiles, 0 if body.tiles is UNSET else len(body.tiles))
    elif isinstance(body, ReferenceBody):
        summary.simulated |= body.reference.simulated
        _count_field(summary, body.field)


def _count_field(summary: SlideSummary, number: int) -> None:
    if summary.last_field and number > summary.last_field + 1:
        summary.problems.append(_missing(summary.last_field + 1, number - 1))
    summary.first_field = summary.first_field or number
    summary.last_field = number


def _count_run(summary: SlideSummary, run: RunBody) -> None:
    summary.run = run.run
    summary.simulated |= run.simulated
    summary.bundles[run.provenance] = None
    summary.labels.update(dict.fromkeys(run.labels))


def _copy_images(store: Store, lines: Path, sums: Sums, summary: SlideSummary) -> None:
    """Copy each image that still is the one recorded; what is not is left out and named among the problems.

    Raises:
        PrunedMeanwhile: retention was faster.
    """
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            record = json_format.loads(line)
            if record["entry"].get("image") is None:
                continue
            image = convert(record["entry"]["image"], Image)
            try:
                data = store.images.read(image)
            except OSError as error:
                if store.base().id >= record["id"]:
                    raise PrunedMeanwhile from error
                summary.problems.append(f"{image.path}: {error.strerror}")
                continue
            if data is None:
                summary.problems.append(f"{image.path}: was altered")
                continue
            sums.write(Place.of(image.path).exported, data)
            summary.images += 1


# --- the table ------------------------------------------------------------------------------------------------


def _write_table(lines: Path, summary: SlideSummary, table: IO[str]) -> None:
    """The verdicts as CSV, read back from the lines just written, now that all columns are known."""
    writer = csv.writer(table)  # lines end with CR LF (RFC 4180): only so are cells with either quoted
    runs: dict[int, Mapping[str, Any]] = {}
    columns = [
        *_BEFORE,
        *(f"probability_{safe(label)}" for label in summary.labels),
        *(f"gate_{safe(gate)}" for gate in summary.gates),
        *(f"{safe(stage)}_ms" for stage in summary.stages),
        *_tile_columns(summary),
        *_AFTER,
    ]
    writer.writerow(columns)
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            record = json_format.loads(line)
            entry = record["entry"]
            if entry["type"] == "run":
                runs = {entry["run"]: entry}  # one at a time
            elif entry["type"] == "verdict":
                if entry["run"] not in runs:
                    runs = {entry["run"]: summary.carried.get(entry["run"], {})}
                writer.writerow([cell(value) for value in _row(record, runs[entry["run"]], summary)])


def _row(record: Mapping[str, Any], run: Mapping[str, Any], summary: SlideSummary) -> list[Any]:
    entry = record["entry"]
    probabilities = dict(zip(run.get("labels", ()), entry["probabilities"] or (), strict=False))
    image = entry["image"] or {"path": None, "sha256": None}
    name = None if image["path"] is None else Place.of(image["path"]).exported
    values = {**entry, "clock_synchronized": entry["synchronized"], "image": name, "image_sha256": image["sha256"]}
    values |= {"entry": record["id"], "digest": record["digest"], **{name: run.get(name) for name in _OF_RUN}}
    return [
        *(values[name] for name in _BEFORE),
        *(probabilities.get(label) for label in summary.labels),
        *(entry["gates"].get(gate) for gate in summary.gates),
        *(entry["latency_ms"].get(stage) for stage in summary.stages),
        *_tile_cells(entry, run, summary),
        *(values[name] for name in _AFTER),
    ]


def _tile_columns(summary: SlideSummary) -> list[str]:
    """`tiles`, columns x rows, and the network's own output of every tile and label; none without tiles."""
    if not summary.tiles:
        return []
    return ["tiles", *(f"tile_{k}_{safe(label)}" for k in range(1, summary.tiles + 1) for label in summary.labels)]


def _tile_cells(entry: Mapping[str, Any], run: Mapping[str, Any], summary: SlideSummary) -> list[Any]:
    if not summary.tiles:
        return []
    tiling, tiles = run.get("tiling"), entry.get("tiles", ())
    by_label = [dict(zip(run.get("labels", ()), tile, strict=False)) for tile in tiles]
    by_label += [{}] * (summary.tiles - len(by_label))
    shape = None if tiling is None else f"{tiling['columns']}x{tiling['rows']}"
    return [shape, *(tile.get(label) for tile in by_label for label in summary.labels)]


# --- what goes with it ----------------------------------------------------------------------------------------


def _chain_record(slide: str, head: Head, summary: SlideSummary, checked: VerifyReport) -> ChainRecord:
    return ChainRecord(
        slide=slide,
        record=head.record,
        head=ChainEnd(head.id, head.digest),
        exported=Clock().now().utc,
        entries=summary.entries,
        verdicts=summary.verdicts,
        images=summary.images,
        simulated=summary.simulated,
        bundles=tuple(summary.bundles),
        sound=checked.sound and not summary.problems,
        findings=(*checked.findings, *summary.problems),
        removed=summary.removed,
    )


def _readme(slide: str, head: Head, summary: SlideSummary, checked: VerifyReport) -> str:
    warning = ""
    if summary.simulated:
        warning += "SIMULATED: at least one run looked at drawn fields, not at a smear (column `simulated`).\n\n"
    if summary.removed:
        warning += f"NOT ALL: {summary.removed}. They are not in here.\n\n"
    if summary.problems or not checked.sound:
        problems = "\n".join([*checked.findings, *summary.problems])
        warning += f"NOT SOUND: the record did not verify when this was exported:\n{problems}\n\n"
    if any(bundle.synthetic_certificate for bundle in summary.bundles):
        warning += (
            "SYNTHETIC CERTIFICATE: a bundle that judged here was certified on synthetic images only; its accuracy on "
            "smears is\nnot known (column `synthetic_certificate`).\n\n"
        )
    if any(bundle.lax_policy for bundle in summary.bundles):
        said = "; ".join(f"{bundle.bundle}: {bundle.lax_policy}" for bundle in summary.bundles if bundle.lax_policy)
        warning += f"LAX POLICY: a bundle that judged here was {BY_LAXER_POLICY}: {said}.\n\n"
    if any(bundle.ungated for bundle in summary.bundles):
        warning += (
            "UNGATED: at least one run asked no gate, so that frames were judged that cannot be: out of focus, dark, "
            "or unlike\nwhat the model was made from (column `ungated`).\n\n"
        )
    controls = f"{CONTROLS}     one control a row.\n" if summary.controls else ""
    judged_by = "".join(f"Judged by {bundle}.\n" for bundle in summary.bundles)
    return f"""Slide {slide}: {counted(summary.verdicts, "verdict")}, {counted(summary.images, "image")}.
{judged_by}
Research use only: this is no medical device, and no verdict in here is a diagnosis.

{warning}{CSV}     one verdict a row; an empty cell is "none". A text that a spreadsheet would take for a formula
                 has a ' before it. Spreadsheets may still show a slide such as 1E5 as a number: import it as text.
{JSON_LINES}     all entries of the slide (runs, events, verdicts) exactly as recorded, one a line, with their digests.
{IMAGES}/          the images that were kept, by field number, a folder for each thousand of fields.
{controls}{SUMS}       check with `sha256sum -c {SUMS}`.
{HEAD}       the end of the record's hash chain at the time of the export:
                 record {head.record}
                 entry {head.id}
                 {head.digest}
                 Keep it away from the device: as long as the record still has an entry {head.id} with that digest,
                 nothing before it was changed.
"""


def _near(slide: str, known: Mapping[str, int]) -> str:
    import difflib

    if not known:
        return "it has none"
    if near := difflib.get_close_matches(slide, known, n=1):
        return f"did you mean {near[0]}?"
    return f"it has {', '.join(list(known)[:10])}{' ...' if len(known) > 10 else ''}"
