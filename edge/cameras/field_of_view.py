"""Which part of a sensor a frame shows, at which scale, and which sensor mode shows the most at the least cost.

picamera2 picks the mode whose size is nearest to the frame's. Such a mode may read the middle of the sensor only: for
1280x960 a Camera Module 3 would see 67 % of the width, scaled up 1.11 times, and for 640x480 a Camera Module 2 39 %.
Magnification is what a network was trained on, so the mode is chosen here: of those that see all there is to see, the
smallest that needs no scaling up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.cameras.base import Box

Size = tuple[int, int]
_AS_GOOD_AS_ALL = 0.985  # some modes leave out a few rows or columns at the edge
_ENLARGED = 1.01  # rounding of crops to even pixels is no enlargement


@dataclass(frozen=True)
class SensorMode:
    """A mode of a sensor: frames of `size` show the part `crop` of it, in sensor pixels, at most `fps` a second.

    >>> SensorMode((1536, 864), 10, (768, 432, 3072, 1728)).seen((4, 3))
    (1152, 432, 2304, 1728)
    """

    size: Size
    bit_depth: int
    crop: Box
    fps: float = 0.0

    def seen(self, aspect: Size) -> Box:
        """The largest part of the mode's crop of those proportions, in its middle."""
        return largest_inside(self.crop, aspect)

    def pixels_across(self, part: Box) -> tuple[float, float]:
        """How many of the mode's pixels lie across and down a part of the sensor."""
        return self.size[0] * part[2] / self.crop[2], self.size[1] * part[3] / self.crop[3]


@dataclass(frozen=True)
class FieldOfView:
    """What frames show.

    Attributes:
        mode: size of the sensor mode, pixels; None where the driver does not say.
        crop: part of the sensor that is shown, sensor pixels.
        share: width of that part, of the widest there could be in the frame's proportions, 0..1.
        scale: pixels of a frame for each pixel that the sensor delivers; above 1 it is scaled up.
    """

    mode: Size | None
    crop: Box
    share: float
    scale: float | None

    def __str__(self) -> str:
        x, y, width, height = self.crop
        text = f"{width}x{height} sensor pixels from {x}, {y} on, {self.share:.0%} of the width there is"
        if self.mode is not None and self.scale is not None:
            text += f"; sensor mode {self.mode[0]}x{self.mode[1]}, scale {self.scale:.3f}"
        return text

    def adjusted(self, region: Box | None) -> list[str]:
        """Sentences for what is not as a user expects: the whole field, or the region asked for, not scaled up."""
        sentences = []
        if region is None and self.share < _AS_GOOD_AS_ALL:
            sentences.append(f"field of view: all of the sensor was asked for; frames show {self}")
        if self.scale is not None and self.scale > _ENLARGED:
            sentences.append(f"field of view: frames are scaled up {self.scale:.2f} times ({self})")
        return sentences


def sensor_modes(listed: Iterable[Mapping[str, Any]]) -> list[SensorMode]:
    """picamera2's `sensor_modes`, without what says no more than a format (a USB camera)."""
    return [
        SensorMode(
            _pair(mode["size"]), int(mode.get("bit_depth", 0)), _box(mode["crop_limits"]), float(mode.get("fps", 0))
        )
        for mode in listed
        if "size" in mode and "crop_limits" in mode and min(mode["size"]) > 0 and min(mode["crop_limits"][2:]) > 0
    ]


def best_mode(modes: list[SensorMode], size: Size, region: Box | None = None) -> SensorMode | None:
    """The mode for frames of `size`: it sees the region, or all there is, and is the smallest not to be scaled up.

    Args:
        region: part of the sensor that is wanted, sensor pixels; None is all of it.

    Returns:
        None where there are no modes, or none holds the region.
    """
    if region is None:
        widest = max((mode.seen(size)[2] for mode in modes), default=0)
        fitting = [mode for mode in modes if mode.seen(size)[2] >= _AS_GOOD_AS_ALL * widest]
    else:
        fitting = [mode for mode in modes if _holds(mode.crop, region)]

    def sampled(mode: SensorMode) -> float:
        across, down = mode.pixels_across(region or mode.seen(size))
        return min(across / size[0], down / size[1])

    enough = [mode for mode in fitting if sampled(mode) * _ENLARGED >= 1]
    if enough:
        return min(enough, key=lambda mode: (mode.size[0] * mode.size[1], -mode.bit_depth))
    return max(fitting, key=lambda mode: (sampled(mode), mode.bit_depth), default=None)


def field_of_view(crop: Any, size: Size, modes: list[SensorMode], mode: Size | None) -> FieldOfView | None:
    """What frames of `size` show, from the crop that a frame's metadata name; None where they name none."""
    if not isinstance(crop, (tuple, list)) or len(crop) != 4 or min(crop[2:]) <= 0 or not modes:
        return None
    shown = _box(crop)
    running = next((each for each in modes if each.size == mode), None)
    widest = max(each.seen(size)[2] for each in modes)
    scale = None
    if running is not None:
        across, down = running.pixels_across(shown)
        scale = max(size[0] / across, size[1] / down)
    return FieldOfView(None if running is None else running.size, shown, min(1.0, shown[2] / widest), scale)


def largest_inside(box: Box, aspect: Size) -> Box:
    """The largest box of those proportions inside another, in its middle; sides are rounded down.

    >>> largest_inside((0, 0, 1920, 1080), (4, 3))
    (240, 0, 1440, 1080)
    """
    x, y, width, height = box
    across = min(width, height * aspect[0] // aspect[1])
    down = min(height, width * aspect[1] // aspect[0])
    return x + (width - across) // 2, y + (height - down) // 2, across, down


def _holds(crop: Box, part: Box) -> bool:
    return (
        crop[0] <= part[0]
        and crop[1] <= part[1]
        and part[0] + part[2] <= crop[0] + crop[2]
        and part[1] + part[3] <= crop[1] + crop[3]
    )


def _pair(values: Any) -> Size:
    return int(values[0]), int(values[1])


def _box(values: Any) -> Box:
    return int(values[0]), int(values[1]), int(values[2]), int(values[3])
