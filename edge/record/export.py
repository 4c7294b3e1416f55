"""The export of one slide (`edge export`): a folder that stands alone, written whole or not at all."""

import csv
import hashlib
import json as json_format
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from msgspec import Struct, to_builtins

from edge.bundle.provenance import Provenance
from edge.errors import StoreError, UsageError
from edge.record.audit import VerifyReport, verify
from edge.record.chain import ChainEnd
from edge.record.entries import Body, Image, RunBody, VerdictBody, read_body
from edge.record.images import split_path
from edge.record.reader import Head, Row
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.durable import sync_path, sync_stream

_log = logging.getLogger(__name__)


CSV, JSON_LINES, HEAD, README, SUMS, IMAGES = (
    "verdicts.csv",
    "record.jsonl",
    "chain.json",
    "README.txt",
    "SHA256SUMS",
    "images",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula (OWASP, "CSV Injection")
_PIECE = 2**20
_BEFORE = ("field", "utc", "utc_ns", "clock_synchronized", "slide", "label", "reason", "detail")
_AFTER = (
    *("run", "camera", "simulated", "bundle", "bundle_digest", "certified", "runtime", "runtime_version", "kind"),
    *("signed_by", "bundle_version", "synthetic_certificate"),
    *("sequence", "source", "monotonic_ns", "image", "image_sha256", "entry", "digest"),
)
_OF_RUN = (
    *("camera", "simulated", "bundle", "bundle_digest", "certified", "runtime", "runtime_version", "kind"),
    *("signed_by", "bundle_version", "synthetic_certificate"),
)


@dataclass
class SlideSummary:
    """What one pass over a slide's entries finds out, and the next needs.

    >>> SlideSummary(verdicts=3, images=1).problems
    []
    """

    verdicts: int = 0
    entries: int = 0
    images: int = 0
    simulated: bool = False
    bundles: dict[Provenance, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)  # in the order first seen, here and below
    gates: dict[str, None] = field(default_factory=dict)
    stages: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class ChainRecord(Struct, frozen=True):
    """What `chain.json` holds.

    Attributes:
        record, head: name of the record, and the end of its chain at the time of the export.
        exported: that time, ISO 8601.
        entries, verdicts, images, simulated, bundles: of the slide, as in `SlideSummary`.
        sound, findings: what `edge verify` says of the record, and what the export found wrong with images.

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


def export(folder: Path, slide: str, to: Path) -> tuple[SlideSummary, VerifyReport]:
    """Write everything about `slide` in the record `folder` to the new folder `to`, while a run may go on.

    What is exported is the slide up to the record's head now. The entries are marked as exported unless
    something was found wrong with them: retention keeps those.

    Raises:
        UsageError: no such slide, or `to` is not an empty or new folder outside the record.
        StoreError: the record cannot be read. OSError: `to` cannot be written; nothing of it stays.
    """
    _check_target(folder, to)
    checked = verify(folder, images=False, say=_log.info)
    with Store.open(folder, read_only=True) as store:
        known = store.slides()
        if slide not in known:
            raise UsageError(f"slide {slide!r} is not in this record; {_near(slide, known)}")
        if checked.head is None:
            raise StoreError(checked.findings[0])
        head = Head(
            store.head().record, checked.head.id, checked.head.digest, image_bytes=0
        )  # what was checked is what is exported
        with _new_folder(to) as staging:
            summary = _write(store, slide, head, staging, checked)
        if checked.sound and not summary.problems:
            try:
                store.mark_exported(slide, Row(head.id, "", head.digest), Clock().now().utc)
            except StoreError as error:
                _log.warning(f"exported, and not marked as exported: {error}")
    return summary, checked


def _write(store: Store, slide: str, head: Head, staging: Path, checked: VerifyReport) -> SlideSummary:
    with _Sums(staging) as sums:
        summary = SlideSummary()
        with sums.text(JSON_LINES) as lines:
            for row in store.slide_entries(slide, through=head.id):
                lines.write(f'{{"id":{row.id},"digest":"{row.digest}","entry":{row.body}}}\n')
                image = _count(summary, read_body(row.body))
                if image is not None:
                    _copy_image(store, image, sums, summary)
        with sums.text(CSV) as table:
            _write_table(store, staging / JSON_LINES, summary, table)
        with sums.text(HEAD) as stream:
            stream.write(json_format.dumps(to_builtins(_chain_record(slide, head, summary, checked)), indent=2) + "\n")
        with sums.text(README) as stream:
            stream.write(_readme(slide, head, summary, checked))
    return summary


def _count(summary: SlideSummary, body: Body) -> Image | None:
    """Take an entry into the summary; the image it names."""
    summary.entries += 1
    if isinstance(body, RunBody):
        summary.simulated |= body.simulated
        summary.bundles[body.provenance] = None
        summary.labels.update(dict.fromkeys(body.labels))
    if not isinstance(body, VerdictBody):
        return None
    summary.verdicts += 1
    summary.gates.update(dict.fromkeys(body.gates))
    summary.stages.update(dict.fromkeys(body.latency_ms))
    return body.image


def _copy_image(store: Store, image: Image, sums: "_Sums", summary: SlideSummary) -> None:
    """Copy an image if it still is the one recorded; what is not is left out and named among the problems."""
    try:
        found, _ = store.images.digest(image.path)
    except OSError as error:
        summary.problems.append(f"{image.path}: {error.strerror}")
        return
    if found != image.sha256:
        summary.problems.append(f"{image.path}: was altered")
        return
    name = f"{IMAGES}/{split_path(image.path)[1]}"
    sums.copy(store.folder / image.path, name)
    summary.images += 1


# --- the table ------------------------------------------------------------------------------------------------


def _write_table(store: Store, lines: Path, summary: SlideSummary, table: IO[str]) -> None:
    """The verdicts as CSV, read back from the lines just written, now that all columns are known."""
    writer = csv.writer(table)  # lines end with CR LF (RFC 4180): only so are cells with either quoted
    runs: dict[int, Mapping[str, Any]] = {}
    columns = [
        *_BEFORE,
        *(f"probability_{_safe(label)}" for label in summary.labels),
        *(f"gate_{_safe(gate)}" for gate in summary.gates),
        *(f"{_safe(stage)}_ms" for stage in summary.stages),
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
                    runs = {entry["run"]: json_format.loads(store.run_body(entry["run"]) or "{}")}
                writer.writerow([_cell(value) for value in _row(record, runs[entry["run"]], summary)])


def _row(record: Mapping[str, Any], run: Mapping[str, Any], summary: SlideSummary) -> list[Any]:
    entry = record["entry"]
    probabilities = dict(zip(run.get("labels", ()), entry["probabilities"] or (), strict=False))
    image = entry["image"] or {"path": None, "sha256": None}
    name = None if image["path"] is None else f"{IMAGES}/{split_path(image['path'])[1]}"
    values = {**entry, "clock_synchronized": entry["synchronized"], "image": name, "image_sha256": image["sha256"]}
    values |= {"entry": record["id"], "digest": record["digest"], **{name: run.get(name) for name in _OF_RUN}}
    return [
        *(values[name] for name in _BEFORE),
        *(probabilities.get(label) for label in summary.labels),
        *(entry["gates"].get(gate) for gate in summary.gates),
        *(entry["latency_ms"].get(stage) for stage in summary.stages),
        *(values[name] for name in _AFTER),
    ]


def _cell(value: Any) -> Any:
    """A value as a cell: numbers by their shortest exact spelling, text that no spreadsheet runs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _safe(value) if isinstance(value, str) else value


def _safe(text: str) -> str:
    text = text.replace("\0", "\\0")
    return f"'{text}" if text.startswith(_FORMULA) else text


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
    )


