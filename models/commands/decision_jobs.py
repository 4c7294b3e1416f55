"""`models calibrate`, and `models evaluate --abstention`."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.files import require_file, write_whole
from models.data.provenance import split_record
from models.data.published import BENIGN
from models.support.records import write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrateJob:
    """Choose the decision that a network's contract carries, from validation images."""

    model: Path
    bundle: Path | None
    data: Path
    split: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Writes `decision.json`, `decision.png`, and `contract.json` with the decision in it, in the model's folder.

        Exit 1 when no thresholds keep enough unaltered fields answered; the decision is written all the same, since
        without it such a network would answer everything.
        """
        from models.data.parts import load_part, scan_for, split_for
        from models.decision.device_decision import gates_for
        from models.decision.fit import calibrate
        from models.evaluation.evaluation_set import EvaluationSet
        from models.networks.model_pair import side_by_side
        from models.report.decision_figure import decision_figure
        from models.report.figure_style import render

        require_file(self.model / "decision.json", "MODEL")
        both = side_by_side(self.model, self.bundle)
        if self.bundle is None:
            _log.info("note: no --bundle, so the decision rests on the float network alone")
        contract = both.contract.undecided()
        image_set = scan_for(self.data, contract)
        split, origin = split_for(image_set, self.split)
        part = load_part(image_set, split, "validation", contract)
        dataset = EvaluationSet.of_part(part, contract.labels, BENIGN if BENIGN in contract.labels else None)
        found = calibrate(dataset, both.networks, both.least, gates_for(contract.size))
        origins = split_record(split, origin, "validation")
        bundle = both.provenance["bundle"]
        decision = found.decision(
            f"models calibrate {self.model.name}",
            {
                "network_sha256": both.provenance["model_sha256"],
                "int8_model_sha256": None if bundle is None else bundle["model_sha256"],
                "split_sha256": origins["split"]["sha256"],
                "part": "validation",
            },
        )
        record = {**both.provenance, **origins, **found.to_record()}
        figure = decision_figure(found, f"{self.model.name}: {len(dataset.truth)} validation fields")
        write_whole(self.model / "decision.png", render(figure))
        write_json(self.model / "decision.json", record)
        write_whole(self.model / "contract.json", replace(contract, decision=decision).to_json())
        written = ", ".join(str(self.model / name) for name in ("contract.json", "decision.json", "decision.png"))
        return Outcome(
            DONE if found.holds else ANSWER_IS_NO,
            record,
            f"{found.to_text()}\nwritten: {written}; next: convert quantize --int8 {self.model / 'model.keras'}",
        )


@dataclass(frozen=True)
class AbstentionJob:
    """Judge all that the device does with a field: gates, network, threshold."""

    model: Path
    bundle: Path | None
    data: Path
    ood: tuple[Path, ...]
    degraded: bool
    split: Path | None
    part: str
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the record at `out` and a figure beside it.

        Raises:
            UsageError: the network has no decision, the bundle another one, or `ood` is not folders with different
                names, by which the record calls them.
        """
        from models.data.parts import load_part, scan_for, split_for
        from models.decision.abstention import evaluate_abstention, read_ood, to_text
        from models.decision.degraded_decision import evaluate_degraded
        from models.decision.degraded_decision import to_text as degraded_text
        from models.decision.device_decision import DeviceDecision, gates_for
        from models.evaluation.evaluation_set import EvaluationSet
        from models.networks.model_pair import side_by_side
        from models.report.abstention_figure import abstention_figure
        from models.report.figure_style import render

        require_file(self.out, "--out")
        _check_folders(self.ood)
        both = side_by_side(self.model, self.bundle)
        decision = _decision_of(self.model, both)
        labels = both.contract.labels
        ood = [read_ood(folder, both.contract) for folder in self.ood]
        image_set = scan_for(self.data, both.contract)
        split, origin = split_for(image_set, self.split)
        part = load_part(image_set, split, self.part, both.contract)
        dataset = EvaluationSet.of_part(part, labels, BENIGN if BENIGN in labels else None)
        device = DeviceDecision(both.networks, both.least, gates_for(both.contract.size), decision)
        found = evaluate_abstention(dataset, device, ood)
        text = to_text(found)
        if self.degraded:
            found["degraded"] = evaluate_degraded(dataset, device)
            text += "\n" + degraded_text(found["degraded"])
        record = {**both.provenance, **split_record(split, origin, self.part), **found}
        write_json(self.out, record)
        title = f"{self.model.name}, {len(dataset.truth)} images of the {self.part} part: what the device does"
        write_whole(self.out.with_suffix(".png"), render(abstention_figure(found, title)))
        return Outcome(DONE, record, f"{text}\nwritten: {self.out}, {self.out.with_suffix('.png')}")


def _check_folders(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--ood must name folders of images; {folder} is none")
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise UsageError(f"--ood must name folders that are called differently; got {', '.join(names)}")


def _decision_of(model: Path, both: Any) -> Any:
    """The decision that network and bundle share."""
    name = model.name
    decision = both.contract.decision
    if decision is None:
        raise UsageError(f"MODEL must have a decision in its contract; `models calibrate {name}` makes one")
    if decision.evidence["network_sha256"] != both.provenance["model_sha256"]:
        raise UsageError(f"MODEL's decision must be made for it and is another's; `models calibrate {name}` makes one")
    if both.provenance["bundle"] is not None and both.bundle_decision != decision:
        raise UsageError("--bundle must carry the network's decision; `convert quantize --int8` seals one that does")
    return decision
