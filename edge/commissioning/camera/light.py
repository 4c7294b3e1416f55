"""Exposure, gain and white balance of an empty field, found by trying: from still frames, as `edge run` takes them.

Automatic exposure and white balance follow what is in view, so each slide would look different. On an empty field they
have one right value: the lamp's. The brightest channel is brought to a stated level below the end of the range, the
gain stays as low as the exposure allows (noise), and red and blue are brought to green.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.cameras.base import Camera, CameraMode, CameraSettings
from edge.cameras.setup.set_up_camera import CONFIRMED, unconfirmed
from edge.commissioning.camera.looks import CLIPPED, Look, look
from edge.errors import CameraSetupError, EmptyFieldError

_log = logging.getLogger(__name__)

LEVEL = 230.0  # grey level of the empty field: 10 % below the end of the range
LEVELS = (120.0, 245.0)
SHORTEST_US, LONGEST_US = 50.0, 100_000.0  # of the exposures tried; longer ones blur what shakes
LARGEST_GAIN = 8.0
WHITE_GAINS = (0.1, 31.0)
_TRIES = 16
_NEAR, _NEAR_WHITE, _GOOD_ENOUGH = 0.01, 0.008, 0.08  # of the level, of the whites, of the level when steps are coarse
_FRAMES, _SKIP, _SETTLE = 4, 3, 40
_MOST_CLIPPED = 0.005
_TELLING = 1.02  # a change of light from which the tone curve is read
_CHANGED, _ANSWERED = 1.25, 1.05  # an exposure changed by so much must change the light by so much
_DARK, _DIM = 4.0, 30.0  # grey levels: no light; too little to tell its colour


@dataclass(frozen=True)
class Locked:
    """What was found: settings that lock it, what the camera said of them, and the last look."""

    settings: CameraSettings
    mode: CameraMode
    seen: Look

    @property
    def controls(self) -> dict[str, Any]:
        """What the camera confirmed, of what can be asked for again."""
        return {name: value for name, value in self.mode.controls.items() if name in CONFIRMED}


@dataclass
class _Try:
    """One set of values, and the levels of red, green and blue that came of it."""

    exposure_us: float
    gain: float
    white: tuple[float, float]
    levels: tuple[float, float, float] = (0.0, 0.0, 0.0)
    clipped: bool = False

    @property
    def light(self) -> float:
        return self.exposure_us * self.gain

    @property
    def brightest(self) -> float:
        return max(self.levels)


def lock_light(camera: Camera, base: CameraSettings, *, level: float = LEVEL) -> Locked:
    """Find exposure, gain and white balance over an empty field.

    Args:
        camera: opened. base: of the profile; exposure, gain and colour gains are where the search begins.
        level: grey level that the brightest channel is brought to, 120..245.

    Raises:
        CameraSetupError: the camera does not confirm what it is told, or does not do it.
        EmptyFieldError: too much or too little light, or light that does not hold still.
        CameraError: as of the camera.
    """
    now = _start(camera, base)
    before: _Try | None = None
    power = 1.0  # of the tone curve: light to the power gives grey levels
    longest = min(LONGEST_US, 1e6 / base.frame_rate if base.frame_rate else LONGEST_US)
    for _ in range(_TRIES):
        settings = replace(base, exposure_us=round(now.exposure_us, 1), gain=round(now.gain, 3), colour_gains=now.white)
        mode = camera.configure(settings)
        whites, gains = _require_confirmed(camera.uri, settings, mode)
        seen = look(camera, _FRAMES, skip=_SKIP if camera.kind in ("uvc", "picamera2") else 0)
        now.levels, now.clipped = seen.levels(), seen.clipped > _MOST_CLIPPED
        _log.info(
            f"exposure {settings.exposure_us:g} us, gain {settings.gain:g}: the field is at "
            f"{' '.join(f'{value:.0f}' for value in now.levels)} of 255" + (", clipped" if now.clipped else "")
        )
        if before is not None:
            _require_answer(camera.uri, before, now)
            power = _power(before, now, power)
        away = now.brightest / level - 1
        is_white = not whites or _is_white(now.levels)
        if not now.clipped and abs(away) <= _NEAR and is_white:
            return Locked(settings, mode, seen)
        following = _next(now, level, power, longest, whites=whites, largest_gain=LARGEST_GAIN if gains else 1.0)
        near = not now.clipped and abs(away) <= _GOOD_ENOUGH and is_white
        if near and before is not None and _coarse(before, now, following):
            return Locked(settings, mode, seen)
        before, now = now, following
    raise EmptyFieldError(
        f"no exposure holds the field at {level:g} of 255 after {_TRIES} tries, last {now.exposure_us:.0f} us: does "
        "the lamp flicker, or daylight come in?"
    )


def _start(camera: Camera, base: CameraSettings) -> _Try:
    """Where to begin: at the profile's values, else where the camera's automatics stand."""
    if base.exposure_us is not None and base.gain is not None and camera.kind != "uvc":
        return _Try(base.exposure_us, base.gain, base.colour_gains or (1.0, 1.0))
    automatic = replace(base, exposure_us=None, gain=None, colour_gains=None, white_balance_k=None)
    mode = camera.configure(automatic)
    look(camera, _FRAMES, skip=_SETTLE if camera.kind == "uvc" else _SKIP)  # whose white balance then is locked there
    light = _number(mode.controls.get("ExposureTime"), 8000.0) * max(_number(mode.controls.get("AnalogueGain"), 1.0), 1)
    white = base.colour_gains or mode.controls.get("ColourGains") or (1.0, 1.0)
    red, blue = (min(max(float(value), WHITE_GAINS[0]), WHITE_GAINS[1]) for value in white)
    return _Try(min(max(light, SHORTEST_US), LONGEST_US), 1.0, (round(red, 3), round(blue, 3)))


def _require_confirmed(uri: str, settings: CameraSettings, mode: CameraMode) -> tuple[bool, bool]:
    """Raise where the camera did not take the exposure; whether it takes gains of red and blue, and a gain."""
    asked: Mapping[str, Any] = {"ExposureTime": settings.exposure_us}
    for name, value in (("AnalogueGain", settings.gain), ("ColourGains", settings.colour_gains)):
        if name in mode.controls:
            asked = {**asked, name: value}
    if wrong := unconfirmed(asked, mode.controls):
        raise CameraSetupError(f"{uri} does not do what it is told: {'; '.join(wrong)}: it cannot be set up")
    return "ColourGains" in mode.controls, "AnalogueGain" in mode.controls


def _require_answer(uri: str, before: _Try, now: _Try) -> None:
    """Raise where a changed exposure left the light as it was, whatever the camera says of it."""
    ratio = now.light / before.light
    if max(ratio, 1 / ratio) < _CHANGED:
        return
    same_white = before.white == now.white  # else red and blue changed for another reason, and green tells
    channels = zip(before.levels, now.levels, (same_white, True, same_white), strict=True)
    for then, value, tells in channels:
        seen = min(then, value) > _DARK and max(then, value) < CLIPPED - 4
        if tells and seen and max(value / then, then / value) < _ANSWERED:
            raise CameraSetupError(
                f"{uri} ignores exposure_us: the field is at {then:.0f} of 255 with {before.exposure_us:.0f} us, and "
                f"at {value:.0f} with {now.exposure_us:.0f} us: it cannot be set up"
            )


def _power(before: _Try, now: _Try, known: float) -> float:
    """The tone curve's power between two tries, by green; `known` where they do not tell."""
    light, level = now.light / before.light, now.levels[1] / max(before.levels[1], 1.0)
    if before.clipped or now.clipped or max(light, 1 / light) < _TELLING or level <= 0:
        return known
    return min(max(math.log(level) / math.log(light), 0.3), 1.2) if (level > 1) == (light > 1) else known


