"""A model brings its own gates: one command from images to a bundle that lets its own images pass and no others."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle as bundles
from edge.bundle.bundle import NO_KEYS
from edge.inference.contract import Pixels
from edge.inference.gates.gates_file import GatesFile
from tests.commands import shell
from tests.gates import open_gates
from tests.models.decision.test_gates_fit import SIZE, picture

ALLOWED = ("--allow-unsigned", "--allow-uncertified")
LABELS = ("cross", "disc")


@dataclass(frozen=True)
class Own:
    """A bundle that `convert quantize --int8 MODEL --data DIR` made, its images, and further ones of the same kind."""

    bundle: Path
    data: tuple[str | Path, ...]
    fresh: Path


def write(folder: Path, pictures: dict[str, Pixels]) -> Path:
    folder.mkdir(parents=True)
    for name, pixels in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return folder


def write_split(images: Path, path: Path) -> Path:
    """Three fifths of each class train, a fifth tunes and a fifth judges; every image is a field of its own."""
    from models.data.dataset import scan
    from models.data.split import Split, SplitItem

    items = []
    for number, sample in enumerate(scan(images).samples):
        part = ("train", "train", "train", "validation", "test")[number % 5]
        items.append(SplitItem(part, sample.label, sample.name, sample.sha256, f"field{number}"))
    path.write_text(Split(tuple(items)).to_csv(), encoding="utf-8")
    return path


def small_classifier() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, 3))
    x = image
    for filters in (8, 16):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(4)(x))
    network = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    truth = np.arange(400) % 2
    pixels = np.stack([picture(LABELS[k], 5000 + n) for n, k in enumerate(truth)])
    network.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    network.fit(pixels / 128.0 - 1, truth, epochs=12, batch_size=32, verbose=0)
    return network


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    root = tmp_path_factory.mktemp("own_gates")
    for label in LABELS:
        write(root / "images" / label, {f"{label}{n}": picture(label, n) for n in range(60)})
    small_classifier().save(root / "mine.keras")
    data = ("--data", root / "images", "--split", write_split(root / "images", root / "split.csv"))
    done = shell("convert", "quantize", "--int8", root / "mine.keras", *data, "--out", root, timeout=500)
    assert done.returncode in (0, 3), done.stderr  # 24 images judge: too few for the policy
    fresh = write(root / "fresh", {f"{label}{n}": picture(label, 900 + n) for label in LABELS for n in range(40)})
    return Own(root / "mine-int8", data, fresh)


def reasons(own: Own, folder: Path, *words: str) -> Counter[str | None]:
    done = shell("edge", "classify", folder, "--bundle", own.bundle, *ALLOWED, "--json", *words)
    return Counter(json.loads(line)["reason"] for line in done.stdout.splitlines())


pytestmark = pytest.mark.slow


def test_the_bundle_holds_gates_that_its_certificate_names(own: Own) -> None:
    bundle = bundles.load(own.bundle, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
    assert bundle.gates is not None
    assert (bundle.gates.domain, bundle.gates.size) == ("any", (SIZE, SIZE))
    assert bundle.gates.source.command == "convert quantize --int8 mine.keras --data images"
    assert bundle.gates.judged is not None and bundle.gates.judged.images == 24
    assert "held-back images refused" in (own.bundle / "report.html").read_text()


def test_its_own_images_pass(own: Own) -> None:
    found = reasons(own, own.fresh)
    assert found.total() == 80
    assert found[None] >= 76, found


def test_other_pictures_are_refused(own: Own, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    drawn = [picture(LABELS[n % 2], 900 + n) for n in range(20)]
    others = write(
        tmp_path / "others",
        {f"inverted{n}": 255 - pixels for n, pixels in enumerate(drawn)}
        | {f"noise{n}": random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for n in range(10)}
        | {f"dark{n}": (pixels // 4).astype(np.uint8) for n, pixels in enumerate(drawn)}
        | {f"blurred{n}": np.asarray(cv2.GaussianBlur(pixels, (0, 0), 3), np.uint8) for n, pixels in enumerate(drawn)},
    )
    found = reasons(own, others)
    assert found[None] <= 0.05 * found.total(), found
    assert found["unlike_training"] >= 20 and found["under_exposed"] == 20


def test_a_camera_says_the_same_as_files(own: Own, tmp_path: Path) -> None:
    run = shell("edge", "run", "--bundle", own.bundle, "--camera", f"replay:{own.fresh}", "--every", "--json", *ALLOWED,
                "--store", tmp_path / "store", timeout=300)  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    seen = Counter(line.get("reason") for line in lines if "label" in line)
    assert seen == reasons(own, own.fresh)


def test_gates_are_fitted_again_without_converting(own: Own, tmp_path: Path) -> None:
    copy = shutil.copytree(own.bundle, tmp_path / "mine-int8")
    before = bundles.load(copy, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
    parts = bundles.parts_of(before)
    certificate = {key: value for key, value in before.certificate.items() if key != "gates"}
    bundles.write(copy, **{**parts, "certificate": certificate, "gates": None})
    refused = shell("edge", "classify", own.fresh, "--bundle", copy, *ALLOWED)
    assert refused.returncode == 2 and f"convert gates {copy} --data" in refused.stderr
    done = shell("convert", "gates", copy, *own.data, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "24 held-back images refused" in done.stdout
    after = bundles.load(copy, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)
    assert after.gates is not None and before.gates is not None
    assert (after.model, after.gates.quality, after.gates.novelty) == (
        before.model,
        before.gates.quality,
        before.gates.novelty,
    )


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "needs --data DIR to fit gates to images, or --gates FILE; one of the two"),
        (["--data", "x", "--gates", "y"], "one of the two"),
        (["--gates", "y", "--domain", "any"], "--split and --domain go with --data"),
        (["--data", "x", "--domain", "blood"], "--domain must be 'blood smear' or 'any'; got 'blood'"),
        (["--gates", "absent.json"], "absent.json: No such file or directory"),
        (["--data", "absent"], "absent does not exist"),
    ],
)
def test_what_cannot_be_asked_is_one_line(own: Own, words: list[str], says: str) -> None:
    done = shell("convert", "gates", own.bundle, *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]


def test_gates_for_another_size_and_of_too_few_images_change_nothing(own: Own, tmp_path: Path) -> None:
    before = (own.bundle / "manifest.json").read_bytes()
    (tmp_path / "wide.json").write_bytes(open_gates((96, 96)))
    done = shell("convert", "gates", own.bundle, "--gates", tmp_path / "wide.json")
    assert done.returncode == 2 and "size must be the contract's 64x64; got 96x96" in done.stderr
    for label in LABELS:
        write(tmp_path / "few" / label, {f"{label}{n}": picture(label, n) for n in range(6)})
    few = tmp_path / "few"
    done = shell("convert", "gates", own.bundle, "--data", few, "--split", write_split(few, tmp_path / "few.csv"))
    assert done.returncode == 2 and "need 20 training and validation images at least" in done.stderr
    assert (own.bundle / "manifest.json").read_bytes() == before


def test_a_networks_folder_gets_gates_of_its_own(own: Own, tmp_path: Path) -> None:
    shutil.copy(own.bundle.parent / "mine.keras", tmp_path / "model.keras")
    shutil.copy(own.bundle / "contract.json", tmp_path)
    done = shell("models", "gates", tmp_path, *own.data, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["judged"]["images"] == 24
    file = GatesFile.from_bytes((tmp_path / "gates.json").read_bytes())
    assert file.source.command == f"models gates {tmp_path.name}"
