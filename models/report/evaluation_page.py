"""The evaluation of the shipped networks as one self-contained HTML page, for who has to sign for it.

Every number and picture comes from the records in a network's folder; what was not measured is named with the command
that measures it. No image of a data set is on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from msgspec import UnsetType

from edge import RESEARCH_USE_ONLY
from edge.inference.benign import as_labels, in_words
from edge.inference.gates.gates_file import GatesFile
from edge.inference.gates.novelty import NAME as NOVELTY
from edge.inference.gates.quality import QUALITY
from edge.page.html.rendering import render_page
from edge.page.html.values import Picture, Table
from models.decision.abstention_record import AbstentionRecord
from models.decision.decision_record import DecisionRecord
from models.evaluation.counterfactuals import CounterfactualRecord
from models.evaluation.explanations import ExplanationRecord, Mean
from models.evaluation.metrics import Evaluation
from models.evaluation.robustness import RobustnessRecord
from models.report.model_records import FILES, ModelRecords, PageError
from models.report.requirements import Requirement, requirements
from models.statistics.formatting import number_range, percent, percent_range, safety_count
from models.training.cross_validation_record import CrossValidationRecord

Record = TypeVar("Record")
_VIEWS = {
    "bars_exchanged": "scale bars exchanged between classes",
    "bars_painted_out": "scale bars painted out",
    "corner_alone": "the bar's corner alone",
    "no_white_cell": "white cells painted out",
    "as_much_elsewhere": "as much painted out elsewhere (control)",
    "white_cells_alone": "white cells alone",
}
_SCHEMES = {"random": "at random", "fields": "by microscope fields", "blocks": "by blocks of file numbers"}
_PICTURES = {
    "evaluation_confusion.png": "{}, float: true class against verdict",
    "decision.png": "{}: risk against coverage on validation fields, and reliability",
    "abstention.png": "{}: what the device does with fields and with other images",
    "robustness.png": "{}: accuracy by degradation and severity",
    "counterfactuals.png": "{}: verdicts that change, and confidence",
    "explanations.png": "{}: share of the map on white cells, beside their area",
}


@dataclass(frozen=True)
class Network:
    """What the page says about one network.

    Attributes:
        records: as their commands wrote them. requirements: what was asked, and what was measured.
        commands: by file stem, what writes the record. repeat: commands that measure again what the page shows.
        benign: the benign labels in words. missed: malignant called so and the other way round, or "not counted".
        accuracy: of the float network on fields it has not seen. epochs: of cross-validation, by network.
        tables: by name; those of a record that is missing are missing too. pictures: by file name.
    """

    name: str
    records: ModelRecords
    benign: str
    missed: tuple[str, str]
    requirements: Sequence[Requirement]
    commands: dict[str, str]
    repeat: Sequence[str]
    accuracy: str
    epochs: str
    tables: dict[str, Table]
    pictures: dict[str, Picture]


def evaluation_page(networks: Sequence[ModelRecords]) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Raises:
        PageError: a record lacks a network, a view or a control that its command writes.
    """
    try:
        shown = [_network(each) for each in networks]
    except LookupError as error:
        folders = " or ".join(str(each.folder) for each in networks)
        raise PageError(f"the records in {folders} are not as their commands write them: {error!r}") from error
    return render_page("models.report", "evaluation.html", networks=shown, notice=RESEARCH_USE_ONLY)


def _network(records: ModelRecords) -> Network:
    commands = {stem: file.command.replace("NAME", records.name) for stem, file in FILES.items()}
    evaluation = records.evaluation
    return Network(
        name=records.name,
        records=records,
        benign=in_words(as_labels(evaluation.benign)),
        missed=(safety_count(evaluation.malignant_called_benign), safety_count(evaluation.benign_called_malignant)),
        requirements=requirements(records),
        commands=commands,
        repeat=[c for stem, c in commands.items() if stem != "training" and getattr(records, stem) is not None],
        accuracy=percent_range(evaluation.accuracy, evaluation.accuracy_interval),
        epochs="" if records.cross_validation is None else _epochs(records.cross_validation),
        tables=_tables(records),
        pictures=_pictures(records.name, records.folder),
    )


