"""All that the commands have recorded about one network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelsError

Record = Mapping[str, Any]
COMMANDS = {  # record -> what writes it; the first two every network has
    "training": "models train NAME",
    "evaluation": "models evaluate NAME",
    "robustness": "models evaluate NAME --corruptions",
    "counterfactuals": "models evaluate NAME --counterfactuals",
    "decision": "models calibrate NAME",
    "abstention": "models evaluate NAME --abstention",
    "explanations": "models evaluate NAME --explanations",
    "cross_validation": "models cross-validate NAME",
}
REQUIRED = ("training", "evaluation")


class PageError(ModelsError, ValueError):
    """A page that cannot be written because a record is missing. Cure: run the command the message names."""


@dataclass(frozen=True)
class Dossier:
    """What is known about one network.

    Attributes:
        name: of the network. folder: where its records and figures are.
        records: by file stem; those of `REQUIRED` are always there.
    """

    name: str
    folder: Path
    records: Mapping[str, Record]

    @classmethod
    def read(cls, folder: Path) -> "Dossier":
        """All records in the layout of `models/trained/NAME`.

        Raises:
            PageError: one that every network has is missing, one is no JSON object, or two are about different
                networks.
        """
        records: dict[str, Record] = {}
        for stem, command in COMMANDS.items():
            path = folder / f"{stem}.json"
            if path.is_file():
                records[stem] = _read(path, command)
            elif stem in REQUIRED:
                raise PageError(f"{path} is missing; `{command}` writes it")
        judged = records["evaluation"].get("model_sha256")
        for stem, record in records.items():
            if record.get("model_sha256", judged) != judged:
                command = COMMANDS[stem]
                raise PageError(f"{folder / stem}.json is about another network than evaluation.json; run `{command}`")
        return cls(str(records["training"].get("network", folder.name)), folder, records)


def _read(path: Path, command: str) -> Record:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PageError(f"{path} cannot be read ({error}); `{command}` writes it") from error
    if not isinstance(record, dict):
        raise PageError(f"{path} must hold a JSON object; `{command}` writes it")
    return record
