"""Limits come from the published images by a rule; the files in the repository are what the command writes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from docs.studies.gates.degradations import defocus, expose, motion, with_noise
from docs.studies.gates.focus_measures import GATE, sharpness
from docs.studies.gates.limits import RECORD, calibrate
from docs.studies.gates.published_limits import (
    BUDGET,
    RULES,
    limits_of,
    quality_of,
    read_fields,
    refusals,
    smear_gates,
    values_of,
)
from edge.errors import UsageError
from edge.inference.gates.base import Gates
from models.errors import DatasetError
from tests.edge.inference.gates.test_gates import drawn
from tests.gates import shipped_gates_file
from tests.paths import ROOT


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads((ROOT / RECORD).read_text(encoding="utf-8"))


def shipped() -> dict[str, float]:
    return {name: entry.limit for name, entry in shipped_gates_file().quality.items()}


def spread(name: str) -> np.ndarray:
    """10,000 values of a gate, evenly spread."""
    return np.linspace(1, 200, 10_000) if name != "under_exposed" else np.linspace(100, 200, 10_000)


@pytest.mark.parametrize("name", list(RULES))
def test_a_limit_refuses_no_more_than_its_share(name: str) -> None:
    rule, values = RULES[name], spread(name)
    limit = rule.limit(values)
    beyond = (values > limit) if rule.ceiling else (values < limit)
    assert beyond.mean() <= rule.share
    if rule.factor == 1:
        assert beyond.mean() > rule.share / 2  # a limit far outside would refuse nothing


def test_all_limits_together_keep_within_the_budget() -> None:
    assert sum(rule.share for rule in RULES.values()) < BUDGET


def test_written_limits_say_what_they_come_from() -> None:
    values = {name: spread(name) for name in RULES}
    limits = limits_of(values)
    written = quality_of(limits, values)
    assert {name: entry.limit for name, entry in written.items()} == limits
    assert {entry.images for entry in written.values()} == {10_000}
    assert all(0 <= entry.refused <= 10_000 * RULES[name].share for name, entry in written.items())


def test_the_shipped_limits_are_those_of_the_record(record: dict) -> None:
    assert {name: entry["limit"] for name, entry in record["limits"].items()} == shipped()


def test_the_page_shows_the_shipped_limits() -> None:
    page = (ROOT / "docs" / "explanation" / "gates.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| at (?:most|least) ([\d.]+)", page, re.MULTILINE))
    assert {name: float(text) for name, text in rows.items()} == shipped()


def test_the_record_shows_the_budget_kept(record: dict) -> None:
    assert record["published"]["calibration"]["share"] <= BUDGET
    assert record["published"]["calibration, own scale bar"]["share"] <= BUDGET
    assert all(difference == 0 for use in record["bar"].values() for difference in use.values())


def test_refusals_count_by_gate_and_class() -> None:
    fields = [drawn()[0], defocus(drawn()[0], 8.0), np.zeros((224, 224, 3), np.uint8)]
    found = refusals(smear_gates(shipped()), fields, ["a", "a", "b"])
    assert (found["images"], found["refused"], found["share"]) == (3, 2, 0.66667)
    assert found["reasons"]["out_of_focus"] == found["reasons"]["under_exposed"] == 1
    assert found["by_gate"]["empty_field"] >= 1
    assert found["by_class"]["b"]["share"] == 1.0
    assert found["interval"][0] < 0.66667 < found["interval"][1]


def test_values_are_the_gates_own() -> None:
    gates = Gates(smear_gates(shipped()).gates[:1])
    assert values_of(gates, drawn()[:2])["under_exposed"].tolist() == [
        gates.check(pixels).values["under_exposed"] for pixels in drawn()[:2]
    ]


def test_degradations_keep_what_they_should() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    for blurred in (defocus(point, 3.0), motion(point, 7.0, 90.0)):
        assert int(blurred.sum()) == pytest.approx(int(point.sum()), rel=0.1)
        rows, columns = np.nonzero(blurred[..., 0])
        assert (rows.mean(), columns.mean()) == pytest.approx((20, 20), abs=0.1)
    rows, columns = np.nonzero(motion(point, 7.0, 90.0)[..., 0] > 10)
    assert np.ptp(rows) >= 6 and np.ptp(columns) <= 1
    assert expose(np.full((2, 2, 3), 100, np.uint8), 1.0)[0, 0, 0] == round(100 * 2 ** (1 / 2.2))
    assert expose(point, 0.0).tolist() == point.tolist()
    assert with_noise(np.full((99, 99, 3), 128, np.uint8), np.random.default_rng(0), 2.0).std() == pytest.approx(2, 0.1)


def test_every_measure_of_focus_is_larger_where_sharper() -> None:
    sharp, blurred = sharpness(drawn()[0]), sharpness(defocus(drawn()[0], 3.0))
    assert GATE in sharp
    assert all(sharp[name] > blurred[name] for name in sharp)


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        calibrate("data", json="maybe")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="lacks some"):
        read_fields(tmp_path)


@pytest.mark.slow
def test_the_shipped_limits_come_from_the_published_images(data_dir: Path) -> None:
    """Measures them again: takes half a minute."""
    fields = read_fields(data_dir)["calibration"]
    assert limits_of(values_of(smear_gates(), fields.without_bar)) == shipped()


def test_published_fields_pass_and_blurred_ones_do_not(data_dir: Path) -> None:
    from edge.inference.images import read_image
    from tests.edge.inference.gates.test_gates import PREPARE, reason

    files = [path for label in ("Benign", "Early", "Pre", "Pro") for path in sorted((data_dir / label).iterdir())[::60]]
    fields = [PREPARE(read_image(path)) for path in files]
    assert sum(reason(pixels) is not None for pixels in fields) <= 1
    assert sum(reason(defocus(pixels, 4.0)) == "out_of_focus" for pixels in fields) >= len(fields) - 1