def _tables(records: ModelRecords) -> dict[str, Table]:
    tables = {"classes": _classes(records.evaluation)}
    if records.decision is not None:
        tables["decision"] = _decision(records.decision)
    if records.gates is not None:
        tables["gates"] = _gates(records.gates)
    if records.abstention is not None:
        tables["fields"] = _fields(records.abstention)
        tables["degraded_fields"] = _degraded_fields(records.abstention)
        tables["other_images"] = _other_images(records.abstention)
    if records.robustness is not None:
        tables["degradations"] = _degradations(records.robustness)
    if records.counterfactuals is not None:
        tables["altered"] = _altered(records.counterfactuals)
    if records.explanations is not None:
        tables["maps"] = _maps(records.explanations)
    if records.cross_validation is not None:
        tables["folds"] = _folds(records.cross_validation)
    return tables


def _pictures(name: str, folder: Path) -> dict[str, Picture]:
    """Those that lie beside the records."""
    return {
        file: Picture((folder / file).read_bytes(), "png", description.format(name))
        for file, description in _PICTURES.items()
        if (folder / file).is_file()
    }


def _epochs(cross_validation: CrossValidationRecord) -> str:
    """Of every network that takes part, whichever scheme names it."""
    schemes = cross_validation.schemes.values()
    epochs = {name: count for entry in schemes for name, count in entry.setting.epochs.items()}
    return ", ".join(f"{name} {count}" for name, count in epochs.items())


def _classes(record: Evaluation) -> Table:
    rows = [
        (
            label,
            str(one.images),
            percent_range(one.recall, one.recall_interval),
            percent_range(one.precision, one.precision_interval),
        )
        for label, one in record.classes.items()
    ]
    return Table(("class", "images", "recall", "precision"), rows, numbers={1})


def _decision(record: DecisionRecord) -> Table:
    head = ["validation", "calibration error before", "after", "fields answered"]
    head += [f"malignant answered {in_words(as_labels(record.benign))}", "with degraded forms"]
    rows = []
    for form, found in record.calibration.items():
        network = record.networks[form]
        rows.append(
            (
                form,
                number_range(found.before.ece, found.before.ece_interval),
                number_range(found.after.ece, found.after.ece_interval),
                percent(network.clean.coverage),
                safety_count(network.counts.clean_missed),
                safety_count(network.counts.every_missed, network.counts.every),
            )
        )
    return Table(head, rows, numbers={3, 4, 5})


def _fields(record: AbstentionRecord) -> Table:
    """What the device does with the test fields."""
    rows = []
    for form, one in record.fields.items():
        reasons = ", ".join(f"{reason.replace('_', ' ')} {share.count}" for reason, share in one.refused_by.items())
        missed = one.malignant_to_benign
        rows.append(
            (
                form,
                f"{one.right.count} of {one.right.of}",
                str(one.wrong.count),
                safety_count(None if missed is None else missed.count),
                f"{one.refused.count} ({reasons})" if reasons else "0",
            )
        )
    head = ("test fields", "right", "wrong", f"malignant answered {in_words(as_labels(record.benign))}", "no answer")
    return Table(head, rows, numbers={1, 2, 3})


def _gates(file: GatesFile) -> Table:
    """Limits of the device's gates, and what each refused of the images it was set on and of those held back."""
    judged = {} if file.judged is None else file.judged.by_gate
    rows = [
        (
            name,
            f"at {'most' if QUALITY[name].is_ceiling else 'least'} {entry.limit:g} {QUALITY[name].unit}",
            f"{entry.refused} of {entry.images}",
            str(judged.get(name, "-")),
        )
        for name, entry in file.quality.items()
    ]
    for family, numbers in file.novelty.items():
        refused = "-" if numbers.images is None else f"{numbers.refused} of {numbers.images}"
        limit = f"distance at most {numbers.limit:g}, {len(numbers.prototypes)} prototypes"
        rows.append((f"{NOVELTY}: {family}", limit, refused, str(judged.get(NOVELTY, "-"))))
    held_back = "held-back images" if file.judged is None else f"of {file.judged.images} held-back images"
    return Table(("gate", "passes", "refused of the images it was set on", held_back), rows, numbers={3})


