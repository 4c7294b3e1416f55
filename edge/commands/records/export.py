"""The `edge export` command."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.streams import one_line
from edge.system.wording import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportRequest:
    """Export `slide` of the record in `store` to the folder `to`.

    >>> export("s1", "/tmp/s1", store="/srv/record").slide
    's1'
    """

    store: Path
    slide: str
    to: Path
    json: bool
    eject: bool = False
    control: bool = False

    def execute(self) -> Outcome:
        """Code 0, or 1 when it was exported and something is wrong with the record.

        Raises:
            UsageError: no record, no such slide, or an unusable target. OSError: the drive cannot be written.
        """
        from msgspec import to_builtins

        from edge.commissioning.control.control_record import control_folder
        from edge.record.exports import export
        from edge.record.exports import folder as export_folder
        from edge.record.location import require_record
        from edge.slides.audit import SlideCheck
        from edge.system.media.ejection import eject

        folder = control_folder(self.store) if self.control else self.store
        require_record(folder)
        drive = export_folder.drive_of(folder, self.to) if self.eject else None
        summary, checked = export.export(folder, self.slide, self.to, also=SlideCheck)
        ejected = None if drive is None else eject(drive)
        findings = [*checked.findings, *summary.problems]
        record = {
            "slide": self.slide,
            "to": str(self.to),
            "verdicts": summary.verdicts,
            "images": summary.images,
            "sound": not findings,
            "findings": findings,
            "removed": to_builtins(summary.removed),
            "ejected": None if ejected is None else ejected.done,
        }
        verdicts, images = counted(summary.verdicts, "verdict"), counted(summary.images, "image")
        text = "\n".join([*map(one_line, findings), f"{one_line(self.to)}: {verdicts}, {images} of slide {self.slide}"])
        if findings:
            text += "; the record did not verify, so that nothing was marked as exported"
        if ejected is not None:
            if self.json:
                _log.info(ejected.text)
            text += f"\n{one_line(ejected.text)}"
        return Outcome(ANSWER_IS_NO if findings else DONE, record=record, text=text)


@dataclass(frozen=True)
class ReferenceExportRequest:
    """Export the reference fields of the device whose record is in `store` to the folder `to`.

    >>> export(to="/tmp/site", reference=True, store="/srv/record").to
    PosixPath('/tmp/site')
    """

    store: Path
    to: Path
    json: bool
    eject: bool = False

    def execute(self) -> Outcome:
        """Code 0, or 1 when it was exported and something is wrong with the record.

        Raises:
            UsageError: no reference fields, or an unusable target. OSError: the drive cannot be written.
        """
        from msgspec import to_builtins

        from edge.commissioning.reference.export import export_references
        from edge.record.exports import folder as export_folder
        from edge.system.media.ejection import eject

        drive = export_folder.drive_of(self.store, self.to) if self.eject else None
        done = export_references(self.store, self.to)
        ejected = None if drive is None else eject(drive)
        giveaways = done.tally.giveaways()
        record = {
            "to": str(self.to),
            "images": done.images,
            "classes": done.tally.as_record(),
            "giveaways": to_builtins(giveaways),
            "sound": not done.problems,
            "findings": list(done.problems),
            "ejected": None if ejected is None else ejected.done,
        }
        for each in giveaways:
            _log.warning(each.detail)
        lines = [*map(one_line, done.problems), f"{one_line(self.to)}: {done.tally.text()}"]
        if done.problems:
            lines[-1] += "; the record did not verify, so that nothing was marked as exported"
        if ejected is not None:
            lines.append(one_line(ejected.text))
            if self.json:
                _log.info(ejected.text)
        return Outcome(ANSWER_IS_NO if done.problems else DONE, record=record, text="\n".join(lines))


def export(
    slide: str = "",
    to: str = "",
    store: str = "",
    reference: bool = False,
    eject: bool = False,
    control: bool = False,
    json: bool = False,
) -> ExportRequest | ReferenceExportRequest:
    """Write what is recorded of a slide to a folder: CSV, JSON lines, images and checksums.

    Or, with --reference, every reference field: a folder a class, `fields.csv`, JSON lines and checksums.

    Args:
        slide: its name.
        to: folder, new or empty, in one that exists.
        store: folder of the record.
        reference: export the reference fields of all slides (`edge collect`) instead of one slide's verdicts.
        eject: write out and unmount the drive that it went to, so that it may be pulled, or say what is left to do.
        control: a control slide, from the control record: its controls are in controls.csv.
        json: print one JSON object.
    """
    from edge.record.entries import require_slide
    from edge.record.location import store_folder

    if reference and slide:
        raise UsageError("edge export takes --slide or --reference, which are all slides' reference fields")
    if not reference:
        if not slide:
            raise UsageError("edge export needs --slide, or --reference for the reference fields")
        try:
            require_slide(slide)
        except ValueError as error:
            raise UsageError(f"--{error}") from None
    if not to:
        raise UsageError("edge export needs --to: the folder to be made")
    if reference:
        return ReferenceExportRequest(store_folder(store), Path(to), json, eject)
    return ExportRequest(store_folder(store), slide, Path(to), json, eject, control)
