"""The question of `models evaluate --abstention`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.files import require_file, write_whole
from models.commands.network_options import EvaluationOptions
from models.support.records import as_json, write_json

if TYPE_CHECKING:
    from edge.inference.decision import Decision
    from models.networks.model_pair import ModelPair


@dataclass(frozen=True, kw_only=True)
class AbstentionRequest(EvaluationOptions):
    """Judge all that the device does with a field: gates, network, threshold.

    Attributes:
        bundle: int8 bundle made of the network, or None. ood: folders of images that should be refused.
        gates: gates.json; None for that beside the network.
        degraded: also every field in every form of `--corruptions`.
    """

    bundle: Path | None
    gates: Path | None
    ood: tuple[Path, ...]
    degraded: bool

    def execute(self) -> Outcome:
        """Writes the record at `out` and a figure beside it.

        Raises:
            UsageError: the network has no decision, the bundle another one, or `ood` is not folders with different
                names, by which the record calls them.
        """
        from models.decision.abstention import evaluate_abstention, read_ood, to_text
        from models.decision.degraded_decision import evaluate_degraded
        from models.decision.degraded_decision import to_text as degraded_text
        from models.decision.device_decision import DeviceDecision
        from models.decision.network_gates import gates_of
        from models.evaluation.evaluation_set import EvaluationSet
        from models.networks.model_pair import load_pair
        from models.report.abstention_figure import abstention_figure
        from models.report.figure_style import render

        require_file(self.out, "--out")
        _check_folders(self.ood)
        pair = load_pair(self.model, self.bundle, self.code)
        decision = _decision_of(self.model, pair)
        labels = pair.contract.labels
        ood = [read_ood(folder, pair.contract) for folder in self.ood]
        part, split = self.load_part(pair.contract)
        dataset = EvaluationSet.of_part(part, labels, pair.contract.benign_labels)
        device = DeviceDecision(pair.networks, pair.least, gates_of(self.model, pair.contract, self.gates), decision)
        found = evaluate_abstention(dataset, device, ood)
        text = to_text(found)
        if self.degraded:
            ranges = evaluate_degraded(dataset, device)
            found = replace(found, degraded=ranges)
            text += "\n" + degraded_text(ranges, dataset.benign)
        record = as_json(pair.provenance(split), found)
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


def _decision_of(model: Path, pair: "ModelPair") -> "Decision":
    """The decision that network and bundle share."""
    name = model.name
    decision = pair.contract.decision
    if decision is None:
        raise UsageError(f"MODEL must have a decision in its contract; `models calibrate {name}` makes one")
    if decision.evidence["network_sha256"] != pair.model_sha256:
        raise UsageError(f"MODEL's decision must be made for it and is another's; `models calibrate {name}` makes one")
    if pair.bundle is not None and pair.bundle_decision != decision:
        raise UsageError("--bundle must carry the network's decision; `convert quantize --int8` seals one that does")
    return decision
