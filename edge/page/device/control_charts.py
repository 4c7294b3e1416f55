"""The control charts as JSON: every control slide's newest series against its targets."""

import threading

from edge.commissioning.control.charts import Chart, SlideCharts, slides_of, trends_of
from edge.commissioning.control.control_record import ControlRecord, control_folder
from edge.commissioning.control.standing import why
from edge.commissioning.control.targets import spread
from edge.errors import LeukoscopeError
from edge.page.device.answers import ChartOut, ControlSlideOut, ControlsOut, PointOut, TargetOut
from edge.system.machine import Machine

NEWEST = 60  # points of a chart; the report `edge control --report` shows as many


class ControlCharts:
    """The charts of a device's controls. The control record is read on from where it was left.

    Args:
        machine: whose record is looked at; it need not exist.

    >>> from pathlib import Path
    >>> ControlCharts(Machine(store=Path("/srv/nothing"))).look().slides
    []
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._record = ControlRecord(control_folder(machine.store))
        self._guard = threading.Lock()

    def look(self) -> ControlsOut:
        """The charts now. A control record that cannot be read is a problem, and no error."""
        with self._guard:
            try:
                self._record.look()
            except LeukoscopeError as error:
                return ControlsOut(demanded=self._machine.control_demanded, problem=str(error), slides=[])
            bodies = list(self._record.bodies)
        slides = [_slide(each) for each in slides_of(bodies)]
        return ControlsOut(demanded=self._machine.control_demanded, problem="", slides=slides)


def _slide(found: SlideCharts) -> ControlSlideOut:
    series, newest = found.series, found.newest
    return ControlSlideOut(
        slide=series.slide,
        lot=series.lot,
        bundle=series.bundle,
        camera=series.camera,
        controls=found.controls,
        earlier=found.earlier,
        utc=newest.utc,
        outcome=newest.outcome,
        why="" if newest.passed else why(newest),
        charts=[_chart(chart) for chart in found.charts],
    )


def _chart(chart: Chart) -> ChartOut:
    target = None
    if chart.target is not None:
        target = TargetOut(mean=chart.target.mean, sd=spread(chart.measure, chart.target, chart.fields))
    shown = chart.points[-NEWEST:]
    points = [
        PointOut(number=p.number, utc=p.utc, value=p.value, z=p.z, kind=p.kind, rules=list(p.rules)) for p in shown
    ]
    return ChartOut(
        measure=chart.measure,
        words=chart.words,
        unit=chart.unit,
        target=target,
        points=points,
        earlier=len(chart.points) - len(shown),
        said=trends_of([chart]),
    )
