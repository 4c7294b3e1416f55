"""The `models report` command."""

from dataclasses import asdict, dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import require_file, write_whole
from models.commands import network_options


@dataclass(frozen=True)
class ReportRequest:
    """Write the evaluation page from the records in networks' folders."""

    folders: tuple[Path, ...]
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one self-contained HTML page."""
        from models.report.evaluation_page import evaluation_page
        from models.report.model_records import ModelRecords
        from models.report.requirements import requirements

        require_file(self.out, "--out")
        networks = [ModelRecords.read(folder) for folder in self.folders]
        write_whole(self.out, evaluation_page(networks))
        judged = {each.name: [asdict(one) for one in requirements(each)] for each in networks}
        return Outcome(DONE, {"written": str(self.out), "goals": judged}, f"written: {self.out}")


def report(*folders: str, out: str = "build/evaluation.html", json: bool = False) -> ReportRequest:
    """Write one HTML page of all that was recorded about networks: what was asked, what was measured, met or missed.

    Args:
        folders: network folders or names; the shipped ones when none is given.
        out: HTML file to write; it holds its figures and needs nothing else.
        json: print what was asked and measured as JSON.
    """
    return ReportRequest(network_options.model_folders(folders), Path(out), json)
