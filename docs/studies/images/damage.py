"""Damaged image files: how many does OpenCV decode all the same, and how many of those does the reader refuse?

    python -m docs.studies.images.damage run --sound FOLDERS --data IMAGES --out docs/reference/image_damage.json
    python -m docs.studies.images.damage table docs/reference/image_damage.json

Drawn fields of 640 x 480 in every format are damaged as disks, cards and copies damage files. Counted is damage that
OpenCV decodes to other pixels than the sound file's: what a reader without checks would classify. The images of the
folders, which are sound, must all be read, to the pixels that OpenCV gives; the same run times both readers. Of JPEGs
of IMAGES, a folder a class, one byte each is changed, and what is not refused is shown to gates and network: does an
answer become another?
"""

import json as json_format
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np

from docs.studies.command import Study, output, run
from edge.cameras.synthetic.smear import synthetic_fields
from edge.commands.command_line import Outcome
from edge.errors import DONE, ImageFileError, UsageError
from edge.inference.answer import Answer, answer_frame
from edge.inference.contract import Pixels
from edge.inference.decision import LOW_CONFIDENCE
from edge.inference.images import decode_image, image_files_in
from edge.serving.serve import serve
from edge.settings.model import ModelSettings
from edge.settings.trusted_keys import machine_keys
from edge.system.option_values import one_of, optional_path, whole_number
from models.data.dataset import scan
from models.data.published import LABELS, bundles

