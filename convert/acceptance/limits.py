"""The limits of an acceptance, read from a TOML file such as `acceptance.toml`."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from convert.errors import PolicyError
from edge.bundle.acceptance import RATES
from edge.system.files import read_at_most

DEFAULT_LIMITS = Path(__file__).with_name("acceptance.toml")
_LARGEST_BYTES = 2**20
Share = Annotated[float, Meta(ge=0, le=1)]


class SlideLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """[slides]: bounds, of slides, 0..1."""

    max_missed: Annotated[float, Meta(gt=0, le=max(RATES))]
    min_specificity: Share
    max_refused: Share


class ThresholdGrid(Struct, frozen=True, forbid_unknown_fields=True):
    """[thresholds]: least probabilities of a benign answer, strictest first."""

    benign_from: Annotated[tuple[Share, ...], Meta(min_length=1, max_length=100)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """The file.

    >>> Limits.load().slides.max_missed
    0.1
    """

    format: Literal[1]
    name: Annotated[str, Meta(min_length=1)]
    slides: SlideLimits
    thresholds: ThresholdGrid

    @classmethod
    def load(cls, path: Path | None = None) -> "Limits":
        """Read a file; None is the one that ships.

        Raises:
            PolicyError: unreadable, not TOML, an unknown or missing key, a value out of range, thresholds out of order.
        """
        path = path or DEFAULT_LIMITS
        try:
            table: dict[str, Any] = tomllib.loads(read_at_most(path, _LARGEST_BYTES, PolicyError).decode())
            limits = msgspec.convert(table, cls)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: not a TOML file: {error}") from error
        except msgspec.ValidationError as error:
            raise PolicyError(f"{path}: {error}") from error
        grid = limits.thresholds.benign_from
        if list(grid) != sorted(set(grid), reverse=True):
            raise PolicyError(f"{path}: thresholds.benign_from must fall from each to the next; got {list(grid)}")
        return limits

    def to_record(self) -> dict[str, float]:
        """As `acceptance.json` holds them; the tested thresholds stand there beside."""
        return {name: float(value) for name, value in msgspec.structs.asdict(self.slides).items()}
