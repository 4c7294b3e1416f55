"""What the API says of the device, as JSON: `GET /device`, `GET /controls`, `GET /trends`."""

from typing import Literal

from pydantic import BaseModel

State = Literal["ok", "warning", "missing", "unknown"]


class FindingOut(BaseModel):
    """One thing looked at: "missing" is needed and not there, "warning" works, not well or not for long. `cure`: what
    to do, "" where nothing is to be done."""

    name: str
    state: State
    found: str
    cure: str = ""


class SelfTestOut(BaseModel):
    """The last self-test. `age_s`: seconds since, by the wall clock; None where that cannot be said."""

    utc: str
    outcome: str
    detail: str
    bundle: str
    age_s: float | None


class BundleOut(BaseModel):
    """The bundle of the newest run in the record. `signed_by`: ids of the keys, or "unsigned"; `acceptance`: what the
    site accepted it for, "" where the run does not say; `since`: when that run began."""

    name: str
    digest: str
    version: int | None
    signed_by: str
    certified: bool
    synthetic_certificate: bool | None
    acceptance: str
    runtime: str
    since: str


class DiskOut(BaseModel):
    """Of the file system that holds the record, bytes."""

    free_bytes: int
    total_bytes: int


class ClockOut(BaseModel):
    """`synchronized`: None where the kernel does not say."""

    utc: str
    synchronized: bool | None


class DeviceOut(BaseModel):
    """The device's state. `state`: the worst of its findings, "unknown" ones left aside. `at`: when it was looked at;
    an answer may be some seconds old. `temperature_c`, `disk`: None where they cannot be read."""

    at: str
    state: State
    findings: list[FindingOut]
    selftest: SelfTestOut | None
    bundle: BundleOut | None
    software: str
    temperature_c: float | None
    disk: DiskOut | None
    clock: ClockOut
    uptime_s: float


class PointOut(BaseModel):
    """A control on a chart, as `edge.commissioning.control.charts.Point`."""

    number: int
    utc: str
    value: float | None
    z: float | None
    kind: str
    rules: list[str]


class TargetOut(BaseModel):
    """Mean of the baseline, and the standard deviation by which controls are judged."""

    mean: float
    sd: float


class ChartOut(BaseModel):
    """The chart of one measure, oldest point first; `earlier`: points before those that are shown. `target`: None while
    the baseline is being built. `said`: trends and rules nearly broken, in sentences."""

    measure: str
    words: str
    unit: str
    target: TargetOut | None
    points: list[PointOut]
    earlier: int
    said: list[str]


class ControlSlideOut(BaseModel):
    """A control slide's newest series. `outcome`: of its last control, "passed", "failed" or "baseline", with `why`.
    `earlier`: controls of it in series before, under another bundle, camera, set-up or lot."""

    slide: str
    lot: str
    bundle: str
    camera: str
    controls: int
    earlier: int
    utc: str
    outcome: str
    why: str
    charts: list[ChartOut]


class ControlsOut(BaseModel):
    """The control slides, the one that was controlled last at the end. `demanded`: no field is answered without a
    control that passed. `problem`: why the control record cannot be read, "" where it can."""

    demanded: bool
    problem: str
    slides: list[ControlSlideOut]


class TrendPointOut(BaseModel):
    """What one run measured. `part`: of the set-up's value, 1 is as at the set-up."""

    utc: str
    part: float


class TrendOut(BaseModel):
    """One measure against the camera's set-up. `limit`: the part by which it may differ. `a_week`: change in seven
    days; `days`: until the limit, at that pace; None of too few runs. `text`: all of it in one sentence."""

    name: str
    words: str
    reference: float
    limit: float
    part: float
    a_week: float | None
    days: float | None
    warns: bool
    beyond: bool
    text: str
    points: list[TrendPointOut]


class TrendsOut(BaseModel):
    """Light, white and focus since the camera was set up. `setup`: its digest, `set_up`: when; "" and `why` where there
    is none. `cure`: what to do about what warns."""

    setup: str
    set_up: str
    why: str
    cure: str
    measures: list[TrendOut]
