"""What it costs to train on Keras' resizing and to run on the device's, before anything is quantized.

    python -m docs.studies.conversion.resize --data DIR --weights FILE --out docs/reference/resize.json

Crops with and without a white cell (of 240x240 pixels) and published smear fields (224x224) are resized to the size of
a small network in two ways: as Keras' loaders do (`bilinear`, no antialiasing) and as the contract does. Two linear
heads on frozen MobileNetV2 features are trained, one on the pixels of each; both are judged on held-back images resized
either way. Whole microscope fields are held back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from docs.studies.command import Output, Study, output, run
from docs.studies.novelty.own_sets import Pictures, read_sets
from edge.commands.command_line import Outcome
from edge.inference.contract import Pixels
from models.statistics.share import Share
from models.support.versions import versions

SIDES = (96, 128)  # pixels
HELD_BACK = 0.25  # of the microscope fields
STRENGTH = 0.05  # C of the logistic regression
KERAS, CONTRACT = "keras bilinear", "contract"
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Resize(Study):
    """The comparison."""

    data: Path
    weights: Path

    def execute(self) -> Outcome:
        """Writes the record."""
        sets = read_sets(self.data)
        found: dict[str, Any] = {}
        lines = []
        for name in ("cells", "fields"):
            for side in SIDES:
                one = found[f"{name} at {side}x{side}"] = _compared(sets[name], side, self.weights)
                lines.append(f"{name} at {side}x{side}: {one['changed']['count']} of {one['changed']['of']} changed")
        record = {"held_back": HELD_BACK, "sets": found, "versions": versions()}
        return self.finished(record, "\n".join(lines))


def _compared(own: Pictures, side: int, weights: Path) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ways = {KERAS: _keras_pixels(own, side), CONTRACT: own.prepared(side)}
    features = {way: _features(pixels, side, weights) for way, pixels in ways.items()}
    held = _held_back(own.groups)
    right: dict[str, dict[str, Share]] = {}
    answers = {}
    for trained in ways:
        head = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000))
        head.fit(features[trained][~held], own.labels[~held])
        for seen in ways:
            said = answers[trained, seen] = head.predict(features[seen][held])
            right.setdefault(f"trained on {trained}", {})[f"judged on {seen}"] = Share.counted(
                int((said == own.labels[held]).sum()), int(held.sum())
            )
    changed = int((answers[KERAS, KERAS] != answers[KERAS, CONTRACT]).sum())
    difference = np.abs(ways[KERAS].astype(np.int16) - ways[CONTRACT])
    return {
        "images": len(own.labels),
        "changed": to_builtins(Share.counted(changed, int(held.sum()))),
        "right": to_builtins(right),
        "mean_difference_levels": round(float(difference.mean()), 3),
    }


def _held_back(groups: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    names = np.unique(groups)
    chosen = np.random.default_rng(0).permutation(names)[: round(HELD_BACK * len(names))]
    return np.isin(groups, chosen)


def _keras_pixels(own: Pictures, side: int) -> Pixels:
    """As `keras.utils.image_dataset_from_directory` resizes, rounded to whole levels; uint8 (N, side, side, 3)."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    resized = [tf.image.resize(frame, (side, side), method="bilinear").numpy() for frame in own.frames]
    return np.stack([np.rint(each).astype(np.uint8) for each in resized])


def _features(pixels: Pixels, side: int, weights: Path) -> Features:
    """(N, 1280) of MobileNetV2."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    backbone = keras.applications.MobileNetV2(
        weights=str(weights), include_top=False, input_shape=(side, side, 3), pooling="avg"
    )
    return np.concatenate(
        [backbone.predict(batch / np.float32(128) - 1, verbose=0) for batch in np.array_split(pixels, 20)]
    )


def resize(*, data: str, weights: str, out: str = "", json: bool = False) -> Resize:
    """Compare Keras' resizing with the contract's on networks trained on either.

    Args:
        data: folder that holds the folders all, ood/bccd and ood/natural.
        weights: MobileNetV2 backbone (.h5, alpha 1.0, without top).
        out: JSON to write.
        json: print the record as JSON.
    """
    into: Output = output(out, json)
    return Resize(**into, data=Path(data), weights=Path(weights))


COMMANDS: Mapping[str, Any] = {"resize": resize}

if __name__ == "__main__":
    run(COMMANDS, "resize")
