"""The record of a diagnosis, `diagnosis.json`: causes, layers, weights, ranges, and both end tensors."""

from typing import Any, Literal

import msgspec

FORMAT = 1


class FileRecord(msgspec.Struct, frozen=True):
    """One of the two files that were compared."""

    name: str
    sha256: str


class ContractRecord(msgspec.Struct, frozen=True):
    """What the network is fed: `size` is (width, height) in pixels."""

    size: list[int]
    labels: list[str]


class CauseRecord(msgspec.Struct, frozen=True):
    """A `convert.diagnosis.causes.Cause`; `layer` is None where it is about the whole."""

    rule: str
    layer: str | None
    of_weight: bool
    evidence: float
    measure: str
    message: str
    cure: str


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `convert.diagnosis.activations.Layer`, with its `convert.diagnosis.layer_effects.Effect` where it has one."""

    name: str
    operator: str
    sqnr_db: float
    added_db: float
    inherited_db: float
    channel_db: float
    clipped_db: float
    channel_codes: float
    spread: float
    cosine: float
    range_used: float
    clipped_low: float
    clipped_high: float
    at_low: float
    at_high: float
    channels: int
    dead_channels: int
    lost_channels: int
    held: list[float]
    measured: list[float]
    output_db: float | msgspec.UnsetType = msgspec.UNSET
    share: float | msgspec.UnsetType = msgspec.UNSET
    flipped: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def error_share(self) -> float:
        """Part of the error at the logits that it alone causes; 0 where that was not measured."""
        return self.share or 0.0

    @property
    def clipped(self) -> float:
        """Part of the float values that the int8 tensor cannot hold, at either end."""
        return self.clipped_low + self.clipped_high


class WeightsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `convert.diagnosis.weights.Weights`, rounded."""

    name: str
    scales: int
    outlier: float
    gap: float
    loudest: int
    codes: float
    channel_codes: float
    sqnr_db: float
    factor: float
    strayed: int
    strays: int
    likeness: float
    bias_ends: int
    bias_steps: float


class RangeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `convert.diagnosis.ranges.Range`, rounded."""

    name: str
    measured: float
    recorded: float
    exceeds: float
    any_image: float
    one_image: float
    halves: float


class Extreme(msgspec.Struct, frozen=True):
    """An image, and the number of layers whose greatest or least value it sets."""

    image: str
    layers: int


class CalibrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `convert.diagnosis.ranges.Calibrated`."""

    growth: list[tuple[int, float]]
    exceeded: int
    touched: int
    telling: int
    looks_like_images: int | None
    recorded_images: int | None
    extremes: list[Extreme]
    halves: float
    layers: list[RangeRecord]


class EndsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `convert.diagnosis.io_tensors.Ends`, rounded."""

    given: tuple[float, float]
    held: tuple[float, float]
    clipped: float
    codes: float
    differs: list[str]
    output_step: float
    at_top: float
    margins: tuple[float, float]
    close: float
    ties: float
    agreement: float


class DiagnosisRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    format: int
    network: FileRecord
    int8: FileRecord
    contract: ContractRecord
    images: int
    origin: str
    effect_images: int
    verdict: Literal["fault", "sound"]
    agreement: float
    logits_db: float
    causes: list[CauseRecord]
    layers: list[LayerRecord]
    weights: list[WeightsRecord]
    calibration: CalibrationRecord
    ends: EndsRecord
    unmatched: list[str]
    cpu_seconds: float
    seconds: dict[str, float]
    peak_rss_mb: int
    versions: dict[str, str]

    @property
    def faults(self) -> list[CauseRecord]:
        """The causes of weight, ranked."""
        return [cause for cause in self.causes if cause.of_weight]

    @property
    def remarks(self) -> list[CauseRecord]:
        """The other causes."""
        return [cause for cause in self.causes if not cause.of_weight]

    def to_record(self) -> dict[str, Any]:
        """As `diagnosis.json` holds it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
