"""Standard TFLite metadata: written by us, read by an independent reader and by MediaPipe."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from convert.errors import BrokenModelError
from convert.quantization.postcheck import verify
from convert.quantization.quantize import quantize
from convert.tflite.inspection import inspect
from convert.tflite.metadata import METADATA_NAME, with_metadata
from tests.convert.keras_models import CONTRACT, LABELS, smear_pixels
from tests.convert.quantization.test_quantize import run_tflite

pytest.importorskip("keras", reason="conversion needs TensorFlow")


@pytest.fixture(scope="module")
def uint8(model) -> bytes:
    return with_metadata(quantize(model, CONTRACT, smear_pixels(8), io="uint8"), CONTRACT, "uint8")


def test_what_is_written_is_read(int8):
    info = inspect(with_metadata(int8, CONTRACT, name="tiny")).info
    assert info is not None
    assert info.name == "tiny"
    assert info.labels == LABELS
    assert "Research use only" in info.description
    assert (info.mean, info.std, info.files) == ((128.0,) * 3, (128.0,) * 3, ("labels.txt",))
    assert "labels: alpha, beta, gamma, delta" in info.to_text()


def test_the_network_is_untouched(int8):
    tagged = with_metadata(int8, CONTRACT)
    tensors = (smear_pixels(6, seed=3).astype(int) - 128).astype(np.int8)
    np.testing.assert_array_equal(run_tflite(int8, tensors), run_tflite(tagged, tensors))
    verify(tagged, CONTRACT)
    before, after = inspect(int8), inspect(tagged)
    assert before.operators == after.operators
    assert [t.to_record() for t in before.tensors] == [t.to_record() for t in after.tensors]
    assert set(before.metadata_names) < set(after.metadata_names)


def test_writing_twice_gives_the_same_bytes_and_replaces(int8):
    once = with_metadata(int8, CONTRACT)
    assert with_metadata(once, CONTRACT) == once
    other = with_metadata(once, replace(CONTRACT, labels=("w", "x", "y", "z")))
    assert inspect(other).info.labels == ("w", "x", "y", "z")
    assert inspect(other).metadata_names.count(METADATA_NAME) == 1


def test_normalization_follows_the_contract(int8):
    contract = replace(CONTRACT, scale=(0.5, 0.25, 1.0), offset=(-1.0, -2.0, 0.0), channel_order="BGR")
    info = inspect(with_metadata(int8, contract)).info
    assert (info.mean, info.std) == ((2.0, 8.0, 0.0), (2.0, 4.0, 1.0))
    assert "blue, green, red" in info.description


def test_the_appended_files_are_a_zip_archive(int8):
    with zipfile.ZipFile(io.BytesIO(with_metadata(int8, CONTRACT))) as archive:
        assert archive.read("labels.txt").decode() == "alpha\nbeta\ngamma\ndelta\n"


def test_an_independent_reader_sees_the_same(uint8):
    """MediaPipe's generated reader of the metadata schema."""
    reader = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromPackedBuf(uint8, 0)
    entry = next(e for e in tree.metadata if e.name == METADATA_NAME.encode())
    packed = bytes(bytearray(tree.buffers[entry.buffer].data))
    assert reader.ModelMetadata.ModelMetadataBufferHasIdentifier(packed, 0)
    found = reader.ModelMetadataT.InitFromObj(reader.ModelMetadata.GetRootAs(packed, 0))
    graph = found.subgraphMetadata[0]
    image, scores = graph.inputTensorMetadata[0], graph.outputTensorMetadata[0]
    assert image.content.contentProperties.colorSpace == reader.ColorSpaceType.RGB
    assert list(image.processUnits[0].options.mean) == [128.0] * 3
    assert list(image.processUnits[0].options.std) == [128.0] * 3
    assert (image.stats.min[0], image.stats.max[0]) == (0, 255)
    assert scores.associatedFiles[0].name == b"labels.txt"
    assert scores.associatedFiles[0].type == reader.AssociatedFileType.TENSOR_AXIS_LABELS


@pytest.fixture(scope="module")
def classify(uint8):
    """MediaPipe Tasks' ImageClassifier over the uint8 file: frame to {label: score}."""
    mediapipe = pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=uint8))
    with vision.ImageClassifier.create_from_options(options) as classifier:

        def scores(frame: np.ndarray) -> dict[str, float]:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
            return {c.category_name: c.score for c in classifier.classify(image).classifications[0].categories}

        yield scores


def test_mediapipe_gives_our_label(uint8, classify):
    frames = smear_pixels(12, seed=5)
    ours = run_tflite(uint8, frames) / 256
    for frame, expected in zip(frames, ours, strict=True):
        scores = classify(frame)
        assert set(scores) == set(LABELS)
        assert [scores[label] for label in LABELS] == pytest.approx(list(expected), abs=1 / 256)


def test_mediapipe_shows_a_shuffled_label_list(model, classify):
    """Negative control: labels in another order are seen by the comparison above."""
    wrong = replace(CONTRACT, labels=LABELS[::-1])
    mediapipe = pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions, vision

    data = with_metadata(quantize(model, wrong, smear_pixels(8), io="uint8"), wrong, "uint8")
    frame = smear_pixels(12, seed=5)[0]
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=data))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        found = {c.category_name: c.score for c in classifier.classify(image).classifications[0].categories}
    assert found != classify(frame)


def test_a_file_without_metadata_has_none(int8):
    assert inspect(int8).info is None


def test_broken_files_are_refused(int8):
    with pytest.raises(BrokenModelError):
        with_metadata(b"not a model", CONTRACT)
    with pytest.raises(BrokenModelError):
        with_metadata(int8[: len(int8) // 2], CONTRACT)
    with pytest.raises(BrokenModelError):
        inspect(b"")


def test_lost_labels_are_not_invented(int8):
    """The archive cut off: the rest still reads, without labels."""
    tagged = with_metadata(int8, CONTRACT)
    info = inspect(tagged[: tagged.rindex(b"PK\x01\x02")]).info
    assert info is not None
    assert info.labels == ()
