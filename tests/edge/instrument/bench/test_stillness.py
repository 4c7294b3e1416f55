"""Stillness: a sensor's noise is no motion, a small shift is; a lamp that dims moves nothing."""

import numpy as np
import pytest

from edge.cameras.synthetic.smear import SyntheticSmear
from edge.inference.contract import InputContract, Pixels
from edge.instrument.bench.stillness import Stillness

CONTRACT = InputContract(size=(224, 224), labels=("Benign", "Pre"))
WIDTH, HEIGHT, FRAME_NS = 640, 480, 33_333_333


@pytest.fixture(scope="module")
def field() -> Pixels:
    return SyntheticSmear(2, "Benign").field(0, 0, (WIDTH + 80, HEIGHT), 80.64 / HEIGHT, noise=None).frame


def seen(frames: list[Pixels], noise: float = 2.0) -> tuple[float, int]:
    """Seconds for which the view stood still at the end, and how many stands there were."""
    stillness, still_s = Stillness(), 0.0
    pool = np.random.default_rng(1).normal(0, noise, (HEIGHT + 40, WIDTH, 3)).astype(np.float32)
    for number, frame in enumerate(frames):
        noisy = np.clip(frame + pool[number * 7 % 40 :][:HEIGHT], 0, 255).astype(np.uint8)
        still_s = stillness.see(CONTRACT.prepare(noisy), number * FRAME_NS)
    return still_s, stillness.stand


def at(field: Pixels, shift: float) -> Pixels:
    return np.ascontiguousarray(field[:, round(shift) : round(shift) + WIDTH])


@pytest.mark.parametrize("noise", [0.0, 2.0, 10.0, 25.0])
def test_noise_is_no_motion(field: Pixels, noise: float) -> None:
    still_s, stands = seen([at(field, 0)] * 12, noise)
    assert stands == 1 and still_s == pytest.approx(11 / 30, abs=0.01)


@pytest.mark.parametrize("pixels_a_frame", [0.5, 1, 4, 40])
def test_a_view_that_moves_never_stands(field: Pixels, pixels_a_frame: float) -> None:
    """Also one that creeps: each frame is held against the first of its stand, not against the one before."""
    frames = [at(field, min(number * pixels_a_frame, 80)) for number in range(1 + int(80 / pixels_a_frame))]
    still_s, stands = seen(frames[:30])
    assert still_s < 0.3 and stands > 1


def test_a_shift_by_a_hundredth_of_the_field_begins_a_new_stand(field: Pixels) -> None:
    assert seen([at(field, 0)] * 5 + [at(field, 6)] * 5)[1] == 2


def test_a_lamp_that_dims_moves_nothing(field: Pixels) -> None:
    frames = [np.clip(at(field, 0).astype(int) - 20 * number // 10, 0, 255).astype(np.uint8) for number in range(10)]
    assert seen(frames)[1] == 1