def _degraded_fields(record: AbstentionRecord) -> Table:
    """The same with their degraded forms; no row in records from before these were asked about."""
    degraded = {} if isinstance(record.degraded, UnsetType) else record.degraded
    rows = [
        (
            f"{found.severities[0]} to {found.severities[-1]}",
            form,
            f"{one.right} of {found.forms}",
            str(one.wrong),
            safety_count(one.malignant_to_benign, one.malignant),
            f"{one.gates} and {one.low_confidence}",
        )
        for found in degraded.values()
        for form, one in found.networks.items()
    ]
    missed = f"malignant answered {in_words(as_labels(record.benign))}"
    head = ("severities", "", "right", "wrong", missed, "no answer: gates and threshold")
    return Table(head, rows, numbers={2, 3, 4, 5})


def _other_images(record: AbstentionRecord) -> Table:
    """What the device does with images that are no such fields."""
    rows = []
    for name, found in record.ood.items():
        auroc = found.auroc
        if isinstance(auroc.confidence, UnsetType) or isinstance(auroc.gates, UnsetType):
            continue  # a folder without images
        novelty = auroc.gates.get("unlike_training")
        for form, one in found.networks.items():
            answered = ", ".join(f"{label} {share.count}" for label, share in one.answered.items() if share.count)
            rows.append(
                (
                    name,
                    form,
                    f"{one.refused.count} of {found.images}",
                    answered or "none",
                    "-" if novelty is None else f"{novelty.auroc:.4f}",
                    f"{auroc.confidence[form].auroc:.4f}",
                )
            )
    head = ("set", "", "no answer", "answered", "AUROC of the novelty gate", "AUROC of confidence alone")
    return Table(head, rows, numbers={2, 4, 5})


def _degradations(record: RobustnessRecord) -> Table:
    """Accuracy by kind of degradation."""
    forms = record.clean.forms
    head = ["degradation", *(f"{form}, severity {s}" for form in forms for s in ("1 to 3", "5"))]
    rows = []
    for name, found in record.corruptions.items():
        accuracies = [
            share
            for form in forms
            for share in (found.mean_usual.forms[form].accuracy, found.severities[-1].forms[form].accuracy)
        ]
        rows.append((name.replace("_", " "), *(percent(share, 1) for share in accuracies)))
    return Table(head, rows, numbers=range(1, len(head)))


def _altered(record: CounterfactualRecord) -> Table:
    """Verdicts on fields of which something was taken away or exchanged."""
    rows = [
        (
            _VIEWS.get(view, view),
            form,
            f"{one.flips} of {one.images}",
            percent(one.flip_share),
            percent(one.accuracy, 1),
            f"{one.mean_confidence:.3f}",
        )
        for view, found in record.views.items()
        for form, one in found.items()
    ]
    return Table(("altered", "", "changed", "share", "right", "mean confidence"), rows, numbers={2, 3, 4, 5})


def _maps(record: ExplanationRecord) -> Table:
    """Shares of class activation maps on white cells."""
    head = ["verdicts", "images", "on white cells", "chance", "best possible"]
    head += ["map of another class", "shuffled network"]
    rows = []
    for name, group in record.groups.items():
        means: list[Mean] = [group.cells_share, group.cells_area, group.best_possible]
        means += [group.controls["other_class"], group.controls["shuffled_network"]]
        rows.append((name, str(group.images), *(percent(mean.mean, 1) for mean in means)))
    return Table(head, rows, numbers=range(1, len(head)))


def _folds(record: CrossValidationRecord) -> Table:
    rows = []
    for scheme, entry in record.schemes.items():
        pooled, (worst, best) = entry.pooled, entry.accuracy_range
        rows.append(
            (
                f"{len(entry.folds)} {_SCHEMES.get(scheme, scheme)}",
                str(pooled.images),
                percent_range(pooled.accuracy, pooled.accuracy_interval),
                f"{percent(worst)} to {percent(best)}",
                safety_count(pooled.malignant_to_benign),
            )
        )
    missed = f"malignant called {in_words(record.benign(list(next(iter(record.schemes.values())).pooled.recall)))}"
    return Table(("folds", "images", "accuracy", "worst and best fold", missed), rows, numbers={1, 4})
