"""The evaluation of the shipped networks as one self-contained HTML page, for who has to sign for it.

Every number and picture comes from the records in a network's folder; what was not measured is named with the command
that measures it. No image of a data set is on the page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge import RESEARCH_USE_ONLY
from edge.page.rendering import render_page
from edge.page.values import Picture, Table
from models.networks.model_pair import FLOAT, INT8
from models.report.model_records import COMMANDS, Dossier, PageError, Record
from models.report.requirements import Goal, goals, percent, ranged

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
        records: by file stem, as their commands wrote them. goals: what was asked, and what was measured.
        commands: by file stem, what writes the record. repeat: commands that measure again what the page shows.
        accuracy: of the float network on fields it has not seen.
        forms: those of the network that were asked about degraded fields. epochs: of cross-validation, by network.
        tables: by name; those of a record that is missing are missing too. pictures: by file name.
    """

    name: str
    records: Mapping[str, Record]
    goals: Sequence[Goal]
    commands: Mapping[str, str]
    repeat: Sequence[str]
    accuracy: str
    forms: Sequence[str]
    epochs: str
    tables: Mapping[str, Table]
    pictures: Mapping[str, Picture]


def evaluation_page(dossiers: Sequence[Dossier]) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Raises:
        PageError: a record does not hold what its command writes.
    """
    networks = []
    for each in dossiers:
        with _holes_refused(each):
            networks.append(_network(each))
    with _holes_refused(*dossiers):
        return render_page("models.report", "evaluation.html", networks=networks, notice=RESEARCH_USE_ONLY)


@contextmanager
def _holes_refused(*dossiers: Dossier) -> Iterator[None]:
    """What a record with a hole raises, as one error that names the folder."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        folders = " or ".join(str(each.folder) for each in dossiers)
        raise PageError(f"the records in {folders} are not as their commands write them: {error!r}") from error


def _network(each: Dossier) -> Network:
    records = each.records
    commands = {stem: command.replace("NAME", each.name) for stem, command in COMMANDS.items()}
    evaluation = records["evaluation"]
    return Network(
        name=each.name,
        records=records,
        goals=goals(each.name, records),
        commands=commands,
        repeat=[command for stem, command in commands.items() if stem in records and stem != "training"],
        accuracy=ranged(evaluation["accuracy"], evaluation["accuracy_interval"]),
        forms=_forms(records["robustness"]) if "robustness" in records else (),
        epochs=_epochs(records["cross_validation"]) if "cross_validation" in records else "",
        tables={name: make(records[stem]) for name, (stem, make) in _TABLES.items() if stem in records},
        pictures=_pictures(each.name, each.folder),
    )


def _pictures(name: str, folder: Path) -> dict[str, Picture]:
    """Those that lie beside the records."""
    return {
        file: Picture((folder / file).read_bytes(), "png", description.format(name))
        for file, description in _PICTURES.items()
        if (folder / file).is_file()
    }


def _forms(robustness: Record) -> list[str]:
    return [form for form in (FLOAT, INT8) if form in robustness["clean"]]


def _epochs(cross_validation: Record) -> str:
    """Of every network that takes part, whichever scheme names it."""
    schemes = cross_validation["schemes"].values()
    epochs = {name: count for entry in schemes for name, count in entry["setting"]["epochs"].items()}
    return ", ".join(f"{name} {count}" for name, count in epochs.items())


def _classes(record: Record) -> Table:
    rows = [
        (label, str(one["images"]), _optional(one, "recall"), _optional(one, "precision"))
        for label, one in record["classes"].items()
    ]
    return Table(("class", "images", "recall", "precision"), rows, numbers={1})


def _decision(record: Record) -> Table:
    head = ["validation", "calibration error before", "after", "fields answered"]
    head += ["malignant answered Benign", "with degraded forms"]
    rows = []
    for form, found in record["calibration"].items():
        network = record["networks"][form]
        counts = network["counts"]
        rows.append(
            (
                form,
                _interval(found["before"], "ece"),
                _interval(found["after"], "ece"),
                percent(network["clean"]["coverage"]),
                str(counts["clean_missed"]),
                f"{counts['every_missed']} of {counts['every']}",
            )
        )
    return Table(head, rows, numbers={3, 4, 5})


def _fields(record: Record) -> Table:
    """What the device does with the test fields."""
    rows = []
    for form, one in record["fields"].items():
        reasons = ", ".join(f"{reason.replace('_', ' ')} {n['count']}" for reason, n in one["refused_by"].items())
        right, missed = one["right"], one["malignant_to_benign"]
        rows.append(
            (
                form,
                f"{right['count']} of {right['of']}",
                str(one["wrong"]["count"]),
                "-" if missed is None else str(missed["count"]),
                f"{one['refused']['count']} ({reasons})" if reasons else "0",
            )
        )
    return Table(("test fields", "right", "wrong", "malignant answered Benign", "no answer"), rows, numbers={1, 2, 3})


