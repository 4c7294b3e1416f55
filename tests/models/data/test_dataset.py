"""`models.data.dataset`: bad files are named, nothing stops a scan, folders that are no set are refused."""

import hashlib
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge.inference.contract import InputContract
from models.data.dataset import KINDS, examine, load_pixels, scan
from models.errors import DatasetError


def picture(seed: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    for label, seeds in (("a", (1, 2)), ("b", (3, 4))):
        (tmp_path / label).mkdir()
        for seed in seeds:
            picture(seed).save(tmp_path / label / f"{seed}.png")
    return tmp_path


def kinds(root: Path) -> dict[str, str]:
    return {problem.name: problem.kind for problem in scan(root).problems}


def test_a_clean_set_has_samples_in_order_with_their_hashes_and_no_problem(two_classes: Path) -> None:
    found = scan(two_classes)
    assert found.labels == ("a", "b")
    assert found.counts() == {"a": 2, "b": 2}
    assert [s.name for s in found.samples] == ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    assert found.problems == ()
    assert list(found.truth()) == [0, 0, 1, 1]
    for sample in found.samples:
        assert sample.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()


def test_labels_set_the_order_and_other_folders_are_named(two_classes: Path) -> None:
    (two_classes / "c").mkdir()
    found = scan(two_classes, labels=["b", "a", "d"])
    assert found.labels == ("b", "a", "d")
    assert found.counts() == {"b": 2, "a": 2, "d": 0}
    assert {(p.name, p.kind) for p in found.problems} == {("c/", "unlisted"), ("d/", "empty-class")}


BAD_FILES = {
    "empty.png": (b"", "empty"),
    "text.jpg": ("no image, Grüße\n".encode() * 60, "misnamed"),
    "noise.jpg": (bytes(range(256)) * 4, "not_an_image"),
    "tiny.png": (encoded(picture(size=(15, 40)), "PNG"), "tiny"),
    "cmyk.jpg": (encoded(picture().convert("CMYK"), "JPEG"), "cmyk"),
    "deep_grey.png": (encoded(Image.fromarray(np.full((30, 30), 4000, np.uint16)), "PNG"), "16-bit"),
    "deep_rgb.png": (cv2.imencode(".png", np.full((30, 30, 3), 4000, np.uint16))[1].tobytes(), "16-bit"),
    "deep.tif": (cv2.imencode(".tif", np.full((30, 30, 3), 4000, np.uint16))[1].tobytes(), "16-bit"),
    "float.tif": (cv2.imencode(".tif", np.full((30, 30), 0.5, np.float32))[1].tobytes(), "16-bit"),
    "moving.webp": (
        encoded(picture(1), "WEBP", save_all=True, append_images=[picture(2)]),
        "unsupported",
    ),
    "moving.png": (encoded(picture(1), "PNG", save_all=True, append_images=[picture(2)]), "animated"),
    "pages.tif": (encoded(picture(1), "TIFF", save_all=True, append_images=[picture(2)]), "animated"),
    "gif.png": (encoded(picture(), "GIF"), "unsupported"),
    "picture.gif": (encoded(picture(), "GIF"), "unsupported"),
    "photo.dat": (encoded(picture(), "JPEG"), "misnamed"),
    "cut.jpg": (encoded(picture(size=(200, 200)), "JPEG")[:9000], "damaged_image"),
    "cut.png": (encoded(picture(size=(200, 200)), "PNG")[:9000], "damaged_image"),
    "notes.txt": (b"notes", "other"),
    "._1.png": (b"\0\5\26\7", "hidden"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named_with_its_kind_and_is_no_sample(two_classes: Path, name: str) -> None:
    data, kind = BAD_FILES[name]
    (two_classes / "a" / name).write_bytes(data)
    found = scan(two_classes)
    assert [(p.name, p.kind, p.used) for p in found.problems] == [(f"a/{name}", kind, False)]
    assert found.counts() == {"a": 2, "b": 2}
    assert found.problem_counts() == {kind: 1}


def test_all_bad_files_at_once_are_all_listed(two_classes: Path) -> None:
    for name, (data, _) in BAD_FILES.items():
        (two_classes / "a" / name).write_bytes(data)
    assert kinds(two_classes) == {f"a/{name}": kind for name, (_, kind) in BAD_FILES.items()}


def test_an_image_under_another_formats_suffix_is_reported_and_used(two_classes: Path) -> None:
    (two_classes / "a" / "png.jpg").write_bytes(encoded(picture(9), "PNG"))
    found = scan(two_classes)
    (problem,) = found.problems
    assert (problem.kind, problem.used) == ("misnamed", True)
    assert found.counts()["a"] == 3


def test_exact_copies_stay_and_name_their_twin_and_conflicts_are_told_apart(two_classes: Path) -> None:
    data = (two_classes / "a" / "1.png").read_bytes()
    (two_classes / "a" / "copy.png").write_bytes(data)
    (two_classes / "b" / "copy.png").write_bytes(data)
    found = scan(two_classes)
    assert [(p.name, p.kind, p.used) for p in found.problems] == [
        ("a/copy.png", "duplicate", True),
        ("b/copy.png", "conflict", True),
    ]
    assert all("a/1.png" in p.detail for p in found.problems)
    assert len(found.samples) == 6


def test_links_loops_pipes_and_folders_do_not_stop_a_scan(two_classes: Path) -> None:
    a = two_classes / "a"
    (a / "loop.png").symlink_to(a / "loop.png")
    (a / "gone.png").symlink_to(a / "nowhere.png")
    (a / "itself").symlink_to(two_classes)
    os.mkfifo(a / "pipe.png")
    (two_classes / "c").symlink_to(two_classes / "c")
    (two_classes / "stray.png").write_bytes(encoded(picture(5), "PNG"))
    (two_classes / "list.csv").write_text("a list beside the classes is nobody's business")
    assert kinds(two_classes) == {
        "a/loop.png": "unreadable",
        "a/gone.png": "unreadable",
        "a/itself/": "nested",
        "a/pipe.png": "unreadable",
        "stray.png": "unsorted",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission_are_named(two_classes: Path) -> None:
    (two_classes / "a" / "1.png").chmod(0)
    assert kinds(two_classes) == {"a/1.png": "unreadable"}


def test_a_linked_class_folder_is_a_class(two_classes: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    picture(7).save(elsewhere / "7.png")
    (two_classes / "c").symlink_to(elsewhere)
    assert scan(two_classes).counts() == {"a": 2, "b": 2, "c": 1}


def test_folders_that_are_no_set_are_refused_in_one_line(two_classes: Path, tmp_path: Path) -> None:
    nested = tmp_path / "outer"
    (nested / "Original" / "a").mkdir(parents=True)
    (nested / "Segmented" / "a").mkdir(parents=True)
    single = tmp_path / "single"
    (single / "a").mkdir(parents=True)
    picture(1).save(single / "a" / "1.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    for root, words in (
        (tmp_path / "absent", "does not exist"),
        (two_classes / "a" / "1.png", "is a file"),
        (empty, "no usable"),
        (nested, "give the one that holds"),
        (single, "two or more"),
    ):
        with pytest.raises(DatasetError, match=words) as caught:
            scan(root)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2
    with pytest.raises(DatasetError, match="different names"):
        scan(two_classes, labels=["a", "a"])


def test_pixels_come_through_the_contract_in_order(two_classes: Path) -> None:
    samples = scan(two_classes).samples
    contract = InputContract((24, 16), ("a", "b"))
    pixels = load_pixels(samples, contract)
    assert (pixels.shape, pixels.dtype) == ((4, 16, 24, 3), np.uint8)
    for sample, found in zip(samples, pixels, strict=True):
        frame = np.asarray(Image.open(sample.path).convert("RGB"))  # another decoder
        assert np.array_equal(found, contract.prepare(frame))


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), suffix=st.sampled_from([".jpg", ".png", ".tif", ".txt", ""]))
def test_no_content_stops_the_examination(data: bytes, suffix: str) -> None:
    problem = examine(f"x{suffix}", data)
    assert problem is not None
    assert problem.kind in KINDS
    assert not problem.used


@settings(max_examples=60, deadline=None)
@given(
    where=st.integers(0, 2000),
    value=st.integers(0, 255),
    form=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]),
)
@example(where=130, value=1, form="TIFF")  # a second image without dimensions
def test_a_damaged_byte_never_stops_the_examination(where: int, value: int, form: str) -> None:
    data = bytearray(encoded(picture(3), form))
    data[where % len(data)] = value
    problem = examine(f"x.{form.lower()}", bytes(data))
    assert problem is None or problem.kind in KINDS


def test_the_published_images_have_no_problem_but_their_copies(data_dir: Path) -> None:
    found = scan(data_dir)
    assert set(found.problem_counts()) <= {"duplicate"}
    assert found.labels == ("Benign", "Early", "Pre", "Pro")


def test_folders_that_divide_the_set_are_looked_into(tmp_path: Path) -> None:
    for part in ("train", "Val", "extra"):
        for label in ("a", "b"):
            (tmp_path / part / label).mkdir(parents=True)
            picture(ord(part[0]) + ord(label)).save(tmp_path / part / label / "1.png")
    found = scan(tmp_path)
    assert found.labels == ("a", "b") and found.parts == {"train": "train", "Val": "validation"}
    assert [s.name for s in found.samples] == ["Val/a/1.png", "Val/b/1.png", "train/a/1.png", "train/b/1.png"]
    assert [(p.name, p.kind) for p in found.problems] == [("extra/", "unlisted")]


def test_classes_that_are_called_train_and_test_stay_classes(tmp_path: Path) -> None:
    """Negative control: they hold images and no folders."""
    for label in ("train", "test"):
        (tmp_path / label).mkdir()
        picture(len(label)).save(tmp_path / label / "1.png")
    found = scan(tmp_path)
    assert found.labels == ("test", "train") and found.parts == {} and found.problems == ()
