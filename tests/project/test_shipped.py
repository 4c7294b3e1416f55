"""What ships is what its files say: networks, evaluations, cards, bundles and their certificates belong together."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from convert.commands.summary import shipped_rows, shipped_table, table_in
from convert.parity.policy import Policy
from docs.studies.networks.synthetic_check import check
from edge.bundle import bundle as bundles
from edge.cameras.synthetic.smear import synthetic_fields
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys
from models.data.published import PUBLISHED_SPLIT, RANDOM_SPLIT, TRAINED, trained
from models.data.published import bundles as bundle_folder
from models.data.split import Split
from models.report.card import card
from models.report.evaluation_page import evaluation_page
from models.report.model_records import ModelRecords
from tests.paths import ROOT

LIMITS = {"mobilenet_v2": 2.8e6, "custom_cnn": 6e6}  # bytes of the int8 file


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(params=TRAINED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_evaluation_card_and_network_belong_together(name: str) -> None:
    folder = trained(name)
    record = json.loads((folder / "evaluation.json").read_text())
    assert record["model_sha256"] == sha256(folder / "model.keras")
    assert record["split"]["field_disjoint"] is True
    assert record["split"]["part"] == "test"
    assert record["split"]["sha256"] == hashlib.sha256(PUBLISHED_SPLIT.read_bytes()).hexdigest()
    assert card(folder) == (folder / "CARD.md").read_text(encoding="utf-8")
    random = json.loads((folder / "evaluation_random_split.json").read_text())
    assert random["split"]["field_disjoint"] is False
    assert random["split"]["sha256"] == hashlib.sha256(RANDOM_SPLIT.read_bytes()).hexdigest()
    assert random["model_sha256"] != record["model_sha256"]


def test_networks_hold_no_optimizer(name: str) -> None:
    parameters = {"mobilenet_v2": 2.3e6, "custom_cnn": 0.5e6}[name]
    assert (trained(name) / "model.keras").stat().st_size < 4.5 * parameters


def test_bundle_is_certified_on_real_labels(name: str) -> None:
    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    certificate = bundle.certificate
    assert certificate["verdict"] == "pass"
    assert certificate["labelled"] is True
    assert certificate["synthetic"] is False
    assert certificate["policy"] == Policy.default().to_record()
    assert certificate["float_model"]["sha256"] == sha256(trained(name) / "model.keras")
    assert certificate["int8_model"]["sha256"] == hashlib.sha256(bundle.model).hexdigest()
    assert len(bundle.model) <= LIMITS[name]
    assert certificate["parity"]["malignant_to_benign"] == 0
    assert certificate["parity"]["agreement"] >= 0.995
    assert abs(certificate["parity"]["accuracy_drop"]) <= 0.002


def test_calibration_and_evaluation_share_no_field(name: str) -> None:
    calibration = json.loads((bundle_folder() / f"{name}-int8" / "calibration.json").read_text())
    part = {item.sha256: item.part for item in Split.load(PUBLISHED_SPLIT).items}
    assert {part[entry["sha256"]] for entry in calibration["files"]} == {"train"}


def test_golden_outputs_come_out_again(name: str) -> None:
    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    replay = bundles.replay_golden(bundle, open_interpreter(bundle.model))
    assert replay.max_difference == 0


def test_another_kind_of_arithmetic_gives_the_same_classes(name: str) -> None:
    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    interpreter = open_interpreter(bundle.model, xnnpack=False)
    assert interpreter.kind != bundles.certified_kind(bundle.certificate)
    assert bundles.require_golden(bundle, interpreter).reclassified == ()


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, np.ndarray]]:
    """Eighty synthetic fields: drawing them takes most of the time that asking a network about them does."""
    return synthetic_fields(80, seed=5)


@pytest.mark.slow
def test_both_are_decided_on_synthetic_fields(
    name: str, drawn: list[tuple[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docs.studies.networks.synthetic_check.synthetic_fields", lambda *_: drawn)
    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    classifier = Classifier(bundle.contract, open_interpreter(bundle.model))

    def predict(inputs: np.ndarray) -> np.ndarray:
        pixels = np.rint((inputs + 1) * 128).astype(np.uint8)
        return np.stack([classifier.probabilities(image) for image in pixels])

    record = check(predict, bundle.contract, count=len(drawn), seed=5)
    assert record["decided"] >= 0.8
    assert record["classes_seen"] == list(bundle.contract.labels)


def test_accuracies_reach_what_was_asked(name: str) -> None:
    [row] = [row for row in shipped_rows() if row["name"] == name]
    assert row["accuracy_float"] >= {"mobilenet_v2": 0.990, "custom_cnn": 0.970}[name]


def test_the_results_page_shows_the_files_figures() -> None:
    assert table_in((ROOT / "docs" / "reference" / "results.md").read_text(encoding="utf-8")) == shipped_table()


def test_no_image_of_a_data_set_is_tracked() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    pictures = [f for f in listed.stdout.splitlines() if f.lower().endswith((".jpg", ".jpeg", ".png", ".bmp", ".tif"))]
    allowed = ("docs/images/", "models/trained/")
    assert [f for f in pictures if not f.startswith(allowed)] == []


@pytest.mark.slow
def test_drawn_fields_tell_an_intact_file_from_a_broken_one(name: str) -> None:
    """The policy for drawn fields asks for less agreement than the one for images; a broken file has far less still."""
    from dataclasses import replace

    from ai_edge_litert import schema_py_generated as schema

    from convert.calibration.evaluation_data import from_synthetic_fields
    from convert.parity.comparison import compare
    from convert.parity.verdict import judge
    from convert.quantization.float_model import load_float
    from convert.quantization.predictions import device_probabilities, float_probabilities

    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    evidence = from_synthetic_fields(bundle.contract)
    before = float_probabilities(load_float(trained(name) / "model.keras"), bundle.contract, evidence.pixels)

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bundle.model, 0))
    graph = tree.subgraphs[0]
    convolutions = [op for op in graph.operators if tree.operatorCodes[op.opcodeIndex].builtinCode == 3]
    weights = bytes(tree.buffers[graph.tensors[convolutions[len(convolutions) // 2].inputs[1]].buffer].data)
    assert bundle.model.count(weights) == 1
    zeroed = bundle.model.replace(weights, bytes(len(weights)))
    swapped = replace(bundle.contract, channel_order="BGR")

    def verdict(model: bytes, contract=bundle.contract) -> str:  # type: ignore[no-untyped-def]
        after = device_probabilities(Classifier(contract, open_interpreter(model)), evidence.pixels)
        return judge(compare(contract.labels, before, after, kind="xnnpack"), Policy.synthetic()).verdict

    assert verdict(bundle.model) == "pass"
    assert verdict(zeroed) == "fail"
    assert verdict(bundle.model, swapped) == "fail"


@pytest.mark.slow
def test_evaluation_is_repeated_from_the_images(name: str, data_dir: Path) -> None:
    """The whole test part again, int8 through the device's code path: the certificate's counts come out."""
    from models.data.parts import load_part, scan_for, split_for

    bundle = bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys())
    image_set = scan_for(data_dir, bundle.contract)
    split, _ = split_for(image_set)
    part = load_part(image_set, split, "test", bundle.contract)
    classifier = Classifier(bundle.contract, open_interpreter(bundle.model))
    if classifier.interpreter.kind != bundles.certified_kind(bundle.certificate):
        pytest.skip("another arithmetic kind than the certified one")
    called = np.array([classifier.classify_prepared(pixels).index for pixels in part.pixels])
    parity = bundle.certificate["parity"]
    confusion = np.zeros((len(bundle.contract.labels),) * 2, int)
    np.add.at(confusion, (part.truth, called), 1)
    assert confusion.tolist() == parity["confusion_int8"]


def test_the_evaluation_page_is_current() -> None:
    """`models report --out docs/evaluation.html` renews it."""
    page = evaluation_page([ModelRecords.read(trained(each)) for each in TRAINED])
    assert (ROOT / "docs" / "evaluation.html").read_text(encoding="utf-8") == page


def test_the_shipped_bundle_answers_as_its_network_s_contract_says(name: str) -> None:
    contract = InputContract.load(trained(name) / "contract.json")
    assert contract.decision is not None
    assert bundles.load(bundle_folder() / f"{name}-int8", trust=machine_keys()).contract == contract
    assert contract.decision.evidence["network_sha256"] == sha256(trained(name) / "model.keras")


def test_no_record_is_of_another_network(name: str) -> None:
    provenance = ModelRecords.read(trained(name)).provenance
    about = {stem: origin.model_sha256 for stem, origin in provenance.items()}
    assert {"evaluation", "robustness", "counterfactuals", "abstention", "explanations"} <= set(about)
    assert set(about.values()) == {sha256(trained(name) / "model.keras")}
