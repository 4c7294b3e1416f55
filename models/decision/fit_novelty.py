"""The fit of the novelty gate.

`python -m models.decision.fit_novelty --data DIR --write edge/inference/gates/novelty.json` writes its file.

Prototypes and covariance are fitted to the training part of the field-disjoint list; the limits are quantiles of the
validation part, and of nothing else. What the gate then does is measured by `docs.studies.novelty.refusals`.
"""

import json as json_format
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome
from edge.commands.command_line import main as run
from edge.errors import DONE
from edge.inference.gates.novelty import Novelty
from edge.system.files import require_file, write_whole
from edge.system.option_values import switch
from models.decision.novelty_fields import SIZE, Part, read_parts
from models.decision.prototypes import RULES, distances, fit, measure, scores, to_record, with_limits
from models.support.versions import versions

_log = logging.getLogger(__name__)

BUDGET = 0.01  # of the validation images


@dataclass(frozen=True)
class NoveltyCalibrationRequest:
    """Fit the gate and write it."""

    data: Path
    write: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one file. Exit 1 when it refuses more of the validation images than the budget."""
        require_file(self.write, "--write")
        parts = read_parts(self.data)
        _log.info(f"fitting {len(parts['train'].labels)} fields")
        novelty, about = calibrated(parts)
        write_whole(self.write, to_text({**to_record(novelty), "about": about}))
        text = ", ".join(f"{name}: limit {family.limit:g}" for name, family in novelty.families.items())
        text += f"; {about['validation']['refused']} of {about['validation']['images']} validation fields refused"
        kept = about["validation"]["refused"] <= BUDGET * about["validation"]["images"]
        return Outcome(DONE if kept else 1, about, text)


def calibrated(parts: Mapping[str, Part]) -> tuple[Novelty, dict[str, Any]]:
    """The gate of the training and validation parts, and where it comes from."""
    train, validation = parts["train"], parts["validation"]
    fitted = fit(measure(train.pixels), train.labels)
    measured = measure(validation.pixels)
    novelty = with_limits(fitted, distances(fitted, measured))
    refused = int((scores(novelty, measured) > 1).sum())
    about = {
        "command": "python -m models.decision.fit_novelty --data DIR --write edge/inference/gates/novelty.json",
        "size": list(SIZE),
        "train": {"images": len(train.labels)},
        "validation": {"images": len(validation.labels), "refused": refused},
        "rules": {name: asdict(rule) for name, rule in RULES.items()},
        "versions": versions(),
    }
    return novelty, about


def to_text(record: Any) -> str:
    """JSON with a row of numbers a line."""
    text = json_format.dumps(_rows(record), indent=1)
    return text.replace('"<', "").replace('>"', "") + "\n"


def _rows(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rows(each) for key, each in value.items()}
    if isinstance(value, list) and value and not isinstance(value[0], (list, str)):
        return f"<{json_format.dumps(value)}>"
    return [_rows(each) for each in value] if isinstance(value, list) else value


def calibrate(
    data: str, write: str = "edge/inference/gates/novelty.json", json: bool = False
) -> NoveltyCalibrationRequest:
    """Fit the gate against frames unlike the training images.

    Args:
        data: folder of the published images, a folder a class.
        write: JSON to write: the gate.
        json: print where it comes from as JSON.
    """
    return NoveltyCalibrationRequest(Path(data), Path(write), switch(json, "--json"))


if __name__ == "__main__":
    raise SystemExit(run("models.decision.fit_novelty", {"calibrate": calibrate}, ["calibrate", *sys.argv[1:]]))