def _readme(slide: str, head: Head, summary: SlideSummary, checked: VerifyReport) -> str:
    warning = ""
    if summary.simulated:
        warning += "SIMULATED: at least one run looked at drawn fields, not at a smear (column `simulated`).\n\n"
    if summary.problems or not checked.sound:
        problems = "\n".join([*checked.findings, *summary.problems])
        warning += f"NOT SOUND: the record did not verify when this was exported:\n{problems}\n\n"
    if any(bundle.synthetic_certificate for bundle in summary.bundles):
        warning += (
            "SYNTHETIC CERTIFICATE: a bundle that judged here was certified on synthetic images only; its accuracy on "
            "smears is\nnot known (column `synthetic_certificate`).\n\n"
        )
    judged_by = "".join(f"Judged by {bundle}.\n" for bundle in summary.bundles)
    return f"""Slide {slide}: {summary.verdicts} verdicts, {summary.images} images.
{judged_by}
Research use only: this is no medical device, and no verdict in here is a diagnosis.

{warning}{CSV}     one verdict a row; an empty cell is "none". A text that a spreadsheet would take for a formula
                 has a ' before it. Spreadsheets may still show a slide such as 1E5 as a number: import it as text.
{JSON_LINES}     all entries of the slide (runs, events, verdicts) exactly as recorded, one a line, with their digests.
{IMAGES}/          the images that were kept, by field number.
{SUMS}       check with `sha256sum -c {SUMS}`.
{HEAD}       the end of the record's hash chain at the time of the export:
                 record {head.record}
                 entry {head.id}
                 {head.digest}
                 Keep it away from the device: as long as the record still has an entry {head.id} with that digest,
                 nothing before it was changed.
"""


