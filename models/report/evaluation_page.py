"""The evaluation of the shipped networks as one self-contained HTML page, for who has to sign for it.

Every number and picture comes from the records in a network's folder; what was not measured is named with the command
that measures it. No image of a data set is on the page.
"""

from collections.abc import Callable, Iterator, Sequence

from edge import RESEARCH_USE_ONLY
from models.networks.model_pair import FLOAT, INT8
from models.report.html_page import Cell, Markup, code, element, facts, image, joined, page, section, table
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


def evaluation_page(dossiers: Sequence[Dossier]) -> str:
    """The page, UTF-8 text without any reference to the outside.

    Raises:
        PageError: a record does not hold what its command writes.
    """
    title = "Evaluation of " + " and ".join(each.name for each in dossiers)
    asked: list[Markup] = []
    found: list[Markup] = []
    for each in dossiers:
        try:
            asked.extend(_asked(each))
            found.extend(_network(each))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PageError(f"the records in {each.folder} are not as their commands write them: {error!r}") from error
    body = [
        element("h1", title),
        element("p", RESEARCH_USE_ONLY, css="notice"),
        *_introduction(dossiers),
        *asked,
        *found,
    ]
    body.append(section("What this does not show", element("ul", *(element("li", line) for line in _LIMITS))))
    body.append(section("How to repeat it", *_repeat(dossiers)))
    return page(title, body)


def _introduction(dossiers: Sequence[Dossier]) -> Iterator[Markup]:
    first = dossiers[0].records["evaluation"]
    yield element(
        "p",
        f"Fields of peripheral blood smears are named {', '.join(first['labels'])}. Each number below says on how many "
        "images it rests; ranges are 95 % intervals. Float is the trained network, int8 the file that runs on the "
        "device, read there by the same code that serves.",
    )
    yield element("h2", "What was asked, and what was measured")


def _asked(each: Dossier) -> Iterator[Markup]:
    asked = goals(each.name, each.records)
    met, missed = ([g for g in asked if g.met is said] for said in (True, False))
    yield element("h3", f"{each.name}: {len(met)} demands met, {len(missed)} missed")
    yield table(("demand", "asked", "measured", ""), (_goal_row(goal) for goal in asked))


def _goal_row(goal: Goal) -> Sequence[Cell]:
    words = {True: ("\N{CHECK MARK} met", "o-pass"), False: ("\N{MULTIPLICATION X} missed", "o-fail")}
    word, css = ("not measured", "o-inconclusive") if goal.met is None else words[goal.met]
    return goal.what, goal.asked, goal.measured, element("span", word, css=css)


def _network(each: Dossier) -> Iterator[Markup]:
    yield section(
        each.name,
        *_unaltered(each),
        *_part(each, "decision", _decision),
        *_part(each, "abstention", _abstention),
        *_part(each, "robustness", _degraded),
        *_part(each, "counterfactuals", _altered),
        *_part(each, "explanations", _explained),
        *_part(each, "cross_validation", _cross_validated),
        *_made(each),
    )


def _part(each: Dossier, stem: str, write: Callable[[Dossier, Record], Iterator[Markup]]) -> Iterator[Markup]:
    if stem in each.records:
        yield from write(each, each.records[stem])
    else:
        yield element("p", f"Not measured: `{COMMANDS[stem].replace('NAME', each.name)}`.", css="note")


def _unaltered(each: Dossier) -> Iterator[Markup]:
    record = each.records["evaluation"]
    split = "no field of these is among the training images" if record["split"]["field_disjoint"] else "drawn at random"
    yield element("h3", "Fields it has not seen")
    yield element(
        "p",
        f"{record['images']} images of the {record['split']['part']} part; {split}. Float network: accuracy "
        f"{ranged(record['accuracy'], record['accuracy_interval'])}; malignant called Benign "
        f"{record['malignant_called_benign']}, Benign called malignant {record['benign_called_malignant']}.",
    )
    rows = [
        (label, str(one["images"]), _optional(one, "recall"), _optional(one, "precision"))
        for label, one in record["classes"].items()
    ]
    yield table(("class", "images", "recall", "precision"), rows, numbers=(1,))
    yield _figure(each, "evaluation_confusion.png", f"{each.name}, float: true class against verdict", css="half")


