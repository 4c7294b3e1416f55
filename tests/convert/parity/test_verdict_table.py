"""The end of `convert quantize`: what agreement on synthetic fields means, how many images are missing, the reports."""

import json
from pathlib import Path
from typing import Any

from convert.parity.verdict_table import verdict_table
from models.data.published import bundles

NAME = "custom_cnn"
SHIPPED = json.loads((bundles() / f"{NAME}-int8" / "certificate.json").read_text(encoding="utf-8"))
IMAGES = SHIPPED["parity"]["images"]


def table(**changes: Any) -> str:
    return verdict_table([{**SHIPPED, **changes}], [Path("out/custom_cnn-int8")])


def test_agreement_on_synthetic_fields_is_explained_beside_that_on_images() -> None:
    synthetic, real = table(synthetic=True), table()
    said = f"{NAME}, as it ships, on {IMAGES} published test images: "
    assert said in synthetic and "that a file is intact, no more" in synthetic
    assert said not in real and "intact" not in real, "negative control"
    other = table(synthetic=True, float_model={**SHIPPED["float_model"], "sha256": "0" * 64})
    assert said not in other, "another network of that name"
    assert "report: out/custom_cnn-int8/report.html" in real


def test_too_few_images_are_told_how_many_are_needed() -> None:
    few = {**SHIPPED["parity"], "images": 80}
    said = f"{NAME}: 300 images have to judge, 50 or more of each class: about 1500 in all, of which a fifth judges."
    assert said in table(verdict="inconclusive", parity=few)
    assert "have to judge" not in table(verdict="fail", parity=few)
    assert "have to judge" not in table(), "negative control"
