"""The `convert calibration` command."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from convert.calibration.given_set import check
from convert.commands.arguments import float_model_path, loading_options
from convert.quantization.float_model import AS_IT_IS, Loading
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.option_values import optional_path


@dataclass(frozen=True)
class CalibrationRequest:
    """Look a calibration set over before a converter learns from it.

    >>> calibration("images", contract="contract.json").contract
    PosixPath('contract.json')
    """

    source: Path
    model: Path | None
    contract: Path | None
    json: bool
    loading: Loading = AS_IT_IS

    def execute(self) -> Outcome:
        """Exit 1 when the lint refuses the set."""
        from convert.quantization.contract_inference import infer_contract
        from convert.quantization.float_model import load_float
        from edge.inference.contract import InputContract
        from models.training.training_statistics import TrainingStatistics

        statistics = None
        if self.model is not None:
            contract = infer_contract(load_float(self.model, self.loading), self.contract).contract
            statistics = TrainingStatistics.beside(self.model)
        else:
            assert self.contract is not None  # the command line asks for one of the two
            contract = InputContract.load(self.contract)
        found = check(self.source, contract, statistics=statistics)
        lines = [f.to_text() for f in found.findings] or ["nothing to say against it"]
        verdict = "refused" if found.refused else "usable"
        record = {**msgspec.to_builtins(found.record()), "verdict": verdict}
        code = ANSWER_IS_NO if found.refused else DONE
        return Outcome(code, record, "\n".join([f"{len(found.names)} images: {verdict}", *lines]))


def calibration(
    source: str,
    *,
    model: str = "",
    contract: str = "",
    size: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    json: bool = False,
) -> CalibrationRequest:
    """Look over a calibration set as it stands. Exit 1 when it must not be used.

    Args:
        source: folder of images, a folder a class, or a .npy or .npz with one array (N, height, width, 3).
        model: the float model it is meant for; its contract and training colours are compared.
        contract: the contract alone, when there is no model at hand.
        size: WIDTHxHEIGHT of the input, for a model whose size is not fixed, such as 160x160.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers that the model file holds; only for a file you trust.
        json: print the record as JSON.
    """
    if not model and not contract:
        raise UsageError("convert calibration needs --model or --contract: it checks a set against what a model is fed")
    return CalibrationRequest(
        Path(source),
        float_model_path(model) if model else None,
        optional_path(contract),
        json,
        loading_options(size, custom, unsafe_lambda),
    )
