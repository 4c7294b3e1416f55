"""What `convert diagnose` does: a frozen request, checked when made."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.system.files import require_writable, write_whole
from models.support.records import record_text

_log = logging.getLogger(__name__)

PAGE, FIGURE, RECORD = "diagnosis.html", "diagnosis.png", "diagnosis.json"


@dataclass(frozen=True)
class DiagnoseRequest:
    """Say where the error of an int8 file comes from.

    Attributes:
        model: the float network. int8: a TFLite file or a bundle. contract: found or inferred when None.
        images: wanted. out: folder for page, figure and record; None writes nothing.
    """

    model: Path
    int8: Path
    data: Path
    images: int
    split: Path | None
    contract: Path | None
    out: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 1 when a cause of weight was found, 3 with too few images."""
        from convert.calibration.evaluation_data import ImageFolder
        from convert.diagnosis.job import diagnose
        from convert.diagnosis.page import diagnosis_text

        if self.out is not None:
            require_writable(self.out, "--out")
        data = ImageFolder(self.data, self.split)
        found = diagnose(self.model, self.int8, self.contract, data, self.images)
        if self.out is not None:
            _write(self.out, found.record)
        code = ANSWER_IS_NO if found.record["verdict"] == "fault" else DONE
        return Outcome(code, found.record, diagnosis_text(found.record))


def _write(folder: Path, record: dict[str, Any]) -> None:
    """Page, figure and record, each whole or not at all."""
    from convert.diagnosis.figure import diagnosis_figure
    from convert.diagnosis.page import diagnosis_page
    from models.report.figure_style import render

    png = render(diagnosis_figure(record))
    page = diagnosis_page(record, png)
    write_whole(folder / FIGURE, png)
    write_whole(folder / PAGE, page)
    write_whole(folder / RECORD, record_text(record))
    _log.info(f"written: {folder / PAGE}, {FIGURE}, {RECORD}")
