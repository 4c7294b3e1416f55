"""`models.data.audit`: planted shortcuts are found by name, and a set without them is not accused."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.commands.image_sets.audit import audit as audit_command
from models.data import shortcut_probe as shortcuts
from models.data.audit import audit, findings, to_text
from models.data.dataset import ImageSet, scan
from models.data.field_groups import Overlap
from models.data.shortcut_probe import FEWEST_GROUPS, REGIONS, SIDE, enough_groups, fixed_marks, guess, judge_border
from models.report.audit_page import page
from tests.edge.page.html.page_checks import SCRIPT, check_page, scripted

CLASSES = ("bright & blue", "calm")
EACH = 30


def field(random: np.random.Generator, stain: int = 0) -> np.ndarray:
    """Round cells at random places, RGB."""
    image = np.full((SIDE, SIDE, 3), int(random.integers(215, 240)), np.uint8)
    for _ in range(70):
        centre = tuple(int(v) for v in random.integers(0, SIDE, 2))
        shade = tuple(int(v) for v in random.integers(110, 190, 3))
        cv2.circle(image, centre, int(random.integers(6, 12)), shade, -1, cv2.LINE_AA)
    image[..., 2] -= np.uint8(stain)
    return image


def scale_bar(image: np.ndarray, thick: bool) -> None:
    if thick:
        cv2.rectangle(image, (170, 200), (218, 218), (255, 255, 255), -1)
        cv2.line(image, (176, 209), (212, 209), (0, 0, 0), 3)
    else:
        cv2.line(image, (190, 212), (214, 212), (200, 0, 0), 1)
        cv2.line(image, (190, 206), (190, 216), (200, 0, 0), 1)


def make(root: Path, *, bars: bool = False, stain: int = 0, dust: bool = False) -> ImageSet:
    random = np.random.default_rng(1)
    for index, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for number in range(EACH):
            image = field(random, stain * index)
            if bars:
                scale_bar(image, thick=index == 1)
            if dust:
                image[50:54, 80:84] = 20
            cv2.imwrite(str(root / label / f"{number:02d}.png"), image[..., ::-1])
    return scan(root)


@pytest.fixture(scope="module", autouse=True)
def small_forests() -> Iterator[None]:
    """Enough for planted differences; the real number is for fine ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortcuts, "TREES", 25)
        yield


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return audit(make(tmp_path_factory.mktemp("clean")))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, ImageSet]:
    """Bars and stain that give the class away, dust that does not, copies, a second shot, and bad files."""
    root = tmp_path_factory.mktemp("planted")
    make(root, bars=True, stain=40, dust=True)
    first, second = (root / label for label in CLASSES)
    (first / "copy.png").write_bytes((first / "00.png").read_bytes())
    (second / "conflict.png").write_bytes((first / "01.png").read_bytes())
    (first / "<b>.jpg").write_text("text")
    shifted = cv2.imread(str(second / "05.png"))
    shifted[:, :-60] = shifted[:, 60:]
    cv2.imwrite(str(second / "shifted.png"), shifted)
    image_set = scan(root)
    return audit(image_set), image_set


def levels(record: dict, words: str) -> list[str]:
    return [finding["level"] for finding in record["findings"] if words in finding["text"]]


def test_a_set_without_shortcuts_is_not_accused(clean: dict) -> None:
    assert clean["border"]["stand_out"] == []
    assert clean["marks"] == []
    assert clean["duplicates"] == []
    assert clean["fields"]["groups"] == 0
    assert clean["fields"]["random_split_leak"] == 0
    low, high = clean["colour"]["guess"]["interval"]
    assert low < 0.5 < high
    assert [f for f in clean["findings"] if f["level"] != "note"] == []


