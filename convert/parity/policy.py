"""The policy: the thresholds by which a quantized model is judged, read from a TOML file such as `policy.toml`."""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.errors import PolicyError

POLICY_FORMAT = 1
DEFAULT_POLICY = Path(__file__).with_name("policy.toml")
SYNTHETIC_POLICY = Path(__file__).with_name("policy_synthetic.toml")


@dataclass(frozen=True)
class Policy:
    """Thresholds; a value on its limit passes. `_SECTIONS` says where each stands in the file.

    Attributes:
        max_accuracy_drop_points: float accuracy minus int8 accuracy, percentage points.
        max_accuracy_drop_bound_points: the same for the drop's one-sided upper bound.
        bound_confidence: of that bound, in [0.5, 1).
        min_agreement_percent, min_decided_agreement_percent: 0..100.
        decided_margin: difference of the two largest float probabilities, 0..1.
        max_recall_fall_points: per class, percentage points.
        max_malignant_to_benign: images.
        min_images, min_decided_images, min_class_images, min_called_class_images: below it, no verdict.

    Raises:
        PolicyError: a value is out of its range.

    >>> Policy.default().min_images
    300
    """

    name: str
    max_accuracy_drop_points: float
    max_accuracy_drop_bound_points: float
    bound_confidence: float
    min_agreement_percent: float
    min_decided_agreement_percent: float
    decided_margin: float
    max_recall_fall_points: float
    max_malignant_to_benign: int
    min_images: int
    min_decided_images: int
    min_class_images: int
    min_called_class_images: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "\n" in self.name:
            raise PolicyError(f"policy name must be a single line of text; got {self.name!r}")
        for section, keys in _SECTIONS.items():
            for key, (field, low, high) in keys.items():
                _check_number(f"{section}.{key}", getattr(self, field), low, high)
        if self.max_accuracy_drop_bound_points < self.max_accuracy_drop_points:
            raise PolicyError(
                "accuracy.max_drop_bound_points must be >= accuracy.max_drop_points; "
                f"got {self.max_accuracy_drop_bound_points} < {self.max_accuracy_drop_points}"
            )

    @classmethod
    def default(cls) -> "Policy":
        """The policy that ships, for real images."""
        return cls.load(DEFAULT_POLICY)

    @classmethod
    def synthetic(cls) -> "Policy":
        """The policy that ships for synthetic fields: whether the file is intact, not whether it may be used."""
        return cls.load(SYNTHETIC_POLICY)

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy file.

        Raises:
            PolicyError: unreadable, not TOML, or a key is unknown (the nearest is named) or missing.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise PolicyError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise PolicyError(f"{path}: a policy is UTF-8 text") from error
        try:
            return cls.from_toml(text)
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from error

    @classmethod
    def from_toml(cls, text: str) -> "Policy":
        """As `load`, from the file's text."""
        try:
            record = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"policy is not TOML: {error}") from error
        return cls.from_record(record)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Policy":
        """From nested tables as in the file, or as `to_record` gives them."""
        _check_keys("", record, {"format", "name", *_SECTIONS})
        if record["format"] != POLICY_FORMAT:
            raise PolicyError(f"policy format must be {POLICY_FORMAT}; got {record['format']!r}")
        fields: dict[str, Any] = {"name": record["name"]}
        for section, keys in _SECTIONS.items():
            table = record[section]
            if not isinstance(table, Mapping):
                raise PolicyError(f"policy {section} must be a table [{section}]; got {table!r}")
            _check_keys(section, table, set(keys))
            fields |= {field: table[key] for key, (field, _, _) in keys.items()}
        return cls(**fields)

    def to_record(self) -> dict[str, Any]:
        """Nested as in the file: JSON-safe, complete, and read back by `from_record`."""
        tables = {
            section: {key: getattr(self, field) for key, (field, _, _) in keys.items()}
            for section, keys in _SECTIONS.items()
        }
        return {"format": POLICY_FORMAT, "name": self.name, **tables}


# Section and key of the file -> (field, smallest, largest). An int limit wants a whole number.
_SECTIONS: dict[str, dict[str, tuple[str, float, float]]] = {
    "accuracy": {
        "max_drop_points": ("max_accuracy_drop_points", 0.0, 100.0),
        "max_drop_bound_points": ("max_accuracy_drop_bound_points", 0.0, 100.0),
        "bound_confidence": ("bound_confidence", 0.5, 0.9999),
    },
    "agreement": {
        "min_percent": ("min_agreement_percent", 0.0, 100.0),
        "min_decided_percent": ("min_decided_agreement_percent", 0.0, 100.0),
        "decided_margin": ("decided_margin", 0.0, 1.0),
    },
    "recall": {"max_fall_points": ("max_recall_fall_points", 0.0, 100.0)},
    "malignant_to_benign": {"max_images": ("max_malignant_to_benign", 0, 10**9)},
    "evidence": {
        "min_images": ("min_images", 1, 10**9),
        "min_decided_images": ("min_decided_images", 1, 10**9),
        "min_class_images": ("min_class_images", 1, 10**9),
        "min_called_class_images": ("min_called_class_images", 0, 10**9),
    },
}


def _check_keys(section: str, table: Mapping[str, Any], expected: set[str]) -> None:
    where = f"[{section}]" if section else "policy"
    for key in table:
        if key not in expected:
            near = difflib.get_close_matches(str(key), sorted(expected), n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(sorted(expected))}"
            raise PolicyError(f"{where} has no key {key!r}{hint}")
    missing = sorted(expected - set(table))
    if missing:
        raise PolicyError(f"{where} must have every key; missing {', '.join(missing)}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    whole = isinstance(low, int)
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        raise PolicyError(f"{name} must be a {'whole ' if whole else ''}number; got {value!r}")
    if not low <= value <= high:
        raise PolicyError(f"{name} must be {low:g}..{high:g}; got {value!r}")
