"""The study of command costs: rows measured, replaced and kept; no row of a command that did not run; its table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.studies.conversion.command_costs import measure, measure_words, show, table
from edge.errors import UsageError
from tests.paths import ROOT

COSTS = ROOT / "docs" / "reference" / "command_costs.json"
PAGE = ROOT / "docs" / "reference" / "measurements.md"
INSPECT = "convert inspect models/bundles/custom_cnn-int8/model.tflite"


def measured(out: Path) -> dict[str, Any]:
    """In a process of its own: a child's peak counts what its parent held, and a process of tests holds TensorFlow."""
    program = [sys.executable, "-m", "docs.studies.conversion.command_costs", "measure", INSPECT, "--out", str(out)]
    done = subprocess.run([*program, "--json"], check=True, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return dict(json.loads(done.stdout))


def test_a_row_is_measured_kept_and_replaced(tmp_path: Path) -> None:
    out = tmp_path / "costs.json"
    first = measured(out)
    assert first["exit_code"] == 0 and first["processor_s"] > 0 and 10 < first["peak_mb"] < 1000
    other = {"words": "convert other", "processor_s": 1.0, "seconds": 2.0, "peak_mb": 3, "exit_code": 1}
    out.write_text(json.dumps({"rows": [{**first, "peak_mb": 0}, other]}))
    again = measured(out)
    rows = json.loads(out.read_text())["rows"]
    assert rows == [again, other]
    assert show(str(out)).execute().text.splitlines() == table(rows)
    assert table(rows)[-1] == "| `convert other` | 1.0 | 2.0 | 3 | 1 |"


def test_a_command_that_did_not_run_is_no_row() -> None:
    with pytest.raises(UsageError, match=r"exit code 2: error: .*nothing\.tflite"):
        measure("convert inspect SCRATCH/nothing.tflite", {})
    with pytest.raises(UsageError, match="IMAGES stands in it: --data must say"):
        measure("convert calibration IMAGES", {})
    with pytest.raises(UsageError, match="COMPILER stands in it: --compiler must say"):
        measure("convert compile model.tflite --edgetpu --compiler COMPILER", {"IMAGES": ROOT})


@pytest.mark.parametrize(
    "words",
    ["", "convert", "rm -rf SCRATCH", "python -m convert.cli inspect", "convert inspect 'FILE"],
)
def test_words_that_are_no_command_of_ours(words: str) -> None:
    with pytest.raises(UsageError, match=r"WORDS must"):
        measure_words(words)


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"name": 1}]}', '{"columns": []}'])
def test_a_file_of_something_else_is_not_written_over(tmp_path: Path, text: str) -> None:
    out = tmp_path / "other.json"
    out.write_text(text)
    with pytest.raises(UsageError, match="no file of this command"):
        show(str(out)).execute()
    assert out.read_text() == text


def test_the_table_of_the_page_is_the_files() -> None:
    said = PAGE.read_text(encoding="utf-8")
    rows = "\n".join(table(json.loads(COSTS.read_text())["rows"]))
    assert f"<!-- costs:begin -->\n{rows}\n<!-- costs:end -->" in said