def _degraded(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "Degraded fields")
    forms = [form for form in (FLOAT, INT8) if form in record["clean"]]
    yield element(
        "p",
        f"{record['images']} images of the test part in {len(record['corruptions'])} kinds of degradation at five "
        "severities each: 1 is what a careful person may overlook, 3 what one would mend before going on, 5 what one "
        "would not judge. The network is asked about all of them here; on the device the gates refuse many.",
    )
    head = ["degradation", *(f"{form}, severity {s}" for form in forms for s in ("1 to 3", "5"))]
    rows = []
    for name, found in record["corruptions"].items():
        last = found["severities"][-1]
        cells = [
            percent(share, 1) for f in forms for share in (found["mean_usual"][f]["accuracy"], last[f]["accuracy"])
        ]
        rows.append((name.replace("_", " "), *cells))
    yield table(head, rows, numbers=range(1, len(head)))
    worst = {f: record["mean_all"][f]["malignant_to_benign"] for f in forms}
    yield element(
        "p",
        "Malignant called Benign over all degradations and severities, without gates or threshold: "
        + ", ".join(f"{form} {count}" for form, count in worst.items())
        + f" of {record['images'] * 5 * len(record['corruptions'])} verdicts.",
    )
    yield _figure(each, "robustness.png", f"{each.name}: accuracy by degradation and severity")


def _altered(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "What the verdict rests on")
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
    yield table(("altered", "", "changed", "share", "right", "mean confidence"), rows, numbers=(2, 3, 4, 5))
    yield element(
        "p",
        "A field without a white cell holds nothing that names a class: what is still right there was read from red "
        "cells, ground and lamp.",
    )
    yield _figure(each, "counterfactuals.png", f"{each.name}: verdicts that change, and confidence")


def _cross_validated(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "Cross-validation of a shortened recipe")
    epochs = {n: count for entry in record["schemes"].values() for n, count in entry["setting"]["epochs"].items()}
    yield element(
        "p",
        "Every image is judged once, by a network that did not learn from it; not the shipped network, which learned "
        f"longer. Epochs: {', '.join(f'{name} {count}' for name, count in epochs.items())}. Blocks of file numbers are "
        "the nearest stand-in for patients.",
    )
    rows = []
    for scheme, entry in record["schemes"].items():
        pooled, (worst, best) = entry["pooled"], entry["accuracy_range"]
        rows.append(
            (
                f"{len(entry['folds'])} {_SCHEMES.get(scheme, scheme)}",
                str(pooled["images"]),
                ranged(pooled["accuracy"], pooled["accuracy_interval"]),
                f"{percent(worst)} to {percent(best)}",
                _or_dash(pooled["malignant_to_benign"]),
            )
        )
    yield table(("folds", "images", "accuracy", "worst and best fold", "malignant called Benign"), rows, numbers=(1, 4))


def _decision(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "When it answers")
    thresholds = ", ".join(f"{label} {least:.4g}" for label, least in record["answer_from"].items())
    yield element(
        "p",
        f"Probabilities are calibrated with one temperature, {record['temperature']:.3g}, for float and int8. A class "
        f"is answered from these probabilities on: {thresholds}. Both were chosen on {record['images']} validation "
        "fields, as they are and degraded, so that no malignant one is answered Benign.",
    )
    rows = [
        (
            form,
            _interval(found["before"], "ece"),
            _interval(found["after"], "ece"),
            percent(record["networks"][form]["clean"]["coverage"]),
            str(record["networks"][form]["counts"]["clean_missed"]),
            f"{record['networks'][form]['counts']['every_missed']} of {record['networks'][form]['counts']['every']}",
        )
        for form, found in record["calibration"].items()
    ]
    yield table(
        (
            "validation",
            "calibration error before",
            "after",
            "fields answered",
            "malignant answered Benign",
            "with degraded forms",
        ),
        rows,
        numbers=(3, 4, 5),
    )
    yield _figure(each, "decision.png", f"{each.name}: risk against coverage on validation fields, and reliability")


def _abstention(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "The device: gates, network, threshold")
    rows: list[tuple[str, ...]] = []
    for form, one in record["fields"].items():
        refused = ", ".join(f"{_words(reason)} {share['count']}" for reason, share in one["refused_by"].items())
        right, wrong, missed = one["right"], one["wrong"], one["malignant_to_benign"]
        rows.append(
            (
                form,
                f"{right['count']} of {right['of']}",
                str(wrong["count"]),
                "-" if missed is None else str(missed["count"]),
                f"{one['refused']['count']} ({refused})" if refused else "0",
            )
        )
    yield table(("test fields", "right", "wrong", "malignant answered Benign", "no answer"), rows, numbers=(1, 2, 3))
    yield from _degraded_device(record.get("degraded", {}))
    rows = []
    for name, found in record["ood"].items():
        for form, one in found["networks"].items():
            answered = ", ".join(f"{label} {s['count']}" for label, s in one["answered"].items() if s["count"])
            novelty = found["auroc"]["gates"].get("unlike_training")
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
    if rows:
        yield element("p", "Images that are no such fields, and should get no answer:")
        head = ("set", "", "no answer", "answered", "AUROC of the novelty gate", "AUROC of confidence alone")
        yield table(head, rows, numbers=(2, 4, 5))
    yield _figure(each, "abstention.png", f"{each.name}: what the device does with fields and with other images")


