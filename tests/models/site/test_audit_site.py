"""The audit on drawn sites with known truth: what was planted is refused by its name, and clean sites are not."""

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image

from edge.commissioning.fields_table import TABLE_NAME, read_table, table_text
from edge.errors import UsageError
from models.commands.image_sets.audit import audit as audit_command
from models.data.dataset import ImageSet, scan
from models.errors import DatasetError
from models.report.site.site_page import site_page
from models.site.audit import audit_blocks, audit_site
from models.site.audit_record import SiteAudit
from models.site.evidence.same_images import same_images
from models.site.fields import SiteField, SiteFields, load_site
from models.site.findings import site_findings
from tests.commands import shell
from tests.edge.page.html.page_checks import check_page, scripted
from tests.laboratories import CONFOUNDED, clean, drawn_site, write_site

SMALL = clean(10, 2, size=(160, 120))
PLANTED = {  # what is planted -> the refusal that must name it
    **{name: name for name in CONFOUNDED},
    "labels_shuffled": "labels_at_chance",
    "one_class_brighter": "class_is_colour",
}


def refused(audit: SiteAudit) -> list[str]:
    return [refusal.name for refusal in audit.refusals]


@pytest.fixture(scope="module")
def site() -> SiteFields:
    return load_site(drawn_site(20, SMALL))


@pytest.fixture(scope="module")
def found(site: SiteFields) -> SiteAudit:
    return audit_site(site)


def test_a_clean_site_is_not_refused_and_its_cells_tell_the_class(found: SiteAudit) -> None:
    assert found.passed and refused(found) == []
    assert {label: (c.fields, c.slides, c.sessions, c.cameras, c.days) for label, c in found.classes.items()} == {
        "healthy": (20, 10, 3, 1, 3),
        "leukemic": (20, 10, 3, 1, 3),
    }
    assert [told.name for told in found.told] == ["session", "day", "light", "border", "colour"]
    assert found.by_cells is not None and found.by_cells.accuracy > 0.9 and found.by_cells.p <= 0.002
    assert found.identity is not None and found.identity.same_class > 0.6


@pytest.mark.slow
def test_shuffled_labels_are_called_so_with_the_chance_level(tmp_path: Path) -> None:
    root = drawn_site(20, CONFOUNDED["labels_shuffled"](SMALL))
    done = shell("models", "audit", "--data", root, "--out", tmp_path, "--json")
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert [refusal["name"] for refusal in record["site"]["refusals"]] == ["labels_at_chance"]
    told = record["site"]["by_cells"]
    assert told["chance"] == 0.5 and told["interval"][0] < 0.5 and told["p"] > 0.05
    assert "chance 50 %" in record["site"]["refusals"][0]["detail"]
    [stop] = [finding for finding in record["findings"] if finding["level"] == "stop"]
    assert stop["name"] == "labels_at_chance" and stop["text"].startswith("labels_at_chance: ")
    assert json.loads((tmp_path / "audit.json").read_text()) == record
    assert "labels_at_chance" in (tmp_path / "site.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "planted",
    [
        "one_slide_a_class",
        pytest.param("class_is_format", marks=pytest.mark.slow),
        pytest.param("class_is_size", marks=pytest.mark.slow),
    ],
)
def test_the_command_names_what_it_refuses(planted: str, tmp_path: Path) -> None:
    plan = CONFOUNDED[planted](clean(5, 1, size=(96, 72)))
    done = shell("models", "audit", write_site(tmp_path / "site", 21, plan), "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert f" stop: {planted}: " in done.stdout
    assert "no figure about the class is shown" in done.stdout
    assert planted in (tmp_path / "out" / "site.html").read_text(encoding="utf-8")


def test_one_class_brighter_is_its_colour() -> None:
    audit = audit_site(load_site(drawn_site(20, CONFOUNDED["one_class_brighter"](SMALL))))
    assert refused(audit) == ["class_is_colour"]
    assert audit.by_cells is audit.painted_out is None


@pytest.mark.slow
@pytest.mark.parametrize("planted", sorted(PLANTED))
@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (4, 5))])
def test_each_planted_confounder_is_found(planted: str, seed: int, tmp_path: Path) -> None:
    audit = audit_site(load_site(write_site(tmp_path, seed, CONFOUNDED[planted](clean(10, 3)))))
    assert PLANTED[planted] in refused(audit)
    follows = {"class_is_colour"} if planted.startswith("class_is_") else set()  # a camera's colours are its own
    assert set(refused(audit)) - {PLANTED[planted]} <= follows
    assert (audit.by_cells is None) is (planted != "labels_shuffled")


