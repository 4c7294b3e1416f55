"""The `models evaluate` command: it chooses the question, each of which is a request of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome, Request
from edge.errors import DONE, UsageError
from edge.system.files import require_file, write_whole
from edge.system.option_values import optional_path, whole_number
from models.commands import network_options
from models.commands.abstention import AbstentionRequest
from models.commands.altered_images import CorruptionsRequest, CounterfactualsRequest
from models.commands.explanations import ExplanationsRequest
from models.commands.network_options import EvaluationOptions, output_folder
from models.networks.custom_code import code_named
from models.support.records import as_json, write_json


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(EvaluationOptions):
    """Judge a trained network on the images it has not seen."""

    def execute(self) -> Outcome:
        """Writes the evaluation record at `out` and its two figures beside it."""
        from models.evaluation.metrics import evaluate
        from models.networks.loading import load_network
        from models.networks.prediction import predictor
        from models.report.figure_style import render
        from models.report.figures import confusion_figure, reliability_figure
        from models.support.provenance import float_provenance

        require_file(self.out, "--out")
        model, contract = load_network(self.model, self.code)
        part, split = self.load_part(contract)
        probabilities = predictor(model, contract)(part.pixels)
        found = evaluate(contract.labels, probabilities, part.truth, names=part.names, benign=contract.benign_labels)
        record = as_json(float_provenance(self.model / "model.keras", split), found)
        write_json(self.out, record)
        stem = self.out.with_suffix("")
        confusion = confusion_figure(
            contract.labels, {"": found.confusion}, f"{self.part} split, {found.images} images"
        )
        write_whole(stem.with_name(f"{stem.name}_confusion.png"), render(confusion))
        reliability = reliability_figure({"float": (probabilities, part.truth)}, title="is it as sure as it is right?")
        write_whole(stem.with_name(f"{stem.name}_reliability.png"), render(reliability))
        return Outcome(DONE, record, f"{found.to_text()}\nwritten: {self.out}")


def evaluate(
    model: str,
    *,
    data: str,
    corruptions: bool = False,
    counterfactuals: bool = False,
    abstention: bool = False,
    ood: str = "",
    degraded: bool = False,
    explanations: bool = False,
    errors: str = "",
    bundle: str = "",
    gates: str = "",
    sample: str = "",
    split: str = "",
    part: str = "test",
    out: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    overwrite_shipped: bool = False,
    json: bool = False,
) -> Request:
    """Judge a network on images it has not seen: accuracy, per-class scores, calibration, each with its interval.

    With --corruptions or --counterfactuals the images are altered, and the int8 bundle is judged beside the network;
    with --abstention both are judged as on the device, behind the gates and with the contract's decision. With
    --explanations it is measured how much of the float network's class activation maps lies on white cells.

    Args:
        model: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        corruptions: degrade the images as microscopes do, in 18 ways and five severities.
        counterfactuals: exchange scale bars, paint them or the white cells out; count changed verdicts.
        abstention: count what is answered, rightly and wrongly, and what is refused, by reason.
        ood: with --abstention: folders of images that should be refused, DIR or DIR,DIR; labels do not matter.
        degraded: with --abstention: also every field in every form of --corruptions.
        explanations: measure where the evidence for the verdicts lies.
        errors: with --explanations: folder for a figure of every wrong verdict, which shows the image;
            build/errors/NETWORK when not given.
        bundle: int8 bundle made of the network; the shipped one for a shipped network, none for others.
        gates: with --abstention: gates.json that the fields pass first; the one beside the network when left out.
        sample: altered images and explanations only: judge so many images instead of all.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        part: test, validation or train.
        out: JSON to write; evaluation.json, robustness.json, counterfactuals.json, abstention.json or explanations.json
            in the model's folder when not given. Figures go beside it.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers in the model file.
        overwrite_shipped: write over the records that ship with a shipped network; without it they are left alone, and
            what is measured goes to build/shipped/NETWORK.
        json: print the record as JSON.
    """
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test; got {part!r}")
    question = _question(
        corruptions=corruptions, counterfactuals=counterfactuals, abstention=abstention, explanations=explanations
    )
    _check_belong(question, degraded=degraded, ood=ood, errors=errors, sample=sample, bundle=bundle, gates=gates)
    folder = network_options.model_folder(Path(model))
    records = output_folder(folder, overwrite_shipped=overwrite_shipped)
    options: dict[str, Any] = {
        "model": folder,
        "data": Path(data),
        "split": optional_path(split),
        "part": part,
        "code": code_named(custom, unsafe_lambda),
        "out": Path(out) if out else records / f"{_RECORDS[question]}.json",
        "json": json,
    }
    if question == "":
        return EvaluateRequest(**options)
    images = whole_number(sample, "--sample", at_least=2) if sample else None
    if question == "explanations":
        errors_folder = Path(errors or f"build/errors/{folder.name}")
        return ExplanationsRequest(**options, sample=images, errors=errors_folder)
    options["bundle"] = network_options.bundle_of(folder, optional_path(bundle))
    if question == "abstention":
        folders = tuple(Path(word) for word in ood.split(",") if word)
        file = optional_path(gates)
        return AbstentionRequest(**options, gates=file, ood=folders, degraded=degraded)
    altered = CorruptionsRequest if question == "corruptions" else CounterfactualsRequest
    return altered(**options, sample=images)


_RECORDS = {  # question -> file stem of its record
    "": "evaluation",
    "corruptions": "robustness",
    "counterfactuals": "counterfactuals",
    "abstention": "abstention",
    "explanations": "explanations",
}
_BELONGS = {  # option -> the questions that it goes with
    "degraded": ("abstention",),
    "ood": ("abstention",),
    "gates": ("abstention",),
    "errors": ("explanations",),
    "sample": ("corruptions", "counterfactuals", "explanations"),
    "bundle": ("corruptions", "counterfactuals", "abstention"),
}


def _question(**asked: bool) -> str:
    """The one that is asked; "" for none of them."""
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(
            "--corruptions, --counterfactuals, --abstention and --explanations are separate records; give one of them"
        )
    return chosen[0] if chosen else ""


def _check_belong(question: str, **options: str | bool) -> None:
    """Refuse an option that is given with a question it does not belong to."""
    for option, value in options.items():
        if value and question not in _BELONGS[option]:
            *others, last = (f"--{name}" for name in _BELONGS[option])
            owners = f"{', '.join(others)} or {last}" if others else last
            raise UsageError(f"--{option} belongs to {owners}")
