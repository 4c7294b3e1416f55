"""One score a class from raw outputs, whatever the head; a bundle's golden images judge a sigmoid by them."""

import numpy as np
import pytest

from edge.bundle.golden import Golden, judge
from edge.inference.scores import both_classes, class_scores


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_a_sigmoid_is_split_at_one_half(dtype: type) -> None:
    lowest = int(np.iinfo(dtype).min)
    raw = np.arange(256).astype(np.uint8)[:, np.newaxis] if dtype is np.uint8 else np.arange(-128, 128)[:, np.newaxis]
    raw = raw.astype(dtype)
    scores = class_scores(raw)
    p = (raw[:, 0].astype(float) - lowest) / 256
    assert np.array_equal(scores.argmax(axis=1), (p > 0.5).astype(int))
    assert np.allclose(scores[:, 1] - scores[:, 0], (2 * p - 1) * 256)


def test_more_outputs_are_their_own_scores() -> None:
    raw = np.array([[-128, 127, 3]], np.int8)
    assert class_scores(raw).tolist() == raw.tolist() and class_scores(raw).dtype == np.int16
    assert both_classes(np.array([[0.2, 0.8]], np.float32)).shape == (1, 2)


def test_golden_images_of_a_sigmoid_notice_another_class() -> None:
    golden = Golden(np.zeros((2, 8, 8, 3), np.uint8), np.array([[-100], [90]], np.int8))
    assert judge(golden, [np.array([-100], np.int8), np.array([90], np.int8)], "xnnpack", "xnnpack").passed
    turned = judge(golden, [np.array([-100], np.int8), np.array([-90], np.int8)], "xnnpack", "xnnpack")
    assert (turned.expected, turned.answered, turned.reclassified) == ((0, 1), (0, 0), (1,))
