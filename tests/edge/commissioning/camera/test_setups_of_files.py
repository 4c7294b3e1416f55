"""The set-up of an image file, from the table of its folder."""

from pathlib import Path

from edge.commissioning.camera.setups_of_files import CameraSetups
from edge.commissioning.fields_table import TABLE_NAME, FieldRow, table_text


def test_a_table_beside_or_above_names_the_set_up(tmp_path: Path) -> None:
    rows = (
        FieldRow("healthy/a.png", "S-1", "healthy", camera_setup="ab" * 32),
        FieldRow("healthy/b.png", "S-1", "healthy"),
    )
    (tmp_path / TABLE_NAME).write_text(table_text(rows))
    setups = CameraSetups()
    assert setups.of(tmp_path / "healthy" / "a.png") == {"camera_setup": "ab" * 32}
    assert setups.of(tmp_path / "healthy" / "b.png") == {}
    assert setups.of(tmp_path / "healthy" / "c.png") == {}


def test_a_table_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / TABLE_NAME).write_text("file\n")
    assert CameraSetups().of(tmp_path / "a.png") == {}
