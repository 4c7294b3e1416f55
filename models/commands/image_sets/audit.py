"""The `models audit` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.system.files import require_writable, write_whole
from models.support.records import write_json


@dataclass(frozen=True)
class AuditRequest:
    """Look an image set over before anything is trained on it."""

    data: Path
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes `audit.json` and `audit.html`. Code 1 with a finding of level "stop"."""
        from models.data.audit import audit, to_text
        from models.data.dataset import scan
        from models.report.audit_page import page

        require_writable(self.out, "--out")
        image_set = scan(self.data)
        record = audit(image_set)
        write_json(self.out / "audit.json", record)
        write_whole(self.out / "audit.html", page(record, image_set))
        code = ANSWER_IS_NO if any(finding["level"] == "stop" for finding in record["findings"]) else DONE
        return Outcome(
            code, record, f"{to_text(record)}\nwritten: {self.out / 'audit.html'}, {self.out / 'audit.json'}"
        )


def audit(data: str, *, out: str = "build/audit", json: bool = False) -> AuditRequest:
    """Report what to know before training: duplicates, overlapping fields, overlays and colours that give classes away.

    Exit 1 when something is to be settled before training: a finding that begins with "stop".

    Args:
        data: folder with one sub-folder of images a class.
        out: folder for audit.json and audit.html (the page shows images of the set).
        json: print the record as JSON.
    """
    return AuditRequest(Path(data), Path(out), json)