def _degraded_fields(record: Record) -> Table:
    """The same with their degraded forms; no row in records from before these were asked about."""
    rows = [
        (
            f"{found['severities'][0]} to {found['severities'][-1]}",
            form,
            f"{one['right']} of {found['forms']}",
            str(one["wrong"]),
            "-" if one["malignant_to_benign"] is None else f"{one['malignant_to_benign']} of {one['malignant']}",
            f"{one['gates']} and {one['low_confidence']}",
        )
        for found in record.get("degraded", {}).values()
        for form, one in found["networks"].items()
    ]
    head = ("severities", "", "right", "wrong", "malignant answered Benign", "no answer: gates and threshold")
    return Table(head, rows, numbers={2, 3, 4, 5})


def _other_images(record: Record) -> Table:
    """What the device does with images that are no such fields."""
    rows = []
    for name, found in record["ood"].items():
        novelty = found["auroc"]["gates"].get("unlike_training")
        for form, one in found["networks"].items():
            answered = ", ".join(f"{label} {s['count']}" for label, s in one["answered"].items() if s["count"])
            rows.append(
                (
                    name,
                    form,
                    f"{one['refused']['count']} of {found['images']}",
                    answered or "none",
                    "-" if novelty is None else f"{novelty['auroc']:.4f}",
                    f"{found['auroc']['confidence'][form]['auroc']:.4f}",
                )
            )
    head = ("set", "", "no answer", "answered", "AUROC of the novelty gate", "AUROC of confidence alone")
    return Table(head, rows, numbers={2, 4, 5})


def _degradations(record: Record) -> Table:
    """Accuracy by kind of degradation."""
    forms = _forms(record)
    head = ["degradation", *(f"{form}, severity {s}" for form in forms for s in ("1 to 3", "5"))]
    rows = []
    for name, found in record["corruptions"].items():
        measured = [(found["mean_usual"][form], found["severities"][-1][form]) for form in forms]
        shares = (percent(one["accuracy"], 1) for pair in measured for one in pair)
        rows.append((name.replace("_", " "), *shares))
    return Table(head, rows, numbers=range(1, len(head)))


def _altered(record: Record) -> Table:
    """Verdicts on fields of which something was taken away or exchanged."""
    rows = [
        (
            _VIEWS.get(view, view),
            form,
            f"{one['flips']} of {one['images']}",
            percent(one["flip_share"]),
            percent(one["accuracy"], 1),
            f"{one['mean_confidence']:.3f}",
        )
        for view, found in record["views"].items()
        for form, one in found.items()
    ]
    return Table(("altered", "", "changed", "share", "right", "mean confidence"), rows, numbers={2, 3, 4, 5})


def _maps(record: Record) -> Table:
    """Shares of class activation maps on white cells."""
    head = ["verdicts", "images", "on white cells", "chance", "best possible"]
    head += ["map of another class", "shuffled network"]
    rows = [
        (
            name,
            str(group["images"]),
            *(_mean(group[key]) for key in ("cells_share", "cells_area", "best_possible")),
            *(_mean(group["controls"][key]) for key in ("other_class", "shuffled_network")),
        )
        for name, group in record["groups"].items()
    ]
    return Table(head, rows, numbers=range(1, len(head)))


def _folds(record: Record) -> Table:
    rows = []
    for scheme, entry in record["schemes"].items():
        pooled, (worst, best) = entry["pooled"], entry["accuracy_range"]
        missed = pooled["malignant_to_benign"]
        rows.append(
            (
                f"{len(entry['folds'])} {_SCHEMES.get(scheme, scheme)}",
                str(pooled["images"]),
                ranged(pooled["accuracy"], pooled["accuracy_interval"]),
                f"{percent(worst)} to {percent(best)}",
                "-" if missed is None else str(missed),
            )
        )
    return Table(
        ("folds", "images", "accuracy", "worst and best fold", "malignant called Benign"), rows, numbers={1, 4}
    )


_TABLES: dict[str, tuple[str, Callable[[Record], Table]]] = {  # name -> file stem of the record, and what makes it
    "classes": ("evaluation", _classes),
    "decision": ("decision", _decision),
    "fields": ("abstention", _fields),
    "degraded_fields": ("abstention", _degraded_fields),
    "other_images": ("abstention", _other_images),
    "degradations": ("robustness", _degradations),
    "altered": ("counterfactuals", _altered),
    "maps": ("explanations", _maps),
    "folds": ("cross_validation", _folds),
}


def _mean(record: Record) -> str:
    return "-" if record["mean"] is None else percent(record["mean"], 1)


def _interval(record: Record, key: str) -> str:
    low, high = record[f"{key}_interval"]
    return f"{record[key]:.4f} ({low:.4f} to {high:.4f})"


def _optional(score: Record, key: str) -> str:
    value, interval = score[key], score[f"{key}_interval"]
    return "-" if value is None or interval is None else ranged(value, interval)
