"""The short table in README.md: the rows of docs/reference/results.md that weigh most.

    python -m tests.project.pages.readme_table --write

Without --write it says whether the table is current.
"""

import sys

from convert.commands.summary import shipped_table
from tests.paths import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- headline:begin -->", "<!-- headline:end -->"
ROWS = (  # how the rows' titles begin
    "accuracy, int8, same images",
    "malignant images that turn Benign by quantization",
    "accuracy, float, a shorter recipe, cross-validated by blocks",
    "malignant images it calls Benign there",
    "the device (gates, int8, threshold) on the test images",
    "malignant images it answers Benign",
)
TITLES = {ROWS[0]: "accuracy, int8, field-disjoint test split"}


def headline() -> str:
    """Those rows of the whole table, in its order.

    Raises:
        ValueError: the whole table has no such row.
    """
    head, rule, *rows = shipped_table().splitlines()
    found = [row for row in rows if row[2:].startswith(ROWS)]
    if len(found) != len(ROWS):
        raise ValueError(f"convert summary must have each of {', '.join(ROWS)} once; got {len(found)} rows")
    for old, new in TITLES.items():
        found = [row.replace(f"| {old} |", f"| {new} |") for row in found]
    return "\n".join([head, rule, *found])


def with_headline(text: str) -> str:
    """The document with the table between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{README.name} holds no {BEGIN} and {END}"
    return f"{before}{BEGIN}\n{headline()}\n{END}{after}"


if __name__ == "__main__":
    written = README.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        README.write_text(with_headline(written), encoding="utf-8")
    elif written != with_headline(written):
        sys.exit("the table in README.md is not the records': python -m tests.project.pages.readme_table --write")
