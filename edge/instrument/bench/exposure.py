"""The lock of a camera's exposure, gain and white balance where its automatic stands."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.cameras.base import Camera, CameraSettings
from edge.cameras.setup.set_up_camera import is_set_up, unconfirmed
from edge.cameras.supervised import SupervisedCamera
from edge.errors import CameraError
from edge.instrument.bench.modes import Refused

AS_IT_WAS = "as it was"
_WITHIN_S = 15.0  # picamera2 settles for up to 10 s
_WHITE_STAYS = (1.0, 1.0)  # of a camera without gains of red and blue: its white balance is locked where it stands


class ExposureLock:
    """Of one camera.

    Args:
        camera: that is supervised. settings: as it was started with.

    Attributes:
        locked: exposure, gain and white balance stay as they are.
    """

    def __init__(self, camera: Camera, supervised: SupervisedCamera, settings: CameraSettings) -> None:
        self._camera, self._supervised, self._settings = camera, supervised, settings
        self._always = "its set-up" if is_set_up(camera) else "[camera] of the profile"
        self._always = self._always if is_set_up(camera) or settings.exposure_us is not None else ""
        self.locked = bool(self._always)

    def lock(self, locked: bool, said: Mapping[str, Any]) -> str:
        """Lock, or let the camera choose again; one sentence on what came of it.

        Args:
            said: metadata of the newest frame.

        Raises:
            Refused: this camera cannot, or not now.
        """
        if locked == self.locked:
            return AS_IT_WAS
        if self._always:
            raise Refused("unavailable", f"{self._always} locks the exposure of {self._camera.uri}")
        if not self._camera.live:
            raise Refused("unavailable", f"{self._camera.uri} has no exposure to be locked")
        settings = self._standing(said) if locked else self._settings
        try:
            mode = self._supervised.reconfigure(settings, _WITHIN_S)
            if locked:
                wanted = {"ExposureTime": settings.exposure_us, "AnalogueGain": settings.gain}
                wrong = unconfirmed({name: wanted[name] for name in wanted if name in mode.controls}, mode.controls)
                if wrong or "ExposureTime" not in mode.controls:
                    self._supervised.reconfigure(self._settings, _WITHIN_S)
                    why = "; ".join(wrong or mode.adjusted) or "it does not say that it did"
                    raise Refused("unavailable", f"{self._camera.uri} does not lock its exposure: {why}")
        except CameraError as error:
            raise Refused("unavailable", str(error)) from error
        self.locked = locked
        return f"{settings.exposure_us:g} us, gain {settings.gain:g}" if locked else "automatic"

    def _standing(self, said: Mapping[str, Any]) -> CameraSettings:
        """The settings that keep what a frame was taken with."""
        now: Mapping[str, float] = getattr(self._camera, "exposure_now", dict)()
        exposure = now.get("ExposureTime", said.get("ExposureTime"))
        if not isinstance(exposure, int | float) or exposure <= 0:
            raise Refused("unavailable", f"{self._camera.uri} does not say how long it exposes")
        gains = said.get("ColourGains") or _WHITE_STAYS
        gain = said.get("AnalogueGain", 1.0)
        try:
            return replace(
                self._settings,
                exposure_us=float(exposure),
                gain=max(1.0, float(gain)),
                colour_gains=self._settings.colour_gains or (float(gains[0]), float(gains[1])),
            )
        except CameraError as error:
            raise Refused("unavailable", f"{self._camera.uri} stands where it cannot be locked: {error}") from error
