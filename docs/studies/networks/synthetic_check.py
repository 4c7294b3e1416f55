"""A network's answers on synthetic fields, and the contact sheet of them in the documentation.

A synthetic field says nothing about accuracy; it is asked only whether a network answers firmly on what a
fresh clone is converted and demonstrated with, and whether all its classes occur.

    python -m docs.studies.networks.synthetic_check network FOLDER
    python -m docs.studies.networks.synthetic_check sheet docs/images/synthetic_smears.png
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from docs.studies.command import Study, output, run
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import SYNTHETIC_NOTICE, SyntheticSmear, synthetic_fields
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.system.option_values import switch, whole_number
from models.errors import SyntheticCheckError

DECIDED_MARGIN = 0.1  # top-1 less top-2 probability
DECIDED_SHARE = 0.8  # of the fields, for the record to say "pass"
BATCH = 16
SHEET_SEED = 4
TILE = (224, 168)  # pixels: a field at the published scale in its 4:3 proportions
Predict = Callable[[npt.NDArray[np.float32]], Any]


def check(keras_predict: Predict, contract: InputContract, count: int = 200, seed: int = 0) -> dict[str, Any]:
    """Ask a network about synthetic fields.

    Args:
        keras_predict: float32 (N, H, W, 3) encoded by the contract -> (N, classes) probabilities; a Keras
            model's `predict`, or the model itself.
        contract: of that network.
        count: fields, >= 1; they cycle through the recipes. seed: of the fields.

    Returns:
        notice, fields, seed, decided (share with a margin >= 0.1), classes_seen (top-1, in the contract's
        order), confusion {recipe: {label: fields}}, own_class (share whose top-1 is the recipe's namesake,
        None when the contract lacks a namesake), mean_margin, verdict ("pass": decided >= 0.8 and every
        class seen, otherwise "fail").

    Raises:
        SyntheticCheckError: no fields, or what comes back is not (N, classes) probabilities.
    """
    if count < 1:
        raise SyntheticCheckError(f"count must be >= 1; got {count}")
    fields = synthetic_fields(count, seed)
    answers = _answers(keras_predict, contract, [frame for _, frame in fields])
    ordered = np.sort(answers, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    labels = [contract.labels[i] for i in answers.argmax(axis=1)]
    confusion = {name: dict.fromkeys(contract.labels, 0) for name in RECIPES}
    for (recipe, _), label in zip(fields, labels, strict=True):
        confusion[recipe][label] += 1
    decided = float(np.mean(margins >= DECIDED_MARGIN))
    seen = [label for label in contract.labels if label in labels]
    namesakes = set(RECIPES) <= set(contract.labels)
    own = [recipe == label for (recipe, _), label in zip(fields, labels, strict=True)]
    return {
        "notice": SYNTHETIC_NOTICE,
        "fields": count,
        "seed": seed,
        "decided": round(decided, 4),
        "classes_seen": seen,
        "confusion": confusion,
        "own_class": round(float(np.mean(own)), 4) if namesakes else None,
        "mean_margin": round(float(margins.mean()), 4),
        "verdict": "pass" if decided >= DECIDED_SHARE and len(seen) == len(contract.labels) else "fail",
    }


def contact_sheet(columns: int = 3, seed: int = SHEET_SEED) -> bytes:
    """A PNG of synthetic fields, a row a recipe, with the notice on it.

    Args:
        columns: fields a row, 1..8. seed: of the slides.

    Returns:
        The file's bytes (256 colours, so that the documentation stays small).
    """
    if not 1 <= columns <= 8:
        raise SyntheticCheckError(f"columns must be 1..8; got {columns}")
    from io import BytesIO

    from PIL import Image

    rows = []
    for row, name in enumerate(RECIPES):
        styles = len(RECIPES[name].styles)
        slides = [SyntheticSmear(seed + columns * row + k, name, style=k % styles) for k in range(columns)]
        frames = [_shrunk(slide.field(0, 0, (2 * TILE[0], 2 * TILE[1])).frame) for slide in slides]
        gaps = [np.pad(frame, ((0, 4), (0, 4), (0, 0)), constant_values=255) for frame in frames]
        rows.append(np.hstack([_caption(name, (26, TILE[1] + 4), turned=True), *gaps]))
    body = np.vstack(rows)
    sheet = np.vstack([_caption(SYNTHETIC_NOTICE, (body.shape[1], 26)), body])
    buffer = BytesIO()
    # The nearest of 255 colours, without dithering: a dithered picture does not compress.
    picture = Image.fromarray(sheet).quantize(255, dither=Image.Dither.NONE)
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _answers(predict: Predict, contract: InputContract, frames: list[Pixels]) -> npt.NDArray[np.float64]:
    found = []
    for first in range(0, len(frames), BATCH):
        inputs = [contract.encode(contract.prepare(f), FLOAT32) for f in frames[first : first + BATCH]]
        found.append(np.asarray(predict(np.concatenate(inputs)), dtype=np.float64))
    expected = (len(frames), len(contract.labels))
    answers = np.concatenate(found) if all(part.ndim == 2 for part in found) else np.zeros(0)
    if answers.shape != expected or not np.allclose(answers.sum(axis=1), 1, atol=0.01) or answers.min() < -1e-6:
        raise SyntheticCheckError(
            f"keras_predict must return probabilities {expected}, rows of sum 1; got shape {answers.shape}"
        )
    return answers


def _shrunk(frame: Pixels) -> Pixels:
    return cv2.resize(frame, TILE, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _caption(text: str, size: tuple[int, int], *, turned: bool = False) -> Pixels:
    """A white strip of (width, height) with dark text, read upwards when turned."""
    width, height = size[::-1] if turned else size
    strip = np.full((height, width, 3), 255, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (wide, high), _ = cv2.getTextSize(text, font, scale, 1)
    scale *= min(1.0, (width - 8) / wide)
    cv2.putText(strip, text, (6, (height + high) // 2), font, scale, (40, 40, 40), 1, cv2.LINE_AA)
    return np.ascontiguousarray(np.rot90(strip)) if turned else strip


@dataclass(frozen=True)
class SheetRequest:
    """Write the contact sheet of the documentation."""

    path: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes one PNG."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(contact_sheet())
        size = self.path.stat().st_size
        return Outcome(
            DONE, {"path": str(self.path), "bytes": size}, f"{self.path}: {size // 1000} kB, {SYNTHETIC_NOTICE}"
        )


@dataclass(frozen=True)
class CheckRequest(Study):
    """Ask a network about synthetic fields."""

    folder: Path
    count: int
    seed: int

    def execute(self) -> Outcome:
        """Exit 1 when the network is undecided on too many of them or never names one of its classes."""
        from models.networks.loading import load_network

        network, contract = load_network(self.folder)
        record = check(lambda inputs: network(inputs, training=False), contract, self.count, self.seed)
        text = "\n".join(f"{key}: {value}" for key, value in record.items())
        return self.finished(record, text, DONE if record["verdict"] == "pass" else ANSWER_IS_NO)


def sheet(path: str, json: bool = False) -> SheetRequest:
    """Draw the contact sheet of synthetic fields.

    Args:
        path: PNG to write.
        json: print the record as JSON.
    """
    return SheetRequest(Path(path), switch(json, "--json"))


def network(folder: str, count: str = "200", seed: str = "0", out: str = "", json: bool = False) -> CheckRequest:
    """Ask a network whether it is decided on synthetic fields and names every class.

    Args:
        folder: with model.keras and contract.json.
        count: fields.
        seed: of the fields.
        out: JSON to write.
        json: print the record as JSON.
    """
    fields = whole_number(count, "--count", at_least=1)
    return CheckRequest(Path(folder), fields, whole_number(seed, "--seed"), **output(out, json))


if __name__ == "__main__":
    run({"sheet": sheet, "network": network})
