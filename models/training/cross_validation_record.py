"""The record of cross-validations, `cross_validation.json`: folds and pooled scores by scheme."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, Struct, UnsetType

from edge.inference.benign import Recorded, as_labels, benign_labels, in_words, indices
from models.data.folds import SCHEMES
from models.errors import CrossValidationError
from models.statistics.formatting import percent, percent_range, safety_count
from models.statistics.intervals import Interval
from models.statistics.share import Share

RECORD_FORMAT = 1


class SettingRecord(Struct, frozen=True):
    """A `Setting`; with the fold of every image it determines the result."""

    network: str
    recipe: dict[str, Any]
    epochs: dict[str, int]
    weights_sha256: str | None
    contract: dict[str, Any]
    folds: int


class FoldImages(Struct, frozen=True):
    """Images of a fold: those that trained, those that chose the epoch, those that were held out."""

    train: int
    validation: int
    test: int


class ChosenEpoch(Struct, frozen=True):
    """The epoch whose network was judged."""

    stage: str
    epoch: int
    val_loss: float
    val_accuracy: float


class Recall(Struct, frozen=True):
    """One class; recall is None where no image is of it."""

    correct: int
    images: int
    recall: float | None
    recall_interval: Interval | None


class FoldScore(Struct, frozen=True, kw_only=True):
    """Scores of held-out images: of one fold, or of all together, where the first four are unset.

    Images that share a field count as independent ones, so the intervals (Wilson, 95 %) are somewhat too narrow.

    Attributes:
        seconds: of training. recall: by label. confusion: rows true.
    """

    fold: int | UnsetType = UNSET
    counts: FoldImages | UnsetType = UNSET
    chosen: ChosenEpoch | UnsetType = UNSET
    seconds: float | UnsetType = UNSET
    images: int
    correct: int
    accuracy: float | None
    accuracy_interval: Interval | None
    recall: dict[str, Recall]
    malignant_to_benign: int | None
    confusion: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        missed = f"malignant called benign: {safety_count(self.malignant_to_benign)}"
        return f"{percent(self.accuracy)} of {self.images} held-out images right; {missed}"


class SchemeRecord(Struct, frozen=True, kw_only=True):
    """One scheme. images: by label; fields: of the images; accuracy_range: of the worst and the best fold.

    `fields_origin`, how the fields were come by, and the versions are added by the command.
    """

    setting: SettingRecord
    images: dict[str, int]
    fields: int
    folds: tuple[FoldScore, ...]
    pooled: FoldScore
    accuracy_range: tuple[float, float]
    fields_origin: str | UnsetType = UNSET
    versions: dict[str, str] | UnsetType = UNSET
    benign: Recorded | UnsetType = UNSET


class CrossValidationRecord(Struct, frozen=True):
    """`cross_validation.json`."""

    format: int
    network: str
    schemes: dict[str, SchemeRecord]

    def benign(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The benign ones of `labels`, as the latest scheme that says so counted them; by their spelling where none
        does, in records from before it was said."""
        said = [one.benign for one in self.schemes.values() if not isinstance(one.benign, UnsetType)]
        return as_labels(said[-1]) if said else benign_labels(labels)


def score(labels: Sequence[str], confusion: npt.ArrayLike, benign: Sequence[str]) -> FoldScore:
    """Counts and shares of a confusion matrix, integer (C, C), rows true."""
    table = np.asarray(confusion, np.int64)
    accuracy = Share.counted(int(np.trace(table)), int(table.sum()))
    recall = {}
    for k, (label, row) in enumerate(zip(labels, table, strict=True)):
        one = Share.counted(int(row[k]), int(row.sum()))
        recall[label] = Recall(one.count, one.of, one.share, one.interval)
    missed = None
    if benign:
        own = np.isin(np.arange(len(labels)), indices(labels, benign))
        missed = int(table[~own][:, own].sum())
    return FoldScore(
        images=accuracy.of,
        correct=accuracy.count,
        accuracy=accuracy.share,
        accuracy_interval=accuracy.interval,
        recall=recall,
        malignant_to_benign=missed,
        confusion=tuple(tuple(row) for row in table.tolist()),
    )


def merged(path: Path, network: str, schemes: Mapping[str, SchemeRecord]) -> CrossValidationRecord:
    """The record at `path`, if there is one, with `schemes` put in place of its own of these names.

    Raises:
        CrossValidationError: what lies there is no such record, or one of another network.
    """
    entries = dict(schemes)
    if path.is_file():
        try:
            record = msgspec.json.decode(path.read_bytes(), type=CrossValidationRecord)
        except msgspec.DecodeError as error:
            raise CrossValidationError(
                f"--out must name a new file or a cross-validation record; {path} is neither: {error}"
            ) from error
        if record.format != RECORD_FORMAT:
            raise CrossValidationError(f"{path}: format must be {RECORD_FORMAT}; got {record.format}")
        if record.network != network:
            raise CrossValidationError(f"{path} is a record of {record.network}, not of {network}")
        entries = {**record.schemes, **schemes}
    return CrossValidationRecord(RECORD_FORMAT, network, {name: entries[name] for name in SCHEMES if name in entries})


def to_text(record: CrossValidationRecord) -> str:
    """The schemes beside each other, a Markdown table."""
    labels = list(next(iter(record.schemes.values())).pooled.recall)
    benign = in_words(record.benign(labels))
    recalls = " | ".join(f"recall {label}" for label in labels)
    lines = [
        f"| folds | images | accuracy, 95 % interval | worst and best fold | {recalls} | malignant called {benign} |",
        "|---" * (5 + len(labels)) + "|",
    ]
    for scheme, entry in record.schemes.items():
        pooled, (worst, best) = entry.pooled, entry.accuracy_range
        cells = [
            f"{len(entry.folds)} by {scheme}" if scheme != "random" else f"{len(entry.folds)} at random",
            str(pooled.images),
            percent_range(pooled.accuracy, pooled.accuracy_interval),
            f"{100 * worst:.2f}, {100 * best:.2f} %",
            *(percent(pooled.recall[label].recall, 1) for label in labels),
            safety_count(pooled.malignant_to_benign),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
