"""A camera set up: light locked, flat field recorded and tried, magnification measured."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType

from edge.cameras.base import Camera, CameraSettings
from edge.cameras.setup.camera_setup import CameraSetup, FlatFieldRecord, Reference, Scale
from edge.cameras.setup.flat_field import DARKEST, MOST_CLIPPED, FlatField, flat_field_of
from edge.cameras.setup.set_up_camera import SetUpCamera, locked_settings, same_camera
from edge.commissioning.camera.empty_field import require_empty
from edge.commissioning.camera.light import LEVEL, Locked, lock_light
from edge.commissioning.camera.light_watch import light_of
from edge.commissioning.camera.looks import TIMEOUT_S, Look, blocks, look
from edge.commissioning.camera.magnification import by_micrometer, by_red_cells
from edge.commissioning.camera.red_cells import diameters, summary
from edge.errors import CameraSettingsError, EmptyFieldError, EndOfFrames, FrameCorrupt
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.measures import WIDEST, View
from edge.system.progress import Progress

FLAT_FRAMES = 32
FOCUS_SIZE = (224, 224)  # frames are squeezed to it before their edges are measured, as the shipped networks see them
_TRIED_FRAMES = 8
_UNEVEN = 0.02  # standard deviation over the blocks of an empty field, of its level, once it is corrected
_MOST_FIELDS, _ENOUGH_CELLS, _MOST_FRAMES, _PATIENCE_S = 16, 100, 500, 10.0  # the last: for the stage to be moved
_ANOTHER = 6.0  # mean difference of grey levels between fields that are not the same
_PREPARED = InputContract(FOCUS_SIZE, ("a", "b"))


@dataclass(frozen=True)
class LightSetup:
    """What an empty field gave: locked settings and controls, the flat field, and how the field looks with it."""

    locked: Locked
    flat_field: FlatField
    record: FlatFieldRecord
    reference: Reference


def measure_light(camera: Camera, base: CameraSettings, *, level: float = LEVEL) -> LightSetup:
    """Lock the light over an empty field and record its flat field.

    Args:
        camera: opened, an empty field in view. base: size, region, still and pace as `edge run` will ask for them.
        level: grey level of the empty field.

    Raises:
        EmptyFieldError: what is in view is no empty field, too uneven, or not lit steadily.
        CameraSetupError: the camera does not do or confirm what it is told. CameraError: as of the camera.
    """
    locked = lock_light(camera, base, level=level)
    require_empty(locked.seen.light)
    seen = look(camera, FLAT_FRAMES, title="recording the flat field")
    require_empty(seen.light)
    seen.require_still()
    flat, even, weakest, clipped = flat_field_of(seen.light)
    if weakest < DARKEST:
        raise EmptyFieldError(
            f"too uneven to be made up for: the weakest light is {weakest:.0%} of the strongest, which must be "
            f"{DARKEST:.0%} at least: centre lamp and condenser, open the diaphragm, clean what dims a part"
        )
    if clipped > MOST_CLIPPED:
        raise EmptyFieldError(f"dirt lets no light through on {clipped:.1%} of the frame: clean camera and optics")
    frames = [_corrected(camera, flat) for _ in range(_TRIED_FRAMES)]
    reference = _tried(frames, even, seen)
    record = FlatFieldRecord(
        sha256=flat.digest,
        shift=flat.shift,
        frames=FLAT_FRAMES,
        darkest=round(weakest, 4),
        clipped=round(clipped, 6),
    )
    return LightSetup(locked, flat, record, reference)


def measure_scale(
    camera: Camera, light: LightSetup, *, division_um: float | None = None
) -> tuple[Scale, float | UnsetType]:
    """The magnification, and the width of the edges, of fields of red cells or of a stage micrometer.

    Args:
        camera: opened. Fields are taken until enough cells were measured; the stage may be moved meanwhile.
        division_um: distance between two lines of the micrometer; None measures red cells.

    Raises:
        EmptyFieldError: too few cells that lie alone, or no lines. CameraError: as of the camera.
    """
    camera.configure(light.locked.settings)
    if division_um is not None:
        return by_micrometer(_corrected(camera, light.flat_field), division_um), UNSET
    found: list[float] = []
    widths: list[float] = []
    with Progress("fields of red cells", _MOST_FIELDS) as progress:
        for field in _fields(camera, light.flat_field):
            progress.advance()
            width = View(_PREPARED.prepare(field)).edges.sharp_px
            if widths and width > 1.5 * min(widths):
                continue  # out of focus beside the sharpest
            widths.append(width)
            found += diameters(field)
            if len(found) >= _ENOUGH_CELLS:
                break
    sharp = float(np.quantile(widths, 0.25)) if widths else WIDEST
    return by_red_cells(summary(found)), round(sharp, 3) if sharp < WIDEST else UNSET


def assemble(
    uri: str, at: str, base: CameraSettings, light: LightSetup, scale: Scale | UnsetType, focus: float | UnsetType
) -> CameraSetup:
    """The record of what was measured.

    Args:
        uri: of the camera. at: when, UTC, ISO 8601. base: of the profile.
    """
    settings, mode = light.locked.settings, light.locked.mode
    assert settings.exposure_us is not None and settings.gain is not None and settings.colour_gains is not None
    assert mode.size is not None
    controls = _numbers(light.locked.controls)
    kelvin = controls.get("WhiteBalanceTemperature")
    reference = light.reference
    if focus is not UNSET:
        reference = Reference(
            brightness=reference.brightness, white=reference.white, focus=focus, focus_size=FOCUS_SIZE
        )
    return CameraSetup(
        camera=uri,
        at=at,
        size=mode.size,
        exposure_us=settings.exposure_us,
        gain=settings.gain,
        colour_gains=settings.colour_gains,
        controls=controls,
        white_balance_k=kelvin if isinstance(kelvin, float) else UNSET,
        flat_field=light.record,
        reference=reference,
        scale=scale,
        region=UNSET if base.region is None else base.region,
        still=base.still,
    )


def confirm(camera: Camera, setup: CameraSetup, flat_field: FlatField, base: CameraSettings) -> None:
    """Start the camera as `edge run` will, so that a set-up is kept only if a run can start with it.

    Raises:
        CameraSetupError: the camera does not confirm now what it confirmed before.
    """
    locked = locked_settings(setup)
    names = ("exposure_us", "gain", "colour_gains", "white_balance_k")
    SetUpCamera(camera, setup, flat_field).configure(replace(base, **{name: getattr(locked, name) for name in names}))


def require_settable(uri: str, other: str) -> None:
    """CameraSettingsError unless a URI names a camera whose light can be set, and the one that a profile names.

    Args:
        other: the profile's.
    """
    if uri.startswith("replay:"):
        raise CameraSettingsError(f"a replay cannot be set up: its frames are what they were; got {uri!r}")
    if not same_camera(uri, other):
        raise CameraSettingsError(f"camera must be the profile's, {other}; got {uri}: write it as uri under [camera]")


def _corrected(camera: Camera, flat_field: FlatField) -> Pixels:
    """The next frame; of a live camera with the flat field divided out."""
    while True:
        try:
            pixels = camera.capture(TIMEOUT_S).pixels
        except FrameCorrupt:
            continue
        if camera.live:
            flat_field.apply(pixels)
        return pixels


def _fields(camera: Camera, flat_field: FlatField) -> Iterator[Pixels]:
    """Frames that show something else than the one before, until nobody has moved the stage for a while."""
    last: np.ndarray[Any, Any] | None = None
    fields, moved_at = 0, time.monotonic()
    for _ in range(_MOST_FRAMES):
        if fields == _MOST_FIELDS or time.monotonic() - moved_at > _PATIENCE_S:
            return
        try:
            field = _corrected(camera, flat_field)
        except EndOfFrames:
            return
        seen = blocks(field.astype(np.float64))
        if last is None or last.shape != seen.shape or np.abs(seen - last).mean() > _ANOTHER:
            last, moved_at, fields = seen, time.monotonic(), fields + 1
            yield field


def _tried(frames: list[Pixels], level: float, seen: Look) -> Reference:
    """How corrected frames of the empty field look; EmptyFieldError where they are not as they must be."""
    mean = np.mean([frame.astype(np.float64) for frame in frames], axis=0)
    small = blocks(mean)
    unevenness = float(small.mean(axis=2).std() / small.mean())
    if unevenness > _UNEVEN:
        raise EmptyFieldError(
            f"the field stays uneven by {unevenness:.1%} with the flat field divided out: the light changes all the "
            "time, or something moved"
        )
    change = float(small.mean() / level - 1)
    if abs(change) > _UNEVEN:
        raise EmptyFieldError(
            f"the light changed by {change:+.1%} since the flat field was recorded: let the lamp warm up"
        )
    light = light_of(View(_PREPARED.prepare(np.ascontiguousarray(np.rint(mean).astype(np.uint8)))))
    assert light is not None, seen.levels()
    return Reference(brightness=round(light[0], 2), white=(round(light[1], 4), round(light[2], 4)))


def _numbers(controls: Mapping[str, Any]) -> dict[str, float | tuple[float, ...]]:
    return {
        name: tuple(float(each) for each in value) if isinstance(value, (tuple, list)) else float(value)
        for name, value in controls.items()
    }
