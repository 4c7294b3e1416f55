"""The `edge verify` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE


@dataclass(frozen=True)
class VerifyRequest:
    """Check the record in `store`.

    >>> verify("/srv/record", json=True)
    VerifyRequest(store=PosixPath('/srv/record'), json=True)
    """

    store: Path
    json: bool

    def execute(self) -> Outcome:
        """Code 0 when the record, and the control record in it where there is one, are sound; 1 with findings.

        Raises:
            UsageError: there is no record in that folder.
        """
        from edge.commissioning.control.control_record import control_folder
        from edge.record import audit
        from edge.record.location import holds_record, require_record

        controls = control_folder(self.store)
        if not holds_record(controls):
            require_record(self.store)
            report = audit.verify(self.store)
            return Outcome(DONE if report.sound else ANSWER_IS_NO, record=report.as_record(), text=report.text())
        control = audit.verify(controls)
        if not holds_record(self.store):  # controls were taken before the first run
            text = f"{self.store}: no record yet\ncontrol record: {control.text()}"
            return Outcome(DONE if control.sound else ANSWER_IS_NO, {"control": control.as_record()}, text)
        report = audit.verify(self.store)
        record = {**report.as_record(), "control": control.as_record()}
        text = f"{report.text()}\ncontrol record: {control.text()}"
        return Outcome(DONE if report.sound and control.sound else ANSWER_IS_NO, record, text)


def verify(store: str = "", json: bool = False) -> VerifyRequest:
    """Check a record: its chain, its images and its counts. Exit code 1 when something was changed or is missing.

    The control record in it (`edge control`) is checked as well.

    Args:
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.record.location import store_folder

    return VerifyRequest(store_folder(store), json)
