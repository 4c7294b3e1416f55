"""What a `sim:` URI says: `sim:RECIPE?KEY=VALUE&KEY=VALUE`, checked in full before anything is drawn.

| key | default | range | meaning |
|---|---|---|---|
| seed | 0 | whole number | which slide, scan and noise |
| fps | none | 0.1..1000 | frames a second; without it the settings' frame rate, or as fast as it goes |
| motion | 0.1 | 0..0.9 | share of frames taken while the stage moves |
| focus_drift | 2 | 0..50 | farthest from focus, um; a fifth of the frames is off focus, none at 0 |
| exposure_error | 0 | -4..4 | stops; +1 gives twice the light |
| vignetting | 0 | 0..0.95 | light missing in the corners, beside the lamp's own falloff |
| lamp | 1 | 0.02..4 | light of the lamp against a new one |
| lamp_drift | 0 | -90..90 | percent that its light changes in 1000 frames |
| lamp_white | 0 | -50..50 | percent that it is redder, and as much less blue |
| dirt | 0 | 0..100 | grains on camera or lens: they stay where they are on the frame |
| ignore | none | of exposure, gain, white | what the camera cannot be told: it goes on as if automatic, and says so |
| noise | 2 | 0..50 | standard deviation, grey levels; at 0 the frames of a still stage are equal |
| empty | 0.1 | 0..1 | share of the scan's stops beside the smear |
| debris | 1 | 0..20 | platelets, smudge cells and stain deposit against the recipe's own number |
| fail | none | see `Fault` | failures, such as stall@100,unplug@250:3 |
| site | none | 0..1000000 | a drawn laboratory; seed is a place on the slide, the recipe may be healthy or leukemic |
| places | 1 | 1..1000 | pieces of the slide that are looked at, each for 180 frames; without it always the same |
| counter | 0 | 0 or 1 | draw frame number and time into every frame (`counter_strip`), to measure delays |
| slide, session, camera_no | 0 | 0..1000000 | which of the laboratory's; noise is its camera's where not given |
"""

import difflib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from edge.cameras.synthetic.laboratory import HEALTHY, LARGEST_NUMBER, LEUKEMIC, Laboratory
from edge.cameras.synthetic.recipes import RECIPES
from edge.errors import CameraSettingsError

SCHEME = "sim:"
MOST_PLACES = 1000
_LASTS = {"stall": math.inf, "unplug": 1.0, "corrupt": 0.0, "size": 0.0, "freeze": math.inf}
_TIMED = ("stall", "unplug", "freeze")
_CONTROLS = ("exposure", "gain", "white")
_MOST_GRAINS = 100


@dataclass(frozen=True)
class Fault:
    """One scripted failure; it happens once in a camera's life. Written KIND@FRAME or KIND@FRAME:SECONDS.

    Attributes:
        kind: "stall" (no frame), "unplug" (gone, then not found), "corrupt" (one unreadable frame), "size" (one
            frame of half the size), "freeze" (the same bytes again and again).
        frame: at which frame, counted from 0 over all openings of the camera.
        seconds: how long: a stall or a freeze lasts until the camera is opened again when not given, and an
            unplugged camera is away for 1 s.
    """

    kind: str
    frame: int
    seconds: float


@dataclass(frozen=True)
class SimSettings:
    """A virtual microscope, as the module's table has it; values were checked by `parse`.

    >>> parse("sim:Pre?seed=3&fail=stall@40").fail
    (Fault(kind='stall', frame=40, seconds=inf),)
    """

    recipe: str = "Benign"
    seed: int = 0
    fps: float | None = None
    motion: float = 0.1
    focus_drift: float = 2.0
    exposure_error: float = 0.0
    vignetting: float = 0.0
    noise: float = 2.0
    empty: float = 0.1
    debris: float = 1.0
    fail: tuple[Fault, ...] = ()
    lamp: float = 1.0
    lamp_drift: float = 0.0
    lamp_white: float = 0.0
    dirt: int = 0
    ignore: tuple[str, ...] = ()
    site: int | None = None
    slide: int = 0
    session: int = 0
    camera_no: int = 0
    places: int = 1
    counter: bool = False


