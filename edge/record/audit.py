"""The audit of a record (`edge verify`): chain, images and counts, read in bounded memory.

Works while a run goes on: what is judged is the record up to its head when the check began.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, to_builtins

from edge.bundle.provenance import ON_SYNTHETIC
from edge.errors import StoreError, StoreFull
from edge.record.chain import ChainEnd, link
from edge.record.entries import (
    Body,
    ControlBody,
    EndBody,
    EventBody,
    PrunedBody,
    ReferenceBody,
    RunBody,
    VerdictBody,
    read_body,
)
from edge.record.entry_parts import Image
from edge.record.images import IMAGES, LEFT_OVER, NAME, image_path, is_partial, older_path
from edge.record.reader import PrunedMeanwhile, Row
from edge.record.schema import DATABASE
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.record.store import Store
from edge.system.progress import tracked
from edge.system.streams import one_line
from edge.system.wording import counted

MOST_FINDINGS, MOST_SIGNERS = 100, 100
_log = logging.getLogger(__name__)


class EntryCheck(Protocol):
    """More that is checked of a record by who knows what its entries mean (`edge.slides.audit`)."""

    def check(self, row: Row, body: Body) -> Iterable[str]:
        """What is wrong with one entry, all of them in order; a sentence each."""

    def end(self) -> Iterable[str]:
        """What only the whole record shows."""


class VerifyReport(Struct, frozen=True):
    """What was checked and what was found.

    Attributes:
        folder: of the record. head: the entry up to which it was read; None where it cannot be.
        entries, verdicts, events, runs, not_ended, images: how many were read; a run that was killed did not end.
        signers: how many of the runs by `signed_by`: key ids, "unsigned", or "not recorded" of older runs.
        controls: how many of control slides; of a control record alone.
        synthetic_certificates: how many of the runs had a bundle that synthetic images certified.
        ungated: how many of the runs asked no gate. acceptances: how many of the runs by what their bundle might say.
        pruned_through: entries up to this one were removed by retention, and the chain says so.
        findings: what is wrong, one sentence each, `MOST_FINDINGS` at most. found: how many in all.
        warnings: what changes nothing recorded, as bounded: runs whose end counts fewer verdicts than they stored.
        unrecorded: image files of a write that goes on or was interrupted; no damage, the next start clears them.
        left_over: files that a start moved to `left-over/`. references: labelled fields that were collected.
        acts, corrections, commands: of slides at the bench.

    >>> VerifyReport(Path("record"), entries=3, verdicts=1, runs=1).sound
    True
    """

    folder: Path
    head: ChainEnd | None = None
    entries: int = 0
    verdicts: int = 0
    events: int = 0
    runs: int = 0
    not_ended: int = 0
    images: int = 0
    signers: dict[str, int] = {}
    synthetic_certificates: int = 0
    ungated: int = 0
    acceptances: dict[str, int] = {}
    pruned_through: int = 0
    findings: tuple[str, ...] = ()
    found: int = 0
    warnings: tuple[str, ...] = ()
    unrecorded: int = 0
    left_over: int = 0
    controls: int = 0
    references: int = 0
    acts: int = 0
    corrections: int = 0
    commands: int = 0

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return self.found == 0

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable."""
        return {**to_builtins(self, enc_hook=str), "sound": self.sound}  # str: of the folder

    def text(self) -> str:
        """For a person: warnings and findings, then what was read."""
        lines = [f"warning: {warning}" for warning in self.warnings]
        lines += self.findings
        if self.found > len(self.findings):
            lines.append(f"... and {self.found - len(self.findings)} more")
        kinds = [(self.verdicts, "verdict"), (self.events, "event"), (self.runs, "run")]
        kinds += [(self.controls, "control")] if self.controls else []
        beside = ((self.acts, "slide act"), (self.corrections, "correction"), (self.commands, "command"))
        kinds += [kind for kind in beside if kind[0]]
        kinds[:0] = [(self.references, "reference field")] if self.references else []
        read = (
            f"{counted(self.entries, 'entry', 'entries')} ({', '.join(counted(*kind) for kind in kinds)}, "
            f"{self.not_ended} of them not ended), {counted(self.images, 'image')}"
        )
        if self.signers:
            read += "; runs by who signed their bundle: "
            read += ", ".join(f"{_short(signer)} {runs}" for signer, runs in sorted(self.signers.items()))
        if self.pruned_through:
            read += f"; entries up to {self.pruned_through} were pruned"
        if self.synthetic_certificates:
            read += f"; {counted(self.synthetic_certificates, 'run')} of a bundle {ON_SYNTHETIC}"
        if self.ungated:
            read += f"; {counted(self.ungated, 'run')} without gates"
        for said, runs in sorted(self.acceptances.items()):
            read += f"; {counted(runs, 'run')}: {one_line(said)}"
        if self.unrecorded:
            read += f"; {counted(self.unrecorded, 'unfinished image file')} (no damage)"
        if self.left_over:
            read += f"; {self.left_over} in {LEFT_OVER}/"
        lines.append(f"{'sound' if self.sound else counted(self.found, 'finding')}: {read}")
        if self.head:
            lines.append(f"head: entry {self.head.id}, {self.head.digest}")
        return "\n".join(lines)


