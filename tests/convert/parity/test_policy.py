"""The policy file: what ships, and that a wrong one is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from convert.errors import PolicyError
from convert.parity.policy import DEFAULT_POLICY, SITE_POLICY, Policy

TEXT = DEFAULT_POLICY.read_text(encoding="utf-8")


def test_what_ships() -> None:
    policy = Policy.default()
    assert policy.max_accuracy_drop_points == 0.5
    assert policy.max_accuracy_drop_bound_points == 1.0
    assert policy.min_agreement_percent == 99.0
    assert policy.min_decided_agreement_percent == 99.5
    assert policy.max_recall_fall_points == 1.0
    assert policy.max_malignant_to_benign == 0


def test_every_threshold_says_why() -> None:
    """Each key of the shipped file stands under a comment, or beside a key that does."""
    lines = TEXT.splitlines()
    for i, line in enumerate(lines):
        if "=" in line and not line.startswith(("#", "format", "name")):
            above = lines[i - 1]
            assert above.startswith("#") or "=" in above, f"no comment above {line!r}"


def test_record_round_trip() -> None:
    policy = replace(Policy.default(), min_images=7, name="mine")
    assert Policy.from_record(json.loads(json.dumps(policy.to_record()))) == policy


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_drop_points", "max_drop_point", "did you mean max_drop_points"),
        ("min_decided_percent", "min_decided_percnt", "did you mean min_decided_percent"),
        ("[malignant_to_benign]", "[malignant_to_bening]", "did you mean malignant_to_benign"),
        ("min_images = 300\n", "", r"\[evidence\] must have every key; missing min_images"),
        ('name = "default"', "", "missing name"),
        ("format = 1", "format = 2", "format must be 1; got 2"),
        ("max_images = 0", "max_images = 0.5", "malignant_to_benign.max_images must be a whole number"),
        ("max_images = 0", "max_images = false", "malignant_to_benign.max_images must be a whole number"),
        ("max_images = 0", "max_images = -1", "malignant_to_benign.max_images must be 0"),
        ("min_percent = 99.0", "min_percent = 101", "agreement.min_percent must be 0..100; got 101"),
        ("min_percent = 99.0", 'min_percent = "99"', "agreement.min_percent must be a number; got '99'"),
        ("min_percent = 99.0", "min_percent = nan", "agreement.min_percent must be a number"),
        ("bound_confidence = 0.95", "bound_confidence = 95", "accuracy.bound_confidence must be 0.5"),
        ("max_drop_bound_points = 1.0", "max_drop_bound_points = 0.1", "max_drop_bound_points must be >="),
        ("min_images = 300", "min_images = 0", "evidence.min_images must be 1"),
        ("[recall]\n", "[recall\n", "not TOML"),
        ('name = "default"', "name = 3", "policy name"),
    ],
)
def test_a_wrong_file_is_refused_by_name(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PolicyError, match=said) as caught:
        Policy.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value).split("not TOML")[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="No such file"):
        Policy.load(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match="UTF-8"):
        Policy.load(binary)
    with pytest.raises(PolicyError, match="recall must be a table"):
        Policy.from_record({**Policy.default().to_record(), "recall": 1})


def test_the_policy_of_a_site_lets_no_decided_answer_change() -> None:
    """It is laxer where few images cannot say more, and nowhere else."""
    site, shipped = Policy.load(SITE_POLICY), Policy.default()
    assert site.max_malignant_to_benign == 0 and site.decided_margin == shipped.decided_margin
    assert site.min_decided_agreement_percent >= 99 and site.min_images < shipped.min_images
    assert site.device is not None and site.device.min_answered_alike_percent >= 99
