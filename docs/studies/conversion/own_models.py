"""Do classifiers as others build them convert, or end in one true line?

    python -m docs.studies.conversion.own_models make FOLDER
    python -m docs.studies.conversion.own_models run FOLDER --out FILE

`make` trains the small networks of `own_networks` and saves some of `keras.applications` untrained; what is there
stays. `run` converts each model file in FOLDER with the installed command, a process each, and notes exit code, verdict
and last line: 0 and 3 are conversions that pass or have too few images, 1 one that fails its checks, 2 a refusal.
Anything else, a traceback, or more than one line that begins with "error:" counts as a fault of this project. Finished
models are not converted again while FILE stands; `--seconds` ends early.
"""

import json
import logging
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from docs.studies.command import Study, output, run, write_record
from docs.studies.conversion.own_networks import A_CLASS as IMAGES_A_CLASS
from docs.studies.conversion.own_networks import APPLICATIONS, HALVED, LABELS, NETWORKS, SIZE, draw, head, write_images
from docs.studies.conversion.own_networks import body as plain_body
from edge.commands.command_line import Command, Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.inference.contract import InputContract, grey_levels
from edge.system.option_values import whole_number
from models.data.dataset import scan
from models.data.split import Split, SplitItem
from models.support.quiet_tensorflow import import_tensorflow

IMAGES = "images"  # below FOLDER
EPOCHS, BATCH, RATE = 12, 32, 3e-3
MOST_SECONDS = 600
DOCUMENTED = (0, 1, 2, 3)  # exit codes that a conversion may end with; 4 is for what the machine lacks
EXTRA = {"open-size": ["--size", f"{SIZE}x{SIZE}"]}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MakeStudy(Study):
    """Train and save."""

    folder: Path

    def execute(self) -> Outcome:
        """One file a network, and the images."""
        write_images(self.folder / IMAGES)
        import_tensorflow()
        made = [name for name in (*NETWORKS, *HALVED, *APPLICATIONS) if _made(self.folder / f"{name}.keras", name)]
        return self.finished({"made": made}, f"{len(made)} models made in {self.folder}")


@dataclass(frozen=True)
class RunStudy(Study):
    """Convert all."""

    folder: Path
    seconds: int

    def execute(self) -> Outcome:
        """A row a model; exit 1 where a conversion neither worked nor said why in one line."""
        held = self.out is not None and self.out.is_file()
        rows: dict[str, Any] = json.loads(self.out.read_text())["models"] if held and self.out else {}
        end = time.monotonic() + self.seconds
        for file in sorted([*self.folder.glob("*.keras"), *self.folder.glob("*/*.keras")]):
            if file.stem in rows or time.monotonic() > end:
                continue
            rows[file.stem] = converted(file, self.folder / IMAGES)
            _log.info(f"{file.stem}: {rows[file.stem]}")
            if self.out is not None:
                write_record(self.out, {"models": rows})
        wrong = [name for name, row in rows.items() if row["fault"]]
        return self.finished({"models": rows}, table(rows), ANSWER_IS_NO if wrong else DONE)


def converted(file: Path, images: Path) -> dict[str, Any]:
    """How one conversion ended. Networks of `keras.applications` are untrained, so drawn fields judge them."""
    own = file.stem not in APPLICATIONS
    command = Path(sys.executable).with_name("convert")
    words = [command, "quantize", "--int8", file, "--out", file.parent / "bundles", "--force", "--json"]
    data = _two(images) if file.stem == "one-sigmoid" else images
    words += ["--data", data, "--split", _split(data)] if own else []
    words += EXTRA.get(file.stem, [])
    begun = time.monotonic()
    try:
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"code": None, "verdict": None, "said": f"more than {MOST_SECONDS} s", "fault": True}
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    verdict = json.loads(done.stdout)["bundles"][0]["verdict"] if done.stdout.startswith("{") else None
    sound = done.returncode in DOCUMENTED and "Traceback" not in done.stderr and len(errors) == (verdict is None)
    said = errors[-1].removeprefix("error: ").replace(f"{file.parent}/", "") if errors else ""
    notes = [line.strip() for line in lines if line.strip().startswith("values: ")]
    return {
        "code": done.returncode,
        "verdict": verdict,
        "said": said or (notes[-1] if notes else ""),
        "seconds": round(time.monotonic() - begun),
        "fault": not sound,
    }


