"""The fit of the novelty gate.

`python -m docs.studies.novelty.published_fit --data DIR` writes it into the shipped networks' `gates.json`.

Prototypes and covariance are fitted to the training part of the field-disjoint list; the limits are quantiles of the
validation part, and of nothing else. What the gate then does is measured by `docs.studies.novelty.refusals`.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from docs.studies.novelty.published_fields import SIZE, Part, read_parts
from edge.commands.command_line import Outcome
from edge.commands.command_line import main as run
from edge.errors import DONE
from edge.inference.gates.gates_file import FamilyNumbers
from edge.inference.gates.novelty import Novelty
from edge.system.files import write_whole
from edge.system.option_values import switch
from models.data.published import trained
from models.decision.network_gates import FILE, read_gates
from models.decision.prototypes import RULES, distances, fit, measure, scores, to_numbers, with_limits
from models.support.versions import versions

_log = logging.getLogger(__name__)

BUDGET = 0.01  # of the validation images
GATES = trained("mobilenet_v2") / FILE  # the custom CNN's is a copy


@dataclass(frozen=True)
class NoveltyCalibrationRequest:
    """Fit the gate and write it."""

    data: Path
    write: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one file. Exit 1 when it refuses more of the validation images than the budget."""
        before = read_gates(self.write)
        parts = read_parts(self.data)
        _log.info(f"fitting {len(parts['train'].labels)} fields")
        novelty, numbers, about = calibrated(parts)
        write_whole(self.write, replace(before, novelty=numbers).to_bytes())
        text = ", ".join(f"{name}: limit {family.limit:g}" for name, family in novelty.families.items())
        text += f"; {about['validation']['refused']} of {about['validation']['images']} validation fields refused"
        kept = about["validation"]["refused"] <= BUDGET * about["validation"]["images"]
        return Outcome(DONE if kept else 1, about, text)


def calibrated(parts: Mapping[str, Part]) -> tuple[Novelty, dict[str, FamilyNumbers], dict[str, Any]]:
    """The gate of the training and validation parts, as `gates.json` holds it, and where it comes from."""
    train, validation = parts["train"], parts["validation"]
    fitted = fit(measure(train.pixels), train.labels)
    measured = measure(validation.pixels)
    far = distances(fitted, measured)
    novelty = with_limits(fitted, far)
    refused = int((scores(novelty, measured) > 1).sum())
    about = {
        "command": "python -m docs.studies.novelty.published_fit --data DIR",
        "size": list(SIZE),
        "train": {"images": len(train.labels)},
        "validation": {"images": len(validation.labels), "refused": refused},
        "rules": {name: asdict(rule) for name, rule in RULES.items()},
        "versions": versions(),
    }
    return novelty, to_numbers(novelty, far), about


def calibrate(data: str, write: str = str(GATES), json: bool = False) -> NoveltyCalibrationRequest:
    """Fit the gate against frames unlike the training images.

    Args:
        data: folder of the published images, a folder a class.
        write: gates.json whose part `novelty` is written anew.
        json: print where it comes from as JSON.
    """
    return NoveltyCalibrationRequest(Path(data), Path(write), switch(json, "--json"))


if __name__ == "__main__":
    raise SystemExit(run("docs.studies.novelty.published_fit", {"calibrate": calibrate}, ["calibrate", *sys.argv[1:]]))
