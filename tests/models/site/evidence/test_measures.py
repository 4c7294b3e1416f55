"""Measures of a field: the file's making, light beside the cells, and white cells, each on a picture that is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.commissioning.fields_table import FieldRow
from models.data.dataset import Sample
from models.site.evidence.measures import encoding, measure
from models.site.fields import SiteField

GROUND, RED, VIOLET = (240, 236, 242), (205, 165, 150), (110, 60, 150)
PINK = (200, 150, 160)  # violet enough to be taken for a white cell where there is none


def smear(white: int = 3, size: int = 224, light: float = 1.0, red: tuple[int, int, int] = RED) -> np.ndarray:
    """Red disks everywhere and `white` violet ones of 24 pixels, RGB."""
    image = np.full((224, 224, 3), GROUND, np.uint8)
    for x in range(20, 224, 40):
        for y in range(20, 224, 40):
            cv2.circle(image, (x, y), 8, red, -1)
    for k in range(white):
        cv2.circle(image, (40 + 60 * k, 80), 12, VIOLET, -1)
    image = np.clip(light * image, 0, 255).astype(np.uint8)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)


def encoded(image: np.ndarray, suffix: str, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, image[..., ::-1], options)
    assert done
    return data.tobytes()


def measured(root: Path, *files: bytes):
    fields = []
    for number, data in enumerate(files):
        suffix = ".png" if data.startswith(b"\x89PNG") else ".jpg"
        name = f"{number}{suffix}"
        (root / name).write_bytes(data)
        fields.append(SiteField(Sample(root / name, name, "a", f"{number:064x}"), FieldRow(name, f"s{number}", "a")))
    return measure(fields)


def test_light_is_of_what_is_no_white_cell(tmp_path: Path) -> None:
    plain, crowded, dim = (encoded(image, ".png") for image in (smear(), smear(0), smear(light=0.8)))
    found = measured(tmp_path, plain, crowded, dim)
    assert found.light[0, :3] == pytest.approx(GROUND, abs=1)
    assert found.light[0, 3:] == pytest.approx([np.log10(g / r) for g, r in zip(GROUND, RED, strict=True)], abs=0.01)
    assert found.light[1] == pytest.approx(found.light[0], abs=1e-6)  # with or without white cells
    assert found.light[2, :3] == pytest.approx(0.8 * np.array(GROUND), abs=1)
    assert found.light[2, 3:] == pytest.approx(found.light[0, 3:], abs=0.01)
    assert np.abs(found.colour[1] - found.colour[0]).max() > 2  # the six usual numbers do see them


def test_red_cells_that_are_taken_for_white_ones_have_the_same_colour(tmp_path: Path) -> None:
    found = measured(tmp_path, *(encoded(smear(white, red=PINK), ".png") for white in (3, 0)))
    assert found.cells[1, 1] > 20
    assert found.light[1] == pytest.approx(found.light[0], abs=0.01)


def test_white_cells_are_counted_and_sized(tmp_path: Path) -> None:
    found = measured(tmp_path, encoded(smear(3), ".png"), encoded(smear(0), ".png"))
    part, number, mean, spread, solidity, *_ = found.cells[0]
    assert number == 3
    assert part == pytest.approx(3 * np.pi * 12**2 / 224**2, rel=0.15)
    assert mean == pytest.approx(24, abs=2) and spread < 0.5 and solidity > 0.9
    assert (found.cells[1] == 0).all()


def test_a_files_making_is_told_from_another(tmp_path: Path) -> None:
    image = smear()
    usual = encoded(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    assert encoding(encoded(image, ".png")) == "PNG"
    assert encoding(usual) == encoding(encoded(smear(1, 160), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95))
    others = {
        encoding(encoded(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 80)),
        encoding(
            encoded(
                image,
                ".jpg",
                cv2.IMWRITE_JPEG_QUALITY,
                95,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
            )
        ),
    }
    assert len(others) == 2 and encoding(usual) not in others
    found = measured(tmp_path, usual, encoded(smear(1, 160), ".png"))
    assert found.sizes == ((224, 224), (160, 160)) and found.encodings == (encoding(usual), "PNG")


def test_the_border_shows_a_scale_bar_and_no_light(tmp_path: Path) -> None:
    barred = smear()
    cv2.rectangle(barred, (170, 200), (218, 218), (0, 0, 0), -1)
    found = measured(tmp_path, *(encoded(i, ".png") for i in (smear(), smear(light=0.8), barred)))
    assert np.abs(found.border[1] - found.border[0]).max() < 0.2
    assert np.abs(found.border[2] - found.border[0]).max() > 2