class _Sums:
    """A folder being filled, every file hashed as it is written and synced; SHA256SUMS comes last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> "_Sums":
        self._list = (self._folder / SUMS).open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._list:
            sync_stream(self._list)
        if kind is None:
            for folder in (self._folder / IMAGES, self._folder):
                if folder.is_dir():
                    sync_path(folder)

    @contextmanager
    def text(self, name: str) -> Iterator[IO[str]]:
        """A text file in it; what UTF-8 has no form for (file names of other encodings) is escaped."""
        path = self._folder / name
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
            sync_stream(stream)
        with path.open("rb") as written:
            self._list.write(f"{hashlib.file_digest(written, 'sha256').hexdigest()}  {name}\n")

    def copy(self, source: Path, name: str) -> None:
        """A copy of a file in it."""
        path, digest = self._folder / name, hashlib.sha256()
        path.parent.mkdir(exist_ok=True)
        with source.open("rb") as stream, path.open("xb") as copy:
            while piece := stream.read(_PIECE):
                copy.write(piece)
                digest.update(piece)
            sync_stream(copy)
        self._list.write(f"{digest.hexdigest()}  {name}\n")


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """A hidden folder beside `to` that takes its name at the end, and goes without a trace after any failure."""
    to.parent.mkdir(parents=True, exist_ok=True)
    staging = to.parent / f".{to.name}.{secrets.token_hex(6)}.partial"
    try:
        staging.mkdir()
        yield staging
        staging.rename(to)  # replaces an empty folder, and fails on any other (rename(2))
        sync_path(to.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_target(folder: Path, to: Path) -> None:
    if os.path.lexists(to) and (to.is_symlink() or not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to must name a new or an empty folder; {to} is neither")
    if to.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--to must be outside the record; {to} is in {folder}")


def _near(slide: str, known: Mapping[str, int]) -> str:
    import difflib

    if not known:
        return "it has none"
    near: Sequence[str] = difflib.get_close_matches(slide, known, n=1)
    return (
        f"did you mean {near[0]}?"
        if near
        else f"it has {', '.join(list(known)[:10])}{' ...' if len(known) > 10 else ''}"
    )
