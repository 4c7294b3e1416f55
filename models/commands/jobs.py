"""What each `models` command does: frozen requests, checked when made, carried out by `execute`."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.contract import InputContract
from edge.system.files import require_file, require_writable, write_whole
from models.data.provenance import provenance, split_record
from models.data.published import TRAINED
from models.support.records import write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditJob:
    """Look an image set over before anything is trained on it."""

    data: Path
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes `audit.json` and `audit.html`."""
        from models.data.audit import audit, to_text
        from models.data.dataset import scan
        from models.report.audit_page import page

        require_writable(self.out, "--out")
        image_set = scan(self.data)
        record = audit(image_set)
        write_json(self.out / "audit.json", record)
        write_whole(self.out / "audit.html", page(record, image_set))
        return Outcome(
            DONE, record, f"{to_text(record)}\nwritten: {self.out / 'audit.html'}, {self.out / 'audit.json'}"
        )


@dataclass(frozen=True)
class SplitJob:
    """Divide an image set into training, validation and test parts."""

    data: Path
    out: Path
    groups: Path | None
    random: bool
    seed: int
    json: bool

    def execute(self) -> Outcome:
        """Writes one CSV.

        Images listed in `groups` that are not in `data` go to the test part. A list may have missed some overlaps, so
        fields are searched for as well, and an image found to share one with an earlier part is excluded.
        """
        from models.data.dataset import scan
        from models.data.field_groups import find_groups
        from models.data.split import Split, absent_items, exclude_overlaps, field_disjoint, random_split, read_groups

        require_file(self.out, "--out")
        image_set = scan(self.data)
        listed = read_groups(self.groups) if self.groups else ()
        found = {} if listed and self.random else find_groups(image_set.samples)
        groups = {item.sha256: item.group for item in listed} or found
        make = random_split if self.random else field_disjoint
        split = make(image_set.samples, groups, self.seed)
        split = Split(split.items + absent_items(listed, image_set))
        if listed and not self.random:
            split = exclude_overlaps(split, found)
        write_whole(self.out, split.to_csv())
        record = {
            "file": str(self.out),
            "counts": split.counts(),
            "field_disjoint": split.is_field_disjoint(),
        }
        lines = [
            f"{part}: {sum(n.values())} ({', '.join(f'{k} {v}' for k, v in n.items())})"
            for part, n in split.counts().items()
        ]
        return Outcome(DONE, record, "\n".join([*lines, f"written: {self.out}"]))


