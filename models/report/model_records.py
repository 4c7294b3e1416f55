"""The records of one network: all that the commands have recorded about it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct

from edge.errors import GatesError
from edge.inference.gates.gates_file import GatesFile
from models.decision.abstention_record import AbstentionRecord
from models.decision.decision_record import DecisionRecord
from models.decision.network_gates import FILE, read_gates
from models.errors import ModelsError
from models.evaluation.counterfactuals import CounterfactualRecord
from models.evaluation.explanations import ExplanationRecord
from models.evaluation.metrics import Evaluation
from models.evaluation.robustness import RobustnessRecord
from models.support.provenance import Provenance
from models.support.records import read_record
from models.training.cross_validation_record import CrossValidationRecord
from models.training.training_record import TrainingRecord


class PageError(ModelsError, ValueError):
    """A page that cannot be written because a record is missing. Cure: run the command the message names."""


@dataclass(frozen=True)
class RecordFile:
    """A record file of a network: what writes it, and what it holds; `judged` ones say which network they judge."""

    command: str
    kind: type[Struct]
    judged: bool = True


FILES = {
    "training": RecordFile("models train NAME", TrainingRecord, judged=False),
    "evaluation": RecordFile("models evaluate NAME", Evaluation),
    "robustness": RecordFile("models evaluate NAME --corruptions", RobustnessRecord),
    "counterfactuals": RecordFile("models evaluate NAME --counterfactuals", CounterfactualRecord),
    "decision": RecordFile("models calibrate NAME", DecisionRecord),
    "abstention": RecordFile("models evaluate NAME --abstention", AbstentionRecord),
    "explanations": RecordFile("models evaluate NAME --explanations", ExplanationRecord),
    "cross_validation": RecordFile("models cross-validate NAME", CrossValidationRecord, judged=False),
}
REQUIRED = ("training", "evaluation")


@dataclass(frozen=True)
class ModelRecords:
    """What is known about one network; None where it was not measured.

    Attributes:
        folder: where records and figures are.
        provenance: of the records that judge the network, by file stem. gates: its `gates.json`.
    """

    folder: Path
    training: TrainingRecord
    evaluation: Evaluation
    robustness: RobustnessRecord | None = None
    counterfactuals: CounterfactualRecord | None = None
    decision: DecisionRecord | None = None
    abstention: AbstentionRecord | None = None
    explanations: ExplanationRecord | None = None
    cross_validation: CrossValidationRecord | None = None
    provenance: dict[str, Provenance] = field(default_factory=dict)
    gates: GatesFile | None = None

    @property
    def name(self) -> str:
        """Of the network."""
        return self.training.network

    @classmethod
    def read(cls, folder: Path) -> "ModelRecords":
        """All records in the layout of `models/trained/NAME`.

        Raises:
            PageError: one that every network has is missing, one is not what its command writes, or two are about
                different networks.
        """
        found: dict[str, Any] = {}
        provenance: dict[str, Provenance] = {}
        for stem, file in FILES.items():
            path = folder / f"{stem}.json"
            if path.is_file():
                found[stem] = read_record(path, file.kind, file.command, PageError)
                if file.judged:
                    provenance[stem] = read_record(path, Provenance, file.command, PageError)
            elif stem in REQUIRED:
                raise PageError(f"{path} is missing; `{file.command}` writes it")
        judged = provenance["evaluation"].model_sha256
        for stem, origin in provenance.items():
            if origin.model_sha256 != judged:
                command = FILES[stem].command
                raise PageError(f"{folder / stem}.json is about another network than evaluation.json; run `{command}`")
        try:
            gates = read_gates(folder / FILE) if (folder / FILE).is_file() else None
        except GatesError as error:
            raise PageError(str(error)) from error
        return cls(folder, **found, provenance=provenance, gates=gates)