def parse(uri: str) -> SimSettings:
    """The settings of a `sim:` URI.

    Raises:
        CameraSettingsError: another scheme; an unknown recipe, key or failure, with the nearest right one; a key
            given twice; a value that is no number or out of range; a slide, session or camera of no laboratory.
    """
    if not uri.startswith(SCHEME):
        raise CameraSettingsError(f"camera must be {SCHEME}RECIPE?KEY=VALUE&...; got {uri!r}")
    recipe, _, query = uri.removeprefix(SCHEME).partition("?")
    values: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, _, text = pair.partition("=")
        _known("key of sim:", key, _KEYS)
        if key in values:
            raise CameraSettingsError(f"{key} must be given once; got {uri!r}")
        values[key] = _KEYS[key](key, text)
    if recipe:
        values["recipe"] = _known("recipe", recipe, (*RECIPES, HEALTHY, LEUKEMIC) if "site" in values else RECIPES)
    if "site" in values:
        values.setdefault("noise", Laboratory(values["site"]).camera(values.get("camera_no", 0)).noise)
    elif own := [key for key in _OF_A_SITE if key in values]:
        raise CameraSettingsError(f"{own[0]} is of a drawn laboratory and needs site=NUMBER; got {uri!r}")
    return SimSettings(**values)


def _known(what: str, word: str, known: Collection[str]) -> str:
    if word not in known:
        near = difflib.get_close_matches(word, known, n=1) or difflib.get_close_matches(word.title(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise CameraSettingsError(f"no {what} is called {word!r}; {hint}")
    return word


def _seed(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise CameraSettingsError(f"{key} must be a whole number; got {text!r}") from error


def _count(key: str, text: str) -> int:
    value = _seed(key, text)
    if not 0 <= value <= LARGEST_NUMBER:
        raise CameraSettingsError(f"{key} must be in 0..{LARGEST_NUMBER}; got {text!r}")
    return value


def _number(lowest: float, highest: float) -> Callable[[str, str], float]:
    def check(key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            raise CameraSettingsError(f"{key} must be a number in {lowest:g}..{highest:g}; got {text!r}")
        return value

    return check


def _faults(key: str, text: str) -> tuple[Fault, ...]:
    return tuple(sorted((_fault(key, word) for word in text.split(",")), key=lambda fault: fault.frame))


def _fault(key: str, word: str) -> Fault:
    kind, _, rest = word.partition("@")
    frame, colon, seconds = rest.partition(":")
    _known("failure", kind, _LASTS)
    if not (frame.isascii() and frame.isdigit()):
        raise CameraSettingsError(f"{key} must be KIND@FRAME or KIND@FRAME:SECONDS, parted by commas; got {word!r}")
    if colon and kind not in _TIMED:
        raise CameraSettingsError(f"{key}: {kind} is one frame and takes no seconds; got {word!r}")
    return Fault(kind, int(frame), _number(0, 3600)(f"{key}: seconds", seconds) if colon else _LASTS[kind])


def _grains(key: str, text: str) -> int:
    count = _seed(key, text)
    if not 0 <= count <= _MOST_GRAINS:
        raise CameraSettingsError(f"{key} must be in 0..{_MOST_GRAINS}; got {text!r}")
    return count


def _ignored(key: str, text: str) -> tuple[str, ...]:
    return tuple(_known(f"control that {key} names", word, _CONTROLS) for word in text.split(","))


_OF_A_SITE = ("slide", "session", "camera_no")


def _places(key: str, text: str) -> int:
    value = _seed(key, text)
    if not 1 <= value <= MOST_PLACES:
        raise CameraSettingsError(f"{key} must be a whole number in 1..{MOST_PLACES}; got {text!r}")
    return value


def _switch(key: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise CameraSettingsError(f"{key} must be 0 or 1; got {text!r}")
    return text == "1"


_KEYS: dict[str, Callable[[str, str], Any]] = {
    "seed": _seed,
    "fps": _number(0.1, 1000),
    "motion": _number(0, 0.9),
    "focus_drift": _number(0, 50),
    "exposure_error": _number(-4, 4),
    "vignetting": _number(0, 0.95),
    "noise": _number(0, 50),
    "empty": _number(0, 1),
    "debris": _number(0, 20),
    "fail": _faults,
    "lamp": _number(0.02, 4),
    "lamp_drift": _number(-90, 90),
    "lamp_white": _number(-50, 50),
    "dirt": _grains,
    "ignore": _ignored,
    "site": _count,
    "slide": _count,
    "session": _count,
    "camera_no": _count,
    "places": _places,
    "counter": _switch,
}
