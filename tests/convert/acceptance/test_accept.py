"""`convert accept`: slides that had a part are refused by name; what others show is written, and devices heed it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.cli import COMMANDS
from edge.bundle import bundle as bundles
from edge.bundle.bundle import NO_KEYS, Bundle
from edge.cli import COMMANDS as EDGE
from edge.commands.command_line import main
from edge.commissioning.fields_table import TABLE_NAME, read_table, table_text
from edge.inference.contract import InputContract
from models.site.audit_record import SiteAudit
from models.site.refusals import Refusal
from tests.convert.acceptance.sites import BENIGN, LEUKEMIC, Patches, write_site
from tests.tiny_bundle import certified

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures here are no smears; what the audit refuses is tested beside it, that it binds below."""
    monkeypatch.setattr("convert.acceptance.job.audit_site", lambda site, seed: SiteAudit(1, "s", seed, (), {}))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ask(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main("convert", COMMANDS, ["accept", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


@pytest.fixture
def patches(tiny_bundle: Path) -> Patches:
    return Patches(tiny_bundle)


def read(path: Path) -> Bundle:
    return bundles.load(path, trust=NO_KEYS, allow_unsigned=True, allow_uncertified=True)


def rewritten(path: Path, **changes: Any) -> None:
    """The bundle with other parts, certified again."""
    bundles.write(path, **certified({**bundles.parts_of(read(path)), **changes}))


def test_twelve_slides_without_an_error_are_inconclusive_and_never_say_benign(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    held_back = write_site(tmp_path / "held_back", patches, healthy=10, leukemic=12)
    code, text, _ = run(tiny_bundle, "--data", held_back, "--site", "lab-3", "--out", tmp_path / "page")
    assert code == 3 and "inconclusive: tiny-int8 at lab-3: never benign: 0 of 12" in text
    assert "at most 22 %" in text and "17 more leukemic slides without an error would do" in text
    page = (tmp_path / "page" / "acceptance.html").read_text()
    assert "22 %" in page and "never benign" in page and "Research use only" in page and "Signature: ____" in page
    acceptance = read(tiny_bundle).acceptance
    assert acceptance is not None and (acceptance.site, acceptance.verdict) == ("lab-3", "inconclusive")
    for site in ("", '[site]\nname = "lab-3"\n'):
        (tmp_path / "edge.toml").write_text(site)
        words = ["classify", str(held_back), "--bundle", str(tiny_bundle), "--allow-unsigned"]
        assert main("edge", EDGE, [*words, "--config", str(tmp_path / "edge.toml")]) == 0
        said = capsys.readouterr().out
        assert "Benign  " not in said and said.count("suspicious  ") == 24 and "22 %" in said


def test_what_passes_is_said_with_its_bound(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=10, leukemic=29)
    code, text, _ = run(tiny_bundle, "--data", held_back, "--json")
    record = json.loads(text)
    assert code == 0 and record["verdict"] == "pass" and record["site"] == "lab-3", "by the name of the folder"
    assert (record["leukemic_slides"], record["missed"], record["tier"]) == (29, 0, 0.1)
    assert record["missed_at_most"] == pytest.approx(0.0981, abs=5e-5)
    assert Path(record["page"]) == tiny_bundle.parent / "tiny-int8-acceptance" / "acceptance.html"
    (tmp_path / "edge.toml").write_text('[site]\nname = "lab-3"\n')
    words = ["classify", str(held_back / BENIGN), "--bundle", str(tiny_bundle), "--allow-unsigned", "--json"]
    assert main("edge", EDGE, [*words, "--config", str(tmp_path / "edge.toml")]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["label"] for each in said} == {"Benign"}
    bound = "lab-3: at most 10 % of leukemic slides found benign (0 of 29, 95 % confidence)"
    assert {each["acceptance"] for each in said} == {bound}


def test_leukemic_slides_that_look_benign_tighten_the_threshold_or_fail(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    """The tiny network is never sure: where its benign answers on leukemic slides are gone, so are those on others."""
    before = read(tiny_bundle)
    held_back = write_site(tmp_path / "lab-3", patches, healthy=10, leukemic=35, missed=4)
    code, text, _ = run(tiny_bundle, "--data", held_back)
    after = read(tiny_bundle)
    assert code == 1 and "a benign answer takes" in text and "benign slides found benign: 0 of 10" in text
    assert before.contract.decision is None and after.contract.decision is not None
    kept = after.contract.decision.answer_from[0]
    assert kept > 0.25 and after.contract.decision.answer_from[1:] == (0.0, 0.0, 0.0)
    acceptance = after.acceptance
    assert acceptance is not None and acceptance.thresholds[-1].missed > 0 and not acceptance.thresholds[-1].kept
    assert after.certificate["contract"]["certified_sha256"] == before.certificate["contract"]["sha256"]
    assert acceptance.tier(after.contract).missed == 0


def test_a_network_that_calls_leukemia_benign_for_sure_fails(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    contract = InputContract((32, 32), ("Benign", "Early", "Pre", "Pro"))
    limits = tmp_path / "limits.toml"
    shipped = Path(__file__).parents[3] / "convert/acceptance/acceptance.toml"
    text = shipped.read_text()
    limits.write_text(text[: text.index("benign_from =")] + "benign_from = [0.001]\n")
    held_back = write_site(tmp_path / "lab-3", patches, healthy=10, leukemic=20, missed=12)
    code, said, _ = run(tiny_bundle, "--data", held_back, "--limits", limits)
    assert code == 1 and said.startswith("fail: ") and "surely beyond the limit" in said
    page = (tiny_bundle.parent / "tiny-int8-acceptance" / "acceptance.html").read_text()
    assert page.count("fields\nanswered benign") == 12
    assert read(tiny_bundle).contract.benign_labels == contract.benign_labels


def test_the_signature_is_void_and_said(tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run) -> None:
    key = ["--key", str(tmp_path / "k.key")]
    assert main("convert", COMMANDS, ["keygen", "k", "--to", str(tmp_path)]) == 0
    assert main("convert", COMMANDS, ["sign", str(tiny_bundle), *key]) == 0
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    code, text, error = run(tiny_bundle, "--data", held_back, "--json")
    assert code == 3 and json.loads(text)["signature_void"] is True
    assert "its signature was of the old manifest and is gone; sign it again" in error
    assert read(tiny_bundle).signature is None
    assert main("convert", COMMANDS, ["sign", str(tiny_bundle), *key]) == 0
    code, text, error = run(tiny_bundle, "--data", held_back)
    assert "Judged 2 times" in (tiny_bundle.parent / "tiny-int8-acceptance/acceptance.html").read_text()


def test_a_page_that_cannot_be_written_is_said_before_a_slide_is_judged(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    held_back = write_site(tmp_path / "held_back", patches, healthy=2, leukemic=2)
    (tmp_path / "page").write_text("")
    code, text, error = run(tiny_bundle, "--data", held_back, "--site", "lab-3", "--out", tmp_path / "page")
    assert (code, text) == (2, "") and "page: File exists; --out must be in a folder that can be written" in error
    assert read(tiny_bundle).acceptance is None
    assert run(tiny_bundle, "--data", held_back, "--site", "lab-3", "--out", tmp_path / "new")[0] in (1, 3)
    assert read(tiny_bundle).acceptance is not None


def spoilt(name: str, bundle: Path, site: Path) -> None:
    """Make one image or slide of the site one that had a part in the bundle."""
    row = read_table(site / TABLE_NAME)[-1]
    image = {"name": "x/trained.png", "sha256": "1" * 64, "slide": "T-1", "label": BENIGN, "use": "fit"}
    if name == "image_trained":
        image["sha256"] = row.sha256
    if name == "image_compared":
        image |= {"sha256": row.sha256, "use": "parity"}
    if name == "slide_trained":
        image["slide"] = row.slide.lower()
    parts = bundles.parts_of(read(bundle))
    extra = {**parts["extra_files"], "adaptation.json": json.dumps({"site": "lab-3", "images": [image]}).encode()}
    calibration = parts["calibration"]
    if name == "image_calibrated":
        files = [{"name": "x/calibrated.png", "sha256": row.sha256, "label": LEUKEMIC}]
        calibration = {"synthetic": False, "files": files}
    rewritten(bundle, extra_files=extra, calibration=calibration)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("image_trained", "is x/trained.png, which the network, its thresholds or its gates were made with"),
        ("image_compared", "is x/trained.png, which float and int8 were compared by"),
        ("image_calibrated", "is x/calibrated.png, which the int8 model was calibrated with"),
        ("slide_trained", "has other fields that the network was made with (x/trained.png)"),
        ("", ""),
    ],
)
def test_slides_that_had_a_part_are_refused_by_name(
    name: str, said: str, tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    spoilt(name, tiny_bundle, held_back)
    before = (tiny_bundle / "manifest.json").read_bytes()
    code, _, error = run(tiny_bundle, "--data", held_back)
    if not name:  # the control: the same bundle, and nothing shared
        assert code == 3 and "laboratory's word" not in error
        return
    assert code == 1 and f"error: {name}: " in error and said in error
    assert (tiny_bundle / "manifest.json").read_bytes() == before, "nothing was written"


def test_images_that_compared_float_with_int8_are_known_by_the_certificate(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    row = read_table(held_back / TABLE_NAME)[0]
    parts = certified(bundles.parts_of(read(tiny_bundle)), evaluation={"sha256s": ["2" * 64, row.sha256]})
    bundles.write(tiny_bundle, **parts)
    code, _, error = run(tiny_bundle, "--data", held_back)
    assert code == 1 and "error: image_compared: " in error


def test_the_published_images_do_not_judge_what_learned_from_them(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.data.fetch import PublishedFile

    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    row = read_table(held_back / TABLE_NAME)[0]
    listed = (PublishedFile("Benign", "WBC-1.jpg", row.sha256, 1),)
    monkeypatch.setattr("convert.acceptance.untouched.published_files", lambda: listed)
    for network, code in (("mobilenet_v2", 1), ("my_own", 3)):
        parts = certified(bundles.parts_of(read(tiny_bundle)), float_model={"name": network})
        bundles.write(tiny_bundle, **parts)
        found, _, error = run(tiny_bundle, "--data", held_back)
        assert found == code and ("image_published: " in error) == (code == 1)


def test_what_gives_the_class_away_is_refused_by_name(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    for name, code in (("class_is_camera", 1), ("too_few_slides", 3), ("labels_at_chance", 3)):
        refusal = Refusal(name, "camera a took all of Pre", "take both with each")  # type: ignore[arg-type]
        audit = SiteAudit(1, "s", 0, (), {}, refusals=(refusal,))
        monkeypatch.setattr("convert.acceptance.job.audit_site", lambda site, seed, audit=audit: audit)
        found, _, error = run(tiny_bundle, "--data", held_back)
        assert found == code and (f"error: {name}: " in error) == (code == 1)


def test_the_audit_itself_is_asked(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.site.audit import audit_site

    monkeypatch.setattr("convert.acceptance.job.audit_site", audit_site)
    held_back = write_site(tmp_path / "lab-3", patches, healthy=4, leukemic=4)
    rows = read_table(held_back / TABLE_NAME)
    table = [type(r)(**{**{n: getattr(r, n) for n in r.__struct_fields__}, "camera": r.label}) for r in rows]
    (held_back / TABLE_NAME).write_text(table_text(table))
    code, _, error = run(tiny_bundle, "--data", held_back, "--mixed-cameras")
    assert code == 1 and "error: class_is_camera: " in error


def test_wrong_requests_are_one_line(tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "other"
    shutil.copytree(held_back, other)
    (other / LEUKEMIC).rename(other / "AML")
    (other / TABLE_NAME).write_text((other / TABLE_NAME).read_text().replace(LEUKEMIC, "AML"))
    (tmp_path / "figures.toml").write_text('[[figure]]\nanalyser = "a"\nof = "b"\n')
    for words, code, said in (
        ([empty, "--data", held_back], 2, "manifest.json"),
        ([tiny_bundle, "--data", empty], 2, "empty"),
        ([tiny_bundle, "--data", other], 1, "unknown_label: "),
        ([tiny_bundle, "--data", held_back, "--site", "Lab Three"], 2, "--site must be"),
        ([tiny_bundle, "--data", held_back, "--repeats", empty], 1, "no_repeats: "),
        ([tiny_bundle, "--data", held_back, "--published", tmp_path / "figures.toml"], 2, "required field `source`"),
    ):
        found, out, error = run(*words)
        assert (found, out) == (code, "") and said in error and error.count("error: ") == 1, error


def test_without_a_benign_label_nothing_is_accepted(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    labels = ("a", "b", "c", "d")
    rewritten(tiny_bundle, contract=InputContract((32, 32), labels))
    code, _, error = run(tiny_bundle, "--data", held_back)
    assert code == 1 and "no_benign_label: " in error and "--benign LABEL" in error


def test_repeats_published_figures_and_the_controls_are_on_the_page(
    tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run
) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3, camera_setup="a" * 64)
    repeats = tmp_path / "repeats"
    alike, different = patches.take(True), patches.take(False)
    for field, frames in (("one", (alike, alike)), ("two", (alike, different, alike))):
        (repeats / field).mkdir(parents=True)
        for number, pixels in enumerate(frames):
            cv2.imwrite(str(repeats / field / f"{number}.png"), cv2.cvtColor(np.asarray(pixels), cv2.COLOR_RGB2BGR))
    figures = tmp_path / "figures.toml"
    figures.write_text(
        '[[figure]]\nanalyser = "An analyser"\nof = "a study"\nsource = "A journal 1:1"\nsensitivity = 0.5\n'
    )
    words = [tiny_bundle, "--data", held_back, "--repeats", repeats, "--published", figures]
    assert run(*words)[0] == 3
    acceptance = read(tiny_bundle).acceptance
    assert acceptance is not None and acceptance.repeatability is not None
    assert (acceptance.repeatability.fields, acceptance.repeatability.frames, acceptance.repeatability.same) == (
        2,
        5,
        1,
    )
    assert acceptance.camera_setups == ("a" * 64,) and acceptance.painted_out is not None
    assert acceptance.painted_out.fields == 3
    page = (tiny_bundle.parent / "tiny-int8-acceptance" / "acceptance.html").read_text()
    for words_on_it in ("1 of 2 fields were answered alike", "An analyser", "A journal 1:1", "a" * 64, "tenth-1"):
        assert words_on_it in page
    assert "No substitute for the figures by slide" in page and "kappa of finding and reference" in page


def test_other_gates_end_an_acceptance(tiny_bundle: Path, patches: Patches, tmp_path: Path, run: Run) -> None:
    held_back = write_site(tmp_path / "lab-3", patches, healthy=3, leukemic=3)
    assert run(tiny_bundle, "--data", held_back)[0] == 3
    acceptance = read(tiny_bundle).acceptance
    assert acceptance is not None
    gates = tmp_path / "gates.json"
    data = json.loads((tiny_bundle / "gates.json").read_bytes())
    gates.write_text(json.dumps({**data, "source": {**data["source"], "command": "another"}}))
    assert main("convert", COMMANDS, ["gates", str(tiny_bundle), "--gates", str(gates)]) == 0
    assert read(tiny_bundle).acceptance is None
    assert hashlib.sha256((tiny_bundle / "gates.json").read_bytes()).hexdigest() != acceptance.gates_sha256
