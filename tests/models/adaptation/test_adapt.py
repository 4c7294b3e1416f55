"""`models adapt` as a laboratory meets it: what it refuses, what it writes, and that its figures hold nothing back."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convert.cli
import models.cli
from convert.commands.quantize import quantize
from convert.parity.policy import SITE_POLICY, Policy
from edge.commissioning.fields_table import TABLE_NAME, read_table, table_text
from edge.errors import UsageError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile
from models.adaptation.adaptation_record import FIT, AdaptationRecord
from models.adaptation.job import require_passed
from models.adaptation.judging import fine_tuning
from models.adaptation.network import last_blocks
from models.data.split import Split
from models.errors import ModelsError, SiteRefusedError, TooFewFieldsError
from models.site.audit import audit_site
from models.site.fields import load_site
from models.support.records import read_record
from tests.commands import Run, in_this_process, shell
from tests.laboratories import CONFOUNDED, clean, drawn_site, replace_row

SEED = 3
PLAN = clean(slides=5, fields=4)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(capsys, "models", models.cli.COMMANDS, "adapt")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small network, adapted to 40 drawn fields: about 15 s."""
    out = tmp_path_factory.mktemp("adapted") / "here"
    words = ("--data", drawn_site(SEED, PLAN), "--out", out, "--from", "custom_cnn", "--benign", "healthy")
    done = shell("models", "adapt", *words, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "every figure is of slides that the network which answered was made without" in done.stdout
    yield out


@pytest.fixture(scope="module")
def record(adapted: Path) -> AdaptationRecord:
    return read_record(adapted / "adaptation.json", AdaptationRecord, "models adapt", ModelsError)


@pytest.mark.slow
def test_what_is_written_belongs_together(adapted: Path, record: AdaptationRecord) -> None:
    contract = InputContract.load(adapted / "contract.json")
    split = Split.load(adapted / "split.csv")
    gates = GatesFile.from_bytes((adapted / "gates.json").read_bytes())
    assert contract.labels == ("healthy", "leukemic") and contract.benign_labels == ("healthy",)
    assert contract.decision is not None and contract.domain == gates.domain == "blood smear"
    assert contract.decision.evidence["network_sha256"] == record.model_sha256
    assert gates.size == contract.size and gates.judged is not None and gates.judged.images == 40
    for name, sha256 in (("model.keras", record.model_sha256), ("split.csv", record.split_sha256)):
        import hashlib

        assert hashlib.sha256((adapted / name).read_bytes()).hexdigest() == sha256
    sides: dict[str, set[str]] = {}
    for item in split.items:
        sides.setdefault(item.group, set()).add(item.part)
    assert all(len(parts) == 1 for parts in sides.values()) and len(sides) == 10


@pytest.mark.slow
def test_every_image_is_in_the_record_with_its_slide(adapted: Path, record: AdaptationRecord) -> None:
    table = {row.file: row for row in read_table(drawn_site(SEED, PLAN) / TABLE_NAME)}
    assert {each.name: (each.sha256, each.slide, each.label) for each in record.images} == {
        name: (row.sha256, row.slide, row.label) for name, row in table.items()
    }
    uses: dict[str, set[str]] = {}
    for each in record.images:
        uses.setdefault(each.slide, set()).add(each.use)
    assert all(len(use) == 1 for use in uses.values())
    judging = {item.group for item in Split.load(adapted / "split.csv").items if item.part == "test"}
    assert judging == {slide for slide, use in uses.items() if use != {FIT}}
    assert record.slides == {"healthy": 4, "leukemic": 4} and record.parity_slides == {"healthy": 1, "leukemic": 1}


@pytest.mark.slow
def test_figures_follow_from_the_answers_in_the_record(record: AdaptationRecord) -> None:
    """By hand, from the probabilities that stand beside each image."""
    missed = sum(each.label == "leukemic" and each.probabilities[0] > 0.5 for each in record.images)
    slides: dict[tuple[str, str], list[float]] = {}
    for each in record.images:
        slides.setdefault((each.slide, each.label), []).append(each.probabilities[1])
    found = sum(np.mean(values) > 0.5 for (_, label), values in slides.items() if label == "leukemic")
    assert record.adapted.fields is not None and record.adapted.fields.missed == missed
    assert record.adapted.slides is not None and record.adapted.slides.sensitivity is not None
    assert (record.adapted.slides.sensitivity.count, record.adapted.slides.sensitivity.of) == (found, 5)
    assert found >= 4, "the drawn disease is plain"
    colours = next(each for each in record.baselines if each.name == "six_colours")
    assert colours.slides is not None and colours.slides.right is not None and colours.slides.right.count <= 8
    assert record.curve.forecast.bound_now == pytest.approx(1 - 0.05 ** (1 / 5), abs=0.35)
    assert record.audit.identity is not None and record.audit.refusals == ()


@pytest.mark.slow
def test_the_network_answers_as_its_fold_did(adapted: Path, record: AdaptationRecord) -> None:
    """Slides that were held back to compare float with int8: the file gives the probabilities of the record."""
    _answers_as_recorded(adapted, record)


def _answers_as_recorded(adapted: Path, record: AdaptationRecord) -> None:
    from models.data.dataset import load_pixels
    from models.networks.loading import load_network
    from models.networks.prediction import predictor

    network, contract = load_network(adapted)
    held = [each for each in record.images if each.use != FIT]
    by_name = {each.sample.name: each.sample for each in load_site(drawn_site(SEED, PLAN)).fields}
    said = predictor(network, contract)(load_pixels([by_name[each.name] for each in held], contract))
    np.testing.assert_allclose(said, [each.probabilities for each in held], atol=1e-4)


@pytest.mark.slow
def test_page_and_card_say_what_they_must(adapted: Path) -> None:
    from tests.edge.page.html.page_checks import faults

    page, card = (adapted / "adaptation.html").read_text(), (adapted / "card.md").read_text()
    assert faults(page) == []
    for text in (page, card):
        assert (
            "Research use only" in text
            and "convert accept" in text
            and "held" not in text.split("convert accept")[0][-20:]
        )
    assert "Slide-identity control" in page and "slide-identity control" in card


@pytest.mark.slow
def test_convert_takes_it_by_two_words(adapted: Path) -> None:
    """Split and policy beside the network count; given ones go before; a network of another kind has neither."""
    path, data = str(adapted / "model.keras"), str(drawn_site(SEED, PLAN))
    request = quantize(path, int8=True, data=data)
    assert request.data is not None and request.data.split == adapted / "split.csv"
    assert request.settings.policy == Policy.load(SITE_POLICY)
    other = quantize(path, int8=True, data=data, split="mine.csv")
    assert other.data is not None and other.data.split == Path("mine.csv")
    shipped = quantize("custom_cnn", int8=True, data=data)
    assert shipped.data is not None and shipped.data.split is None and shipped.settings.policy == Policy.default()
    with pytest.raises(UsageError, match="convert it alone"):
        quantize(path, "custom_cnn", int8=True, data=data)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "custom_cnn", "--weights", "w.h5"), "--weights belongs to --from imagenet"),
        (("--tiles", "3"), "--tiles must be COLUMNSxROWS"),
        (("--benign", "ill"), "benign must name labels of ['healthy', 'leukemic']; got 'ill'"),
        (("--from", "nothing"), "--from must be imagenet, mobilenet_v2, custom_cnn, or a folder"),
    ],
)
def test_what_cannot_be_meant_is_one_line(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    run("--data", drawn_site(SEED, PLAN), "--out", tmp_path, *words).refused(2, said)


def _without_table(root: Path) -> None:
    (root / TABLE_NAME).unlink()


def _one_class(root: Path) -> None:
    shutil.rmtree(root / "leukemic")


def _unreadable(root: Path) -> None:
    next((root / "healthy").iterdir()).write_bytes(b"\x89PNG\r\n\x1a\nno image")


def _patient(root: Path) -> None:
    rows = read_table(root / TABLE_NAME)
    changed = [replace_row(row, slide="Maria-Schneider" if row.slide == "S-0000" else row.slide) for row in rows]
    (root / TABLE_NAME).write_text(table_text(changed))


def _cameras(root: Path) -> None:
    rows = read_table(root / TABLE_NAME)
    changed = [replace_row(row, camera=f"camera-{k % 2}") for k, row in enumerate(rows)]
    (root / TABLE_NAME).write_text(table_text(changed))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_table, "data must say which slide each field is of"),
        (_one_class, "data must hold two or more class"),
        (_unreadable, "data must hold images that can be read"),
        (_patient, "slide"),
        (_cameras, "data must be of one camera"),
    ],
)
def test_bad_input_is_one_line(run: Run, tmp_path: Path, spoil: Any, said: str) -> None:
    root = tmp_path / "site"
    shutil.copytree(drawn_site(SEED, PLAN), root)
    spoil(root)
    run("--data", root, "--out", tmp_path / "out").refused(2, said)


