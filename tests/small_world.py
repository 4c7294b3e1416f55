"""A small world for the tests of the commands: drawn images of four classes, a network that tells them apart, policies.

The images are nobody's smears: a tinted ground with dots whose colour is the class. A network of a few hundred weights
learns them in a second and is then decided, so that parity has something to measure.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from convert.parity.policy import DEFAULT_POLICY
from edge.inference.contract import FLOAT32, InputContract
from tests.gates import open_gates

SIZE = 32
LABELS = ("Benign", "Early", "Pre", "Pro")
CONTRACT = InputContract((SIZE, SIZE), LABELS)
IMAGES_A_CLASS = 40
COLOURS = ((200, 60, 60), (210, 170, 40), (70, 160, 60), (110, 60, 150))  # of the dots, RGB, one a class
# Few images are enough for these tests; every threshold is the default policy's.
FEW_IMAGES = {
    "min_images": 20,
    "min_decided_images": 20,
    "min_class_images": 4,
    "max_drop_bound_points": 15.0,
}


def draw(label: str, number: int, size: int = SIZE) -> npt.NDArray[np.uint8]:
    """One image, uint8 (size, size, 3) RGB; the same for the same label and number, different for any other."""
    rng = np.random.default_rng([LABELS.index(label), number])
    canvas = np.full((size, size, 3), (232, 215, 225), np.uint8)
    for _ in range(6):
        centre = tuple(int(v) for v in rng.integers(4, size - 4, 2))
        shade = np.clip(np.array(COLOURS[LABELS.index(label)]) + rng.integers(-12, 13, 3), 0, 255)
        cv2.circle(canvas, centre, int(rng.integers(size // 10, size // 6)), shade.tolist(), -1, cv2.LINE_AA)
    return np.clip(canvas + rng.normal(0, 8, canvas.shape), 0, 255).astype(np.uint8)


def write_images(
    root: Path, a_class: int = IMAGES_A_CLASS, first: int = 0, size: int = SIZE, labels: Sequence[str] = LABELS
) -> Path:
    """A folder a class of PNG files."""
    for label in labels:
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + a_class):
            picture = cv2.cvtColor(draw(label, number, size), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(root / label / f"{label}-{number:03d}.png"), picture)
    return root


def write_split(root: Path, path: Path) -> Path:
    """Of each class the first half trains, the second half judges; every image is a field of its own."""
    from models.data.dataset import scan
    from models.data.split import Split, SplitItem

    items = []
    for label in LABELS:
        own = [s for s in scan(root).samples if s.label == label]
        for place, s in enumerate(own):
            part = "train" if place < len(own) // 2 else "test"
            items.append(SplitItem(part, s.label, s.name, s.sha256, f"{label}{place}"))
    path.write_text(Split(tuple(items)).to_csv(), encoding="utf-8")
    return path


def trained_network(seed: int = 3) -> Any:
    """A Keras network that names the drawn images rightly, decided on nearly all of them."""
    import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 5, strides=2, activation="relu", name="first")(image)
    x = keras.layers.MaxPooling2D(4)(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", name="head")(x))
    truth = np.arange(len(LABELS)).repeat(60)
    pixels = [draw(LABELS[k], 1000 + n) for n, k in enumerate(truth)]
    inputs = np.concatenate([CONTRACT.encode(p, FLOAT32) for p in pixels])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(inputs, truth, epochs=12, batch_size=32, verbose=0)
    return model


def keras_archive(network: Any) -> bytes:
    """What `network.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()


@cache
def trained_archive() -> bytes:
    """`trained_network()` as a `.keras` file, trained once a process: many modules build a world."""
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    keras.backend.clear_session()  # layers without a name are numbered through the whole process
    return keras_archive(trained_network())


@dataclass(frozen=True)
class World:
    """What the commands are given: a network with its contract, images with their split, a policy for few of them."""

    root: Path
    model: Path
    data: Path
    split: Path
    policy: Path

    @classmethod
    def build(cls, root: Path) -> "World":
        """All of it, the first time in some five seconds, most of them TensorFlow's import."""
        folder = root / "dots"
        folder.mkdir(parents=True)
        (folder / "model.keras").write_bytes(trained_archive())
        (folder / "contract.json").write_text(CONTRACT.to_json(), encoding="utf-8")
        (folder / "gates.json").write_bytes(open_gates(CONTRACT.size))
        data = write_images(root / "images")
        split = write_split(data, root / "split.csv")
        return cls(root, folder / "model.keras", data, split, write_policy(root / "few.toml", **FEW_IMAGES))

    @property
    def images(self) -> list[str]:
        """The options that name images and split."""
        return ["--data", str(self.data), "--split", str(self.split)]

    def variant(self, name: str, **contract: Any) -> Path:
        """A copy of the network in a folder `name`, with another contract."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        shutil.copyfile(self.model, folder / "model.keras")
        record = {**json.loads(CONTRACT.to_json()), **contract}
        (folder / "contract.json").write_text(json.dumps(record), encoding="utf-8")
        return folder / "model.keras"


def write_policy(path: Path, **values: float) -> Path:
    """The default policy with some values replaced, by key."""
    lines = []
    for line in DEFAULT_POLICY.read_text(encoding="utf-8").splitlines():
        key = line.partition(" =")[0]
        lines.append(f"{key} = {values[key]}" if key in values else line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
