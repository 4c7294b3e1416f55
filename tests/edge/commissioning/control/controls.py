"""Controls for tests: entries of a series, as the control record has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge.commissioning.control.targets import judge
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlSeries, moment
from edge.system.clock import Instant

HOUR_NS = 3600 * 10**9
NOON = Instant(1_795_521_600 * 10**9, 10**15, True)
SERIES = ControlSeries("QC-1", "tiny-int8", "ab" * 32, "picamera2:0")
SOUND = {"brightness": 230.0, "stain": 0.5, "focus": 1.4, "refused": 0.0, "probability": 0.98, "agreement": 1.0}


def at(hours: float, *, boot: bool = True, synchronized: bool | None = True) -> Instant:
    """So long after NOON; without `boot` on a machine that was started since."""
    nanoseconds = round(hours * HOUR_NS)
    return Instant(NOON.utc_ns + nanoseconds, NOON.monotonic_ns + nanoseconds if boot else 7, synchronized)


def control(
    when: Instant = NOON, *, slide: str = "QC-1", series: ControlSeries | None = None, **more: Any
) -> ControlBody:
    """A control that passed, unless `more` says otherwise."""
    series = series or ControlSeries(slide, SERIES.bundle, SERIES.bundle_digest, SERIES.camera)
    given: dict[str, Any] = {
        "fields": 20, "measures": SOUND, "outcome": "passed", "number": 21, "baseline": 20, "boot": "boot-1", **more,
    }  # fmt: skip
    return ControlBody(run=1, slide=slide, **moment(when), series=series, **given)


def judged(
    values: Sequence[Mapping[str, float | None]],
    *,
    baseline: int = 20,
    checks: Mapping[int, Mapping[str, str]] | None = None,
    fields: int = 20,
) -> list[ControlBody]:
    """Controls of one series with these measures, one a day, each judged by those before it."""
    controls: list[ControlBody] = []
    for number, measures in enumerate(values):
        found = dict((checks or {}).get(number, {}))
        result = judge(controls, measures, fields, found, baseline)
        controls.append(
            control(
                at(24.0 * number),
                measures=dict(measures),
                fields=fields,
                checks=found,
                outcome=result.outcome,
                number=result.number,
                baseline=result.baseline,
                targets=result.targets,
                broken=result.broken,
            )
        )
    return controls
