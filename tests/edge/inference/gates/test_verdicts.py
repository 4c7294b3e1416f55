"""Values, refusals and answers of before the limits moved into the bundles: on the same frames they are the same.

`verdicts.json` was recorded with the code that read its limits from files of `edge`.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs.studies.gates.degradations import defocus, expose, motion
from docs.studies.novelty.other_microscopes import MICROSCOPES, through
from edge.bundle.policy import shipped_bundles
from edge.inference.answer import answer_frame
from edge.inference.contract import Pixels
from edge.inference.images import read_image
from edge.serving.serve import Served, serve
from edge.settings.model import ModelSettings
from tests.edge.inference.gates.test_gates import PREPARE, drawn

WAYS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "1.5 stops darker": lambda pixels: expose(pixels, -1.5),
    "1 stop lighter": lambda pixels: expose(pixels, 1.0),
    "defocus 4": lambda pixels: defocus(pixels, 4.0),
    "motion 17": lambda pixels: motion(pixels, 17.0, 20.0),
    "lilac": lambda pixels: through(pixels, MICROSCOPES["lilac"]),
    "half size": lambda pixels: through(pixels, MICROSCOPES["own stain, 0.5 times"]),
}


@pytest.fixture(scope="module")
def record() -> Any:
    return json.loads(Path(__file__).with_name("verdicts.json").read_text(encoding="utf-8"))


@cache
def served(name: str) -> Served:
    shipped = shipped_bundles()
    assert shipped is not None
    return serve(ModelSettings(bundle=shipped / name))


def compare(bundles: list[str], names: list[str], pixels: Pixels, expected: list[Any]) -> None:
    refusal, values, answers = expected
    for bundle, answer in zip(bundles, answers, strict=True):
        device = served(bundle)
        report = device.gates.check(pixels)
        assert device.gates.names == tuple(names)
        assert (report.refusal.gate if report.refusal else None) == refusal
        np.testing.assert_allclose(list(report.values.values()), values, rtol=1e-5)
        found = answer_frame(device.gates, device.classifier, pixels)
        assert (found.label or found.reason) == answer


def test_drawn_fields_are_judged_as_before(record: Any) -> None:
    assert record["ways"] == list(WAYS)
    for pixels, rows in zip(drawn(), record["drawn"], strict=False):
        for way, expected in zip(WAYS.values(), rows, strict=True):
            compare(record["bundles"], record["gates"], np.ascontiguousarray(way(pixels)), expected)


def test_the_record_tells_gates_apart(record: Any) -> None:
    """Negative control: another limit, another verdict."""
    refusals = {row[0] for rows in record["drawn"] for row in rows}
    assert refusals == {None, *record["gates"]}
    row = next(row for row in record["drawn"][0] if row[0] is None)
    with pytest.raises(AssertionError):
        compare(record["bundles"], record["gates"], drawn()[0], ["out_of_focus", *row[1:]])


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_published_test_fields_are_judged_as_before(record: Any, data_dir: Path, step: int) -> None:
    assert len(record["published"]) == 509
    for name, expected in list(record["published"].items())[::step]:
        compare(record["bundles"], record["gates"], PREPARE(read_image(data_dir / name)), expected)