def _degraded_device(record: Record) -> Iterator[Markup]:
    rows = [
        (
            f"{found['severities'][0]} to {found['severities'][-1]}",
            form,
            f"{one['right']} of {found['forms']}",
            str(one["wrong"]),
            "-" if one["malignant_to_benign"] is None else f"{one['malignant_to_benign']} of {one['malignant']}",
            f"{one['gates']} and {one['low_confidence']}",
        )
        for found in record.values()
        for form, one in found["networks"].items()
    ]
    if rows:
        yield element("p", "The same fields in every degraded form; a wrong verdict counts where it is given:")
        head = ("severities", "", "right", "wrong", "malignant answered Benign", "no answer: gates and threshold")
        yield table(head, rows, numbers=(2, 3, 4, 5))


def _explained(each: Dossier, record: Record) -> Iterator[Markup]:
    yield element("h3", "Where it looks")
    rows_, columns = record["method"]["grid"]
    yield element(
        "p",
        f"Share of the class activation map ({record['method']['name']}, {rows_} x {columns}, float network) that lies "
        "on white cells found by colour, beside their share of the field (chance) and the most such a coarse map could "
        f"reach. {record['images']} images; {record['without_white_cell']} without a white cell are left out.",
    )
    rows = [
        (
            name,
            str(group["images"]),
            *(_mean(group[key]) for key in ("cells_share", "cells_area", "best_possible")),
            *(_mean(group["controls"][key]) for key in ("other_class", "shuffled_network")),
        )
        for name, group in record["groups"].items()
    ]
    head = (
        "verdicts",
        "images",
        "on white cells",
        "chance",
        "best possible",
        "map of another class",
        "shuffled network",
    )
    yield table(head, rows, numbers=range(1, len(head)))
    yield _figure(each, "explanations.png", f"{each.name}: share of the map on white cells, beside their area")


def _figure(each: Dossier, file: str, description: str, css: str = "") -> Markup:
    """A picture beside the records, embedded; nothing where there is none."""
    path = each.folder / file
    if not path.is_file():
        return joined()
    return element("figure", image(path.read_bytes(), "png", description, css), element("figcaption", description))


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)


def _mean(record: Record) -> str:
    return "-" if record["mean"] is None else percent(record["mean"], 1)


def _interval(record: Record, key: str) -> str:
    low, high = record[f"{key}_interval"]
    return f"{record[key]:.4f} ({low:.4f} to {high:.4f})"


def _made(each: Dossier) -> Iterator[Markup]:
    training, evaluation = each.records["training"], each.records["evaluation"]
    yield element("h3", "What it is, to the byte")
    yield facts(
        [
            ("network file, sha256", code(evaluation["model_sha256"])),
            ("split, sha256", code(evaluation["split"]["sha256"])),
            ("training images", f"{training['images']['train']}, validation {training['images']['validation']}"),
            ("versions", ", ".join(f"{name} {number}" for name, number in evaluation["versions"].items())),
        ]
    )


def _repeat(dossiers: Sequence[Dossier]) -> Iterator[Markup]:
    yield element("p", "With the published images in a folder a class (`models fetch` lays a download out so):")
    lines = [
        f"{command.replace('NAME', each.name)} --data path/to/images"
        for each in dossiers
        for stem, command in COMMANDS.items()
        if stem in each.records and stem != "training"
    ]
    yield element("pre", "\n".join([*lines, "models report"]))


def _optional(score: Record, key: str) -> str:
    value, interval = score[key], score[f"{key}_interval"]
    return "-" if value is None or interval is None else ranged(value, interval)


_LIMITS = (
    "The test part was looked at more than once. A candidate for mobilenet_v2 was given up because it called three "
    "test fields of Pre Benign, and the limits of the gate against strange frames were widened when refusals on "
    "validation and on test came out above what was asked. So these figures are somewhat better than new fields would "
    "give.",
    "No diagnosis, no triage, no decision about a person. Nobody's smear has been judged with it under supervision.",
    "All images come from one laboratory and, as far as they tell, one camera. How the device behaves at another "
    "microscope is shown only in so far as it refuses fields that are unlike these.",
    "The files carry no patient: images of one patient may be on both sides of the split. Blocks of file numbers are "
    "the nearest stand-in, and no more.",
    "Degraded images are computed from published ones; a real lens, lamp or stain differs from any formula.",
    "Counts are of fields, not of cells or patients.",
)