def _within(name: str, counted_so_far: Counter[str]) -> str:
    """The name, or "others" where so many were counted already."""
    return name if name in counted_so_far or len(counted_so_far) < MOST_SIGNERS else "others"


def _short(signer: str) -> str:
    """Key ids by their first digits, as everywhere where a person reads; other words as they are."""
    return " and ".join(word[:12] for word in signer.split()) if re.fullmatch(r"[0-9a-f ]{64,}", signer) else signer


def verify(
    folder: Path, *, images: bool = True, also: Callable[[Store, int], EntryCheck] | None = None
) -> VerifyReport:
    """Check the record in `folder`; whatever is wrong with it is a finding, not an exception.

    Args:
        images: read every image and compare its sha256; False checks the database alone.
        also: makes a further check, from the record and the last entry that retention removed.

    Raises:
        StoreFull: it cannot be opened now: no access, no file handles.
    """
    while True:
        try:
            with Store.open(folder, read_only=True) as store:
                return _Check(store, images, also).report()
        except PrunedMeanwhile:
            _log.info("retention removed entries meanwhile; beginning again")
        except StoreFull:
            raise
        except StoreError as error:
            return VerifyReport(folder, findings=(str(error),), found=1)


class _Check:
    """One pass over a record."""

    def __init__(self, store: Store, images: bool, also: Callable[[Store, int], EntryCheck] | None) -> None:
        self._store, self._images = store, images
        start = store.snapshot()
        self._base, self._head, self._newest, self._slides = start.base, start.head, start.newest, start.slides
        self._also = None if also is None else also(store, start.base.id)
        self._kinds: Counter[type[Body]] = Counter()
        self._entries = self._images_read = 0
        self._open_runs: dict[int, int] = {}  # verdicts read of runs whose begin was read and whose end was not yet
        self._fields: dict[str, int] = {}  # last field read, by slide
        self._image_bytes = 0
        self._checkpoint: tuple[int, str] | None = None
        self._signers: Counter[str] = Counter()
        self._synthetic_certificates = self._ungated = 0
        self._acceptances: Counter[str] = Counter()
        self._findings: list[str] = []
        self._found = 0
        self._miscounted: list[str] = []  # ends that count fewer verdicts than their runs stored

    def report(self) -> VerifyReport:
        unrecorded = 0
        try:
            for problem in self._store.problems(MOST_FINDINGS):
                self._find(f"{DATABASE}: {problem}")
            self._read_chain()
            self._compare_counts()
            for problem in self._also.end() if self._also else ():
                self._find(problem)
            if self._images:
                unrecorded = self._look_for_orphans()
        except StoreError as error:  # it cannot be read further
            self._find(str(error))
        if self._found:  # in a record that was changed a wrong count is one more trace of it
            for text in self._miscounted:
                self._find(text)
            self._miscounted.clear()
        return VerifyReport(
            self._store.folder,
            head=ChainEnd(self._head.id, self._head.digest),
            entries=self._entries,
            verdicts=self._kinds[VerdictBody],
            events=self._kinds[EventBody],
            runs=self._kinds[RunBody],
            not_ended=len(self._open_runs),
            images=self._images_read,
            signers=dict(self._signers),
            synthetic_certificates=self._synthetic_certificates,
            ungated=self._ungated,
            acceptances=dict(self._acceptances),
            pruned_through=self._base.id,
            findings=tuple(self._findings),
            found=self._found,
            warnings=tuple(self._miscounted),
            unrecorded=unrecorded,
            left_over=sum(1 for _ in _files(self._store.folder, LEFT_OVER)),
            controls=self._kinds[ControlBody],
            references=self._kinds[ReferenceBody],
            acts=self._kinds[SlideBody],
            corrections=self._kinds[CorrectionBody],
            commands=self._kinds[CommandBody],
        )

    def _find(self, text: str) -> None:
        with suppress(StoreError):  # one that can no longer be read was not pruned
            if self._store.base() != self._base:
                raise PrunedMeanwhile
        self._found += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(one_line(text))

    # --- the chain ------------------------------------------------------------------------------------------

    def _read_chain(self) -> None:
        last: Row = self._base
        entries = self._store.entries(after=self._base.id, through=self._head.id)
        for row in tracked(entries, "checking entries", self._head.id - self._base.id):
            self._check_link(last, row)
            last = row
            self._entries += 1
            self._check_body(row)
        if last.id < self._head.id:
            self._find(f"entries {last.id + 1} to {self._head.id} are missing at the end")
        elif last.id == self._head.id and last.digest != self._head.digest:
            self._find(f"entry {last.id} is not the one that the head of the chain names")
        if self._newest > self._head.id:
            self._find(f"entries {self._head.id + 1} to {self._newest} stand behind the head of the chain")
        if self._base.id and self._checkpoint != (self._base.id, self._base.digest):
            self._find(f"entries up to {self._base.id} are missing, and no checkpoint in the chain accounts for it")

    def _check_link(self, last: Row, row: Row) -> None:
        missing = row.id - last.id - 1
        if missing:  # whether this one follows what is gone cannot be known
            self._find(
                f"entry {last.id + 1} is missing"
                if missing == 1
                else f"entries {last.id + 1} to {row.id - 1} are missing"
            )
        elif link(last.digest, row.id, row.body) != row.digest:
            self._find(f"entry {row.id} was altered, or does not follow entry {last.id}")

    def _check_body(self, row: Row) -> None:
        try:
            body = read_body(row.body)
            self._kinds[type(body)] += 1
            match body:
                case VerdictBody():
                    self._check_verdict(row, body)
                case ReferenceBody():
                    self._check_field(row, body)
                    self._check_image(row, body, body.image)
                case RunBody():
                    self._check_run(row, body)
                case EndBody():
                    self._check_end(body)
                case ControlBody():
                    if body.run not in self._open_runs:
                        self._find(f"entry {row.id}: the control's run {body.run} had not begun, or had ended")
                case PrunedBody():
                    self._checkpoint = body.through, body.digest
            for problem in self._also.check(row, body) if self._also else ():
                self._find(f"entry {row.id}: {problem}")
        except (StoreError, ValueError) as error:  # ValueError: a path that no file can have
            self._find(f"entry {row.id} cannot be read: {error}")

    def _check_field(self, row: Row, body: VerdictBody | ReferenceBody) -> None:
        before = self._fields.get(body.slide)
        if body.field != (before + 1 if before is not None else body.field if self._base.id else 1):
            self._find(f"entry {row.id}: field {body.field} of slide {body.slide} follows field {before or 0}")
        self._fields[body.slide] = body.field

    def _check_verdict(self, row: Row, body: VerdictBody) -> None:
        self._check_field(row, body)
        if body.run in self._open_runs:
            self._open_runs[body.run] += 1
        elif not self._base.id:
            self._find(f"entry {row.id}: run {body.run} had not begun, or had ended")
        if body.image is not None:
            self._check_image(row, body, body.image)

    def _check_image(self, row: Row, body: VerdictBody | ReferenceBody, image: Image) -> None:
        path = image.path
        self._image_bytes += image.bytes
        of_field = (make(body.slide, body.field, Path(path).suffix) for make in (image_path, older_path))
        if path not in of_field:
            self._find(f"entry {row.id}: {path} is no image of field {body.field} of slide {body.slide}")
            return
        if not self._images:
            return
        self._images_read += 1
        try:
            found = self._store.images.digest(path)
        except OSError as error:
            self._find(f"{path}: {error.strerror}, and entry {row.id} names it")
            return
        if found != (image.sha256, image.bytes):
            self._find(f"{path}: was altered; it is not the image of entry {row.id}")

    def _check_run(self, row: Row, body: RunBody) -> None:
        self._open_runs[body.run] = 0
        self._synthetic_certificates += body.synthetic_certificate is True
        self._ungated += body.ungated is True
        if body.acceptance:
            self._acceptances[_within(body.acceptance, self._acceptances)] += 1
        signer = body.signed_by
        self._signers[_within(signer, self._signers)] += 1
        if body.run != row.id:
            self._find(f"entry {row.id} begins a run that calls itself {body.run}")

    def _check_end(self, body: EndBody) -> None:
        stored = self._open_runs.pop(body.run, None)
        said = body.counters.get("stored", stored)
        if stored is None or said is None or said == stored:
            return
        text = f"run {body.run} says that it stored {counted(said, 'verdict')}, and the record has {stored}"
        if said > stored:
            self._find(text)
        elif len(self._miscounted) < MOST_FINDINGS:  # a run that stored what it could not announce did not count it
            self._miscounted.append(f"{text}: a miscounted end")

    # --- beside the chain -----------------------------------------------------------------------------------

    def _compare_counts(self) -> None:
        for slide, last in self._fields.items():
            if self._slides.get(slide) != last:
                self._find(
                    f"slide {slide}: {self._slides.get(slide)} fields counted, and the last entry is of field {last}"
                )
        if self._image_bytes != self._head.image_bytes:
            self._find(f"{self._head.image_bytes} bytes of images counted, and the entries name {self._image_bytes}")

    def _look_for_orphans(self) -> int:
        """Findings for image files that no entry names; how many of them are of an unfinished write."""
        slides, unrecorded = self._store.slides(), 0
        for path in _files(self._store.folder, IMAGES):
            slide, name = path.removeprefix(f"{IMAGES}/").partition("/")[0], path.rpartition("/")[2]
            match = NAME.fullmatch(name)
            if slide not in slides:
                slides = self._store.slides()
            if match and self._store.names_image(slide, int(match[1]), path):
                continue
            if slide in slides and (is_partial(name) or (match and int(match[1]) > slides[slide])):
                unrecorded += 1
            else:
                self._find(f"{path}: no entry names this file")
        return unrecorded


def _files(root: Path, folder: str, below: int = 2) -> Iterator[str]:
    """The paths, relative to `root`, of every file in a folder of it and so many levels below, links among them.

    Folders beneath those are not looked into; each is one path.
    """
    if not (root / folder).is_dir():
        return
    for entry in os.scandir(root / folder):
        if below and entry.is_dir(follow_symlinks=False):
            yield from _files(root, f"{folder}/{entry.name}", below - 1)
        else:
            yield f"{folder}/{entry.name}"
