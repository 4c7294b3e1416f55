"""The routes `GET /device`, `GET /controls` and `GET /trends`."""

from fastapi import APIRouter

from edge.page.device import light_trends, state
from edge.page.device.answers import ControlsOut, DeviceOut, TrendsOut
from edge.page.device.cached import Cached
from edge.page.device.control_charts import ControlCharts
from edge.system.machine import Machine

DEVICE_S, HISTORY_S = 5.0, 10.0  # that an answer serves


def device_router(machine: Machine) -> APIRouter:
    """The routes about the device. Each answer is computed in a thread, one at a time, and kept for some seconds.

    Args:
        machine: as the page's profile describes it (`edge.diagnostics.profile_machine.machine_of`).

    >>> [route.path for route in device_router(Machine()).routes]
    ['/device', '/controls', '/trends']
    """
    router = APIRouter(tags=["device"])
    device = Cached(lambda: state.look(machine), DEVICE_S)
    controls = Cached(ControlCharts(machine).look, HISTORY_S)
    trends = Cached(lambda: light_trends.look(machine), HISTORY_S)

    # Not `async`: FastAPI runs them in its threads, so that a slow disk holds no other request up.
    @router.get("/device", summary="The device's state, in words with the cure")
    def get_device() -> DeviceOut:
        return device()

    @router.get("/controls", summary="The control charts")
    def get_controls() -> ControlsOut:
        return controls()

    @router.get("/trends", summary="Light, white and focus since the camera was set up")
    def get_trends() -> TrendsOut:
        return trends()

    return router