@pytest.mark.slow
@pytest.mark.parametrize("sites", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_no_false_alarm_on_clean_sites(sites: int, tmp_path: Path) -> None:
    names = {}
    for seed in range(sites):
        plan = clean(10 + seed % 3, 3, sessions=2 + seed % 3, cameras=1 + seed % 2)
        names[seed] = refused(audit_site(load_site(write_site(tmp_path / str(seed), seed, plan))))
    assert {seed: found for seed, found in names.items() if found} == {}


def relabelled(site: SiteFields, change: dict[int, dict[str, str]]) -> SiteFields:
    """The site with other values in the table for some of its fields."""
    rows = [msgspec.structs.replace(f.row, **change.get(n, {})) for n, f in enumerate(site.fields)]
    fields = tuple(SiteField(f.sample, row) for f, row in zip(site.fields, rows, strict=True))
    return SiteFields(site.root, site.labels, fields, site.images)


def test_a_slide_under_two_labels_ends_the_audit(site: SiteFields) -> None:
    sick = site.fields[-1].slide
    audit = audit_site(relabelled(site, {0: {"slide": sick}}))
    assert refused(audit) == ["slide_under_two_labels"]
    assert sick in audit.refusals[0].detail and "healthy and leukemic" in audit.refusals[0].detail
    assert audit.told == () and audit.by_cells is None
    site_page(audit)


def test_one_image_under_two_names_is_refused(tmp_path: Path) -> None:
    root = write_site(tmp_path, 20, clean(5, 1, size=(96, 72)))
    rows = list(read_table(root / TABLE_NAME))
    healthy = [row for row in rows if row.label == "healthy"]
    other = next(row for row in rows if row.label == "leukemic")
    first = (root / healthy[0].file).read_bytes()
    for target, name in ((healthy[1], "image_on_two_slides"), (other, "image_under_two_labels")):
        kept = (root / target.file).read_bytes()
        (root / target.file).write_bytes(first)
        (root / TABLE_NAME).write_text(table_text(msgspec.structs.replace(row, sha256="") for row in rows))
        audit = audit_site(load_site(root))
        assert name in refused(audit) and audit.by_cells is None
        assert healthy[0].file in next(r.detail for r in audit.refusals if r.name == name)
        (root / target.file).write_bytes(kept)


def test_few_slides_are_too_few(site: SiteFields) -> None:
    for kept, name in ((4, ["too_few_slides"]), (1, ["one_slide_a_class"]), (5, [])):
        slides = {label: sorted({f.slide for f in site.fields if f.label == label})[:kept] for label in site.labels}
        fields = tuple(f for f in site.fields if f.slide in slides[f.label])
        audit = audit_site(SiteFields(site.root, site.labels, fields, site.images), overlaps=())
        assert refused(audit) == name and (audit.by_cells is None) is bool(name)


def given(site: SiteFields, shift: float, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        f.sample.sha256: (rng.normal(size=8) + shift * (f.label == "leukemic")).astype(np.float32) for f in site.fields
    }


def test_given_features_are_those_that_are_judged(site: SiteFields) -> None:
    blind = audit_site(site, features=given(site, 0), overlaps=())
    assert refused(blind) == ["labels_at_chance"] and blind.by_cells is not None
    seeing = audit_site(site, features=given(site, 3), painted=given(site, 0, 1), overlaps=())
    assert seeing.passed and seeing.painted_out is not None and seeing.painted_out.p > 0.05
    assert "told_without_cells" not in [caution.name for caution in seeing.cautions]
    assert seeing.identity is not None and seeing.identity.features == "features of the network"
    elsewhere = audit_site(site, features=given(site, 3), painted=given(site, 3, 1), overlaps=())
    assert "told_without_cells" in [caution.name for caution in elsewhere.cautions]
    with pytest.raises(DatasetError, match=r"has none"):
        audit_site(site, features={}, overlaps=())


def test_the_record_is_json_and_the_same_again(site: SiteFields, found: SiteAudit) -> None:
    assert msgspec.convert(json.loads(msgspec.json.encode(found)), SiteAudit) == found
    assert audit_site(site) == found
    assert str(site.root.parent) not in msgspec.json.encode(found).decode()


def test_no_text_of_the_site_becomes_markup(found: SiteAudit) -> None:
    told = {each.name for each in found.told}
    check_page(lambda: site_page(scripted(found, {*told, "slides", "slide", "session"}, ("classes", "sessions"))))


def test_the_same_cells_under_two_slides_are_refused(tmp_path: Path) -> None:
    root = write_site(tmp_path, 20, clean(5, 1, size=(160, 120)))
    first, second = [row.file for row in read_table(root / TABLE_NAME) if row.label == "healthy"][:2]
    table = [msgspec.structs.replace(row, sha256="") for row in read_table(root / TABLE_NAME)]
    (root / TABLE_NAME).write_text(table_text(table))
    image = cv2.imread(str(root / first))
    image[:, :-40] = image[:, 40:]
    cv2.imwrite(str(root / second), image)
    refusals, _ = same_images(load_site(root))
    [refusal] = refusals
    assert refusal.name == "field_on_two_slides" and first in refusal.detail and second in refusal.detail


def test_a_slide_on_both_sides_of_a_split_is_refused(tmp_path: Path) -> None:
    plan = clean(5, 2, size=(96, 72))
    root = write_site(tmp_path / "flat", 20, plan)
    rows = []
    for row in read_table(root / TABLE_NAME):
        part = "test" if (row.file.endswith("_0001.png") and row.slide == "S-0000") or row.slide > "S-0006" else "train"
        (tmp_path / "parts" / part / row.label).mkdir(parents=True, exist_ok=True)
        (root / row.file).rename(tmp_path / "parts" / part / row.file)
        rows.append(msgspec.structs.replace(row, file=f"{part}/{row.file}"))
    (tmp_path / "parts" / TABLE_NAME).write_text(table_text(rows))
    refusals, _ = same_images(load_site(tmp_path / "parts"), overlaps=())
    [refusal] = refusals
    assert refusal.name == "slide_in_two_parts" and refusal.detail == "S-0000 has fields in test and train"


def test_images_without_slides_are_asked_by_blocks_of_file_numbers(tmp_path: Path) -> None:
    root = write_site(tmp_path, 20, CONFOUNDED["class_is_format"](clean(8, 1, size=(96, 72))))
    (root / TABLE_NAME).unlink()
    images = scan(root)
    blocks = audit_blocks(images)
    assert blocks is not None and blocks.units == "blocks of file numbers"
    assert blocks.by_cells is None and blocks.identity is not None
    assert "class_is_format" in refused(blocks)
    levels = {finding["name"]: finding["level"] for finding in site_findings(blocks)}
    assert levels["class_is_format"] == "stop" and levels["no_slide_identity"] == "care"
    assert "no slide identity" in site_page(blocks)
    few = ImageSet(root, images.labels, images.samples[6:11], ())
    assert audit_blocks(few) is None
    assert [finding["name"] for finding in site_findings(None)] == ["no_slide_identity"]


@pytest.mark.slow
def test_the_command_asks_a_networks_features(tmp_path: Path) -> None:
    root = drawn_site(20, SMALL)
    done = shell("models", "audit", "--data", root, "--network", "mobilenet_v2", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["site"]
    assert found["identity"]["features"] == "features of the network"
    assert found["by_cells"]["accuracy"] > 0.9
    assert found["painted_out"]["accuracy"] < found["by_cells"]["accuracy"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--camera", "c0"), "--camera needs fields.csv"),
        (("--network", "mobilenet_v2"), "--network is for the slides' control"),
        (("--pattern", "{slide}_{field}.png", "--weights", "w.h5"), "--weights belongs to --network imagenet"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        audit_command(str(tmp_path), **dict(zip((o[2:] for o in options[::2]), options[1::2], strict=True)))


def test_images_without_slides_may_name_camera_and_day(tmp_path: Path) -> None:
    """EXIF of two cameras, each with a class of its own: the audit names both, without any table."""
    random = np.random.default_rng(0)
    for label, model, day in (("healthy", "M1", "2026:03"), ("leukemic", "M2", "2026:04")):
        (tmp_path / label).mkdir()
        for number in range(8):
            exif = Image.Exif()
            exif[0x0110] = model
            exif.get_ifd(0x8769)[0x9003] = f"{day}:{1 + number // 3:02d} 10:00:00"
            picture = Image.fromarray(random.integers(0, 255, (60, 80, 3), dtype=np.uint8))
            picture.save(tmp_path / label / f"{number}.jpg", exif=exif)
    blocks = audit_blocks(scan(tmp_path))
    assert blocks is not None
    assert {"class_is_camera", "class_is_day"} <= set(refused(blocks))
    assert {f["level"] for f in site_findings(blocks) if f["name"] in ("class_is_camera", "class_is_day")} == {"stop"}
