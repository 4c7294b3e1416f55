"""Models of one's own, from a folder of images to the device's answers, by the installed commands alone.

    python -m docs.studies.gates.own_models --data DIR --weights FILE --out docs/reference/own_models.json

It makes a model of white-cell crops at 160x160 and one of photographs at 96x96 (a linear head on frozen MobileNetV2
features), converts each with `convert quantize --int8 MODEL --data IMAGES`, and asks `edge classify` about the images
that judged, about those of the other sets, and about spoilt ones. A spoilt image counts where the network, asked
without gates, names another class than it does of the image as it was.
"""

import json as json_format
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from docs.studies.command import Output, Study, output, run
from docs.studies.novelty.any_pictures import stops
from docs.studies.novelty.own_sets import SIZES, Pictures, read_sets
from edge.commands.command_line import Outcome
from edge.inference.contract import Pixels
from models.data.dataset import scan
from models.data.parts import split_for
from models.statistics.intervals import wilson
from models.support.versions import versions

OTHERS = 150  # pictures of each other set
DEFOCUS = (0.013, 0.026)  # standard deviations, as parts of the side
ALLOWED = ("--allow-unsigned", "--allow-uncertified")  # uncertified: few images cannot pass the policy


@dataclass(frozen=True)
class OwnModels(Study):
    """The trials."""

    data: Path
    weights: Path

    def execute(self) -> Outcome:
        """Writes the record."""
        sets = read_sets(self.data)
        trials = {}
        for name in ("cells", "photographs"):
            with tempfile.TemporaryDirectory() as folder:
                others = {key: pictures for key, pictures in sets.items() if key != name}
                trials[name] = _trial(Path(folder), sets[name], others, SIZES[name], self.weights)
        lines = [
            f"{name}, {key}: {of['refused']} of {of['images']} refused"
            for name, trial in trials.items()
            for key, of in trial["asked"].items()
        ]
        record = {"allowed": ALLOWED, "defocus_of_side": DEFOCUS, "trials": trials, "versions": versions()}
        return self.finished(record, "\n".join(lines))


def _trial(root: Path, own: Pictures, others: Mapping[str, Pictures], size: int, weights: Path) -> dict[str, Any]:
    pixels = own.prepared(size)
    images = root / "images"
    for number, (label, each) in enumerate(zip(own.labels.tolist(), pixels, strict=True)):
        _write(images / label / f"{own.groups[number]}_{number:04d}.png", each)
    _train(own, pixels, weights, root / "mine.keras")
    said = _command("convert", "quantize", "--int8", root / "mine.keras", "--data", images, "--out", root, "--json")
    (certificate,) = json_format.loads(said)["bundles"]
    bundle = root / "mine-int8"
    gates = json_format.loads((bundle / "gates.json").read_text())
    image_set = scan(images)
    held = [sample.path for sample in split_for(image_set)[0].samples(image_set, "test")]
    answers = _asked(bundle, held)
    found = {"own images held back": _counted(answers)}
    for key, other in others.items():
        folder = root / "others" / key
        for number, each in enumerate(other.some(OTHERS // len(set(other.labels)), 3).prepared(size)):
            _write(folder / f"{number:04d}.png", each)
        found[f"others: {key}"] = _counted(_asked(bundle, [folder]))
    plain = _asked(bundle, held, "--ungated")
    for key, spoilt in _spoilt(held, size).items():
        folder = root / "spoilt" / key
        for path, each in zip(held, spoilt, strict=True):
            _write(folder / f"{path.stem}.png", each)
        files = [folder / f"{path.stem}.png" for path in held]
        ungated = _asked(bundle, files, "--ungated")
        changed = [b != a for (b, _), (a, _) in zip(ungated, plain, strict=True)]
        gated = _asked(bundle, files)
        found[f"{key}, where it changes the answer"] = _counted([g for g, c in zip(gated, changed, strict=True) if c])
        found[key] = _counted(gated)
    return {
        "images": len(pixels),
        "classes": sorted(set(own.labels.tolist())),
        "size": size,
        "verdict": certificate["verdict"],
        "agreement": certificate["parity"]["agreement"],
        "gates": {"method": gates["source"]["method"], "judged": gates["judged"]},
        "asked": found,
    }


def _train(own: Pictures, pixels: Pixels, weights: Path, path: Path) -> None:
    """A linear head on frozen features; on all images, since the gates are what is tried here."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    size = pixels.shape[1]
    backbone = keras.applications.MobileNetV2(
        alpha=0.35, weights=str(weights), include_top=False, input_shape=(size, size, 3), pooling="avg"
    )
    features = backbone.predict(pixels / np.float32(128) - 1, verbose=0)
    names = sorted(set(own.labels.tolist()))
    keras.utils.set_random_seed(0)
    head = keras.Sequential(
        [
            keras.Input((features.shape[1],)),
            keras.layers.Dense(len(names), activation="softmax", kernel_regularizer=keras.regularizers.L2(1e-3)),
        ]
    )
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(features, np.array([names.index(label) for label in own.labels.tolist()]), epochs=60, verbose=0)
    keras.Model(backbone.input, head(backbone.output)).save(path)


def _spoilt(held: Sequence[Path], size: int) -> dict[str, list[Pixels]]:
    read = [np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8) for path in held]
    blurred = {
        f"defocus of {share:g} of the side": [
            np.asarray(cv2.GaussianBlur(each, (0, 0), share * size), np.uint8) for each in read
        ]
        for share in DEFOCUS
    }
    return {
        **blurred,
        "two stops darker": [stops(each, -2) for each in read],
        "two stops lighter": [stops(each, 2) for each in read],
    }


def _asked(bundle: Path, paths: Sequence[Path], *words: str) -> list[tuple[str | None, str | None]]:
    """(label, reason) of each image, in order."""
    said = _command("edge", "classify", *paths, "--bundle", bundle, "--json", *ALLOWED, *words)
    records = [json_format.loads(line) for line in said.splitlines()]
    return [(record["label"], record["reason"]) for record in records]


def _counted(answers: Sequence[tuple[str | None, str | None]]) -> dict[str, Any]:
    reasons = Counter(reason for _, reason in answers if reason is not None)
    refused = sum(reasons.values())
    return {
        "images": len(answers),
        "refused": refused,
        "interval": [round(bound, 4) for bound in wilson(refused, len(answers))] if answers else None,
        "reasons": dict(sorted(reasons.items())),
    }


def _command(name: str, *words: object) -> str:
    """What an installed command prints; a failure other than "no" or "not enough images" ends the study."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(name)), *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{name}: {done.stderr}")
    return done.stdout


def _write(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def trials(*, data: str, weights: str, out: str = "", json: bool = False) -> OwnModels:
    """Take two models of one's own from images to the device's answers.

    Args:
        data: folder with `all`, `ood/bccd` and `ood/natural`.
        weights: MobileNetV2 weights, alpha 0.35, without its top.
        out: JSON to write.
        json: print the record.
    """
    options: Output = output(out, json)
    return OwnModels(data=Path(data), weights=Path(weights), **options)


if __name__ == "__main__":
    run({"trials": trials}, "trials")
