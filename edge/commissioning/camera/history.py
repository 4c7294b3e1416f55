"""What runs under one set-up measured of light and focus, from the record."""

from msgspec import UNSET

from edge.commissioning.camera.light_watch import LIGHT
from edge.commissioning.camera.trend import Point
from edge.record.entries import RunBody, read_body
from edge.record.reader import Reader

_NS_A_DAY = 86_400e9


def light_points(record: Reader, digest: str) -> list[Point]:
    """The measures of all runs under the set-up of this digest, in the order in which they were recorded."""
    setups: dict[int, str] = {}
    points = []
    for event in record.events(LIGHT):
        if event.run is None or event.measures is UNSET:
            continue
        if event.run not in setups:
            setups[event.run] = _setup_of(record.run_body(event.run))
        if setups[event.run] == digest:
            points.append(Point(event.utc_ns / _NS_A_DAY, dict(event.measures)))
    return points


def _setup_of(text: str | None) -> str:
    body = None if text is None else read_body(text)
    return body.camera_setup if isinstance(body, RunBody) and body.camera_setup is not UNSET else ""
