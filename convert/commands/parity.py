"""The `convert parity` command."""

from dataclasses import dataclass
from pathlib import Path

from convert.calibration.evaluation_data import ImageFolder
from convert.parity.policy import Policy
from convert.parity.verdict import EXIT_CODES
from edge.commands.command_line import Outcome
from edge.system.files import require_file


@dataclass(frozen=True)
class ParityRequest:
    """Compare a float model with a TFLite file or bundle, without converting anything."""

    model: Path
    int8: Path
    contract: Path | None
    data: ImageFolder | None
    policy: Policy
    report: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Exit 0 pass, 1 fail, 3 not enough images to say."""
        from convert.certification.pair import judge_pair

        if self.report is not None:
            require_file(self.report, "--report")
        record, text = judge_pair(self.model, self.int8, self.contract, self.data, self.policy, self.report)
        return Outcome(EXIT_CODES[record["verdict"]], record, text)
