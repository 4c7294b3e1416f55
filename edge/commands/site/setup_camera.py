"""The `edge setup-camera` command: light locked, flat field and magnification measured, the profile told."""

import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from edge.commands.command_line import Outcome
from edge.errors import DONE, SettingsError, UsageError
from edge.system.option_values import optional_path

if TYPE_CHECKING:
    from edge.cameras.base import Camera
    from edge.cameras.setup.camera_setup import CameraSetup, Scale
    from edge.commissioning.camera.magnification import Fit
    from edge.commissioning.camera.measure import LightSetup
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)

_EMPTY = "Step 1 of 2: focus on the smear, then move to clean glass beside it, so that nothing is in view"
_CELLS = "Step 2 of 2: move to where red cells lie side by side and do not touch, and focus"
_LINES = "Step 2 of 2: lay a stage micrometer in place of the slide, and focus on its lines"


@dataclass(frozen=True)
class SetupCameraRequest:
    """A camera to set up. `cells` is the camera of the second step, None the same; `division_um` None measures red
    cells, else a stage micrometer; `asks` waits for a person before each step.

    >>> setup_camera(skip_scale=True, level="220").level
    220.0
    """

    profile: Path
    settings: "Settings"
    camera: str
    cells: str | None
    division_um: float | None
    level: float
    scale: bool
    asks: bool
    json: bool

    def execute(self) -> Outcome:
        """Measure, write the set-up's folder, and last the profile, which is what makes it the one that counts.

        Returns:
            Code 0. Record: `digest`, `folder`, `setup` as in `camera.json`, `magnification` (`ratio`, `tiles`,
            `tile_ratio`, `fits`) where it was measured, else null.

        Raises:
            EmptyFieldError: no such field is in view, code 1. CameraError: no camera, or one that cannot be set up.
            OSError: the profile or its folder cannot be written: said before anything is measured.
        """
        import os
        from datetime import UTC, datetime

        from msgspec import to_builtins

        from edge.cameras.backends import open_camera
        from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE
        from edge.commissioning.camera.folder import write_setup
        from edge.commissioning.camera.magnification import fit
        from edge.commissioning.camera.measure import assemble, confirm
        from edge.serving.serve import RESEARCH_USE
        from edge.settings.profile_edit import set_values, with_values
        from edge.system.files import require_writable

        if not (self.asks or self.cells or not self.scale):
            raise UsageError(
                "nobody can be asked to move the stage here: give --cells URI for the second step, or --skip-scale"
            )
        if not self.profile.is_file():
            raise SettingsError(f"{self.profile}: there is no profile to be changed; name one with --config")
        _log.info(RESEARCH_USE)
        root = self.profile.resolve().parent / "camera"
        require_writable(self.profile.resolve().parent, "the profile")
        if not os.access(self.profile, os.W_OK):
            raise PermissionError(
                13, "the profile cannot be written; run the command as who owns it", str(self.profile)
            )
        with_values(self.profile.read_text(), "camera", {"exposure_us": 1, "gain": 1, "setup": "/"})
        base = self.settings.camera
        camera = open_camera(self.camera)
        if camera.notice:
            _log.warning(camera.notice)
        try:
            light = self._light(camera)
            scale, focus = self._scale(camera, light)
            setup = assemble(self.camera, _now(datetime.now(UTC)), base, light, scale, focus)
            camera.close()
            camera.open()
            confirm(camera, setup, light.flat_field, base)
        finally:
            camera.close()
        folder = write_setup(root, setup, light.flat_field)
        set_values(self.profile, "camera", locked_keys(setup, folder))
        _log.info(f"{folder / FLAT_FIELD_FILE}: the flat field, to be looked at")
        found = None if setup.scale is UNSET else fit(setup.scale, setup.size)
        record = {
            "digest": setup.digest,
            "folder": str(folder),
            "setup": to_builtins(setup),
            "magnification": None if found is None else _fit_record(found),
        }
        return Outcome(DONE, record, _text(setup, folder, self.profile, found))

    def _light(self, camera: "Camera") -> "LightSetup":
        from edge.commissioning.camera.measure import measure_light

        self._ask(_EMPTY)
        camera.open()
        return measure_light(camera, self.settings.camera, level=self.level)

    def _scale(self, camera: "Camera", light: "LightSetup") -> tuple["Scale | UnsetType", float | UnsetType]:
        from edge.cameras.backends import open_camera
        from edge.commissioning.camera.measure import measure_scale

        if not self.scale:
            return UNSET, UNSET
        self._ask(_CELLS if self.division_um is None else _LINES)
        if self.cells is None:
            return measure_scale(camera, light, division_um=self.division_um)
        camera.close()  # the other one may be the same device
        with open_camera(self.cells) as second:
            second.open()
            return measure_scale(second, light, division_um=self.division_um)

    def _ask(self, step: str) -> None:
        """Wait for a person; a standard input that ends ends the command."""
        _log.info(step)
        if self.asks:
            sys.stderr.write("Press Enter when that is so, Ctrl-C to leave everything as it was. ")
            sys.stderr.flush()
            if not sys.stdin.readline():
                raise UsageError("standard input ended before the camera was set up; nothing was changed")


