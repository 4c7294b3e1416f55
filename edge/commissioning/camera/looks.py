"""Looking through a camera that is being set up: the mean of some frames, and whether anything moved meanwhile."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.cameras.base import Camera
from edge.errors import CameraTimeout, EmptyFieldError, FrameCorrupt
from edge.system.progress import Progress

Light = npt.NDArray[np.float64]
CLIPPED = 254  # grey level from which a pixel tells nothing of the light
TIMEOUT_S = 5.0
_MOST_CORRUPT = 10
_BLOCK = 8  # pixels a side that are compared between the first and the second half
_STEADY, _STILL = 0.01, 0.02  # parts of the light that all of it, and one block, may differ by


@dataclass(frozen=True)
class Look:
    """What some frames in a row showed.

    Attributes:
        light: float64 (H, W, 3): their mean, grey levels. halves: the mean of the first and of the second half of them.
        clipped: part of all pixels at the end of the range in any channel, 0..1.
        frames: how many.
    """

    light: Light
    halves: tuple[Light, Light]
    clipped: float
    frames: int

    def levels(self) -> tuple[float, float, float]:
        """Grey level of red, green and blue where the light is strongest: 0.5 % of the blocks are lighter."""
        red, green, blue = np.quantile(blocks(self.light), 0.995, axis=(0, 1))
        return float(red), float(green), float(blue)

    def require_still(self) -> None:
        """EmptyFieldError where something moved or the light changed between the first half and the second."""
        first, second = (blocks(half) for half in self.halves)
        change = float(second.mean() / max(first.mean(), 1.0) - 1)
        if abs(change) > _STEADY:
            raise EmptyFieldError(
                f"the light changed by {change:+.1%} while it was looked at: let the lamp warm up, keep daylight out"
            )
        moved = float((np.abs(second - first) > _STILL * 255).any(axis=2).mean())
        if moved > 0.001:
            raise EmptyFieldError(
                f"something moved on {moved:.1%} of the field while it was looked at: leave the stage alone"
            )


def look(camera: Camera, frames: int, *, skip: int = 0, title: str = "") -> Look:
    """The mean of `frames` frames in a row, after `skip` that are not looked at.

    Raises:
        CameraError: as `Camera.capture`; a few frames that cannot be read are taken again.
    """
    halves: list[Light] = []
    corrupt = clipped = 0
    with Progress(title or "looking at the field", frames, wanted=bool(title)) as progress:
        taken = -skip
        while taken < frames:
            try:
                pixels = camera.capture(TIMEOUT_S).pixels
            except FrameCorrupt:
                corrupt += 1
                if corrupt > _MOST_CORRUPT:
                    raise
                continue
            except CameraTimeout as error:
                raise CameraTimeout(f"{error}: is it connected, and not too slow for its exposure?") from error
            taken += 1
            if taken <= 0:
                continue
            if not halves:
                halves = [np.zeros(pixels.shape), np.zeros(pixels.shape)]
            halves[taken > frames // 2] += pixels
            clipped += int((pixels >= CLIPPED).any(axis=2).sum())
            progress.advance()
    first, second = frames // 2, frames - frames // 2
    light = (halves[0] + halves[1]) / frames
    means = (halves[0] / max(first, 1) if first else light, halves[1] / second)
    return Look(light, means, clipped / frames / (light.size // 3), frames)


def blocks(light: Light) -> Light:
    """Means of 8x8 pixels, float64 (H / 8, W / 8, 3); what is left at the right and below is left out."""
    side = min(_BLOCK, *light.shape[:2])
    height, width = light.shape[0] // side, light.shape[1] // side
    return np.asarray(light[: height * side, : width * side].reshape(height, side, width, side, 3).mean(axis=(1, 3)))
