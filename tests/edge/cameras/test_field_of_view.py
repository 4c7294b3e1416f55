"""The sensor mode for a frame, over the mode tables that `rpicam-hello --list-cameras` prints for each sensor."""

import pytest

from edge.cameras.field_of_view import FieldOfView, SensorMode, best_mode, field_of_view, largest_inside, sensor_modes


def modes(depth: int, *rows: tuple[tuple[int, int], tuple[int, int, int, int]]) -> list[SensorMode]:
    return [SensorMode(size, depth, crop) for size, crop in rows]


IMX219 = modes(
    10,
    ((640, 480), (1000, 752, 1280, 960)),
    ((1640, 1232), (0, 0, 3280, 2464)),
    ((1920, 1080), (680, 692, 1920, 1080)),
    ((3280, 2464), (0, 0, 3280, 2464)),
)
IMX708 = modes(
    10,
    ((1536, 864), (768, 432, 3072, 1728)),
    ((2304, 1296), (0, 0, 4608, 2592)),
    ((4608, 2592), (0, 0, 4608, 2592)),
)
IMX477 = [
    SensorMode((1332, 990), 10, (696, 528, 2664, 1980)),
    *modes(
        12,
        ((2028, 1080), (0, 440, 4056, 2160)),
        ((2028, 1520), (0, 0, 4056, 3040)),
        ((4056, 3040), (0, 0, 4056, 3040)),
    ),
]
OV5647 = modes(
    10,
    ((640, 480), (16, 0, 2560, 1920)),
    ((1296, 972), (0, 0, 2592, 1944)),
    ((1920, 1080), (348, 434, 1928, 1080)),
    ((2592, 1944), (0, 0, 2592, 1944)),
)
IMX296 = modes(10, ((1456, 1088), (0, 0, 1456, 1088)))


@pytest.mark.parametrize(
    ("sensor", "size", "expected"),
    [
        (IMX708, (1280, 960), (2304, 1296)),  # picamera2: 1536x864, 67 % of the width, scaled up 1.11 times
        (IMX708, (2000, 1500), (4608, 2592)),
        (IMX219, (640, 480), (1640, 1232)),  # picamera2: 640x480, 39 %
        (IMX219, (1920, 1080), (3280, 2464)),  # the whole width, though a mode of that very size is there
        (IMX477, (1280, 960), (2028, 1520)),
        (IMX477, (1920, 1080), (2028, 1520)),  # 2028x1080 would see 95 % of the width
        (OV5647, (640, 480), (640, 480)),  # 98.8 % of the width: two binned rows are left out
        (OV5647, (1280, 960), (1296, 972)),
        (IMX296, (1280, 960), (1456, 1088)),
        (IMX296, (2000, 1500), (1456, 1088)),  # scaled up: there is no larger one
    ],
)
def test_the_smallest_mode_with_the_whole_field(
    sensor: list[SensorMode], size: tuple[int, int], expected: tuple[int, int]
) -> None:
    mode = best_mode(sensor, size)
    assert mode is not None and mode.size == expected
    view = field_of_view(mode.seen(size), size, sensor, mode.size)
    assert view is not None and view.share > 0.98
    assert bool(view.adjusted(None)) is (expected == (1456, 1088) and size == (2000, 1500))


def test_what_picamera2_would_have_chosen_is_told() -> None:
    crop = largest_inside(IMX708[0].crop, (1280, 960))
    view = field_of_view(crop, (1280, 960), IMX708, (1536, 864))
    assert view == FieldOfView((1536, 864), (1152, 432, 2304, 1728), pytest.approx(2 / 3), pytest.approx(10 / 9))
    first, second = view.adjusted(None)
    assert "67% of the width" in first and "scaled up 1.11 times" in second
    assert [s for s in view.adjusted(crop) if "asked" in s] == [], "a region that was asked for is no fault"


def test_cameras_that_do_not_say() -> None:
    assert sensor_modes([{"format": "YUYV"}, {"size": (0, 0), "crop_limits": (0, 0, 0, 0)}]) == []
    assert best_mode([], (640, 480)) is None
    assert best_mode(IMX219, (640, 480), (3000, 0, 960, 576)) is None
    assert field_of_view(None, (640, 480), IMX219, None) is None
    assert field_of_view((0, 0, 4, 3), (640, 480), [], None) is None
    view = field_of_view((0, 0, 3280, 2464), (640, 480), IMX219, (7, 7))
    assert view is not None and view.scale is None and "mode" not in str(view)
