"""The `convert summary` command: the figures of the shipped networks as a table, from the files that hold them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.inference.benign import as_labels, in_words
from edge.system.files import write_whole
from edge.system.option_values import optional_path
from models.data.published import TRAINED, bundles, trained
from models.statistics.formatting import percent, percent_range, safety_count

BEGIN, END = "<!-- summary:begin -->", "<!-- summary:end -->"
# Accuracy in percent on the authors' own random split (arXiv 2501.14228); their split and layer sizes are not known.
PUBLISHED_PERCENT = {"mobilenet_v2": 99.69, "custom_cnn": 98.6}


class SummaryError(ConvertError, ValueError):
    """A document without a place for the table, or a shipped record that is missing. Cure: what the message names."""


@dataclass(frozen=True)
class SummaryRequest:
    """The figures of the shipped networks as one table, from the files that hold them.

    >>> summary(check="README.md").check
    PosixPath('README.md')
    """

    check: Path | None
    write: Path | None
    json: bool

    def execute(self) -> Outcome:
        """With `check`, exit 1 when the document's table is not the files'; with `write`, put it there."""
        table = shipped_table()
        if self.check is not None and table_in(self.check.read_text(encoding="utf-8")) != table:
            return Outcome(ANSWER_IS_NO, {"current": False}, f"{self.check}: its table is not the files'")
        if self.write is not None:
            text = self.write.read_text(encoding="utf-8")
            write_whole(self.write, with_table(text, table))
        return Outcome(DONE, {"rows": shipped_rows()}, table)


def shipped_rows() -> list[dict[str, Any]]:
    """One record a shipped network, from its evaluations and its bundle's certificate."""
    rows = []
    for name in TRAINED:
        float_side = _read(trained(name) / "evaluation.json")
        random = _read(trained(name) / "evaluation_random_split.json")
        robustness, views = _read(trained(name) / "robustness.json"), _read(trained(name) / "counterfactuals.json")
        device = _read(trained(name) / "abstention.json")
        blocks = _read(trained(name) / "cross_validation.json")["schemes"]["blocks"]["pooled"]
        certificate = _read(bundles() / f"{name}-int8" / "certificate.json")
        parity = certificate["parity"]
        same = {"robustness": robustness, "counterfactuals": views, "abstention": device}
        _check_same_images(name, float_side, same, certificate["evaluation"]["images"])
        rows.append(
            {
                "name": name,
                "benign": float_side["benign"],
                "images": float_side["images"],
                "accuracy_float": float_side["accuracy"],
                "accuracy_float_interval": float_side["accuracy_interval"],
                "malignant_called_benign": float_side["malignant_called_benign"],
                "accuracy_int8": parity["accuracy_int8"],
                "accuracy_int8_interval": parity["accuracy_int8_interval"],
                "agreement": parity["agreement"],
                "malignant_to_benign": parity["malignant_to_benign"],
                "blocks": blocks["images"],
                "accuracy_blocks": blocks["accuracy"],
                "accuracy_blocks_interval": blocks["accuracy_interval"],
                "malignant_called_benign_blocks": blocks["malignant_to_benign"],
                "accuracy_random_split": random["accuracy"],
                "accuracy_random_split_interval": random["accuracy_interval"],
                "degraded": {form: robustness["mean_usual"][form]["accuracy"] for form in ("float", "int8")},
                "bars_changed": views["views"]["bars_exchanged"]["int8"]["flip_share"],
                "confidence": views["clean"]["int8"]["mean_confidence"],
                "confidence_without_cells": views["views"]["no_white_cell"]["int8"]["mean_confidence"],
                "device": {
                    key: device["fields"]["int8"][key]["count"]
                    for key in ("right", "wrong", "refused", "malignant_to_benign")
                },
                "device_degraded": device["degraded"]["all"]["networks"]["int8"],
                "no_answer": {
                    folder: (found["networks"]["int8"]["refused"]["count"], found["images"])
                    for folder, found in device["ood"].items()
                },
                "published_percent": PUBLISHED_PERCENT[name],
                "bytes": certificate["int8_model"]["bytes"],
                "speed_up": certificate["latency"]["ratio"],
                "verdict": certificate["verdict"],
            }
        )
    return rows


def _check_same_images(
    name: str, evaluation: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], certified_images: int
) -> None:
    """Refuse records of a network (others by file stem) that are of different images: the table calls them the same."""

    def images(record: Mapping[str, Any]) -> tuple[str, str, int]:
        return record["split"]["sha256"], record["split"]["part"], record["images"]

    for stem, record in others.items():
        if images(record) != images(evaluation):
            raise SummaryError(f"{stem}.json and evaluation.json of {name} are of different images; measure both anew")
    if certified_images != evaluation["images"]:
        raise SummaryError(
            f"evaluation.json of {name} is of {evaluation['images']} images and its bundle's certificate of "
            f"{certified_images}; measure both on the same images"
        )


