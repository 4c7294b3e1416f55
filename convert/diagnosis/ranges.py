"""Recorded ranges of an int8 file against measured ones, and how far the recorded ones can be trusted.

A converter takes each activation's range from the least and greatest value on the calibration images. So a file betrays
how many it saw: ranges that a single image fills, on most layers at once, are the ranges of few images. A range
narrower than what every single image here reaches cannot come from images like these at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.diagnosis.activations import Doubles, Layer
from convert.diagnosis.record import CalibrationRecord, Extreme, RangeRecord

ORDERS = 24  # random orders of the images that growth is averaged over
EXCEEDS = 0.05  # of the held range: beyond it a measured range counts as wider than the recorded one
TOUCHED = 1 / 255  # one step
SATURATED_BY_DESIGN = 0.98  # one image fills it: a ReLU6's range says nothing about the number of images
NAMED = 3  # images that set most extremes


@dataclass(frozen=True, eq=False)
class Range:
    """Of one layer with a range of its own.

    Attributes:
        measured, recorded: widths, zero included as TFLite has it, in real units.
        exceeds: how far measured values reach beyond the recorded range, as a part of its width; 0 for not at all.
        any_image: the same for the image that reaches least: above 0, every image is clipped.
        one_image: mean width of a single image's range over that of all.
        halves: difference of the widths of two halves of the images over the width of all.

    >>> Range("first", measured=10.0, recorded=8.0, exceeds=0.25, any_image=0.0, one_image=0.4, halves=0.1).covered
    0.8
    """

    name: str
    measured: float
    recorded: float
    exceeds: float
    any_image: float
    one_image: float
    halves: float

    @property
    def covered(self) -> float:
        """Part of the measured width that the file holds, counted from the ends; above 1 when it holds more."""
        return self.recorded / self.measured if self.exceeds <= 0 and self.measured else 1 / (1 + self.exceeds)

    def to_record(self) -> RangeRecord:
        """As `diagnosis.json` holds it."""
        numbers = {key: float(f"{value:.4g}") for key, value in vars(self).items() if key != "name"}
        return RangeRecord(name=self.name, **numbers)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """All of it.

    Attributes:
        ranges: of the layers with ranges of their own, the input left out.
        growth: (images, median over layers of the width they give over that of all images).
        telling: layers whose range depends on the images. touched: those of them whose measured range reaches beyond
            the recorded one by a step or more: nearly all after few images. exceeded: by more than `EXCEEDS`.
        looks_like: number of images whose ranges the recorded ones resemble; None where they are as wide as all here.
        extremes: (image, layers whose greatest or least value it sets), most first.
        halves: median of `Range.halves`.
        recorded_images: what the bundle's calibration record says; None without one.
    """

    ranges: tuple[Range, ...]
    growth: tuple[tuple[int, float], ...]
    exceeded: int
    touched: int
    telling: int
    looks_like: int | None
    extremes: tuple[tuple[str, int], ...]
    halves: float
    recorded_images: int | None

    def to_record(self) -> CalibrationRecord:
        """As `diagnosis.json` holds it."""
        return CalibrationRecord(
            growth=[(images, round(width, 4)) for images, width in self.growth],
            exceeded=self.exceeded,
            touched=self.touched,
            telling=self.telling,
            looks_like_images=self.looks_like,
            recorded_images=self.recorded_images,
            extremes=[Extreme(image, layers) for image, layers in self.extremes],
            halves=round(self.halves, 4),
            layers=[one.to_record() for one in self.ranges],
        )


def calibrated(layers: Sequence[Layer], names: Sequence[str], recorded: int | None, seed: int = 0) -> Calibrated:
    """Compare recorded with measured ranges.

    Args:
        layers: as `Activations.layers` gives them.
        names: of the images, in the order in which they were seen.
        recorded: calibration images that the bundle's record tells of.
        seed: of the orders in which images are added.
    """
    own = [layer for layer in layers if layer.own_range and layer.operator != "INPUT"]
    orders = [np.random.default_rng([seed, k]).permutation(len(names)) for k in range(ORDERS)]
    ranges = tuple(_range(layer, orders[0]) for layer in own)
    telling = [k for k, one in enumerate(ranges) if one.one_image < SATURATED_BY_DESIGN]
    curves = np.array([_growth(own[k], orders) for k in telling]).reshape(len(telling), len(names))
    typical = np.median(curves, axis=0) if telling else np.ones(len(names))
    steps = sorted({*(2**k for k in range(12) if 2**k < len(names)), len(names)})
    exceeded = sum(ranges[k].exceeds > EXCEEDS for k in telling)
    return Calibrated(
        ranges=ranges,
        growth=tuple((n, float(typical[n - 1])) for n in steps),
        exceeded=exceeded,
        touched=sum(ranges[k].exceeds >= TOUCHED for k in telling),
        telling=len(telling),
        looks_like=_looks_like([ranges[k].covered for k in telling], typical) if exceeded else None,
        extremes=_extremes(own, names),
        halves=float(np.median([one.halves for one in ranges])) if ranges else 0.0,
        recorded_images=recorded,
    )


def _with_zero(lows: Doubles, highs: Doubles) -> tuple[Doubles, Doubles]:
    return np.minimum(lows, 0.0), np.maximum(highs, 0.0)


def _range(layer: Layer, order: Any) -> Range:
    lows, highs = _with_zero(layer.lows, layer.highs)
    held_low, held_high = layer.held
    width = held_high - held_low
    all_wide = float(highs.max() - lows.min())
    beyond = np.maximum(highs - held_high, held_low - lows) / width
    one, other = order[: len(order) // 2], order[len(order) // 2 :]
    halves = [float(highs[h].max() - lows[h].min()) for h in (one, other)]
    return Range(
        name=layer.name,
        measured=all_wide,
        recorded=width,
        exceeds=float(max(beyond.max(), 0.0)),
        any_image=float(max(beyond.min(), 0.0)),
        one_image=float((highs - lows).mean()) / all_wide if all_wide else 1.0,
        halves=abs(halves[0] - halves[1]) / all_wide if all_wide else 0.0,
    )


def _growth(layer: Layer, orders: Sequence[Any]) -> Doubles:
    """(images,): mean over orders of the width after so many images, over the width of all."""
    lows, highs = _with_zero(layer.lows, layer.highs)
    widths = [np.maximum.accumulate(highs[o]) - np.minimum.accumulate(lows[o]) for o in orders]
    return np.asarray(np.mean(widths, axis=0) / max(float(widths[0][-1]), 1e-30))


def _looks_like(covered: Sequence[float], typical: Doubles) -> int | None:
    """The number of images whose typical width is nearest to what is covered."""
    median = float(np.median(covered)) if covered else 1.0
    return None if median >= typical[-1] else int(np.abs(typical - median).argmin()) + 1


def _extremes(layers: Sequence[Layer], names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Of layers where the images differ at all, which image reaches furthest, at either end."""
    counted = dict.fromkeys(names, 0)
    for layer in layers:
        setting = set()
        if np.ptp(layer.highs) > 0:
            setting.add(names[int(layer.highs.argmax())])
        if np.ptp(np.minimum(layer.lows, 0)) > 0:
            setting.add(names[int(layer.lows.argmin())])
        for name in setting:
            counted[name] += 1
    most = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))[:NAMED]
    return tuple(entry for entry in most if entry[1])