@dataclass(frozen=True)
class TrainJob:
    """Train one of the two networks."""

    network: str
    data: Path
    weights: Path | None
    start: Path | None
    split: Path | None
    out: Path
    size: int
    alpha: float
    epochs: int | None
    seed: int
    json: bool

    def execute(self) -> Outcome:
        """Writes the layout of `models/trained/NAME`; working files under `checkpoint/` let a killed run continue."""
        from models.support.quiet_tensorflow import import_tensorflow

        import_tensorflow()
        import keras

        from models.data.dataset import scan
        from models.data.parts import load_part, scan_for, split_for
        from models.training.batches import LabelledPixels
        from models.training.checkpoint import history
        from models.training.loop import train
        from models.training.recipe import FURTHER, RECIPES
        from models.training.training_statistics import TrainingStatistics

        require_writable(self.out, "--out")
        labels = scan(self.data).labels
        contract = InputContract((self.size, self.size), tuple(labels))
        image_set = scan_for(self.data, contract)
        for kind, count in image_set.problem_counts().items():
            _log.warning(f"{kind}: {count} of the files; `models audit` names them")
        split, origin = split_for(image_set, self.split)
        training, validation = (load_part(image_set, split, part, contract) for part in ("train", "validation"))
        recipe = replace((FURTHER if self.start else RECIPES)[self.network], seed=self.seed).last_stage(self.epochs)
        _log.info(
            f"training {self.network} on {len(training.truth)} images, validating on {len(validation.truth)}; "
            f"split: {origin}"
        )
        keras.utils.set_random_seed(recipe.seed)
        model = self._model(contract)
        working = self.out / "checkpoint"
        best = train(
            model,
            contract,
            LabelledPixels(training.pixels, training.truth),
            LabelledPixels(validation.pixels, validation.truth),
            recipe,
            working,
        )
        epochs = history(working)
        record = _training_record(self, recipe, split, training, validation, epochs)
        self._write(best, contract, record, TrainingStatistics.measure(training.pixels))
        chosen = min(epochs, key=lambda e: e.val_loss)
        return Outcome(
            DONE,
            {"out": str(self.out), "epochs": len(epochs), "val_accuracy": chosen.val_accuracy},
            f"validation accuracy {chosen.val_accuracy:.4f} in epoch {chosen.epoch} of {chosen.stage}"
            f"\nwritten: {self.out}; next: models evaluate {self.out} --data {self.data}",
        )

    def _model(self, contract: InputContract) -> Any:
        """What training begins with: a network from `start`, or a new one."""
        from models.networks.architectures import custom_cnn, mobilenet_v2
        from models.networks.loading import load_network

        if self.start is not None:
            model, own = load_network(self.start)
            if own.undecided() != contract:
                raise UsageError(f"--from must name a network with these images' contract; {self.start} has {own}")
            if model.name != self.network:
                raise UsageError(f"--from must name a {self.network}; {self.start} holds a {model.name}")
            return model
        if self.network == "custom_cnn":
            return custom_cnn(contract.size, len(contract.labels))
        return mobilenet_v2(contract.size, len(contract.labels), self.alpha, self.weights)

    def _write(self, best: Path, contract: InputContract, record: dict[str, Any], statistics: Any) -> None:
        from models.report.figure_style import render
        from models.report.figures import learning_figure
        from models.training.training_statistics import STATISTICS_FILE

        write_whole(self.out / "model.keras", best.read_bytes())
        write_whole(self.out / "contract.json", contract.to_json())
        write_json(self.out / "training.json", record)
        write_whole(self.out / STATISTICS_FILE, statistics.to_json())
        epochs = record["history"]
        curves = {key: [e[key] for e in epochs] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
        stages = [(e["stage"], i) for i, e in enumerate(epochs) if i == 0 or e["stage"] != epochs[i - 1]["stage"]]
        figure = learning_figure(curves, stages, f"{self.network}: training with augmentation, validation without")
        write_whole(self.out / "learning_curves.png", render(figure))


@dataclass(frozen=True)
class EvaluateJob:
    """Judge a trained network on the images it has not seen."""

    model: Path
    data: Path
    split: Path | None
    part: str
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the evaluation record at `out` and its two figures beside it."""
        from models.data.parts import load_part, scan_for, split_for
        from models.data.published import BENIGN
        from models.evaluation.metrics import evaluate
        from models.networks.loading import load_network
        from models.networks.prediction import predictor
        from models.report.figure_style import render
        from models.report.figures import confusion_figure, reliability_figure

        require_file(self.out, "--out")
        model, contract = load_network(self.model)
        image_set = scan_for(self.data, contract)
        split, origin = split_for(image_set, self.split)
        part = load_part(image_set, split, self.part, contract)
        probabilities = predictor(model, contract)(part.pixels)
        benign = BENIGN if BENIGN in contract.labels else None
        found = evaluate(contract.labels, probabilities, part.truth, names=part.names, benign=benign)
        record = {**provenance(self.model / "model.keras", split, origin, self.part), **found.to_record()}
        write_json(self.out, record)
        stem = self.out.with_suffix("")
        confusion = confusion_figure(
            contract.labels, {"": found.confusion}, f"{self.part} split, {found.images} images"
        )
        write_whole(stem.with_name(f"{stem.name}_confusion.png"), render(confusion))
        reliability = reliability_figure({"float": (probabilities, part.truth)}, title="is it as sure as it is right?")
        write_whole(stem.with_name(f"{stem.name}_reliability.png"), render(reliability))
        return Outcome(DONE, record, f"{found.to_text()}\nwritten: {self.out}")


@dataclass(frozen=True)
class ProbeJob:
    """Ask a trained network, and the int8 bundle made of it, about altered forms of images it has not seen.

    `probe` is "corruptions" or "counterfactuals".
    """

    probe: str
    model: Path
    bundle: Path | None
    data: Path
    split: Path | None
    part: str
    sample: int | None
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the record at `out` and a figure beside it."""
        from models.data.parts import load_part, scan_for, split_for
        from models.data.published import BENIGN
        from models.evaluation.counterfactuals import evaluate_counterfactuals, to_text
        from models.evaluation.evaluation_set import EvaluationSet
        from models.evaluation.robustness import evaluate_corruptions
        from models.networks.model_pair import side_by_side
        from models.report.counterfactual_figure import counterfactual_figure
        from models.report.figure_style import render
        from models.report.robustness_figure import robustness_figure

        require_file(self.out, "--out")
        both = side_by_side(self.model, self.bundle)
        if self.bundle is None:
            _log.info("note: no --bundle, so the float network is judged alone")
        labels = both.contract.labels
        image_set = scan_for(self.data, both.contract)
        split, origin = split_for(image_set, self.split)
        part = load_part(image_set, split, self.part, both.contract)
        dataset = EvaluationSet.of_part(part, labels, BENIGN if BENIGN in labels else None, self.sample)
        about = f"{self.model.name}, {len(dataset.truth)} images of the {self.part} part"
        if self.probe == "corruptions":
            robustness = evaluate_corruptions(dataset, both.networks)
            found, text = robustness.to_record(), robustness.to_text()
            figure = robustness_figure(found, f"{about}: accuracy on degraded fields")
        else:
            found = evaluate_counterfactuals(dataset, both.networks)
            text = to_text(found)
            figure = counterfactual_figure(found, f"{about}: what changes the verdict")
        origins = {**split_record(split, origin, self.part), "sample": self.sample}
        record = {**both.provenance, **origins, **found}
        write_json(self.out, record)
        write_whole(self.out.with_suffix(".png"), render(figure))
        return Outcome(DONE, record, f"{text}\nwritten: {self.out}, {self.out.with_suffix('.png')}")


@dataclass(frozen=True)
class CardJob:
    """Write the model cards from the files that the other commands wrote."""

    folders: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """Writes `CARD.md` in each folder."""
        from models.report.card import card

        for folder in self.folders:
            write_whole(folder / "CARD.md", card(folder))
        names = [str(folder / "CARD.md") for folder in self.folders]
        return Outcome(DONE, {"written": names}, "written: " + ", ".join(names))


@dataclass(frozen=True)
class ReportJob:
    """Write the evaluation page from the records in networks' folders."""

    folders: tuple[Path, ...]
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one self-contained HTML page."""
        from models.report.evaluation_page import evaluation_page
        from models.report.model_records import Dossier
        from models.report.requirements import goals

        require_file(self.out, "--out")
        dossiers = [Dossier.read(folder) for folder in self.folders]
        write_whole(self.out, evaluation_page(dossiers))
        asked = {each.name: [asdict(goal) for goal in goals(each.name, each.records)] for each in dossiers}
        return Outcome(DONE, {"written": str(self.out), "goals": asked}, f"written: {self.out}")


@dataclass(frozen=True)
class FetchJob:
    """Check a user's own download of the published set and lay it out."""

    source: Path
    to: Path
    json: bool

    def execute(self) -> Outcome:
        """Exit 1 when images are missing or altered; what is right is laid out all the same."""
        from models.data.fetch import fetch, to_text

        record = fetch(self.source, self.to)
        return Outcome(DONE if record["complete"] else ANSWER_IS_NO, record, to_text(record))


def check_network(name: str) -> str:
    """`name` if it is one of the two networks."""
    if name not in TRAINED:
        raise UsageError(f"network must be one of {', '.join(TRAINED)}; got {name!r}")
    return name


def model_folder(path: Path) -> Path:
    """`path` if it is a folder with `model.keras` and `contract.json`, or a shipped network's name."""
    from models.data.published import trained

    folder = trained(str(path)) if str(path) in TRAINED else path
    for name in ("model.keras", "contract.json"):
        if not (folder / name).is_file():
            raise UsageError(f"MODEL must be a folder with model.keras and contract.json; {folder} has no {name}")
    return folder


def bundle_of(model: Path, bundle: Path | None) -> Path | None:
    """`bundle`; else the shipped one when `model` is a shipped network's folder; else None."""
    from models.data.published import bundles, trained

    if bundle is None and model in [trained(name) for name in TRAINED]:
        return bundles() / f"{model.name}-int8"
    return bundle


def _training_record(
    job: TrainJob, recipe: Any, split: Any, training: Any, validation: Any, epochs: Any
) -> dict[str, Any]:
    import hashlib

    from models.support.versions import versions

    return {
        "network": job.network,
        "weights_sha256": hashlib.sha256(job.weights.read_bytes()).hexdigest() if job.weights else None,
        "started_from": _lineage(job.start) if job.start else None,
        "recipe": recipe.to_record(),
        "split_sha256": hashlib.sha256(split.to_csv().encode()).hexdigest(),
        "field_disjoint": split.is_field_disjoint(),
        "images": {"train": len(training.truth), "validation": len(validation.truth)},
        "history": to_builtins(epochs),
        "versions": versions(),
    }


def _lineage(folder: Path) -> dict[str, Any]:
    """Which network a training began with, and that one's own training record where there is one."""
    import hashlib

    record = folder / "training.json"
    return {
        "model_sha256": hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest(),
        "training": json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None,
    }
