"""The policy: the thresholds by which a quantized model is judged, read from a TOML file such as `policy.toml`."""

import difflib
import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.errors import PolicyError
from convert.parity.flips import Flip

POLICY_FORMAT = 1
DEFAULT_POLICY = Path(__file__).with_name("policy.toml")
SYNTHETIC_POLICY = Path(__file__).with_name("policy_synthetic.toml")
SITE_POLICY = Path(__file__).with_name("policy_site.toml")


@dataclass(frozen=True)
class DeviceLimits:
    """Limits on what the device says, float against int8.

    Attributes:
        min_same_percent: of all images, those of which it says the same, no answer included; 0..100.
        min_answered_alike_percent: of the images answered with both, those that keep their answer; 0..100.
        max_lost_points: share answered with float less that with int8, percentage points.
    """

    min_same_percent: float
    min_answered_alike_percent: float
    max_lost_points: float


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
        device: limits on the device's answers; None, in files without that table, judges them by single images alone.
        forbidden: flips by name, for models without a benign label, or beside one.
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
    device: DeviceLimits | None = None
    forbidden: tuple[Flip, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "\n" in self.name:
            raise PolicyError(f"policy name must be a single line of text; got {self.name!r}")
        for section, keys in _SECTIONS.items():
            for key, (field, low, high) in keys.items():
                _check_number(f"{section}.{key}", getattr(self, field), low, high)
        for key in _DEVICE if self.device is not None else ():
            _check_number(f"device.{key}", getattr(self.device, key), 0.0, 100.0)
        for flip in self.forbidden:
            _check_flip(flip)
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
        _check_keys("", record, {"format", "name", *_SECTIONS}, {"device", "forbidden"})
        if record["format"] != POLICY_FORMAT:
            raise PolicyError(f"policy format must be {POLICY_FORMAT}; got {record['format']!r}")
        fields: dict[str, Any] = {"name": record["name"]}
        for section, keys in _SECTIONS.items():
            table = record[section]
            if not isinstance(table, Mapping):
                raise PolicyError(f"policy {section} must be a table [{section}]; got {table!r}")
            _check_keys(section, table, set(keys))
            fields |= {field: table[key] for key, (field, _, _) in keys.items()}
        return cls(**fields, device=_device(record), forbidden=_forbidden(record))

    def to_record(self) -> dict[str, Any]:
        """Nested as in the file: JSON-safe, complete, and read back by `from_record`."""
        tables = {
            section: {key: getattr(self, field) for key, (field, _, _) in keys.items()}
            for section, keys in _SECTIONS.items()
        }
        if self.device is not None:
            tables["device"] = asdict(self.device)
        forbidden = {"forbidden": [_flip_record(flip) for flip in self.forbidden]} if self.forbidden else {}
        return {"format": POLICY_FORMAT, "name": self.name, **tables, **forbidden}


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


_DEVICE = ("min_same_percent", "min_answered_alike_percent", "max_lost_points")


def _device(record: Mapping[str, Any]) -> DeviceLimits | None:
    if "device" not in record:
        return None
    table = record["device"]
    if not isinstance(table, Mapping):
        raise PolicyError(f"policy device must be a table [device]; got {table!r}")
    _check_keys("device", table, set(_DEVICE))
    return DeviceLimits(*(table[key] for key in _DEVICE))


def _forbidden(record: Mapping[str, Any]) -> tuple[Flip, ...]:
    tables = record.get("forbidden", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise PolicyError(f"policy forbidden must be tables [[forbidden]]; got {tables!r}")
    flips = []
    for table in tables:
        _check_keys("forbidden", table, {"from", "to"}, {"max_images"})
        sides = [[table[key]] if isinstance(table[key], str) else table[key] for key in ("from", "to")]
        if not all(isinstance(side, list) and all(isinstance(label, str) for label in side) for side in sides):
            raise PolicyError(f"forbidden from and to must be a label or a list of labels; got {dict(table)}")
        flips.append(Flip(tuple(sides[0]), tuple(sides[1]), table.get("max_images", 0)))
    return tuple(flips)


def _flip_record(flip: Flip) -> dict[str, Any]:
    return {"from": list(flip.of), "to": list(flip.into), "max_images": flip.max_images}


def _check_flip(flip: Flip) -> None:
    if not flip.of or not flip.into:
        raise PolicyError("forbidden must name labels, from and to")
    if set(flip.of) & set(flip.into):
        raise PolicyError(f"forbidden from and to must share no label; got {flip.in_words}")
    _check_number("forbidden.max_images", flip.max_images, 0, 10**9)


def _check_keys(
    section: str, table: Mapping[str, Any], expected: set[str], optional: Collection[str] = frozenset()
) -> None:
    where, known = f"[{section}]" if section else "policy", sorted({*expected, *optional})
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
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
