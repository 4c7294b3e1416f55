"""Commands on shipped networks leave the shipped evidence alone; the table refuses records of different images."""

import json
from pathlib import Path

import pytest

from convert.commands import summary
from edge.commands.command_line import main
from edge.inference.contract import InputContract
from models.cli import COMMANDS
from models.commands.network_options import output_folder
from models.data.published import TRAINED, trained
from models.networks.custom_code import CustomCode
from tests.small_world import LABELS, SIZE, write_images

BUILD = Path("build/shipped")


@pytest.mark.parametrize("model", [*TRAINED, str(trained("custom_cnn")), f"{trained('custom_cnn')}/../custom_cnn"])
@pytest.mark.parametrize(
    ("question", "file"),
    [
        ("", "evaluation.json"),
        ("corruptions", "robustness.json"),
        ("counterfactuals", "counterfactuals.json"),
        ("abstention", "abstention.json"),
        ("explanations", "explanations.json"),
    ],
)
def test_evaluations_of_a_shipped_network_go_to_build(model: str, question: str, file: str) -> None:
    options = {question: True} if question else {}
    name = Path(model).name
    request = COMMANDS["evaluate"](model, data="images", **options)
    assert request.out == BUILD / name / file
    request = COMMANDS["evaluate"](model, data="images", overwrite_shipped=True, **options)
    assert request.out.resolve() == trained(name) / file
    assert COMMANDS["evaluate"](model, data="images", out="mine.json", **options).out == Path("mine.json")


@pytest.mark.parametrize("name", TRAINED)
def test_so_do_decisions_cross_validations_and_cards(name: str) -> None:
    assert COMMANDS["calibrate"](name, data="images").out == BUILD / name
    assert COMMANDS["calibrate"](name, data="images", overwrite_shipped=True).out == trained(name)
    assert COMMANDS["cross-validate"](name, data="images").out == BUILD / name / "cross_validation.json"
    overwriting = COMMANDS["cross-validate"](name, data="images", overwrite_shipped=True)
    assert overwriting.out == trained(name) / "cross_validation.json"
    assert COMMANDS["card"](name).out == (BUILD / name,)
    assert COMMANDS["card"]().out == tuple(BUILD / each for each in TRAINED)
    assert COMMANDS["card"](overwrite_shipped=True).out == tuple(trained(each) for each in TRAINED)


def test_a_card_of_a_shipped_network_is_written_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = trained("custom_cnn") / "CARD.md"
    before = shipped.read_bytes(), shipped.stat().st_mtime_ns
    monkeypatch.chdir(tmp_path)
    COMMANDS["card"]("custom_cnn").execute()
    assert (tmp_path / BUILD / "custom_cnn" / "CARD.md").read_bytes() == before[0]
    assert (shipped.read_bytes(), shipped.stat().st_mtime_ns) == before


def test_any_other_network_has_its_records_beside_it(tmp_path: Path) -> None:
    """Also one that only has a shipped one's name."""
    for folder in (tmp_path, tmp_path / "custom_cnn"):
        assert output_folder(folder, overwrite_shipped=False) == folder


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("evaluation.json", {"split": {"sha256": "00" * 32, "part": "test"}}, "are of different images"),
        ("evaluation.json", {"images": 31}, "are of different images"),
        ("robustness.json", {"images": 31}, "robustness.json and evaluation.json of .* are of different images"),
        ("abstention.json", {"split": {"sha256": "00" * 32, "part": "test"}}, "abstention.json and evaluation.json"),
        ("certificate.json", {"evaluation": {"images": 31}}, "is of 509 images and its bundle's certificate of 31"),
    ],
)
def test_the_table_refuses_records_of_different_images(
    monkeypatch: pytest.MonkeyPatch, file: str, change: dict[str, object], said: str
) -> None:
    assert summary.shipped_rows()  # negative control: the shipped records are of the same images
    monkeypatch.setattr(
        summary, "_read", lambda path: json.loads(path.read_text()) | (change if path.name == file else {})
    )
    with pytest.raises(summary.SummaryError, match=said) as caught:
        summary.shipped_rows()
    assert "\n" not in str(caught.value)


def test_a_network_with_layers_of_its_own_is_judged_with_their_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models` loads what `convert quantize --custom` takes; without the code one line says which layer wants it."""
    import keras

    file = tmp_path / "lab_layers.py"
    file.write_text(
        "import keras\n\n\nclass Half(keras.layers.Layer):\n    def call(self, x):\n        return 0.5 * x\n",
        encoding="utf-8",
    )
    half = CustomCode((str(file),)).objects()["Half"]
    image = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(half(name="halved")(image))
    network = keras.Model(image, keras.layers.Dense(len(LABELS), activation="softmax")(pooled))
    folder = tmp_path / "mine"
    folder.mkdir()
    network.save(folder / "model.keras")
    (folder / "contract.json").write_text(InputContract((SIZE, SIZE), LABELS).to_json(), encoding="utf-8")
    data = write_images(tmp_path / "images", a_class=6)
    words = ["evaluate", str(folder), "--data", str(data), "--out", str(tmp_path / "out" / "evaluation.json")]

    assert main("models", COMMANDS, words) == 2
    assert 'layer "halved" (Half) is code that Keras does not have' in capsys.readouterr().err
    assert main("models", COMMANDS, [*words, "--custom", str(file)]) == 0
    drawn = ["explain", str(folder), "--out", str(tmp_path / "explained"), "--custom", str(tmp_path / "none.py")]
    assert main("models", COMMANDS, drawn) == 2
    assert "none.py" in capsys.readouterr().err
