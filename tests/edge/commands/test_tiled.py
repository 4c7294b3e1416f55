"""A bundle whose contract has tiles, from the command to the record and out of it again."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import bundle
from edge.cli import COMMANDS
from edge.commands.command_line import main
from edge.inference.classifier import Classifier
from edge.inference.runtime.interpreters import open_interpreter
from edge.record.entries import RunBody, VerdictBody, read_body
from edge.record.store import Store
from edge.settings.trusted_keys import machine_keys
from tests.tiny_bundle import certified

LABELS = ["Benign", "Early", "Pre", "Pro"]


@pytest.fixture
def tiled(bundle_parts: dict[str, Any], tmp_path: Path) -> Path:
    """The tiny bundle, of 3x2 tiles."""
    parts = {**bundle_parts, "contract": replace(bundle_parts["contract"], tiles=(3, 2))}
    return bundle.write(tmp_path / "bundles" / "tiled-int8", **certified(parts)).path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two fields, and one with too few pixels for six tiles."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for name, shape in (("a.png", (97, 150, 3)), ("b.png", (96, 150, 3)), ("c.png", (24, 150, 3))):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, shape, dtype=np.uint8))
    return folder


def run(*words: object) -> int:
    return main("edge", COMMANDS, [*map(str, words), "--allow-unsigned"])


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_classify_says_every_tile(
    tiled: Path, tiny_bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("classify", images, "--bundle", tiled, "--json") == 0
    first, second, small = lines(capsys.readouterr().out)
    assert [tile["box"] for tile in first["tiles"]] == [[x, y, x + 50, y + 48] for y in (0, 48) for x in (0, 50, 100)]
    read = bundle.load(tiled, trust=machine_keys(), allow_unsigned=True)
    frame = cv2.cvtColor(cv2.imread(str(images / "a.png")), cv2.COLOR_BGR2RGB)
    verdict = Classifier(read.contract, open_interpreter(read.model)).classify(frame)  # type: ignore[arg-type]
    assert tuple(tuple(tile["probabilities"].values()) for tile in first["tiles"]) == verdict.tiles
    assert tuple(first["probabilities"].values()) == verdict.probabilities
    assert (small["label"], small["reason"]) == (None, "small_frame") and "tiles" not in small
    assert len(second["tiles"]) == 6
    assert run("classify", images, "--bundle", tiny_bundle, "--json") == 0
    assert all("tiles" not in record for record in lines(capsys.readouterr().out))


def test_a_run_records_every_tile_and_the_export_shows_them(
    tiled: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, target = tmp_path / "record", tmp_path / "exported"
    camera = f"replay:{images}"
    assert run("run", "--camera", camera, "--slide", "S1", "--bundle", tiled, "--store", store, "--json") == 0
    said = sorted(lines(capsys.readouterr().out), key=lambda record: record["source"])  # a refused frame may overtake
    assert run("classify", images, "--bundle", tiled, "--json") == 0
    classified = lines(capsys.readouterr().out)
    for ours, theirs in zip(said[:2], classified, strict=False):
        assert ours["tiles"] == [tile["probabilities"] for tile in theirs["tiles"]]
        assert ours["probabilities"] == theirs["probabilities"]
    assert (said[2]["reason"], "tiles" in said[2]) == ("small_frame", False)
    with Store.open(store, read_only=True) as opened:
        bodies = [read_body(row.body) for row in opened.slide_entries("S1", through=opened.head().id)]
    began = next(body for body in bodies if isinstance(body, RunBody))
    verdicts = sorted((body for body in bodies if isinstance(body, VerdictBody)), key=lambda body: body.source)
    assert (began.tiling.columns, began.tiling.rows, began.tiling.pooling) == (3, 2, "bounded-1")  # type: ignore[union-attr]
    assert [list(tile.values()) for tile in said[0]["tiles"]] == [list(tile) for tile in verdicts[0].tiles]  # type: ignore[union-attr]
    assert main("edge", COMMANDS, ["verify", "--store", str(store)]) == 0
    assert main("edge", COMMANDS, ["export", "S1", str(target), "--store", str(store)]) == 0
    with (target / "verdicts.csv").open(newline="") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["source"])
    assert [float(rows[0][f"tile_6_{label}"]) for label in LABELS] == list(said[0]["tiles"][5].values())
    assert rows[2]["tile_1_Benign"] == "" and rows[0]["tiles"] == "3x2"


def test_a_record_without_tiles_has_no_word_of_them(
    tiny_bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, target = tmp_path / "record", tmp_path / "exported"
    assert run("run", "--camera", f"replay:{images}", "--slide", "S1", "--bundle", tiny_bundle, "--store", store) == 0
    with Store.open(store, read_only=True) as opened:
        texts = [row.body for row in opened.slide_entries("S1", through=opened.head().id)]
    assert len(texts) >= 5 and not any('"tiles"' in text or '"tiling"' in text for text in texts)
    assert main("edge", COMMANDS, ["export", "S1", str(target), "--store", str(store)]) == 0
    assert "tile" not in (target / "verdicts.csv").read_text().splitlines()[0]


# --- heat


def read(path: Path) -> np.ndarray:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def test_heat_of_images_and_of_stored_fields(
    tiled: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, store, stored = tmp_path / "heat", tmp_path / "record", tmp_path / "stored"
    assert run("classify", images, "--bundle", tiled, "--json", "--heat", folder) == 0
    records = lines(capsys.readouterr().out)
    assert [Path(record["heat"]).name for record in records[:2]] == ["0001-a.png", "0002-b.png"]
    assert "heat" not in records[2] and sorted(p.name for p in folder.iterdir()) == ["0001-a.png", "0002-b.png"]
    # The tile that is least benign has the yellowest rim, the most benign one the bluest: cividis.
    picture, tiles = read(folder / "0001-a.png"), records[0]["tiles"]
    scale = picture.shape[1] / 150
    doubts = [1 - tile["probabilities"]["Benign"] for tile in tiles]
    rims = [picture[round((t["box"][1] + 24) * scale), round(t["box"][0] * scale) + 6].astype(int) for t in tiles]
    assert np.array_equal(np.argsort([rim[0] - rim[2] for rim in rims]), np.argsort(doubts))
    (images / "c.png").unlink()
    assert run("run", "--camera", f"replay:{images}", "--slide", "S1", "--bundle", tiled, "--store", store) == 0
    capsys.readouterr()
    assert main("edge", COMMANDS, ["heat", "S1", str(stored), "--store", str(store), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(each["field"], each["image_kept"]) for each in said["pictures"]] == [(1, False), (2, False)]
    with_cells, plain = read(folder / "0002-b.png"), read(stored / "000002.png")
    assert plain.shape[2] == 3 and plain[:200].std() < with_cells[:200].std()  # a replay keeps no image
    assert main("edge", COMMANDS, ["heat", "S1", "--to", str(stored), "--field", "2", "--store", str(store)]) == 0


def test_heat_over_the_kept_image_and_over_one_that_was_changed(
    tiled: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, stored, profile = tmp_path / "record", tmp_path / "stored", tmp_path / "edge.toml"
    profile.write_text('[record]\nkeep = "every"\n')
    (images / "c.png").unlink()
    words = ["--camera", f"replay:{images}", "--slide", "S1", "--bundle", tiled, "--store", store, "--config", profile]
    assert run("run", *words) == 0
    assert main("edge", COMMANDS, ["heat", "S1", str(stored), "--store", str(store)]) == 0
    kept = read(stored / "000001.png")
    assert kept[:200].std() > 40
    image = next((store / "images" / "S1").rglob("000001.png"))
    image.write_bytes(image.read_bytes() + b"!")
    capsys.readouterr()
    assert main("edge", COMMANDS, ["heat", "S1", str(stored), "--store", str(store)]) == 1
    assert "was altered" in capsys.readouterr().err
    assert read(stored / "000001.png")[:200].std() < kept[:200].std()


def test_heat_is_refused_where_there_are_no_tiles(
    tiny_bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, to = tmp_path / "record", tmp_path / "heat"
    assert run("classify", images, "--bundle", tiny_bundle, "--heat", to) == 2
    assert "--heat draws the tiles of a field; the contract of tiny-int8 has none" in capsys.readouterr().err
    assert run("run", "--camera", f"replay:{images}", "--slide", "S1", "--bundle", tiny_bundle, "--store", store) == 0
    for words, said in (
        (["S1"], "slide S1: no verdict here that a network gave on tiles"),
        (["S1", "--field", "2"], "field 2 of slide S1: no verdict here"),
        (["S2"], "slide 'S2' is not in this record"),
        (["../S1"], "slide must be 1 to 64"),
    ):
        assert main("edge", COMMANDS, ["heat", *words, "--to", str(to), "--store", str(store)]) == 2
        assert said in capsys.readouterr().err
    assert not to.exists()