def shipped_table() -> str:
    """`shipped_rows` as Markdown, networks as columns."""
    rows = shipped_rows()

    def line(title: str, cells: Sequence[str]) -> str:
        return f"| {title} | " + " | ".join(cells) + " |"

    benign = " / ".join(sorted({in_words(as_labels(row["benign"])) for row in rows}))
    images, blocks = (" / ".join(sorted({str(row[key]) for row in rows})) for key in ("images", "blocks"))
    return "\n".join(
        [
            line("", [row["name"] for row in rows]),
            "|---|" + "---|" * len(rows),
            line(
                f"accuracy, float, field-disjoint test split ({images} images)",
                [_with_interval(row, "accuracy_float") for row in rows],
            ),
            line("accuracy, int8, same images", [_with_interval(row, "accuracy_int8") for row in rows]),
            line("top-1 agreement, float and int8", [percent(row["agreement"]) for row in rows]),
            line(
                f"malignant images the float network calls {benign}",
                [safety_count(row["malignant_called_benign"]) for row in rows],
            ),
            line(
                f"malignant images that turn {benign} by quantization",
                [safety_count(row["malignant_to_benign"]) for row in rows],
            ),
            line(
                f"accuracy, float, a shorter recipe, cross-validated by blocks of file numbers ({blocks} images)",
                [_with_interval(row, "accuracy_blocks") for row in rows],
            ),
            line(
                f"malignant images it calls {benign} there",
                [safety_count(row["malignant_called_benign_blocks"]) for row in rows],
            ),
            line(
                "accuracy, float, random split (an earlier recipe)",
                [_with_interval(row, "accuracy_random_split") for row in rows],
            ),
            line(
                "published (arXiv 2501.14228, its own random split)",
                [f"{row['published_percent']} %" for row in rows],
            ),
            line(
                "accuracy on degraded fields, severities 1 to 3, float and int8",
                [" and ".join(percent(share) for share in row["degraded"].values()) for row in rows],
            ),
            line(
                "verdicts that change when scale bars are exchanged between classes, int8",
                [percent(row["bars_changed"]) for row in rows],
            ),
            line(
                "mean confidence, and with the white cells painted out, int8",
                [f"{row['confidence']:.2f}, {row['confidence_without_cells']:.2f}" for row in rows],
            ),
            line(
                "the device (gates, int8, threshold) on the test images: right, wrong, no answer",
                ["{right}, {wrong}, {refused}".format(**row["device"]) for row in rows],
            ),
            line(
                f"malignant images it answers {benign}",
                [safety_count(row["device"]["malignant_to_benign"]) for row in rows],
            ),
            line(
                "the same of their degraded forms, severities 1 to 5",
                [
                    safety_count(row["device_degraded"]["malignant_to_benign"], row["device_degraded"]["malignant"])
                    for row in rows
                ],
            ),
            *(
                line(
                    f"no answer to images of `{folder}`, which are no such fields",
                    ["{} of {}".format(*row["no_answer"][folder]) for row in rows],
                )
                for folder in rows[0]["no_answer"]
            ),
            line("int8 file", [f"{row['bytes'] / 1e6:.2f} MB" for row in rows]),
            line(
                "int8 against float TFLite, one thread",
                [f"{row['speed_up']:.1f} times as fast" for row in rows],
            ),
            line("verdict of the default policy", [row["verdict"] for row in rows]),
        ]
    )


def table_in(text: str) -> str:
    """The table between a document's markers."""
    before, begin, rest = text.partition(BEGIN)
    table, end, _ = rest.partition(END)
    if not begin or not end:
        raise SummaryError(f"the document must hold {BEGIN} and {END}; got neither or one in {len(before)} characters")
    return table.strip()


def with_table(text: str, table: str) -> str:
    """The document with `table` between its markers."""
    table_in(text)
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SummaryError(f"{path.name} of {path.parent.name} cannot be read: {error}") from error
    return record


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    return percent_range(row[name], row[f"{name}_interval"])


def summary(*, check: str = "", write: str = "", json: bool = False) -> SummaryRequest:
    """Print the figures of the shipped networks as one table, from their evaluation and certificate files.

    Args:
        check: document whose table must be current; exit 1 when it is not.
        write: document to put the table into, between its markers.
        json: print the rows as JSON.
    """
    return SummaryRequest(optional_path(check), optional_path(write), json)
