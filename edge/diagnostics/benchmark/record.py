"""The record of `edge bench`: what `--json` prints, and table and figure show."""

from msgspec import UNSET, Struct, UnsetType

from edge.system.interleaved_timing import Comparison, Percentiles


class PipelineRates(Struct, frozen=True):
    """Frames a second slice by slice; `ratio` is the median over neighbouring slices of pipeline / interpreter.

    >>> PipelineRates([90.0, 99.0], [100.0, 100.0], ratio=0.945, ratio_min=0.9, ratio_max=0.99).ratio
    0.945
    """

    pipeline_fps: list[float]
    invoke_fps: list[float]
    ratio: float
    ratio_min: float
    ratio_max: float


class Temperature(Struct, frozen=True):
    """The hottest sensor, degrees Celsius; None where the machine has none.

    >>> Temperature(before=41.0, after=43.5).after
    43.5
    """

    before: float | None
    after: float | None


class WatchersRecord(Struct, frozen=True, kw_only=True):
    """What the instrument's socket costs: the pipeline's frames a second slice by slice, without a socket (`alone`),
    with one that nobody watches (`unwatched`), and with `watchers` clients (`watched`), in turns.

    Attributes:
        unwatched, watched: rate against `alone`; `difference_ms` is in frames a second here.
        processor_ms: of this process, of all its threads, for a frame, median, by kind.
        memory_mb: resident at the end of a slice, the most of all, by kind.
        messages, previews: that the watchers got in all.
    """

    watchers: int
    alone_fps: list[float]
    unwatched_fps: list[float]
    watched_fps: list[float]
    unwatched: Comparison
    watched: Comparison
    processor_ms: dict[str, float]
    memory_mb: dict[str, float]
    messages: int
    previews: int


class BenchDetails(Struct, frozen=True, kw_only=True):
    """What was measured, on what, and everything behind the medians.

    Attributes:
        instead: why the CPU did the work that an Edge TPU was to do; None where it did not.
        contenders, stages: milliseconds by name. against_invoke, against_mediapipe: contenders by name.
        novelty_share: the last gate's time over that of an inference; gates_share: that of all gates, by `gates`, the
            names of those asked. ungated: none is asked.
        throttled: the firmware's bits, 0 where nothing throttles; None where it does not say.
        tiles: columns and rows of the bundle's contract, an inference each; left out without tiles. `invoke` is one
            inference among the contenders, all of a field's among the stages; the pipeline's rate is of fields.
        watchers: what watching costs; only where it was asked for.
    """

    digest: str
    bundle_version: int | None
    signed_by: str
    synthetic_certificate: bool
    ungated: bool | UnsetType = UNSET
    gates: tuple[str, ...] = ()
    runtime_version: str
    kind: str
    instead: str | None
    board: str
    opencv: str
    numpy: str
    frames_from: str
    frames: int
    load_before: float
    contenders: dict[str, Percentiles]
    against_invoke: dict[str, Comparison]
    against_mediapipe: dict[str, Comparison]
    stages: dict[str, Percentiles]
    novelty_share: float
    gates_share: float = 0.0
    pipeline: PipelineRates
    temperature_c: Temperature
    throttled: int | None
    tiles: tuple[int, int] | UnsetType = UNSET
    watchers: WatchersRecord | UnsetType = UNSET


class BenchRecord(Struct, frozen=True, kw_only=True):
    """The medians (DESIGN: machine-readable output), and `details`. MediaPipe's only where it was measured.

    >>> [name for name in BenchRecord.__struct_fields__ if name.endswith("_fps")]
    ['pipeline_fps', 'invoke_fps']
    """

    bundle: str
    runtime: str
    threads: int
    invoke_ms: float
    frame_224_ms: float
    frame_1280x960_ms: float
    mediapipe_224_ms: float | UnsetType = UNSET
    mediapipe_1280x960_ms: float | UnsetType = UNSET
    pipeline_fps: float
    invoke_fps: float
    peak_rss_mb: float
    details: BenchDetails
