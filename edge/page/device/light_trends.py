"""Light, white and focus of the runs since the camera was set up, as JSON: nobody sees a lamp dim over weeks."""

from collections.abc import Sequence
from datetime import UTC, datetime

from edge.cameras.setup.camera_setup import CameraSetup
from edge.cameras.setup.set_up_camera import read_setup
from edge.commissioning.camera.history import light_points
from edge.commissioning.camera.trend import CALLED, LIMITS, Point, Trend, trends, wanted
from edge.errors import LeukoscopeError
from edge.page.asking import ask
from edge.page.device.answers import TrendOut, TrendPointOut, TrendsOut
from edge.record.schema import DATABASE
from edge.system.machine import Machine

NEWEST = 200  # runs that are shown
_DAY_S = 86_400.0
_CURE = "clean lamp and optics, or change the lamp; then set the camera up again (`edge setup-camera`)"
_NO_SETUP = "the camera was not set up: there is no reference to compare with (`edge setup-camera`)"


def look(machine: Machine) -> TrendsOut:
    """The trends now. Without a set-up, or with one that cannot be read, `why` says so."""
    if machine.camera_setup is None:
        return _without(_NO_SETUP)
    try:
        setup = read_setup(machine.camera_setup)
        points = _points(machine, setup)
    except LeukoscopeError as error:
        return _without(str(error))
    measures = [_measure(each, points, setup) for each in trends(points, setup.reference)]
    return TrendsOut(
        setup=setup.digest,
        set_up=setup.at,
        why="" if points else "no run under this set-up has measured it yet",
        cure=_CURE if any(each.warns for each in measures) else "",
        measures=measures,
    )


def _points(machine: Machine, setup: CameraSetup) -> list[Point]:
    if not (machine.store / DATABASE).exists():
        return []
    return ask(machine.store, lambda record: light_points(record, setup.digest))


def _measure(trend: Trend, points: Sequence[Point], setup: CameraSetup) -> TrendOut:
    reference = wanted(setup.reference)[trend.name]
    known = [point for point in points if trend.name in point.measures][-NEWEST:]
    return TrendOut(
        name=trend.name,
        words=CALLED[trend.name],
        reference=reference,
        limit=LIMITS[trend.name],
        part=trend.part,
        a_week=trend.a_week,
        days=trend.days,
        warns=trend.warns,
        beyond=trend.beyond,
        text=str(trend),
        points=[TrendPointOut(utc=_utc(p.day), part=p.measures[trend.name] / reference) for p in known],
    )


def _utc(day: float) -> str:
    return f"{datetime.fromtimestamp(day * _DAY_S, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _without(why: str) -> TrendsOut:
    return TrendsOut(setup="", set_up="", why=why, cure="", measures=[])
