"""The strip that says which frame of `sim:` it is and when it was exposed."""

import time

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.base import CameraSettings
from edge.cameras.simulation.counter_strip import draw, read
from edge.cameras.simulation.simulated import SimulatedCamera
from edge.errors import CameraSettingsError


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**48 - 1), st.sampled_from([(96, 128), (481, 641), (960, 1280)]))
def test_what_was_written_is_read(frame: int, milliseconds: int, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 190, np.uint8)
    draw(pixels, frame, milliseconds)
    assert read(pixels) == (frame, milliseconds)
    assert (pixels[size[0] // 10 :] == 190).all()


@pytest.mark.parametrize("width", [800, 640, 507, 375, 160])
def test_it_survives_shrinking_and_jpeg(width: int) -> None:
    pixels = np.full((960, 1280, 3), (200, 120, 160), np.uint8)
    draw(pixels, 123456, 1_795_770_902_250)
    small = cv2.resize(pixels, (width, width * 3 // 4), interpolation=cv2.INTER_AREA)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=60, colorsubsampling="420")
    shown = simplejpeg.decode_jpeg(jpeg)
    assert read(shown) == (123456, 1_795_770_902_250)
    shown[: width // 40] = shown[: width // 40, ::-1]  # negative control: a row that is turned round
    assert read(shown) is None


def test_frames_without_it_say_nothing() -> None:
    camera = SimulatedCamera("sim:Pre?seed=3")
    camera.open()
    camera.configure(CameraSettings(size=(128, 96)))
    assert read(camera.capture(2.0).pixels) is None
    camera.close()
    assert read(np.zeros((96, 128, 3), np.uint8)) is None


def test_the_camera_says_number_and_time_and_a_frozen_frame_stays_the_same() -> None:
    with SimulatedCamera("sim:Pre?seed=3&fps=100&counter=1&fail=freeze@30:0.2") as camera:
        camera.configure(CameraSettings(size=(128, 96)))
        first = camera.capture(2.0)
        said = read(first.pixels)
        assert said is not None
        assert said[0] == first.sequence
        offset = time.time_ns() - time.monotonic_ns()
        assert abs(said[1] - (first.monotonic_ns + offset) / 1e6) < 2
        assert -1 <= time.time() * 1e3 - said[1] < 500  # the strip says whole milliseconds
        frames = [camera.capture(2.0) for _ in range(40)]
        told = [read(frame.pixels) for frame in frames]
        frozen = [
            each for each, frame in zip(told, frames, strict=True) if each is not None and each[0] != frame.sequence
        ]
        assert len(frozen) > 5
        assert len(set(frozen)) == 1


def test_only_0_and_1_switch_it() -> None:
    with pytest.raises(CameraSettingsError, match="counter must be 0 or 1; got 'yes'"):
        SimulatedCamera("sim:Pre?counter=yes")
