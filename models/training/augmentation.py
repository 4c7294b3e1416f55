"""Augmentation: training images as other microscopes, stains and cameras might have shown them.

A smear has no up, so turns and flips are free. Everything else happens in the order in which it happens to a real
image: the scale bar is taken away, the field is magnified, stained (in optical density), soiled, lit, focused, sensed,
compressed, and sometimes given an overlay. Everything works on prepared pixels, uint8 (H, W, 3) RGB; encoding them
stays with `edge.inference.contract`.

The draws here are continuous, combined and wider than the graded corruptions that networks are evaluated on; the two
share no code, so that an evaluation does not repeat the training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge.inference.contract import Pixels
from models.data.scale_bar import corner, fill_corner, replace_corner
from models.errors import ModelsError
from models.training import scanner_artifacts as imperfections
from models.training.stain import Floats, carry_over, saturate, to_density, to_light, to_pixels, turn_hue

Images = Sequence[Pixels] | Pixels
_TOPS = {"blur": 20.0, "drag": 40.0, "fringe": 20.0, "noise": 100.0, "hue": 180.0, "most": 12.0, "compression": 100.0}


class AugmentationError(ModelsError, ValueError):
    """An impossible augmentation setting. Cure: correct the field the message names."""


@dataclass(frozen=True)
class Augmentation:
    """How far training images are varied; `Augmentation().scaled(0)` leaves only turns and flips.

    An image receives stain and magnification always, and 0 to `most` of the other imperfections, each between nothing
    and the amplitude given here.

    Attributes:
        exchange_corner: chance that the scale bar's corner comes from another image; otherwise it is filled in.
        overlay: chance of a drawn bar, box or text of no known style in some corner.
        exchange_stain: chance that mean and spread of the optical densities move towards another image's, whatever
            that one's class: colour then says little about the class.
        intact: chance that an image keeps its colour and sharpness.
        most: imperfections an image at most.
        scale: largest relative change of magnification; `squeeze` the same of one axis against the other.
        stain: standard deviation of the stain's mixing matrix about identity, in optical density.
        density: largest relative change of all optical densities (staining time, smear thickness).
        hue: largest turn of the hue in optical density, degrees; `saturation` largest relative change.
        exposure: largest share of the light lost; gained is at most half as much.
        contrast: largest share of the image replaced by even, scattered light.
        gamma: largest relative change of the exponent of the camera's curve.
        temperature: largest relative change between red and blue; half of it between green and both.
        shading: largest relative fall of illumination across the field.
        blur: largest radius of defocus, pixels; `drag` largest length of motion blur, `fringe` largest shift of red and
            blue against green.
        dirt: specks and fibres at most, tens.
        noise: largest standard deviation of sensor noise, grey levels.
        compression: largest loss of JPEG quality from 100.
    """

    exchange_corner: float = 0.5
    overlay: float = 0.2
    exchange_stain: float = 0.3
    intact: float = 0.15
    most: int = 4
    scale: float = 0.4
    squeeze: float = 0.12
    stain: float = 0.05
    density: float = 0.3
    hue: float = 25.0
    saturation: float = 0.5
    exposure: float = 0.6
    contrast: float = 0.75
    gamma: float = 0.4
    temperature: float = 0.25
    shading: float = 0.6
    blur: float = 4.0
    drag: float = 14.0
    fringe: float = 3.0
    dirt: float = 1.0
    noise: float = 25.0
    compression: float = 88.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            top = _TOPS.get(name, 1.0)
            if not 0 <= value <= top:
                raise AugmentationError(f"{name} must be between 0 and {top:g}; got {value}")

    def scaled(self, factor: float) -> "Augmentation":
        """The same with every amplitude times `factor`, 0..1; with 0, chances but that of the scale bar are 0 too.

        Raises:
            AugmentationError: `factor` is outside 0..1.
        """
        if not 0 <= factor <= 1:
            raise AugmentationError(f"factor must be between 0 and 1; got {factor}")
        kept = ("exchange_corner", "overlay", "exchange_stain", "intact", "most")
        scaled = {name: value * factor for name, value in vars(self).items() if name not in kept}
        if not factor:
            return replace(self, **scaled, overlay=0.0, exchange_stain=0.0, intact=0.0, most=0)
        return replace(self, **scaled)

    def __call__(self, pixels: Pixels, rng: np.random.Generator, others: Images = ()) -> Pixels:
        """One variation of an image.

        Args:
            pixels: uint8 (H, W, 3) RGB, from `InputContract.prepare`.
            rng: the only source of chance: the same state gives the same image.
            others: images whose corner or stain may stand in for this one's.
        """
        if len(others) and rng.random() < self.exchange_corner:
            image = replace_corner(pixels, corner(others[rng.integers(len(others))]))
        else:
            image = fill_corner(pixels)
        image = self._geometry(image, rng)
        if self.most and rng.random() >= self.intact:
            image = self._imperfect(image, rng, others)
        if rng.random() < self.overlay:
            image = imperfections.draw_bar(image, rng)
        return image

    def _geometry(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        if rng.random() < 0.4:  # exact quarter turns keep every pixel's sharpness
            image = np.rot90(image, rng.integers(4) if height == width else 2 * rng.integers(2))
        else:
            zoom = (1 + self.scale) ** rng.uniform(-1, 1)
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(0, 360), zoom)
            axis = int(rng.integers(2))
            matrix[axis] *= 1 + rng.uniform(-self.squeeze, self.squeeze)
            matrix[axis, 2] += (width, height)[axis] / 2 - matrix[axis] @ (width / 2, height / 2, 1)
            image = cv2.warpAffine(  # type: ignore[assignment]
                image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
        if rng.random() < 0.5:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)

    def _imperfect(self, image: Pixels, rng: np.random.Generator, others: Images) -> Pixels:
        chosen = rng.choice(_IMPERFECTIONS, int(rng.integers(self.most + 1)), replace=False).tolist()
        density = self._stain(image, rng, others, "stain" in chosen)
        if "dirt" in chosen and self.dirt:
            density = density + imperfections.dirt((image.shape[0], image.shape[1]), max(1, round(10 * self.dirt)), rng)
        light = self._light(to_light(density), rng, chosen)
        if "blur" in chosen:
            light = imperfections.defocus(light, rng.uniform(0, self.blur))
        if "drag" in chosen:
            light = imperfections.drag(light, rng.uniform(0, self.drag), rng.uniform(0, np.pi))
        if "fringe" in chosen:
            light = imperfections.fringe(light, rng.uniform(0, self.fringe), 0.004 * self.fringe, rng)
        if "noise" in chosen:
            read, shot = self.noise * rng.uniform(0, 1) * rng.dirichlet((1, 1))
            light = imperfections.grain(light, read, shot, rng)
        pixels = to_pixels(light)
        if "compression" in chosen:
            pixels = imperfections.compress(pixels, 100 - int(rng.uniform(0, self.compression)))
        return pixels

    def _stain(self, image: Pixels, rng: np.random.Generator, others: Images, strongly: bool) -> Floats:
        """Optical density under another batch of dye: a little always, much when `strongly`."""
        density = to_density(image)
        if len(others) and rng.random() < self.exchange_stain:
            other = to_density(fill_corner(others[rng.integers(len(others))]))
            density = carry_over(density, other, rng.uniform(0, 1))
        mixing = np.eye(3) + rng.normal(0, self.stain, (3, 3))
        mixing *= 1 + rng.uniform(-self.density, self.density) * (1.0 if strongly else 0.5)
        if strongly:
            mixing = mixing @ turn_hue(np.radians(rng.uniform(-self.hue, self.hue)))
            mixing = mixing @ saturate(1 + rng.uniform(-self.saturation, self.saturation))
        return np.asarray(cv2.transform(density, mixing.astype(np.float32)), np.float32)

    def _light(self, light: Floats, rng: np.random.Generator, chosen: list[str]) -> Floats:
        """The lamp's strength, colour and evenness, scattered light, and the camera's curve."""
        gains = np.full(3, 1 + 0.1 * rng.uniform(-self.exposure, self.exposure / 2))
        if "exposure" in chosen:
            gains = gains * (1 + rng.uniform(-self.exposure, self.exposure / 2))
        if "temperature" in chosen:
            red, green = rng.uniform(-self.temperature, self.temperature, 2) * (1, 0.5)
            gains = gains * (1 + red, 1 + green, 1 - red)
        light = light * gains.astype(np.float32)
        if "shading" in chosen:
            light = light * imperfections.lamp((light.shape[0], light.shape[1]), rng.uniform(0, self.shading), rng)
        if "contrast" in chosen:
            share = np.float32(rng.uniform(0, self.contrast))
            veil = np.float32(light.mean() * rng.uniform(0.6, 1.25))
            light = light * (1 - share) + share * veil
        if "gamma" in chosen:
            power = (1 + self.gamma) ** rng.uniform(-1, 1)
            light = np.asarray(cv2.pow(np.maximum(light, 0) / np.float32(255), power), np.float32) * np.float32(255)
        return light


_IMPERFECTIONS = (
    "stain",
    "dirt",
    "exposure",
    "temperature",
    "shading",
    "contrast",
    "gamma",
    "blur",
    "drag",
    "fringe",
    "noise",
    "compression",
)