def test_too_few_slides_are_not_enough_evidence(run: Run, tmp_path: Path) -> None:
    few = drawn_site(SEED, clean(slides=4, fields=4))
    run("--data", few, "--out", tmp_path).refused(3, "too_few_slides: healthy has 4 slides")


def test_a_class_that_goes_with_the_camera_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    """Before it is asked which camera is meant."""
    spoilt = drawn_site(SEED, CONFOUNDED["class_is_camera"](PLAN))
    run("--data", spoilt, "--out", tmp_path).refused(1, "the audit refuses this site: class_is_camera")
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.slow
def test_too_few_fields_for_gates_are_said_before_the_network_is_asked(run: Run, tmp_path: Path) -> None:
    few = drawn_site(SEED, clean(slides=6, fields=3))
    run("--data", few, "--out", tmp_path).refused(3, "data must hold 40 fields or more", "got 36")
    assert not any(tmp_path.glob("features/*"))


@pytest.mark.slow
def test_labels_at_chance_bind_once_the_networks_features_are_asked() -> None:
    """Colours and simple measures may see no disease where a network does."""
    audit = audit_site(load_site(drawn_site(5, CONFOUNDED["labels_shuffled"](clean(slides=6, fields=2)))))
    assert [each.name for each in audit.refusals] == ["labels_at_chance"]
    require_passed(audit, by_features=False)
    with pytest.raises(SiteRefusedError, match="labels_at_chance"):
        require_passed(audit)
    few = audit_site(load_site(drawn_site(SEED, clean(slides=2, fields=2))))
    with pytest.raises(TooFewFieldsError, match="too_few_slides"):
        require_passed(few, by_features=False)


