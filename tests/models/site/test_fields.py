"""A site's fields from folders, `fields.csv`, names and EXIF: what each fills, and what is refused in one line."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.commissioning.fields_table import TABLE_NAME, FieldRow, FieldsTableError, table_text
from models.errors import DatasetError
from models.site.fields import load_site, require_one_camera
from models.site.name_patterns import NamePattern
from models.site.options import site_options

PATTERN = "{slide}_{field}.png"
EXIF = 0x8769


def draw(path: Path, seed: int, exif: Image.Exif | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif or Image.Exif())


def site(root: Path, names: tuple[str, ...] = ("sick/S-1_1.png", "sick/S-2_1.png", "well/S-3_1.png")) -> Path:
    for seed, name in enumerate(names):
        draw(root / name, seed)
    return root


def table(root: Path, **columns: Mapping[str, str]) -> None:
    rows = []
    for path in sorted(root.rglob("*.png")):
        name = path.relative_to(root).as_posix()
        more = {column: values[name] for column, values in columns.items() if name in values}
        rows.append(FieldRow(name, path.stem.partition("_")[0], path.parent.name, **more))
    (root / TABLE_NAME).write_text(table_text(rows))


def test_the_table_says_slide_session_and_camera(tmp_path: Path) -> None:
    table(site(tmp_path), session={"sick/S-1_1.png": "monday"}, camera={"sick/S-1_1.png": "A", "well/S-3_1.png": "B"})
    read = load_site(tmp_path)
    assert list(read.slides) == ["S-1", "S-2", "S-3"]
    assert {name: len(fields) for name, fields in read.sessions.items()} == {"": 2, "monday": 1}
    assert {name: len(fields) for name, fields in read.cameras.items()} == {"": 1, "A": 1, "B": 1}


def test_a_pattern_needs_no_table(tmp_path: Path) -> None:
    read = load_site(site(tmp_path), pattern=PATTERN)
    assert [field.slide for field in read.fields] == ["S-1", "S-2", "S-3"]
    assert read.labels == ("sick", "well")


def test_names_fill_what_the_table_leaves_open(tmp_path: Path) -> None:
    table(site(tmp_path, ("sick/S-1_A_20261130.png", "well/S-2_B_20261129.png")))
    read = load_site(tmp_path, pattern="{slide}_{camera}_{date}")
    assert [(f.row.camera, f.row.date) for f in read.fields] == [("A", "2026-11-30"), ("B", "2026-11-29")]


def test_exif_fills_what_table_and_names_leave_open(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Acme", "Acme X1"
    exif.get_ifd(EXIF)[0x9003] = "2026:11:30 09:15:00"
    for seed, name in enumerate(("sick/S-1_1.jpg", "well/S-2_1.jpg")):
        draw(tmp_path / name, seed, exif)
    read = load_site(tmp_path, pattern="{slide}_{field}")
    assert [(f.row.camera, f.row.date) for f in read.fields] == [("Acme X1", "2026-11-30")] * 2
    (tmp_path / TABLE_NAME).write_text(
        table_text(
            [FieldRow("sick/S-1_1.jpg", "S-1", "sick", camera="mine"), FieldRow("well/S-2_1.jpg", "S-2", "well")]
        )
    )
    assert [f.row.camera for f in load_site(tmp_path).fields] == ["mine", "Acme X1"]


def test_an_unset_camera_clock_is_no_day(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF)[0x9003] = "0000:00:00 00:00:00"
    for seed, name in enumerate(("sick/S-1_1.jpg", "well/S-2_1.jpg")):
        draw(tmp_path / name, seed, exif)
    assert [f.row.date for f in load_site(tmp_path, pattern="{slide}_{field}").fields] == ["", ""]


@pytest.mark.parametrize(
    ("pattern", "name", "values"),
    [
        ("{slide}_{field}.png", "sick/S_1-b_0007.png", {"slide": "S_1-b", "field": "0007"}),
        ("{session}-{slide}-{field}", "sick/mon-S1-2.tif", {"session": "mon", "slide": "S1", "field": "2"}),
        ("*_{slide}", "sick/IMG3_S1.jpg", {"slide": "S1"}),
        ("{date}_{slide}", "sick/20261130_S1.jpg", {"date": "2026-11-30", "slide": "S1"}),
    ],
)
def test_patterns_read_names(pattern: str, name: str, values: Mapping[str, str]) -> None:
    assert NamePattern.of(pattern).read(name) == values


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{slid}.png", "did you mean {slide}?"),
        ("{slide}{slide}", "{slide} must stand once"),
        ("{slide", "{ must enclose one of"),
        ("*.png", "must name one of"),
        ("{slide}/{field}", "must be of file names"),
    ],
)
def test_patterns_that_are_none(pattern: str, says: str) -> None:
    with pytest.raises(DatasetError, match=says.replace("?", r"\?").replace("{", r"\{")):
        NamePattern.of(pattern)


def test_a_name_that_does_not_fit_is_named(tmp_path: Path) -> None:
    site(tmp_path, ("sick/S-1_1.png", "well/notes.png"))
    with pytest.raises(DatasetError, match=r"well/notes.png does not fit the pattern '\{slide\}_\{field\}.png'"):
        load_site(tmp_path, pattern=PATTERN)


def test_no_slides_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"data must say which slide each field is of: .*--pattern"):
        load_site(site(tmp_path))
    with pytest.raises(DatasetError, match="which slide"):
        load_site(tmp_path, pattern="{session}_{field}")


def test_one_class(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="two or more class folders"):
        load_site(site(tmp_path, ("sick/S-1_1.png",)), pattern=PATTERN)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / "well/S-4_1.png").write_bytes((tmp_path / "well/S-3_1.png").read_bytes()[:-40])
    (tmp_path / "well/S-5_1.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"replace or remove well/S-4_1.png: damaged_image.* \(and 1 other\)"):
        load_site(tmp_path, pattern=PATTERN)


@pytest.mark.parametrize("name", ["Jane-Doe_1.png", "2019-03-07_1.png"])
def test_a_patients_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="slide must not name a patient"):
        load_site(site(tmp_path, (f"sick/{name}", "well/S-1_1.png")), pattern=PATTERN)


@pytest.mark.parametrize("name", ["Jane Doe 7", "doe_DoeJane_1"])
def test_a_patients_name_in_a_files_name_is_refused(tmp_path: Path, name: str) -> None:
    site(tmp_path, (f"Hairy Cell/{name}.png", "well/S-1_1.png", "well/Snap-7 2026-11-30.png"))
    rows = [FieldRow(f"Hairy Cell/{name}.png", "S-2", "Hairy Cell")]
    rows += [FieldRow(f"well/{file}.png", "S-1", "well") for file in ("S-1_1", "Snap-7 2026-11-30")]
    (tmp_path / TABLE_NAME).write_text(table_text(rows))
    with pytest.raises(DatasetError, match="file must not name a patient"):
        load_site(tmp_path)
    (tmp_path / f"Hairy Cell/{name}.png").rename(tmp_path / "Hairy Cell/Hairy Cell 7.png")
    (tmp_path / TABLE_NAME).write_text(
        table_text([FieldRow("Hairy Cell/Hairy Cell 7.png", "S-2", "Hairy Cell"), *rows[1:]])
    )
    assert len(load_site(tmp_path).fields) == 3


def test_text_that_is_named_like_an_image_is_no_missing_field(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / "well/S-4_1.png").write_text("x")
    with pytest.raises(DatasetError, match=r"replace or remove well/S-4_1.png: misnamed: text named .png"):
        load_site(tmp_path, pattern=PATTERN)


@pytest.mark.parametrize("link", [False, True])
def test_a_table_that_is_no_file_is_no_missing_table(tmp_path: Path, *, link: bool) -> None:
    site(tmp_path)
    assert not site_options(str(tmp_path)).names_slides()
    table = tmp_path / TABLE_NAME
    table.symlink_to("nowhere") if link else table.mkdir()
    assert site_options(str(tmp_path)).names_slides()
    with pytest.raises(DatasetError, match="must be a table, a regular file"):
        load_site(tmp_path, pattern=PATTERN)


def test_sources_that_disagree_are_an_error(tmp_path: Path) -> None:
    site(tmp_path)
    rows = [FieldRow("sick/S-1_1.png", "S-9", "sick"), FieldRow("sick/S-2_1.png", "S-2", "sick")]
    (tmp_path / TABLE_NAME).write_text(table_text([*rows, FieldRow("well/S-3_1.png", "S-3", "well")]))
    assert load_site(tmp_path).fields[0].slide == "S-9"
    with pytest.raises(DatasetError, match=r"says slide S-9 of sick/S-1_1.png, and its name says S-1"):
        load_site(tmp_path, pattern=PATTERN)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (FieldRow("well/S-3_1.png", "S-3", "sick"), "says sick of well/S-3_1.png"),
        (FieldRow("well/S-3_1.png", "S-3", "well", sha256="0" * 64), "its sha256 differs"),
    ],
)
def test_the_table_must_be_of_these_files(tmp_path: Path, row: FieldRow, says: str) -> None:
    site(tmp_path)
    others = [FieldRow(f"sick/S-{n}_1.png", f"S-{n}", "sick") for n in (1, 2)]
    (tmp_path / TABLE_NAME).write_text(table_text([*others, row]))
    with pytest.raises(DatasetError, match=says):
        load_site(tmp_path)


def test_a_field_the_table_leaves_out_is_an_error_and_a_file_that_is_gone_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(site(tmp_path))
    (tmp_path / "sick/S-2_1.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(load_site(tmp_path).fields) == 2
    assert "names 1 file that" in caplog.text
    draw(tmp_path / "sick/S-7_1.png", 7)
    with pytest.raises(DatasetError, match=r"sick/S-7_1.png is not there"):
        load_site(tmp_path)


def test_a_table_that_is_none(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / TABLE_NAME).write_text("file,label\n")
    with pytest.raises(FieldsTableError, match="slide is missing"):
        load_site(tmp_path)


def test_mixed_cameras_are_to_be_said(tmp_path: Path) -> None:
    names = [f"{label}/S-{n}_1.png" for label in ("sick", "well") for n in (1, 2)]
    cameras = {name: "A" if "S-1" in name else "B" for name in names}
    table(site(tmp_path, tuple(names)), camera=cameras)
    options = site_options(str(tmp_path))
    mixed = options.load()
    with pytest.raises(DatasetError, match=r"several \(A: 2, B: 2\): take one with --camera NAME"):
        options.require_one_camera(mixed)
    site_options(str(tmp_path), mixed_cameras=True).require_one_camera(mixed)
    one = site_options(str(tmp_path), camera="A").load()
    assert [field.sample.name for field in one.fields] == [field.sample.name for field in mixed.cameras["A"]]
    assert len(one.images.samples) == 2
    require_one_camera(one)
    with pytest.raises(DatasetError, match=r"got 'C', and there are A, B"):
        load_site(tmp_path, camera="C")


def test_options_are_checked_before_anything_is_read() -> None:
    with pytest.raises(DatasetError, match="is no place"):
        site_options("nowhere", pattern="{x}")
    with pytest.raises(DatasetError, match="data must name a folder"):
        site_options("")
