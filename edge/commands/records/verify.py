"""The `edge verify` command."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from edge.record.audit import VerifyReport


@dataclass(frozen=True)
class VerifyRequest:
    """Check the record in `store`, and the records beside it: reference fields, controls.

    >>> verify("/srv/record", json=True)
    VerifyRequest(store=PosixPath('/srv/record'), json=True)
    """

    store: Path
    json: bool

    def execute(self) -> Outcome:
        """Code 0 when the record, and those in it of controls and of reference fields, are sound; 1 with findings.

        Raises:
            UsageError: there is no record in that folder.
        """
        from edge.commissioning.control.control_record import control_folder
        from edge.commissioning.reference.record import reference_folder
        from edge.record import audit
        from edge.record.location import holds_record, require_record
        from edge.slides.audit import SlideCheck

        inside = {"control": control_folder(self.store), "reference": reference_folder(self.store)}
        reports = {name: audit.verify(folder) for name, folder in inside.items() if holds_record(folder)}
        record: dict[str, Any] = {name: report.as_record() for name, report in reports.items()}
        lines = [f"{name} record: {report.text()}" for name, report in reports.items()]
        if holds_record(self.store) or not reports:
            require_record(self.store)
            reports[""] = audit.verify(self.store, also=SlideCheck)
            record, lines = {**reports[""].as_record(), **record}, [reports[""].text(), *lines]
            if lost := self._lost_controls(reports, inside["control"]):
                record["controls_lost"] = lost
                lines.append(f"control record: {lost}")
        else:  # controls or reference fields were taken before the first run
            lines = [f"{self.store}: no record yet", *lines]
        sound = all(report.sound for report in reports.values()) and "controls_lost" not in record
        return Outcome(DONE if sound else ANSWER_IS_NO, record, "\n".join(lines))

    def _lost_controls(self, reports: "Mapping[str, VerifyReport]", controls: Path) -> str:
        """What of the controls that runs went by is not there; "" where a record cannot be read, which was said."""
        from edge.commissioning.control.watch import lost_end
        from edge.record.store import Store

        if any(reports[name].head is None for name in ("", "control") if name in reports):
            return ""
        with Store.open(self.store, read_only=True) as store:
            return lost_end(store, controls)


def verify(store: str = "", json: bool = False) -> VerifyRequest:
    """Check a record: its chain, its images and its counts. Exit code 1 when something was changed or is missing.

    The records in it of controls (`edge control`) and of reference fields (`edge collect`) are checked as well.

    Args:
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.record.location import store_folder

    return VerifyRequest(store_folder(store), json)
