"""The `convert calibration` command."""

from dataclasses import dataclass
from pathlib import Path

from convert.calibration.calibration_set import check
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE


@dataclass(frozen=True)
class CalibrationRequest:
    """Look a calibration set over before a converter learns from it."""

    source: Path
    model: Path | None
    contract: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 1 when the lint refuses the set."""
        from convert.quantization.float_model import infer_contract, load_float
        from edge.inference.contract import InputContract
        from models.training.training_statistics import TrainingStatistics

        statistics = None
        if self.model is not None:
            contract = infer_contract(load_float(self.model), self.contract).contract
            statistics = TrainingStatistics.beside(self.model)
        else:
            assert self.contract is not None  # the command line asks for one of the two
            contract = InputContract.load(self.contract)
        found = check(self.source, contract, statistics=statistics)
        lines = [f.to_text() for f in found.findings] or ["nothing to say against it"]
        verdict = "refused" if found.refused else "usable"
        record = {**found.record(), "verdict": verdict}
        code = ANSWER_IS_NO if found.refused else DONE
        return Outcome(code, record, "\n".join([f"{len(found.names)} images: {verdict}", *lines]))