FIELDS, TRIALS, SEED, BLOCK = 8, 200, 0, 4096
COST_FIELDS = 3
PARTS = ("rows", "sound", "cost", "answers")
ANSWER_TRIALS = 1  # bytes changed in a file, each in a copy of its own
NETWORK = "mobilenet_v2-int8"
Damage = Callable[[bytearray, np.random.Generator], None]
_PROGRESSIVE, _RESTART = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 40]
FORMATS: dict[str, tuple[str, list[int]]] = {
    "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92]),
    "jpeg, progressive": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92, *_PROGRESSIVE]),
    "jpeg, restart markers": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92, *_RESTART]),
    "png": (".png", []),
    "bmp": (".bmp", []),
    "tiff, uncompressed": (".tif", [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
    "tiff, lzw": (".tif", [cv2.IMWRITE_TIFF_COMPRESSION, 5]),
    "tiff, deflate": (".tif", [cv2.IMWRITE_TIFF_COMPRESSION, 8]),
}


def _zeros(length: int, align: int) -> Damage:
    def damage(data: bytearray, rng: np.random.Generator) -> None:
        at = int(rng.integers(0, max(1, (len(data) - length) // align))) * align
        data[at : at + length] = bytes(min(length, len(data) - at))

    return damage


def _foreign(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(0, max(1, len(data) // BLOCK))) * BLOCK
    count = min(BLOCK, len(data) - at)
    data[at : at + count] = rng.bytes(count)


def _byte(data: bytearray, rng: np.random.Generator) -> None:
    data[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))


def _bit(data: bytearray, rng: np.random.Generator) -> None:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(100, len(data))) :]


def _cut_filled(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(1, max(2, len(data) // BLOCK))) * BLOCK
    data[at:] = bytes(len(data) - at)


DAMAGES: dict[str, Damage] = {
    "lost block (4096 zeros, aligned)": _zeros(BLOCK, BLOCK),
    "hole of 4096 zeros anywhere": _zeros(BLOCK, 1),
    "hole of 512 zeros anywhere": _zeros(512, 1),
    "another file's block (4096 bytes, aligned)": _foreign,
    "one byte changed": _byte,
    "one bit flipped": _bit,
    "cut short": _cut,
    "rest is zeros from a block on": _cut_filled,
}


@dataclass(frozen=True)
class DamageStudy(Study):
    """Damage drawn fields, and read sound images."""

    sound: tuple[Path, ...]
    trials: int
    data: Path | None
    parts: tuple[str, ...]

    def execute(self) -> Outcome:
        """Counts by format and damage; exit code 1 where a sound image is refused."""
        record: dict[str, Any] = {"machine": platform.machine(), "opencv": cv2.__version__, "trials": self.trials}
        if self.out is not None and self.out.exists() and set(self.parts) != set(PARTS):
            record |= json_format.loads(self.out.read_text())  # its other parts stay
        fields = drawn(FIELDS)
        if "rows" in self.parts:
            files = {form: [_encoded(field, form) for field in fields] for form in FORMATS}
            record["rows"] = [_row(form, name, files[form], self.trials) for form in FORMATS for name in DAMAGES]
        if "sound" in self.parts:
            record["sound"] = _sound([path for folder in self.sound for path in image_files_in(folder)])
        if "cost" in self.parts:
            record["cost"] = _cost(fields)
        if "answers" in self.parts:
            if self.data is None:
                raise UsageError("--data must be a folder of images, a folder a class, for the part answers")
            record["answers"] = _answers(self.data)
        wrong = "sound" in record and (record["sound"]["refused"] or record["sound"]["other_pixels"])
        return self.finished(record, f"{', '.join(self.parts)}: done", code=int(bool(wrong)))


def drawn(count: int) -> list[Pixels]:
    """The fields that are damaged."""
    return [frame for _, frame in synthetic_fields(count, SEED)]


def _encoded(field: Pixels, form: str) -> bytes:
    suffix, options = FORMATS[form]
    done, data = cv2.imencode(suffix, field[..., ::-1], options)
    assert done
    return data.tobytes()


def _opencv(data: bytes) -> Any:
    """What a reader without checks gets, uint8 (H, W, 3) RGB; None for nothing."""
    with suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return None


def _row(form: str, name: str, files: list[bytes], trials: int) -> dict[str, Any]:
    """One kind of damage to one format. `missed_share`: of the pixels that a missed damage changes, the median."""
    rng = np.random.default_rng([SEED, list(FORMATS).index(form), list(DAMAGES).index(name)])
    decoded = refused = 0
    missed: list[float] = []
    sound = [_opencv(file) for file in files]
    for trial in range(trials):
        data = bytearray(files[trial % len(files)])
        DAMAGES[name](data, rng)
        before, after = sound[trial % len(files)], _opencv(bytes(data))
        if after is None or np.array_equal(after, before):
            continue
        decoded += 1
        try:
            decode_image(bytes(data), "field")
        except ImageFileError:
            refused += 1
        else:
            missed.append(float((after != before).any(-1).mean()) if after.shape == before.shape else 1.0)
    share = {"missed_share": round(median(missed), 4)} if missed else {}
    return {"format": form, "damage": name, "decoded": decoded, "refused": refused, **share}


def _sound(paths: list[Path]) -> dict[str, Any]:
    refused, other, checked_s, plain_s = [], 0, 0.0, 0.0
    for path in paths:
        data = path.read_bytes()
        start = perf_counter()
        plain = _opencv(data)
        plain_s += perf_counter() - start
        start = perf_counter()
        try:
            frame = decode_image(data, path.name)
        except ImageFileError as error:
            refused.append(f"{path.name}: {error.reason}")
            continue
        checked_s += perf_counter() - start
        other += not np.array_equal(frame, plain)
    return {"images": len(paths), "refused": refused, "other_pixels": other} | (
        {"ms_checked": round(1e3 * checked_s / len(paths), 3), "ms_opencv": round(1e3 * plain_s / len(paths), 3)}
        if paths
        else {}
    )


def _answers(data: Path) -> dict[str, Any]:
    """What gates and network say of JPEGs in which one byte was changed, and of the sound files.

    `refused_by_reader`: as damaged. Of the others: `same` answer, `gate` refuses it, `unsure`, `other` class; of the
    malignant among them `to_benign`.
    """
    served = serve(ModelSettings(bundle=bundles() / NETWORK), trust=machine_keys(), allow_unsigned=True)
    classifier, gates, contract = served.classifier, served.gates, served.bundle.contract
    rng = np.random.default_rng([SEED, 99])
    counts = dict.fromkeys(("damaged", "refused_by_reader", "same", "gate", "unsure", "other", "to_benign"), 0)

    def said(file: bytes) -> Answer:
        return answer_frame(gates, classifier, contract.prepare(decode_image(file, "field")))

    for sample in scan(data, LABELS).samples:
        if sample.path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        sound = sample.path.read_bytes()
        before = said(sound)
        for _ in range(ANSWER_TRIALS if before.label is not None else 0):
            changed = bytearray(sound)
            _byte(changed, rng)
            after = _opencv(bytes(changed))
            if after is None or np.array_equal(after, _opencv(sound)):
                continue
            counts["damaged"] += 1
            try:
                found = said(bytes(changed))
            except ImageFileError:
                counts["refused_by_reader"] += 1
                continue
            if found.label is None:
                counts["unsure" if found.reason == LOW_CONFIDENCE else "gate"] += 1
            elif found.label == before.label:
                counts["same"] += 1
            else:
                counts["other"] += 1
                counts["to_benign"] += found.label in contract.benign_labels
    return counts


def _cost(fields: list[Pixels]) -> dict[str, Any]:
    """Milliseconds of processor time to read one drawn field, with and without checks: minima of interleaved runs."""
    cost = {}
    for form in FORMATS:
        files = [_encoded(field, form) for field in fields[:COST_FIELDS]]
        times: dict[str, list[float]] = {"checked": [], "opencv": []}
        for round_ in range(6):
            for file in files:
                for name, read in (("checked", lambda d: decode_image(d, "")), ("opencv", _opencv)):
                    start = process_time()
                    read(file)
                    if round_:
                        times[name].append(1e3 * (process_time() - start))
        cost[form] = {f"ms_{name}": round(min(found), 2) for name, found in times.items()}
    return cost


def table(path: str) -> str:
    """Rows of a table in Markdown: files refused of those that OpenCV decodes to other pixels."""
    record = json_format.loads(Path(path).read_text())
    found = {(row["format"], row["damage"]): row for row in record["rows"]}
    lines = ["| damage | " + " | ".join(FORMATS) + " |", "|---" * (len(FORMATS) + 1) + "|"]
    for name in DAMAGES:
        cells = [found[form, name] for form in FORMATS]
        lines.append(f"| {name} | " + " | ".join(f"{c['refused']} of {c['decoded']}" for c in cells) + " |")
    cost = [record["cost"][form] for form in FORMATS]
    lines.append(
        "| ms of processor time a sound file, read with checks | "
        + " | ".join(f"{c['ms_checked']:.1f}" for c in cost)
        + " |"
    )
    lines.append("| ms by OpenCV alone | " + " | ".join(f"{c['ms_opencv']:.1f}" for c in cost) + " |")
    return "\n".join(lines)


def answers(path: str) -> str:
    """What became of the answers, in a sentence."""
    found = json_format.loads(Path(path).read_text())["answers"]
    return (
        f"One byte changed in each of {found['damaged']} published JPEGs that had an answer and decode to other pixels "
        f"now:\n{found['refused_by_reader']} refused as damaged, {found['gate']} by a gate, {found['unsure']} for low "
        f"confidence; of the {found['same'] + found['other']} answers left {found['other']} were another\nclass than "
        f"before, {found['to_benign']} of them Benign (`{NETWORK}`)."
    )


@dataclass(frozen=True)
class TableRequest:
    """Print the table of a record."""

    record: str
    json: bool = False

    def execute(self) -> Outcome:
        """The rows."""
        return Outcome(DONE, text=f"{table(self.record)}\n\n{answers(self.record)}", record={})


def show(record: str) -> TableRequest:
    """Print the table that docs/reference/images.md shows.

    Args:
        record: the file that `run` wrote.
    """
    return TableRequest(record)


def study(
    sound: str = "",
    data: str = "",
    trials: str = str(TRIALS),
    parts: str = ",".join(PARTS),
    out: str = "",
    json: bool = False,
) -> DamageStudy:
    """Damage drawn fields in every format, and read sound images.

    Args:
        sound: folders of sound images, with commas between them.
        data: folder of images, a folder a class, for gates and network.
        trials: damaged files for each format and damage.
        parts: rows, sound, cost, answers, with commas between them; what else FILE has stays.
        out: write the record there.
        json: print it.
    """
    folders = tuple(Path(word) for word in sound.split(",") if word)
    return DamageStudy(
        sound=folders,
        trials=whole_number(trials, "--trials", 1),
        data=optional_path(data),
        parts=tuple(one_of(part, "--parts", PARTS) for part in parts.split(",")),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study, "table": show})
