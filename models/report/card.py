"""Model cards, written from the records that training and evaluation left; no figure is typed by hand."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge import RESEARCH_USE_ONLY
from edge.inference.benign import as_labels, in_words
from edge.inference.contract import InputContract
from models.data.published import PUBLISHED_SPLIT
from models.errors import ModelsError
from models.evaluation.metrics import Evaluation
from models.report.card_training import training_text
from models.report.model_records import ModelRecords
from models.report.requirements import requirements
from models.statistics.formatting import number_range, percent_range, safety_count
from models.support.provenance import Provenance, SplitUsed
from models.support.records import read_record
from models.training.training_record import TrainingRecord

_NETWORKS = {
    "custom_cnn": "Three convolutions, each with batch norm, ReLU and max-pooling, then flatten, one fully connected "
    "layer and a softmax. Trained from scratch. The layer sizes are this project's own, not those of arXiv 2501.14228.",
    "mobilenet_v2": "MobileNetV2 (arXiv 1801.04381) with its head replaced by global average pooling and a softmax. "
    "The backbone started from ImageNet weights (Apache-2.0) and was fine-tuned.",
}


class CardError(ModelsError, ValueError):
    """A card that cannot be written because a record is missing. Cure: run the command the message names."""


def card(folder: Path) -> str:
    """The Markdown card of the network in `folder` (the layout of `models/trained/NAME`).

    Raises:
        CardError: `training.json` or `evaluation.json` is missing, or not as its command writes it.
    """
    training = read_record(folder / "training.json", TrainingRecord, "models train", CardError)
    evaluation = _Evaluated.read(folder / "evaluation.json")
    contract = InputContract.load(folder / "contract.json")
    benign = in_words(as_labels(evaluation.found.benign))
    random_file = folder / "evaluation_random_split.json"
    random = _Evaluated.read(random_file).found if random_file.is_file() else None
    asked = _requirements(folder) if evaluation.is_published else ""
    return "\n\n".join(
        [
            f"# {training.network}",
            f"**{RESEARCH_USE_ONLY}**",
            _NETWORKS[training.network],
            _input(contract),
            _data(training, evaluation),
            f"## Training\n\n{training_text(training, benign)}\n\n![learning curves](learning_curves.png)",
            _figures(evaluation, random),
            *([asked] if asked else []),
            *((_LIMITS, _LICENCE) if evaluation.is_published else (_OWN_LIMITS,)),
            "Written by `models card` from `contract.json` and the records in this folder.\n",
        ]
    )


@dataclass(frozen=True)
class _Evaluated:
    """An evaluation with its provenance."""

    found: Evaluation
    split: SplitUsed

    @classmethod
    def read(cls, path: Path) -> "_Evaluated":
        found = read_record(path, Evaluation, "models evaluate", CardError)
        provenance = read_record(path, Provenance, "models evaluate", CardError)
        return cls(found, provenance.split)

    @property
    def is_published(self) -> bool:
        """True when the published images, by the shipped split, are what was learned from."""
        return self.split.sha256 == hashlib.sha256(PUBLISHED_SPLIT.read_bytes()).hexdigest()


def _input(contract: InputContract) -> str:
    width, height = contract.size
    decision = ""
    if contract.decision is not None:
        least = ", ".join(
            f"{label} {p:.4g}" for label, p in zip(contract.labels, contract.decision.answer_from, strict=True)
        )
        decision = (
            f"\n\nOn the device they are calibrated with temperature {contract.decision.temperature:.3g}, and a class "
            f"is answered from this probability on: {least}. Below it, and where a gate refuses the frame, there is no "
            "answer."
        )
    return (
        f"## Input and output\n\n{width} x {height} pixels, {contract.channel_order}, whole frame ({contract.aspect}); "
        f"`pixel * {contract.scale[0]:g} + {contract.offset[0]:g}`, pixel 0..255. Output: probabilities of "
        f"{', '.join(contract.labels)}, in this order.{decision}"
    )


def _requirements(folder: Path) -> str:
    """What the project asks of a shipped network, and what was measured; "" where nothing was."""
    found = requirements(ModelRecords.read(folder))
    if all(one.met is None for one in found):
        return ""
    said = {True: "met", False: "**missed**", None: "-"}
    rows = [f"| {one.what} | {one.asked} | {one.measured} | {said[one.met]} |" for one in found]
    head = ["| asked | | measured | |", "|---|---|---|---|"]
    words = "Degraded fields, scale bars and the device as a whole, on the test part; `models report` has all of it."
    return "\n".join(["## What was asked of it", "", words, "", *head, *rows])


def _data(training: TrainingRecord, evaluation: _Evaluated) -> str:
    published, split = evaluation.is_published, evaluation.split
    images = _PUBLISHED if published else "Images of the user's own."
    absent = _ABSENT if published else ""
    disjoint = "field-disjoint" if split.field_disjoint else "random (fields overlap)"
    return (
        f"## Data\n\n{images} Split: {disjoint}, sha256 `{split.sha256[:16]}`. Training "
        f"{training.images.train} images, validation {training.images.validation} (early stopping, "
        f"temperature and thresholds), {split.part} {evaluation.found.images}.{absent}"
    )


def _figures(evaluation: _Evaluated, random: Evaluation | None) -> str:
    found, benign = evaluation.found, in_words(as_labels(evaluation.found.benign))
    lines = [
        "## Figures",
        "",
        f"{found.images} images of the {evaluation.split.part} part, float network, 95 % intervals:",
        "",
        f"- accuracy {percent_range(found.accuracy, found.accuracy_interval)}",
        f"- macro F1 {found.macro_f1:.4f}; expected calibration error {found.ece:.4f}",
        f"- malignant called {benign}: {safety_count(found.malignant_called_benign)}; "
        f"{benign} called malignant: {safety_count(found.benign_called_malignant)}",
    ]
    if random is not None:
        lines.append(
            "- the same network with an earlier recipe, trained and judged on a random split "
            f"({random.images} images), for comparison with published work only: "
            f"{percent_range(random.accuracy, random.accuracy_interval)}"
        )
    lines += ["", "| class | images | precision | recall | F1 |", "|---|---|---|---|---|"]
    for label, one in found.classes.items():
        scores = (
            number_range(one.precision, one.precision_interval),
            number_range(one.recall, one.recall_interval),
            number_range(one.f1, one.f1_interval),
        )
        lines.append(f"| {label} | {one.images} | {' | '.join(scores)} |")
    lines += ["", "![confusion matrix](evaluation_confusion.png)"]
    return "\n".join(lines)


_PUBLISHED = (
    "Peripheral blood smear fields of the acute lymphoblastic leukemia image data set (Kaggle `mehradaria/leukemia`, "
    "'Original' half; doi 10.34740/KAGGLE/DSV/2175623, doi 10.1002/int.22753)."
)
_ABSENT = (
    " The published set has 408 further files that were not at hand; they are on the test side of the split and in "
    "none of these figures. A dark speck at the same place in nearly every image says that one camera took them all."
)

_LIMITS = """## Limits, and what it must not be used for

- No diagnosis, no triage, no decision about a person. Nobody's smear has been judged with it under supervision.
- The images come from one laboratory. Mean and deviation of three colour channels nearly separate the classes there, so
  this accuracy says little about another microscope, stain or camera.
- The files carry no patient: images of one patient may be on both sides of the split.
- By itself it names every field as one of four classes, also a field of something else: an ordinary smear, another
  leukemia, an empty slide. On the device a gate refuses what is unlike the training images; it tells laboratories apart
  and no new diseases in the same colours. A leukemia field of another laboratory called Benign is the failure to fear.
- Fields, not cells and not patients: counts of fields are no blast percentage.
- The test part was looked at more than once (docs/experiments): figures on it are somewhat better than new fields would
  give."""

_OWN_LIMITS = """## Limits, and what it must not be used for

- No diagnosis, no triage, no decision about a person.
- The figures hold for images like those it was judged on; nothing is known about another microscope, stain or camera.
- It names every image as one of its classes, also an image of something else."""

_LICENCE = """## Licence

The weights are published under Apache-2.0. The authors of the images ask that the images not be redistributed and that
they be cited; no image is in this repository."""
