"""The table of labelled fields: what is written reads back, and what cannot be right is refused by line."""

from pathlib import Path

import pytest

from edge.commissioning.fields_table import FieldRow, FieldsTableError, read_table, table_text

ROWS = (
    FieldRow("healthy/a.png", "S-1", "healthy", "monday", "left", "2026-11-30", "0" * 64, "1" * 64),
    FieldRow("leukemic/b, c.png", "S-2", "leukemic"),
)


def written(folder: Path, text: str) -> Path:
    path = folder / "fields.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_reads_back(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, table_text(ROWS))) == ROWS
    assert read_table(written(tmp_path, "\ufefflabel,file,slide,mood\r\nx,x/1.png,S1,good\r\n")) == (
        FieldRow("x/1.png", "S1", "x"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", "slide is missing"),
        ("file,slide,label\n../a,S1,b\n", "line 2: file must be a path below"),
        ("file,slide,label\na,Jane Doe,b\n", "line 2: slide must be"),
        ("file,slide,label\na,S1,\n", "label must name a class"),
        ("file,slide,label,date\na,S1,b,30.11.2026\n", "date must be like 2026-11-30"),
        ("file,slide,label,sha256\na,S1,b,xyz\n", "sha256 must be 64 hex digits"),
        ("file,slide,label\na,S1,b\na,S2,b\n", "name each file once; a stands there again"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FieldsTableError, match=message):
        read_table(written(tmp_path, text))
    with pytest.raises(FieldsTableError, match="No such file"):
        read_table(tmp_path / "none.csv")
