"""Settings of a conversion: how models are calibrated, converted and judged."""

from dataclasses import dataclass
from pathlib import Path

from convert.parity.policy import Policy
from convert.quantization.quantize import Io
from edge.inference.domain import Domain


@dataclass(frozen=True)
class Settings:
    """How models are converted and judged; see `convert quantize --help`.

    Attributes:
        calibration_count, method, seed: of the calibration set.
        images_in_report: embed the images that changed class, which a published bundle must not hold.
        force: convert again even when nothing has changed.
        benign: labels that the user named benign; () for those of the contract, or spelt so.
        gates: `gates.json` for the bundle; None for that beside the model, else one fitted to the images.
        domain: what the images show; None for what the contract says.
        search: look for the int8 file that decides most like the float network.

    >>> Settings(Policy.default()).io
    'int8'
    """

    policy: Policy
    io: Io = "int8"
    calibration_count: int = 200
    method: str = "random"
    seed: int = 0
    images_in_report: bool = False
    force: bool = False
    search: bool = False
    benign: tuple[str, ...] = ()
    gates: Path | None = None
    domain: Domain | None = None