def test_planted_shortcuts_are_found_by_name(planted: tuple[dict, ImageSet]) -> None:
    record, _ = planted
    assert "bottom right" in record["border"]["stand_out"]
    assert set(record["border"]["stand_out"]) <= {"bottom right", "bottom", "right"}
    assert record["border"]["regions"]["bottom right"]["accuracy"] > 0.9
    assert record["colour"]["guess"]["interval"][0] > 0.8
    assert levels(record, "bottom right patch") == ["care"]
    assert levels(record, "six colour numbers") == ["care"]
    assert levels(record, "looks different from class to class") == ["care"]
    assert levels(record, "in all classes alike") == ["note"]


def test_the_command_exits_with_1_where_it_says_stop(
    clean: dict, planted: tuple[dict, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.data.dataset.scan", lambda root: planted[1])
    monkeypatch.setattr("models.data.field_groups.find_overlaps", lambda samples: [])
    monkeypatch.setattr("models.site.audit.audit_blocks", lambda images: None)
    monkeypatch.setattr("models.report.audit_page.page", lambda record, image_set: "")
    for record, code in ((clean, 0), (planted[0], 1)):
        monkeypatch.setattr("models.data.audit.audit", lambda image_set, record=record, **known: dict(record))
        done = audit_command("images", out=str(tmp_path)).execute()
        assert done.code == code and (" stop: " in done.text) is bool(code)
        assert "no slide identity: nothing here can show what a new slide would do" in done.text


def test_marks_are_boxed_where_they_were_drawn(planted: tuple[dict, ImageSet]) -> None:
    bar, dust = planted[0]["marks"]
    assert np.array(bar["box"]) * SIDE == pytest.approx([200, 170, 219, 219], abs=2)
    assert np.array(dust["box"]) * SIDE == pytest.approx([50, 80, 54, 84], abs=2)
    assert bar["difference"] > 0.3
    assert dust["difference"] < 0.2
    assert min(dust["share"].values()) > 0.9


def test_copies_conflicts_and_second_shots_are_counted(planted: tuple[dict, ImageSet]) -> None:
    record, _ = planted
    a, b = CLASSES
    assert [d["names"] for d in record["duplicates"]] == [
        [f"{a}/00.png", f"{a}/copy.png"],
        [f"{a}/01.png", f"{b}/conflict.png"],
    ]
    assert record["fields"]["groups"] == 3
    assert record["fields"]["images_in_groups"] == 6
    assert record["fields"]["groups_across_classes"] == 1
    assert record["fields"]["random_split_leak"] == pytest.approx(6 * 0.8 / record["images"])
    (pair,) = record["fields"]["pairs"]
    assert {pair["first"], pair["second"]} == {f"{b}/05.png", f"{b}/shifted.png"}
    assert record["problem_counts"] == {"conflict": 1, "duplicate": 1, "misnamed": 1}
    assert levels(record, "carry two labels") == ["stop"]
    assert record["findings"][0]["level"] == "stop"


def test_the_record_is_json_and_says_the_same_again(planted: tuple[dict, ImageSet]) -> None:
    record, image_set = planted
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert findings(record) == record["findings"]
    assert str(image_set.root) not in json.dumps(record)
    text = to_text(record)
    assert text.startswith("63 images in 2 classes")
    assert all(finding["text"] in text for finding in record["findings"])


def test_the_page_is_whole_self_contained_and_escaped(planted: tuple[dict, ImageSet]) -> None:
    record, image_set = planted
    html = page(record, image_set)
    assert "bright &amp; blue" in html
    assert "bright & blue" not in html
    assert "&lt;b&gt;.jpg" in html
    assert "contains images of the set" in html
    sources = re.findall(r'src="([^"]{0,30})', html)
    assert len(sources) > 20
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|<script", html)
    assert all(finding["text"] in unescape(html) for finding in record["findings"])


def test_no_text_of_the_set_becomes_markup(planted: tuple[dict, ImageSet]) -> None:
    record, image_set = planted
    named = ("counts", "share", "classes", "points")
    nasty = scripted(record, {"stop", "care", "note", "duplicate", *REGIONS}, named)
    samples = tuple(replace(s, name=SCRIPT + s.name, label=SCRIPT + s.label) for s in image_set.samples)
    check_page(lambda: page(nasty, replace(image_set, samples=samples)))


def test_known_overlaps_are_taken_and_the_page_needs_none(tmp_path: Path) -> None:
    image_set = make(tmp_path)
    given = audit(image_set, overlaps=[Overlap(0, 1, (0.1, 0.2), 0.72, 0.95)])
    assert given["fields"]["groups"] == 1
    assert "share 72%" in page(given, image_set)


def test_a_set_too_small_to_judge_says_so(tmp_path: Path) -> None:
    for label in CLASSES:
        (tmp_path / label).mkdir()
        for number in range(FEWEST_GROUPS - 1):
            image = field(np.random.default_rng(number + 10 * len(label)))
            cv2.imwrite(str(tmp_path / label / f"{number}.png"), image)
    image_set = scan(tmp_path)
    record = audit(image_set)
    assert record["border"] is None
    assert record["colour"]["guess"] is None
    assert levels(record, "too few fields") == ["note", "note"]
    assert "Too few fields" in page(record, image_set)


def test_a_guess_keeps_groups_on_one_side() -> None:
    """Noise that repeats within a group can be memorized; only folds that split groups would reward it."""
    random = np.random.default_rng(3)
    groups = [f"g{i // 4}" for i in range(160)]
    truth = [("x", "y")[int(group[1:]) % 2] for group in groups]
    noise = random.normal(size=(40, 6)).repeat(4, axis=0).astype(np.float32)
    found = guess(noise, truth, groups)
    assert found["images"] == 160
    assert found["chance"] == 0.5
    assert found["accuracy"] < 0.72
    told = noise + np.array([[3.0 * (label == "x")] for label in truth], np.float32)
    assert guess(told, truth, groups)["accuracy"] > 0.95


def test_too_few_groups_are_no_ground_for_a_guess() -> None:
    assert not enough_groups(["x"] * 9 + ["y"] * 9, ["g"] * 9 + [str(i) for i in range(9)])
    with pytest.raises(ValueError, match="groups"):
        guess(np.zeros((4, 6), np.float32), ["x", "x", "y", "y"], ["a", "b", "c", "d"])


def test_only_a_patch_above_the_usual_one_stands_out() -> None:
    def said(accuracy: float) -> dict:
        return {"accuracy": accuracy, "interval": [accuracy - 0.02, accuracy + 0.02], "chance": 0.3}

    plain = {name: said(0.45) for name in REGIONS}
    assert judge_border(plain)["stand_out"] == []
    assert judge_border({**plain, "left": said(0.48), "top": said(0.7)})["stand_out"] == ["top"]


def test_edges_at_random_are_no_marks() -> None:
    random = np.random.default_rng(0)
    assert fixed_marks({"x": random.uniform(0, 0.2, (SIDE, SIDE)), "y": np.zeros((SIDE, SIDE))}) == []


def test_subjects_of_photographs_are_no_marks_and_a_line_across_one_is() -> None:
    """Where photographs have their subject, edges are dense in every class, more in some; nothing is burned in."""
    random = np.random.default_rng(3)
    down, right = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    bump = np.exp(-(down**2 + right**2) / 0.02)
    photographs = {
        label: np.clip(peak * bump + random.normal(0.03, 0.02, (SIDE, SIDE)), 0, 1)
        for label, peak in (("cat", 0.6), ("dog", 0.25))
    }
    assert fixed_marks(photographs) == []
    photographs["cat"][40, 30:90] = 0.9
    [mark] = fixed_marks(photographs)
    assert np.array(mark["box"]) * SIDE == pytest.approx([40, 30, 41, 90], abs=1)


@pytest.mark.slow
def test_the_published_set_shows_what_is_known_of_it(data_dir: Path) -> None:
    record = audit(scan(data_dir))
    print(to_text(record))
    assert record["border"]["stand_out"] == ["bottom right"]
    assert record["border"]["regions"]["bottom right"]["accuracy"] > 0.65
    assert 0.93 < record["colour"]["guess"]["accuracy"] < 0.98
    assert record["marks"][0]["difference"] > 0.2
    assert record["fields"]["groups_across_classes"] == 0
