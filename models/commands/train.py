"""The `models train` command."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.inference.benign import in_words
from edge.inference.contract import InputContract
from edge.system.files import require_writable, write_whole
from edge.system.option_values import labels_given, optional_path, whole_number
from models.commands import network_options
from models.support.records import write_json

if TYPE_CHECKING:
    from models.training.training_record import Lineage, TrainingRecord

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainRequest:
    """Train one of the two networks."""

    network: str
    data: Path
    weights: Path | None
    start: Path | None
    split: Path | None
    out: Path
    benign: tuple[str, ...]
    size: int
    alpha: float
    epochs: int | None
    seed: int
    json: bool

    def execute(self) -> Outcome:
        """Writes the layout of `models/trained/NAME`; working files under `checkpoint/` let a killed run continue."""
        from models.support.quiet_tensorflow import import_tensorflow

        import_tensorflow()
        import hashlib

        import keras
        from msgspec import convert

        from models.data.dataset import scan
        from models.data.parts import load_part, scan_for, split_for
        from models.support.versions import versions
        from models.training.batches import LabelledPixels
        from models.training.checkpoint import history
        from models.training.loop import train
        from models.training.recipe import FURTHER, RECIPES
        from models.training.training_record import ImageCounts, RecipeRecord, TrainingRecord
        from models.training.training_statistics import TrainingStatistics

        require_writable(self.out, "--out")
        labels = scan(self.data).labels
        contract = InputContract((self.size, self.size), tuple(labels), benign=self.benign or None)
        worst = contract.benign_labels
        _log.info(
            f"benign: {in_words(worst)}, {'as --benign says' if self.benign else 'by its spelling'}"
            if worst
            else "benign: no label is, so that malignant images called benign are not counted; --benign LABEL names one"
        )
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
        record = TrainingRecord(
            network=self.network,  # type: ignore[arg-type]  # `check_network` has
            weights_sha256=hashlib.sha256(self.weights.read_bytes()).hexdigest() if self.weights else None,
            started_from=_lineage(self.start) if self.start else None,
            recipe=convert(recipe.to_record(), RecipeRecord),
            split_sha256=hashlib.sha256(split.to_csv().encode()).hexdigest(),
            field_disjoint=split.is_field_disjoint(),
            images=ImageCounts(len(training.truth), len(validation.truth)),
            history=tuple(history(working)),
            versions=versions(),
        )
        self._write(best, contract, record, TrainingStatistics.measure(training.pixels))
        chosen = record.best_epoch
        return Outcome(
            DONE,
            {"out": str(self.out), "epochs": len(record.history), "val_accuracy": chosen.val_accuracy},
            f"validation accuracy {chosen.val_accuracy:.4f} in epoch {chosen.epoch} of {chosen.stage}"
            f"\nwritten: {self.out}; next: models evaluate {self.out} --data {self.data}",
        )

    def _model(self, contract: InputContract) -> Any:
        """What training begins with: a network from `start`, or a new one."""
        from models.networks.architectures import custom_cnn, mobilenet_v2
        from models.networks.loading import load_network

        if self.start is not None:
            model, own = load_network(self.start)
            if not replace(own, benign=None).alike(replace(contract, benign=None)):
                raise UsageError(f"--from must name a network with these images' contract; {self.start} has {own}")
            if model.name != self.network:
                raise UsageError(f"--from must name a {self.network}; {self.start} holds a {model.name}")
            return model
        if self.network == "custom_cnn":
            return custom_cnn(contract.size, len(contract.labels))
        return mobilenet_v2(contract.size, len(contract.labels), self.alpha, self.weights)

    def _write(self, best: Path, contract: InputContract, record: "TrainingRecord", statistics: Any) -> None:
        from models.report.figure_style import render
        from models.report.figures import learning_figure
        from models.training.training_statistics import STATISTICS_FILE

        write_whole(self.out / "model.keras", best.read_bytes())
        write_whole(self.out / "contract.json", contract.to_json())
        write_json(self.out / "training.json", to_builtins(record))
        write_whole(self.out / STATISTICS_FILE, statistics.to_json())
        epochs = record.history
        curves = {key: [getattr(e, key) for e in epochs] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
        stages = [(e.stage, i) for i, e in enumerate(epochs) if i == 0 or e.stage != epochs[i - 1].stage]
        figure = learning_figure(curves, stages, f"{self.network}: training with augmentation, validation without")
        write_whole(self.out / "learning_curves.png", render(figure))


def _lineage(folder: Path) -> "Lineage":
    """The network that a training began with, and that one's own training record where there is one."""
    import hashlib

    from models.errors import TrainingError
    from models.support.records import read_record
    from models.training.training_record import Lineage, TrainingRecord

    path, digest = folder / "training.json", hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    training = read_record(path, TrainingRecord, "models train", TrainingError) if path.is_file() else None
    return Lineage(digest, training)


def train(
    network: str,
    *,
    data: str,
    weights: str = "",
    from_: str = "",
    split: str = "",
    out: str = "",
    benign: tuple[str, ...] = (),
    size: str = "224",
    alpha: str = "1.0",
    epochs: str = "",
    seed: str = "7",
    json: bool = False,
) -> TrainRequest:
    """Train custom_cnn or mobilenet_v2; a killed run continues when the same command is given again.

    Args:
        network: custom_cnn or mobilenet_v2.
        data: folder with one sub-folder of images a class.
        weights: backbone weights (.h5, without top) for mobilenet_v2; random when not given.
        from_: mobilenet_v2, custom_cnn or a folder: a trained network to train further, instead of a new one.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        out: folder for the result; build/trained/NETWORK when not given.
        benign: label whose wrong answer is the worst there is; several: once each, or with commas. Without it a label
            spelt "benign".
        size: side of the square input, pixels.
        alpha: width multiplier of mobilenet_v2.
        epochs: of the last stage; the recipe's own number when not given.
        seed: of initialization, order and augmentation.
        json: print the result as JSON.
    """
    name = network_options.check_network(network)
    network_options.check_weights(name, weights)
    if from_ and (weights or alpha != "1.0"):
        raise UsageError("--from brings its own weights and width; --weights and --alpha do not go with it")
    try:
        width = float(alpha)
    except ValueError:
        raise UsageError(f"--alpha must be a number; got {alpha!r}") from None
    return TrainRequest(
        network=name,
        data=Path(data),
        weights=optional_path(weights),
        start=network_options.model_folder(Path(from_)) if from_ else None,
        split=optional_path(split),
        out=Path(out or f"build/trained/{name}"),
        benign=labels_given(benign),
        size=whole_number(size, "--size", at_least=32),
        alpha=width,
        epochs=whole_number(epochs, "--epochs", at_least=1) if epochs else None,
        seed=whole_number(seed, "--seed"),
        json=json,
    )
