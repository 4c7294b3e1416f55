"""The `convert quantize` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.calibration.evaluation_data import ImageFolder
from convert.certification.settings import Settings
from convert.parity.verdict import EXIT_CODES
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE
from edge.system.files import require_writable


@dataclass(frozen=True)
class QuantizeRequest:
    """Convert models to certified int8 bundles.

    Attributes:
        models: files or folders of float models; a bundle is named after each.
        contract: what the models are fed; found beside each model or inferred when None.
        data: images, a folder a class; synthetic fields when None.
    """

    models: tuple[Path, ...]
    contract: Path | None
    data: ImageFolder | None
    settings: Settings
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """One bundle a model; the exit code is that of the worst verdict."""
        from convert.certification.job import quantize_model
        from convert.certification.verdict_table import verdict_table

        require_writable(self.out, "--out")
        certificates: list[dict[str, Any]] = []
        for number, path in enumerate(self.models, start=1):
            certificates.append(quantize_model(path, self.contract, self.data, self.settings, self.out))
            if certificates[-1].get("search", {}).get("interrupted") and number < len(self.models):
                raise KeyboardInterrupt  # whoever stopped a search did not mean to begin another
        worst = max(
            (EXIT_CODES[c["verdict"]] for c in certificates),
            key=[DONE, NOT_ENOUGH_EVIDENCE, ANSWER_IS_NO].index,
        )
        return Outcome(worst, {"bundles": certificates}, verdict_table(certificates))