def setup_camera(
    camera: str = "",
    cells: str = "",
    micrometer: str = "",
    skip_scale: bool = False,
    level: str = "230",
    config: str = "",
    json: bool = False,
) -> SetupCameraRequest:
    """Set the camera up: lock exposure, gain and white balance, record the flat field, measure the magnification.

    First an empty field: from still frames exposure, gain and white balance are found that bring it to one grey level,
    and what remains uneven is recorded and divided out of every frame. Then red cells, or a stage micrometer, for the
    magnification. All of it goes into a folder beside the profile, and into [camera] of the profile, whose other keys
    and comments stay. A run then starts only if the camera confirms it. Ends with 1 when what is in view will not do,
    with 4 without a camera; then, and when it is interrupted, the set-up that was there stands.

    Args:
        camera: as the profile's, where a URI says what is in view (sim:); the profile's when left out.
        cells: camera of the second step, such as sim: or replay: of fields; the same one when left out.
        micrometer: distance between two lines of a stage micrometer, um, that is in view in the second step.
        skip_scale: leave the second step out; the set-up says that the magnification was not measured.
        level: grey level of the empty field, 120 to 245.
        config: profile to be changed; /etc/leukoscope/edge.toml when left out.
        json: print one JSON object.
    """
    from edge.bundle.trusted import DEFAULT_PROFILE
    from edge.cameras.backends import open_camera
    from edge.commissioning.camera.light import LEVELS
    from edge.commissioning.camera.measure import require_settable
    from edge.settings.profile import load

    profile = optional_path(config) or DEFAULT_PROFILE
    settings = load(optional_path(config))
    uri = camera or settings.camera_uri
    require_settable(uri, settings.camera_uri)
    for each in (uri, cells):
        if each:
            open_camera(each)  # a camera that cannot be named is a wrong request: nothing is opened yet
    if skip_scale and (cells or micrometer):
        raise UsageError("--skip-scale leaves out the step that --cells and --micrometer are about")
    return SetupCameraRequest(
        profile=profile,
        settings=settings,
        camera=uri,
        cells=cells or None,
        division_um=_number(micrometer, "--micrometer", 0.1, 1000) if micrometer else None,
        level=_number(level, "--level", *LEVELS),
        scale=not skip_scale,
        asks=sys.stdin is not None and sys.stdin.isatty() and not (cells and uri.startswith("sim:")),
        json=json,
    )


def locked_keys(setup: "CameraSetup", folder: Path) -> dict[str, Any]:
    """The keys of [camera] that a set-up sets."""
    from edge.cameras.setup.set_up_camera import locked_settings

    locked, names = locked_settings(setup), ("exposure_us", "gain", "colour_gains", "white_balance_k")
    return {**{name: getattr(locked, name) for name in names}, "setup": str(folder)}


def _text(setup: "CameraSetup", folder: Path, profile: Path, found: "Fit | None") -> str:
    flat, reference, scale = setup.flat_field, setup.reference, setup.scale
    lines = [
        f"set-up {setup.digest[:12]} of {setup.camera}, {setup.size[0]}x{setup.size[1]}, in {folder}",
        f"locked: exposure {setup.exposure_us:g} us, gain {setup.gain:g}"
        + (
            ""
            if setup.colour_gains is UNSET
            else f", colour gains {setup.colour_gains[0]:g} and {setup.colour_gains[1]:g}"
        ),
        f"flat field: mean of {flat.frames} frames; the weakest light was {flat.darkest:.0%} of the strongest",
        f"empty field now: {reference.brightness:.1f} of 255, red {reference.white[0]:.3f} and blue "
        f"{reference.white[1]:.3f} of green",
    ]
    if scale is UNSET or found is None:
        lines.append("magnification: not measured")
    else:
        how = f"median of {scale.cells}" if scale.cells else f"by a stage micrometer, {scale.um_per_px:g} um a pixel"
        spread = (
            "" if scale.quartiles is UNSET else f", half of them {scale.quartiles[0]:.1f} to {scale.quartiles[1]:.1f}"
        )
        lines += [f"magnification: a red cell is {scale.pixels:.1f} px across ({how}{spread})", f"  {found}"]
    return "\n".join([*lines, f"{profile} names it; acceptances made under another set-up do not hold for this one"])


def _fit_record(found: "Fit") -> dict[str, Any]:
    ratios = {"ratio": round(found.ratio, 4), "tiles": list(found.tiles), "tile_ratio": round(found.tile_ratio, 4)}
    return {**ratios, "fits": found.fits}


def _now(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _number(text: str, option: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise UsageError(f"{option} must be a number in {lowest:g}..{highest:g}; got {text!r}")
    return value
