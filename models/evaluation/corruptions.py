"""Corruptions: fields degraded by microscope, stain, camera or program, in five severities.

Severity 1 is what a careful person may overlook, 3 what one would mend before going on, 5 what one would not judge.
The values are this project's choice, in physical units, set by looking at fields and not at what networks made of
them; nobody's survey of microscopes is behind them. Over-exposure has the smaller steps because the ground of the
published fields is white already. A factor or an angle goes to either side, by a draw.

A corruption's draw (direction, sign, place of dust, noise) follows from the image's key alone: it is the same at every
severity, on every machine and in any order of images.

The manner of Hendrycks and Dietterich 2019 (arXiv 1903.12261), with a microscope's faults in place of weather.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.inference.contract import Pixels, check_frame
from models.errors import ModelsError
from models.evaluation import optical as corruption_light
from models.evaluation import scene as corruption_scene
from models.support.keyed_random import draw

SEVERITIES = (1, 2, 3, 4, 5)
USUAL = (1, 2, 3)  # what a microscope in use may do; the project's targets are set for these


class CorruptionError(ModelsError, ValueError):
    """An unknown corruption or severity, or no donor where one is needed. Cure: correct what the message names."""


@dataclass(frozen=True)
class Corruption:
    """One kind of degradation.

    Attributes:
        name: as in records and figures.
        parameter: what the value is; unit: of it ("" for a ratio).
        values: one a severity, mild to severe.
        apply: (pixels, value, rng) -> pixels; with a donor image fourth when `needs_donor`.
    """

    name: str
    parameter: str
    unit: str
    values: tuple[float, float, float, float, float]
    apply: Callable[..., Any]
    needs_donor: bool = False

    def value(self, severity: int) -> float:
        """The value at severity 1..5."""
        if severity not in SEVERITIES:
            raise CorruptionError(f"severity must be one of {list(SEVERITIES)}; got {severity!r}")
        return self.values[severity - 1]

    def says(self, severity: int) -> str:
        """ "sigma 2.2 px"."""
        return f"{self.parameter} {self.value(severity):g} {self.unit}".rstrip()


_LIGHT, _SCENE = corruption_light, corruption_scene
_ALL = (
    Corruption("defocus", "sigma", "px", (0.8, 1.4, 2.2, 3.2, 4.5), _LIGHT.defocus),
    Corruption("motion_blur", "path", "px", (2, 4, 7, 11, 16), _LIGHT.motion_blur),
    Corruption("low_contrast", "glare", "", (0.15, 0.30, 0.45, 0.60, 0.75), _LIGHT.low_contrast),
    Corruption("over_exposure", "+", "EV", (0.17, 0.33, 0.5, 0.75, 1.0), _LIGHT.over_exposure),
    Corruption("under_exposure", "-", "EV", (0.33, 0.67, 1.0, 1.5, 2.0), _LIGHT.under_exposure),
    Corruption("uneven_illumination", "fall", "", (0.2, 0.35, 0.5, 0.65, 0.8), _LIGHT.uneven_illumination),
    Corruption("colour_temperature", "shift", "mired", (15, 30, 50, 80, 120), _LIGHT.colour_temperature),
    Corruption("stain_intensity", "density factor", "", (1.1, 1.25, 1.5, 1.75, 2.0), _LIGHT.stain_intensity),
    Corruption("stain_hue", "turn", "degrees", (4, 8, 14, 20, 30), _LIGHT.stain_hue),
    Corruption("sensor_noise", "full well", "electrons", (4000, 1500, 600, 250, 100), _LIGHT.sensor_noise),
    Corruption("jpeg", "quality", "", (60, 40, 25, 15, 8), _LIGHT.jpeg),
    Corruption("chromatic_shift", "red to blue", "px", (0.75, 1.5, 2.5, 4, 6), _LIGHT.chromatic_shift),
    Corruption("dust", "share of field", "", (0.005, 0.01, 0.02, 0.04, 0.08), _SCENE.dust),
    Corruption("scale", "size factor", "", (1.1, 1.2, 1.35, 1.6, 2.0), _SCENE.scale),
    Corruption("rotation", "turn", "degrees", (5, 10, 20, 30, 45), _SCENE.rotation),
    Corruption("scale_bar_added", "width", "px", (24, 32, 42, 54, 68), _SCENE.scale_bar_added),
    Corruption("scale_bar_removed", "box factor", "", (1, 1.2, 1.4, 1.6, 1.8), _SCENE.scale_bar_removed),
    Corruption(
        "scale_bar_swapped", "box factor", "", (1, 1.2, 1.4, 1.6, 1.8), _SCENE.scale_bar_swapped, needs_donor=True
    ),
)
CORRUPTIONS: Mapping[str, Corruption] = {corruption.name: corruption for corruption in _ALL}


def corrupt(pixels: Pixels, name: str, severity: int, key: str, donor: Pixels | None = None) -> Pixels:
    """One image, degraded.

    Args:
        pixels: uint8 (H, W, 3) RGB, from `InputContract.prepare`; left as it is.
        name: in CORRUPTIONS.
        severity: 1 mild .. 5 severe.
        key: names the image (its sha256); the draw follows from it and from `name`, nothing else.
        donor: the image whose bar `scale_bar_swapped` takes; unused otherwise.

    Returns:
        uint8 (H, W, 3), C-contiguous, a new array.

    Raises:
        CorruptionError: an unknown name or severity, or no donor where one is needed.
        FrameError: pixels of another form.
    """
    check_frame(pixels)
    if name not in CORRUPTIONS:
        raise CorruptionError(f"corruption must be one of {', '.join(CORRUPTIONS)}; got {name!r}")
    corruption = CORRUPTIONS[name]
    value, rng = corruption.value(severity), draw(name, key)
    if not corruption.needs_donor:
        return np.ascontiguousarray(corruption.apply(pixels, value, rng))
    if donor is None:
        raise CorruptionError(f"donor must be an image of another class for {name}; got none")
    check_frame(donor)
    return np.ascontiguousarray(corruption.apply(pixels, value, rng, donor))
