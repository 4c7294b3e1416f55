"""The `models calibrate` command."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.system.files import require_file, write_whole
from edge.system.option_values import optional_path
from models.commands import network_options
from models.commands.network_options import output_folder
from models.networks.custom_code import NO_CODE, CustomCode, code_named
from models.support.records import as_json, write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrateRequest:
    """Choose the decision that a network's contract carries, from validation images."""

    model: Path
    out: Path
    bundle: Path | None
    data: Path
    split: Path | None
    gates: Path | None
    json: bool
    code: CustomCode = NO_CODE

    def execute(self) -> Outcome:
        """Writes `decision.json`, `decision.png`, and `contract.json` with the decision in it, in the folder `out`.

        Exit 1 when no thresholds keep enough unaltered fields answered; the decision is written all the same, since
        without it such a network would answer everything.
        """
        from models.data.parts import part_of
        from models.decision.fit import calibrate
        from models.decision.network_gates import gates_of
        from models.evaluation.evaluation_set import EvaluationSet
        from models.networks.model_pair import load_pair
        from models.report.decision_figure import decision_figure
        from models.report.figure_style import render

        require_file(self.out / "decision.json", "MODEL")
        pair = load_pair(self.model, self.bundle, self.code)
        if self.bundle is None:
            _log.info("note: no --bundle, so the decision rests on the float network alone")
        contract = pair.contract.undecided()
        part, split = part_of(self.data, contract, self.split, "validation")
        dataset = EvaluationSet.of_part(part, contract.labels, contract.benign_labels)
        found = calibrate(
            dataset, pair.networks, pair.least, gates_of(self.model, contract, self.gates), groups=part.groups
        )
        decision = found.decision(
            f"models calibrate {self.model.name}",
            {
                "network_sha256": pair.model_sha256,
                "int8_model_sha256": None if pair.bundle is None else pair.bundle.model_sha256,
                "split_sha256": split.sha256,
                "part": split.part,
            },
        )
        record = as_json(pair.provenance(split), found.to_record())
        figure = decision_figure(found, f"{self.model.name}: {len(dataset.truth)} validation fields")
        write_whole(self.out / "decision.png", render(figure))
        write_json(self.out / "decision.json", record)
        write_whole(self.out / "contract.json", replace(contract, decision=decision).to_json())
        written = ", ".join(str(self.out / name) for name in ("contract.json", "decision.json", "decision.png"))
        following = f"convert quantize --int8 {self.model / 'model.keras'}"
        if self.out != self.model:
            following += f" --contract {self.out / 'contract.json'}"
        return Outcome(
            DONE if found.holds else ANSWER_IS_NO,
            record,
            f"{found.to_text()}\nwritten: {written}; next: {following}",
        )


def calibrate(
    network: str,
    *,
    data: str,
    bundle: str = "",
    split: str = "",
    gates: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    overwrite_shipped: bool = False,
    json: bool = False,
) -> CalibrateRequest:
    """Choose when a network's verdicts are given: temperature and thresholds, from validation images as they are and
    degraded.

    Writes the decision into the network's contract.json, for a shipped network into a copy in build/shipped;
    `convert quantize` then seals it into the bundle. Exit 1 when no thresholds both miss no malignant field and answer
    enough of the others.

    Args:
        network: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        bundle: int8 bundle made of the network; the shipped one for a shipped network, none for others.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        gates: gates.json that the fields pass first; the one beside the network, or none and said, when left out.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers in the model file.
        overwrite_shipped: write over the records that ship with a shipped network; without it they are left alone, and
            what is measured goes to build/shipped/NETWORK.
        json: print the record as JSON.
    """
    folder = network_options.model_folder(Path(network))
    return CalibrateRequest(
        model=folder,
        out=output_folder(folder, overwrite_shipped=overwrite_shipped),
        bundle=network_options.bundle_of(folder, optional_path(bundle)),
        data=Path(data),
        split=optional_path(split),
        code=code_named(custom, unsafe_lambda),
        gates=optional_path(gates),
        json=json,
    )