def table(rows: dict[str, Any]) -> str:
    """A line a model."""
    return "\n".join(
        f"{name:20} {row['code']!s:>4}  {row['verdict'] or 'refused':12}  {row['said'][:180]}"
        for name, row in rows.items()
    )


def _two(images: Path) -> Path:
    """The same images without the first class."""
    folder = images.with_name("two")
    folder.mkdir(exist_ok=True)
    for label in LABELS[1:]:
        if not (folder / label).exists():
            (folder / label).symlink_to(images.resolve() / label)
    return folder


def _split(data: Path) -> Path:
    """Of each class half trains, a sixth is for choices and a third judges; every image is a field of its own."""
    path = data.with_name(f"{data.name}.csv")
    if not path.is_file():
        items = []
        for place, sample in enumerate(scan(data).samples):
            part = "train" if place % 6 < 3 else "validation" if place % 6 == 3 else "test"
            items.append(SplitItem(part, sample.label, sample.name, sample.sha256, f"field{place}"))
        path.write_text(Split(tuple(items)).to_csv(), encoding="utf-8")
    return path


def _made(file: Path, name: str) -> bool:
    """Train and save one network; False where it stands already."""
    import keras

    if file.is_file():
        return False
    keras.utils.set_random_seed(3)
    if name in APPLICATIONS:
        classes = 1000 if name == "MobileNetV2" else len(LABELS)
        getattr(keras.applications, name)(input_shape=(96, 96, 3), weights=None, classes=classes).save(file)
        return True
    keras.mixed_precision.set_global_policy(name if name in HALVED else "float32")
    try:
        fed, shape, build = NETWORKS.get(name, ("-1..1", (SIZE, SIZE, 3), lambda k, i: head(k, plain_body(k, i))))
        image = keras.Input(shape)
        network = keras.Model(image, build(keras, image))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    inputs, truth = _training_set(shape[2], fed, two=name == "one-sigmoid")
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=name == "logits")
    if name == "convolutional-head":
        truth = truth[:, np.newaxis, np.newaxis]
    network.compile(keras.optimizers.Adam(RATE), "binary_crossentropy" if name == "one-sigmoid" else loss)
    network.fit(inputs, truth, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    network.save(file)
    return True


def _training_set(channels: int, fed: str, two: bool) -> tuple[Any, Any]:
    labels = LABELS[1:] if two else LABELS
    contract = InputContract((SIZE, SIZE), LABELS)
    pixels = [contract.prepare(draw(label, IMAGES_A_CLASS + n)) for label in labels for n in range(IMAGES_A_CLASS)]
    values = np.stack([grey_levels(p) if channels == 1 else p for p in pixels]).astype(np.float32)
    return values if fed == "0..255" else values / 128 - 1, np.arange(len(labels)).repeat(IMAGES_A_CLASS)


def make(folder: str, *, out: str = "", json: bool = False) -> MakeStudy:
    """Train and save the networks.

    Args:
        folder: for models and images.
        out: file for the record.
        json: print the record.
    """
    return MakeStudy(folder=Path(folder), **output(out, json))


def run_all(folder: str, *, seconds: str = "100000", out: str = "", json: bool = False) -> RunStudy:
    """Convert every model in a folder.

    Args:
        folder: with models, and `images` with a folder a class.
        seconds: begin no conversion after so many.
        out: file for the record; rows that stand in it are kept.
        json: print the record.
    """
    return RunStudy(folder=Path(folder), seconds=whole_number(seconds, "--seconds"), **output(out, json))


COMMANDS: dict[str, Command] = {"make": make, "run": run_all}

if __name__ == "__main__":
    run(COMMANDS)