def _next(now: _Try, level: float, power: float, longest: float, *, whites: bool, largest_gain: float) -> _Try:
    red, green, blue = (max(value, 1.0) for value in now.levels)
    factor = 0.5 if now.clipped else min(max((level / max(now.brightest, 1.0)) ** (1 / power), 0.2), 5.0)
    white = now.white
    if whites and not now.clipped and min(now.levels) > _DIM:
        white = tuple(
            round(min(max(gain * (green / value) ** (1 / power), WHITE_GAINS[0]), WHITE_GAINS[1]), 3)
            for gain, value in zip(now.white, (red, blue), strict=True)
        )
        factor = min(max((level / green) ** (1 / power), 0.2), 5.0)  # the others will be where green is
    light = now.light * factor
    if light < SHORTEST_US:
        raise EmptyFieldError(
            f"too much light: the field is at {now.brightest:.0f} of 255 with {now.exposure_us:.0f} us: dim the lamp"
        )
    if light > longest * largest_gain or (now.brightest < _DARK and now.light >= longest):
        raise EmptyFieldError(
            f"too little light: the field is at {now.brightest:.0f} of 255 with {now.exposure_us:.0f} us and gain "
            f"{now.gain:.1f}: switch the lamp on, or brighten it, and take the cap off"
        )
    exposure_us = min(light, longest)
    return _Try(exposure_us, max(1.0, light / exposure_us), white)


def _is_white(levels: tuple[float, float, float]) -> bool:
    red, green, blue = levels
    return max(abs(red / green - 1), abs(blue / green - 1)) <= _NEAR_WHITE


def _coarse(before: _Try, now: _Try, following: _Try) -> bool:
    """The camera's steps are too coarse to come nearer: the last two tries lie on both sides, or the next is alike."""
    between = (before.light - following.light) * (now.light - following.light) < 0
    return between or abs(following.light / now.light - 1) < _NEAR


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else otherwise
