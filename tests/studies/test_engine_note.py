"""The decision note on engines says what its studies' files say."""

import json

import pytest

from tests.paths import ROOT

NOTE = ROOT / "docs" / "decisions" / "0022-engine.md"
STUDIES = ("mobilenet_v2", "custom_cnn", "hard", "hard_early")


def table(name: str) -> list[str]:
    """The rows of the note's table for one study, from its file."""
    record = json.loads((ROOT / "docs" / "reference" / f"engine_study_{name}.json").read_text())
    lines = []
    for row in record["rows"]:
        parts = [row[part] for part in ("validation", "test")]
        lines.append(
            f"| {row['row']} | {row['seconds']['processor']:.1f} | {row['peak_mb']} | "
            + " | ".join(", ".join(str(part[key]) for part in parts) for key in ("correct", "agreed"))
            + f" | {', '.join(format(part['drift_mean'], '.4f') for part in parts)}"
            + f" | {', '.join(str(part['malignant_to_benign']) for part in parts)}"
            + f" | {row['ranges_too_wide']} | {row['biases_at_the_end_of_int32']} | {row['constant_bytes_outside']:,} |"
        )
    return lines


@pytest.mark.parametrize("name", STUDIES)
def test_the_notes_tables_are_the_files(name: str) -> None:
    said = NOTE.read_text(encoding="utf-8").splitlines()
    for line in table(name):
        assert line in said, f"docs/decisions/0022-engine.md lacks: {line}"


def test_the_studies_are_of_the_networks_that_ship() -> None:
    from convert.quantization.float_model import digest
    from models.data.published import trained

    for name in STUDIES:
        record = json.loads((ROOT / "docs" / "reference" / f"engine_study_{name}.json").read_text())
        assert record["sha256"] == digest(trained(record["model"]) / "model.keras")
