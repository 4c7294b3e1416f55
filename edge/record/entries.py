"""The entries of the record: verdicts, events and runs, and the JSON bodies they are stored as."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge.bundle.provenance import UNSIGNED
from edge.record.chain import finite
from edge.system.clock import Instant

SLIDE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # begins with a letter or digit: never "..", never hidden
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True)
class RunInfo:
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

    def __post_init__(self) -> None:
        if (self.label is None) == (self.reason is None):
            raise ValueError(f"exactly one of label and reason must be set; got {self.label!r} and {self.reason!r}")
        for value in self.probabilities or ():
            if not 0 <= value <= 1:
                raise ValueError(f"probabilities must be in 0..1; got {self.probabilities}")
        if not SUFFIX.fullmatch(self.image_suffix):
            raise ValueError(f"image_suffix must be like .png; got {self.image_suffix!r}")


@dataclass(frozen=True)
class Event:
    """Something that happened beside the verdicts: a stalled camera, a clock that was set, a full disk.

    >>> event_body(1, "s1", Event(Instant(0, 0, None), "clock_jump", "the clock moved by +3.0 s"))["kind"]
    'clock_jump'
    """

    at: Instant
    kind: str
    detail: str


@dataclass(frozen=True)
class Image:
    """An image that was kept: path relative to the record's folder, its sha256 (hex) and size."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Stored:
    """A verdict that is in the record: entry number, place, and digest in the chain."""

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


def run_body(run: int, info: RunInfo, at: Instant) -> dict[str, Any]:
    """The entry that begins a run."""
    return {"type": "run", "run": run, **_time(at), **asdict(info), "labels": list(info.labels)}


def end_body(run: int, slide: str, at: Instant, counters: Mapping[str, int], why: str) -> dict[str, Any]:
    """The entry that ends a run; a run that was killed has none."""
    return {"type": "end", "run": run, "slide": slide, **_time(at), "counters": dict(counters), "why": why}


def event_body(run: int | None, slide: str | None, event: Event) -> dict[str, Any]:
    """An event of a run, or of the record itself (no run, no slide)."""
    return {"type": "event", "run": run, "slide": slide, **_time(event.at), "kind": event.kind, "detail": event.detail}


def verdict_body(run: int, slide: str, field: int, entry: Entry, image: Image | None) -> dict[str, Any]:
    """A verdict."""
    probabilities = entry.probabilities
    return {
        "type": "verdict",
        "run": run,
        "slide": slide,
        "field": field,
        **_time(entry.captured),
        "sequence": int(entry.sequence),
        "source": entry.source,
        "label": entry.label,
        "reason": entry.reason,
        "detail": entry.detail,
        "probabilities": None if probabilities is None else [float(p) for p in probabilities],
        "gates": {name: finite(value) for name, value in entry.gates.items()},
        "latency_ms": {name: finite(value) for name, value in entry.latency_ms.items()},
        "image": None if image is None else asdict(image),
    }


def pruned_body(
    at: Instant, through: int, digest: str, removed: Mapping[str, int], run: Any, why: str
) -> dict[str, Any]:
    """The checkpoint that retention leaves: where the chain begins now, and the run that goes on across it."""
    return {
        "type": "pruned",
        **_time(at),
        "through": through,
        "digest": digest,
        "removed": dict(removed),
        "carried_run": run,
        "why": why,
    }


def _time(at: Instant) -> dict[str, Any]:
    return {
        "utc": at.utc,
        "utc_ns": at.utc_ns,
        "monotonic_ns": at.monotonic_ns,
        "synchronized": at.synchronized,
    }