@pytest.mark.slow
@pytest.mark.parametrize("wins", [True, False])
def test_a_fine_tuned_block_is_what_is_written_if_it_wins(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wins: bool
) -> None:
    """Two steps, and chance decided: the file answers as its fold did, and record and card say which way was gone."""
    monkeypatch.setattr(last_blocks, "STEPS", 2)
    monkeypatch.setattr(fine_tuning, "beyond_chance", lambda _: wins)
    site = drawn_site(SEED, PLAN)
    done = run("--data", site, "--out", tmp_path, "--from", "custom_cnn", "--benign", "healthy", "--fine-tune")
    assert done.code == 0, done.err
    record = read_record(tmp_path / "adaptation.json", AdaptationRecord, "models adapt", ModelsError)
    rows = {each.name: each for each in record.tried}
    assert record.recipe.fine_tuned == wins and ("frozen" in rows) == wins
    against = rows["fine_tuned"].compared
    assert against is not None and against.taken == wins and against.against == ("frozen" if wins else "adapted")
    assert ("last block fine-tuned." in (tmp_path / "card.md").read_text()) == wins
    _answers_as_recorded(tmp_path, record)


@pytest.mark.slow
def test_adapted_again_it_is_the_same_network_and_converts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped MobileNetV2, tiles of 2x2, twice: equal bytes; and its int8 file passes on the slides held back."""
    site = drawn_site(SEED, PLAN)
    for name in ("one", "two"):
        done = shell("models", "adapt", "--data", site, "--out", tmp_path / name, "--benign", "healthy", timeout=1800)
        assert done.returncode == 0, done.stderr
    for name in ("model.keras", "contract.json", "split.csv", "gates.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    convert_run = in_this_process(capsys, "convert", convert.cli.COMMANDS)
    bundle = convert_run(
        "quantize", "--int8", tmp_path / "one" / "model.keras", "--data", site, "--out", tmp_path, "--json"
    )
    assert bundle.code == 0, bundle.err
    certificate = json.loads(bundle.out)["bundles"][0]
    assert certificate["verdict"] == "pass" and certificate["policy"]["name"] == "site"
