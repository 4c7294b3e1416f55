"""Limits of the quality gates, measured on the published images, and what gates with these limits refuse.

    python -m docs.studies.gates.limits --data IMAGES --others FOLDERS

The shipped limits are those that this wrote.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from docs.studies.command import run, write_record
from docs.studies.gates.figure import draw
from docs.studies.gates.published_limits import (
    BUDGET,
    RULES,
    limits_of,
    quality_of,
    read_fields,
    smear_gates,
    values_of,
)
from docs.studies.gates.refusals import measured_refusals
from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.inference.gates.quality import QUALITY
from edge.system.files import require_file, write_whole
from edge.system.option_values import switch
from models.data.published import trained
from models.decision.network_gates import FILE, read_gates
from models.support.versions import versions

_log = logging.getLogger(__name__)

RECORD, FIGURE = Path("docs/reference/gates.json"), Path("docs/images/gates.png")
GATES = trained("mobilenet_v2") / FILE  # the custom CNN's is a copy


@dataclass(frozen=True)
class LimitsRequest:
    """Measure the limits, write them, and measure what they do."""

    data: Path
    write: Path
    record: Path
    figure: Path
    others: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Writes three files. Exit 1 when the gates refuse more of the calibration fields than the budget."""
        for path, option in ((self.record, "--record"), (self.figure, "--figure")):
            require_file(path, option)
        before = read_gates(self.write)
        parts = read_fields(self.data)
        _log.info(f"measuring {len(parts['calibration'].labels)} fields")
        values = values_of(smear_gates(), parts["calibration"].without_bar)
        limits = limits_of(values)
        gates = smear_gates(limits)
        write_whole(self.write, replace(before, quality=quality_of(limits, values)).to_bytes())
        record = measured_refusals(gates, parts, self.others, _log.info)
        record["limits"] = {
            name: {"limit": limits[name], "unit": QUALITY[name].unit, "share": rule.share}
            for name, rule in RULES.items()
        }
        record["budget"], record["versions"] = BUDGET, versions()
        write_record(self.record, record)
        write_whole(self.figure, draw(record))
        kept = record["published"]["calibration"]["share"] <= BUDGET
        return Outcome(DONE if kept else 1, record, _text(record))


def _text(record: Mapping[str, Any]) -> str:
    lines = [f"{name}: {entry['limit']:g} {entry['unit']}" for name, entry in record["limits"].items()]
    for use, entry in record["published"].items():
        low, high = (100 * bound for bound in entry["interval"])
        share = f"{100 * entry['share']:.2f} % ({low:.2f} to {high:.2f})"
        lines.append(f"{use}: {entry['refused']} of {entry['images']} refused, {share}")
    return "\n".join(lines)


def calibrate(
    data: str,
    write: str = str(GATES),
    record: str = str(RECORD),
    figure: str = str(FIGURE),
    others: str = "",
    json: bool = False,
) -> LimitsRequest:
    """Measure the limits of the gates on the published images.

    Args:
        data: folder of the published images, a folder a class.
        write: gates.json whose part `quality` is written anew.
        record: JSON to write: what they refuse and catch.
        figure: PNG to write: the same, drawn.
        others: folder of folders of images that are no fields of this set, for information.
        json: print the record as JSON.
    """
    others_ = Path(others) if others else None
    return LimitsRequest(Path(data), Path(write), Path(record), Path(figure), others_, switch(json, "--json"))


if __name__ == "__main__":
    run({"calibrate": calibrate}, "calibrate")
