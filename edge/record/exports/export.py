"""The export of one slide (`edge export`): a folder that stands alone, written whole or not at all."""

import json as json_format
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from msgspec import Struct, convert, to_builtins

from edge.bundle.provenance import BY_LAXER_POLICY, Provenance
from edge.errors import StoreError, UsageError
from edge.record.audit import EntryCheck, VerifyReport, verify
from edge.record.chain import ChainEnd
from edge.record.entries import read_body
from edge.record.entry_parts import Image
from edge.record.exports.cells import CONTROLS, write_controls
from edge.record.exports.folder import IMAGES, SUMS, Sums, check_target, new_folder, warn_of_target
from edge.record.exports.slide_tables import ACTS, CORRECTIONS, write_acts, write_corrections
from edge.record.exports.summary import Removed, SlideSummary, count, missing
from edge.record.exports.verdict_table import write_verdicts
from edge.record.images import Place
from edge.record.reader import Head, PrunedMeanwhile, Row
from edge.record.slide_queries import carried_verdicts
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.wording import counted

_log = logging.getLogger(__name__)

CSV, JSON_LINES, HEAD, README = "verdicts.csv", "record.jsonl", "chain.json", "README.txt"


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


def export(
    folder: Path, slide: str, to: Path, also: Callable[[Store, int], EntryCheck] | None = None
) -> tuple[SlideSummary, VerifyReport]:
    """Write everything about `slide` in the record `folder` to the new folder `to`, while a run may go on.

    What is exported is the slide up to the record's head now. The entries are marked as exported unless
    something was found wrong with them: retention keeps those. Where retention removes meanwhile what was not yet
    read, the export begins again.

    Args:
        also: a further check of the record, as `verify` takes it.

    Raises:
        UsageError: no such slide, or `to` is not an empty or new folder outside the record, in one that exists.
        StoreError: the record cannot be read. OSError: `to` cannot be written; nothing of it stays.
    """
    check_target(folder, to)
    warn_of_target(folder, to)
    while True:
        try:
            return _export_once(folder, slide, to, also)
        except PrunedMeanwhile:
            _log.info("retention removed entries meanwhile; beginning again")


def _export_once(
    folder: Path, slide: str, to: Path, also: Callable[[Store, int], EntryCheck] | None
) -> tuple[SlideSummary, VerifyReport]:
    checked = verify(folder, images=False, also=also)
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
            write_verdicts(staging / JSON_LINES, summary, table)
        if summary.controls:
            with sums.text(CONTROLS) as table:
                write_controls(staging / JSON_LINES, table)
        if summary.acts:
            with sums.text(ACTS) as table:
                write_acts(staging / JSON_LINES, table)
        if summary.corrections:
            with sums.text(CORRECTIONS) as table:
                write_corrections(staging / JSON_LINES, table, summary.carried_verdicts)
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
            count(store, summary, read_body(row.body))
        summary.carried_verdicts = carried_verdicts(store)
        following = store.next_field(slide, head.id)  # recorded since `verify`
        last = start.slides[slide] if following is None else following - 1
        if summary.last_field == 0:
            summary.first_field = last + 1
        elif summary.last_field < last:
            summary.problems.append(missing(summary.last_field + 1, last))
        if summary.first_field > 1:
            gone = 1, summary.first_field - 1
            if start.base.id:
                summary.removed = Removed(*gone, store.last_removal() or "an unknown day")
            else:
                summary.problems.append(missing(*gone))


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
    controls += (
        f"{ACTS}         what was done to the slide, and its finding when it was closed.\n" if summary.acts else ""
    )
    if summary.corrections:
        controls += f"{CORRECTIONS}  what experts say of fields, beside what was answered.\n"
    judged_by = "".join(f"Judged by {bundle}.\n" for bundle in summary.bundles)
    return f"""Slide {slide}: {counted(summary.verdicts, "verdict")}, {counted(summary.images, "image")}.
{judged_by}
Research use only: this is no medical device, and no verdict in here is a diagnosis.

{warning}{CSV}     one verdict a row; an empty cell is "none". A text that a spreadsheet would take for a formula
                 has a ' before it. Spreadsheets may still show a slide such as 1E5 as a number: import it as text.
{JSON_LINES}     all entries of the slide (runs, events, verdicts ...) as recorded, one a line, with their digests.
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
