"""The entries of the record: verdicts, events, runs, controls and reference fields, and the JSON they are stored as."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from edge.bundle.provenance import NOT_RECORDED, UNSIGNED, Provenance
from edge.errors import StoreError
from edge.inference.answer import Answer
from edge.inference.tiles import Tiling
from edge.record.chain import finite
from edge.record.entry_parts import SLIDE, ControlSeries, ControlTarget, EntryBody, Image, ReferenceField, moment
from edge.record.slide_entries import CommandBody, CorrectionBody, SlideBody
from edge.system.clock import Instant

SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class RunInfo(Struct, frozen=True):
    """Under what one run judges: recorded once, and named by every verdict of the run.

    Attributes:
        slide: up to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit.
        camera: its URI. simulated: its frames show no real smear.
        bundle, bundle_digest, certified: the model, the sha256 of its manifest, whether its certificate says "pass".
        runtime, runtime_version, kind: the interpreter, and which of the bit-identical kinds it is.
        labels: class names in the order of a verdict's probabilities.
        software: name and version of what recorded. settings: the profile, JSON text.
        signed_by: ids of the trusted keys that signed the bundle, separated by spaces, or "unsigned". bundle_version:
            the version that they signed; None where unsigned. Runs recorded before bundles were signed hold neither.
        synthetic_certificate: synthetic images certified the bundle. Older runs do not hold it. lax_policy: of the
            bundle's certificate; left out where it allows no more than the shipped one. ungated: no gate is asked; left
            out where one is. camera_setup: digest of the camera's set-up, tiling: how fields are cut; left out without.
            acceptance: what the bundle may say where it ran (`Licence`). benign: the labels that are. Older runs hold
            neither.

    >>> bundle, interpreter = ("tiny-int8", "0" * 64, True), ("litert", "2.3", "xnnpack")
    >>> RunInfo("s1", "sim:", True, *bundle, *interpreter, ("Benign", "Pre"), "leukoscope 1", "{}").signed_by
    'unsigned'
    """

    slide: str
    camera: str
    simulated: bool
    bundle: str
    bundle_digest: str
    certified: bool
    runtime: str
    runtime_version: str
    kind: str
    labels: tuple[str, ...]
    software: str
    settings: str
    signed_by: str = UNSIGNED
    bundle_version: int | None = None
    synthetic_certificate: bool | None = False
    lax_policy: str | UnsetType = UNSET
    ungated: bool | UnsetType = UNSET
    camera_setup: str | UnsetType = UNSET
    tiling: Tiling | UnsetType = UNSET
    acceptance: str | UnsetType = UNSET
    benign: tuple[str, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_slide(self.slide)


@dataclass(frozen=True)
class Entry:
    """One judged frame, before it is stored.

    Attributes:
        captured: when. sequence: the camera's frame number. source: file that was replayed, "" for a camera.
        label: the class; or else reason: a gate's stable name or LOW_CONFIDENCE, with detail: one sentence with the
            value that it turned on.
        probabilities: one a label, 0..1, the verdict's, calibrated where the bundle has a decision; also of a verdict
            that abstains. None when no model was asked.
        gates: measured value by gate. latency_ms: milliseconds by stage.
        image: the encoded image to be kept, or None. image_suffix: ".png".
        tiles: the network's own outputs of each tile, one number a label, 0..1, as `Verdict.tiles`; None without tiles.
        seen: the field of the slide, counted before, that this one shows again in part; such a one is not counted.
        asked_by: who asked for this frame to be judged; "" where nobody did.

    >>> Entry(Instant(0, 0, None), 1, "", "Pre", None, None, (0.1, 0.9), {"focus": 31.0}, {"invoke": 4.1}, None).label
    'Pre'
    """

    captured: Instant
    sequence: int
    source: str
    label: str | None
    reason: str | None
    detail: str | None
    probabilities: tuple[float, ...] | None
    gates: Mapping[str, float]
    latency_ms: Mapping[str, float]
    image: bytes | None
    image_suffix: str = ".png"
    tiles: tuple[tuple[float, ...], ...] | None = None
    seen: int | None = None
    asked_by: str = ""

    def __post_init__(self) -> None:
        if (self.label is None) == (self.reason is None):
            raise ValueError(f"exactly one of label and reason must be set; got {self.label!r} and {self.reason!r}")
        for value in self.probabilities or ():
            if not 0 <= value <= 1:
                raise ValueError(f"probabilities must be in 0..1; got {self.probabilities}")
        for tile in self.tiles or ():
            if not all(0 <= value <= 1 for value in tile) or len(tile) != len(self.probabilities or ()):
                raise ValueError(f"tiles must be probabilities in 0..1, one a label; got {tile}")
        if not SUFFIX.fullmatch(self.image_suffix):
            raise ValueError(f"image_suffix must be like .png; got {self.image_suffix!r}")

    @classmethod
    def of(
        cls,
        answer: Answer,
        captured: Instant,
        sequence: int,
        source: str,
        milliseconds: Mapping[str, float],
        image: bytes | None = None,
    ) -> "Entry":
        """What is recorded of a frame's answer.

        Args:
            milliseconds: by stage; kept to the microsecond. image: PNG, or None.
        """
        return cls(
            captured=captured,
            sequence=sequence,
            source=source,
            label=answer.label,
            reason=answer.reason,
            detail=answer.detail,
            probabilities=answer.probabilities,
            gates=answer.gates,
            latency_ms={name: round(ms, 3) for name, ms in milliseconds.items()},
            image=image,
            tiles=answer.tiles,
        )


@dataclass(frozen=True)
class Event:
    """Something that happened beside the verdicts, such as a stalled camera, and numbers measured then, if any.

    >>> event_body(1, "s1", Event(Instant(0, 0, None), "clock_jump", "the clock moved by +3.0 s")).kind
    'clock_jump'
    """

    at: Instant
    kind: str
    detail: str
    measures: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Stored:
    """A verdict that is in the record: entry number, place, and digest in the chain.

    >>> entry = Entry(Instant(0, 0, None), 1, "", "Pre", None, None, (0.1, 0.9), {}, {"invoke": 4.1}, None)
    >>> Stored(3, "s1", 1, entry, None, "0" * 64).entry.label
    'Pre'
    """

    id: int
    slide: str
    field: int
    entry: Entry
    image: str | None
    digest: str


def require_slide(slide: str) -> None:
    """Raise ValueError unless `slide` is a name that can be that of a folder everywhere."""
    if not isinstance(slide, str) or not SLIDE.fullmatch(slide):
        raise ValueError(f"slide must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; got {slide!r}")


class VerdictBody(EntryBody, frozen=True, kw_only=True, tag="verdict"):
    """A verdict: an `Entry` as it is stored. Gates and latencies that were no finite number are None; without tiles
    there is no key `tiles`, and so with `seen` and `asked_by`.

    >>> entry = Entry(Instant(0, 0, None), 1, "", "Pre", None, None, (0.1, 0.9), {"focus": float("nan")}, {}, None)
    >>> verdict_body(1, "s1", 1, entry, None).gates
    {'focus': None}
    """

    run: int
    slide: str
    field: int
    sequence: int
    source: str
    label: str | None
    reason: str | None
    detail: str | None
    probabilities: tuple[float, ...] | None
    gates: dict[str, float | None]
    latency_ms: dict[str, float | None]
    image: Image | None
    tiles: tuple[tuple[float, ...], ...] | UnsetType = UNSET
    seen: int | UnsetType = UNSET
    asked_by: str | UnsetType = UNSET


class EventBody(EntryBody, frozen=True, kw_only=True, tag="event"):
    """An event of a run, or of the record itself (no run, no slide). Without numbers there is no key `measures`.

    >>> event_body(None, None, Event(Instant(0, 0, None), "swept", "1 image moved")).run is None
    True
    """

    run: int | None
    slide: str | None
    kind: str
    detail: str
    measures: dict[str, float] | UnsetType = UNSET


class EndBody(EntryBody, frozen=True, kw_only=True, tag="end"):
    """The entry that ends a run; a run that was killed has none.

    >>> EndBody(run=1, slide="s1", **moment(Instant(0, 0, None)), counters={"stored": 9}, why="complete").counters
    {'stored': 9}
    """

    run: int
    slide: str
    counters: dict[str, int]
    why: str


class PrunedBody(EntryBody, frozen=True, kw_only=True, tag="pruned"):
    """The checkpoint that retention leaves: where the chain begins now, and the run that goes on across it.

    Attributes:
        through, digest: the last entry that was removed. removed: how many entries, verdicts, images and bytes.
        carried_run: the body that began the run, exactly as it was recorded. carried_act: of the slide that is still
            open: `entry`, its number, and `body`. carried_verdicts: bodies by entry, of which corrections stay.

    >>> PrunedBody(utc_ns=0, through=7, digest="0" * 64, removed={"entries": 7}, carried_run=None, why="{}").through
    7
    """

    through: int
    digest: str
    removed: dict[str, int]
    carried_run: dict[str, Any] | None
    why: str
    carried_act: dict[str, Any] | UnsetType = UNSET
    carried_verdicts: dict[str, Any] | UnsetType = UNSET


class ControlBody(EntryBody, frozen=True, kw_only=True, tag="control"):
    """A control of a control slide, at the end of the run whose verdicts are its fields.

    Attributes:
        series: what its targets hold for. fields: how many were looked at.
        measures: value by name (`edge.commissioning.control.measures`); None where no field told it.
        outcome: "passed", "failed", or "baseline": the targets are not made yet, and nothing else was wrong.
        number: of the series' valid controls, this one included, from 1. baseline: how many of them make the targets.
        targets: by measure; empty before there are any.
        broken: Westgard's rules that reject, by measure. checks: what else failed, by name, and one sentence.
        boot: id of the start of the machine, within which its monotonic clock counts; "" where it has none.

    >>> series = ControlSeries("QC-1", "tiny-int8", "0" * 64, "picamera2:0")
    >>> ControlBody(run=1, slide="QC-1", **moment(Instant(0, 0, None)), series=series, fields=20, measures={},
    ...             outcome="baseline", number=3, baseline=20).passed
    True
    """

    run: int
    slide: str
    series: ControlSeries
    fields: int
    measures: dict[str, float | None]
    outcome: Literal["passed", "failed", "baseline"]
    number: int
    baseline: int
    targets: dict[str, ControlTarget] = msgspec.field(default_factory=dict)
    broken: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    checks: dict[str, str] = msgspec.field(default_factory=dict)
    boot: str = ""

    @property
    def passed(self) -> bool:
        """Nothing was wrong."""
        return self.outcome != "failed"


class ReferenceBody(EntryBody, frozen=True, kw_only=True, tag="reference"):
    """A reference field, whose image is always kept.

    >>> field = ReferenceField("healthy", "monday", "uvc:0", 7, (640, 480), "relative", "leukoscope 1")
    >>> image = Image("images/s1/000/000001.png", "0" * 64, bytes=1200)
    >>> ReferenceBody(slide="s1", field=1, **moment(Instant(0, 0, None)), reference=field, image=image).field
    1
    """

    slide: str
    field: int
    reference: ReferenceField
    image: Image


class RunBody(RunInfo, frozen=True, kw_only=True, tag_field="type", tag="run"):
    """The entry that begins a run. An older version recorded neither who signed the bundle nor what certified it.

    >>> bundle, interpreter = ("tiny-int8", "0" * 64, True), ("litert", "2.3", "xnnpack")
    >>> rest = (("Benign", "Pre"), "leukoscope 1", "{}")
    >>> RunBody("s1", "sim:", True, *bundle, *interpreter, *rest, run=1, utc_ns=0).signed_by
    'not recorded'
    """

    run: int
    utc_ns: int
    utc: str = ""
    monotonic_ns: int = 0
    synchronized: bool | None = None
    signed_by: str = NOT_RECORDED
    synthetic_certificate: bool | None = None

    @property
    def provenance(self) -> Provenance:
        """Of the bundle that judges."""
        return Provenance(
            self.bundle,
            self.bundle_version,
            self.signed_by,
            self.synthetic_certificate,
            self.lax_policy,
            self.ungated,
            self.acceptance,
        )


Body = (
    RunBody
    | VerdictBody
    | EventBody
    | EndBody
    | PrunedBody
    | ControlBody
    | ReferenceBody
    | SlideBody
    | CorrectionBody
    | CommandBody
)


def read_body(text: str) -> Body:
    """The body that `canonical` wrote, also one of an older version; keys of a newer one are passed over.

    Raises:
        StoreError: no such body; names the key.
    """
    try:
        body: Body = msgspec.convert(json.loads(text), Body)  # json reads file names of any encoding (lone surrogates)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"no entry of a record: {error}") from error
    return body


def event_body(run: int | None, slide: str | None, event: Event) -> EventBody:
    """An event of a run, or of the record itself (no run, no slide)."""
    measures = UNSET if event.measures is None else dict(event.measures)
    return EventBody(run=run, slide=slide, **moment(event.at), kind=event.kind, detail=event.detail, measures=measures)


def verdict_body(run: int, slide: str, field: int, entry: Entry, image: Image | None) -> VerdictBody:
    """A verdict."""
    probabilities = entry.probabilities
    return VerdictBody(
        run=run,
        slide=slide,
        field=field,
        **moment(entry.captured),
        sequence=int(entry.sequence),
        **{name: getattr(entry, name) for name in ("source", "label", "reason", "detail")},
        probabilities=None if probabilities is None else tuple(float(p) for p in probabilities),
        gates={name: finite(value) for name, value in entry.gates.items()},
        latency_ms={name: finite(value) for name, value in entry.latency_ms.items()},
        image=image,
        tiles=UNSET if entry.tiles is None else tuple(tuple(float(p) for p in tile) for tile in entry.tiles),
        seen=UNSET if entry.seen is None else entry.seen,
        asked_by=entry.asked_by or UNSET,
    )
