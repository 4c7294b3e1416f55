"""The export of reference fields (`edge export --reference`): a folder a class and `fields.csv`, written whole."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import to_builtins

from edge.commissioning.fields_table import TABLE_NAME, FieldRow, table_text
from edge.commissioning.reference.record import reference_folder, references
from edge.commissioning.reference.tally import Tally
from edge.errors import StoreError, UsageError
from edge.record.audit import VerifyReport, verify
from edge.record.chain import ChainEnd
from edge.record.entries import ReferenceBody
from edge.record.exports.folder import SUMS, Sums, check_target, new_folder, warn_of_target
from edge.record.reader import Row
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.progress import tracked
from edge.system.wording import counted

LINES, HEAD, README = "record.jsonl", "chain.json", "README.txt"


@dataclass(frozen=True)
class ReferenceExport:
    """What was exported.

    Attributes:
        tally: the fields by class, slide, session and day. images: how many were written.
        problems: what is wrong with the record or an image, one sentence each; such an image is left out.
    """

    tally: Tally
    images: int
    problems: tuple[str, ...]


def export_references(store: Path, to: Path) -> ReferenceExport:
    """Write every reference field of the device whose record is in `store` to the new folder `to`.

    `CLASS/SLIDE_000001.png`, `fields.csv`, the entries as recorded, the head of their chain and the files' sums. Each
    image is compared with the sha256 of its entry. Slides are marked as exported unless something is wrong.

    Raises:
        UsageError: no reference fields, or `to` is not an empty or new folder outside the record, in one that exists.
        StoreError: the record cannot be read. OSError: `to` cannot be written; nothing of it stays.
    """
    folder = reference_folder(store)
    if not folder.is_dir():
        raise UsageError(
            f"{store}: no reference fields were collected here (`edge collect`); name a record with --store"
        )
    check_target(store, to)
    warn_of_target(store, to)
    checked = verify(folder, images=False)
    if checked.head is None:
        raise StoreError(checked.findings[0])
    with Store.open(folder, read_only=True) as record:
        bodies = list(references(record, through=checked.head.id))
        if not bodies:
            raise UsageError(f"{folder}: no reference fields were collected here yet")
        with new_folder(to) as staging:
            done = _write(record, bodies, staging, checked)
        if not done.problems:
            for slide in done.tally.labels:
                record.mark_exported(slide, Row(checked.head.id, "", checked.head.digest), Clock().now().utc)
    return done


def file_name(body: ReferenceBody) -> str:
    """Where a field's image is in an export, relative to its folder."""
    return f"{body.reference.label}/{body.slide}_{body.field:06d}{Path(body.image.path).suffix}"


def table_row(body: ReferenceBody) -> FieldRow:
    """A field's row of `fields.csv`."""
    reference = body.reference
    return FieldRow(
        file=file_name(body),
        slide=body.slide,
        label=reference.label,
        session=reference.session,
        camera=reference.camera,
        date=reference.day,
        sha256=body.image.sha256,
        camera_setup=reference.camera_setup,
    )


def _write(
    record: Store, bodies: Sequence[tuple[Row, ReferenceBody]], staging: Path, checked: VerifyReport
) -> ReferenceExport:
    problems, written, tally = list(checked.findings), [], Tally()
    with Sums(staging) as sums:
        for row, body in tracked(bodies, "copying fields"):
            try:
                data = record.images.read(body.image)
            except OSError as error:
                problems.append(f"{body.image.path}: {error.strerror}")
                continue
            if data is None:
                problems.append(f"{body.image.path}: was altered")
                continue
            sums.write(file_name(body), data)
            tally.add(body)
            written.append((row, body))
        with sums.text(TABLE_NAME) as table:
            table.write(table_text(table_row(body) for _, body in written))
        with sums.text(LINES) as lines:
            for row, _ in written:
                lines.write(f'{{"id":{row.id},"digest":"{row.digest}","entry":{row.body}}}\n')
        assert checked.head is not None
        with sums.text(HEAD) as stream:
            stream.write(json.dumps(_chain(record, checked.head, tally, len(written), problems), indent=2) + "\n")
        with sums.text(README) as stream:
            stream.write(_readme(tally, [body for _, body in written], problems))
    return ReferenceExport(tally, len(written), tuple(problems))


def _chain(record: Store, head: ChainEnd, tally: Tally, images: int, problems: Sequence[str]) -> dict[str, object]:
    return {
        "record": record.head().record,
        "head": to_builtins(head),
        "exported": Clock().now().utc,
        "images": images,
        "classes": tally.as_record(),
        "giveaways": to_builtins(tally.giveaways()),
        "sound": not problems,
        "findings": list(problems),
    }


def _readme(tally: Tally, bodies: Sequence[ReferenceBody], problems: Sequence[str]) -> str:
    warning = ""
    if any(body.reference.simulated for body in bodies):
        warning += "SIMULATED: at least one field was drawn, and shows no smear.\n\n"
    if problems:
        warning += "NOT SOUND: the record did not verify when this was exported:\n" + "\n".join(problems) + "\n\n"
    if giveaways := tally.giveaways():
        warning += "WHAT GIVES A CLASS AWAY:\n" + "\n".join(each.detail for each in giveaways) + "\n\n"
    return f"""{counted(len(bodies), "reference field")}: {tally.text()}.

Research use only: this is no medical device. Labels are those that were given when the fields were collected.

{warning}A folder a class, files by slide and field number.
{TABLE_NAME}       of each field its slide, class, session, camera, day, sha256, and the camera's set-up.
{LINES}     the entries as recorded, with operator, camera settings and measures, and their digests.
{HEAD}       the end of the record's hash chain at the time of the export.
{SUMS}       check with `sha256sum -c {SUMS}`.
"""
