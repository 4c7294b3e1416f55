"""`convert inspect --edgetpu`: the shipped networks, Coral's own pairs, compiled files and their twins, the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flatbuffers import flexbuffers

from convert.edgetpu.compiled import read_compiled
from convert.edgetpu.preflight import preflight
from convert.errors import BrokenModelError, EdgeTpuModelError
from convert.tflite.flexbuffer import read_map
from convert.tflite.inspection import inspect
from edge.errors import FlatbufferError
from models.data.published import bundles
from tests.convert.edgetpu.compiled import compiled
from tests.convert.edgetpu.models import classifier
from tests.convert.edgetpu.test_rules import MAKERS
from tests.convert.keras_models import edited

CONVERT = Path(sys.executable).with_name("convert")


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([CONVERT, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


# --- the shipped networks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mobilenet_v2-int8", "custom_cnn-int8"])
def test_the_shipped_networks_are_predicted_fully_mapped(name: str) -> None:
    found = preflight((bundles() / name / "model.tflite").read_bytes())
    assert (found.verdict, found.subgraphs, found.tpu_parts) == ("mapped", 1, 1)
    assert (found.counts["cpu"], found.counts["refused"], found.notes) == (0, 0, ())
    assert found.memory.fits == "yes"


def test_a_shipped_network_with_one_change_is_not() -> None:
    """Negative control: scales a channel in the dense layer, a newer operator, a batch of two."""
    model = (bundles() / "mobilenet_v2-int8" / "model.tflite").read_bytes()
    dense = next(o for o in inspect(model).nodes if o.operator == "FULLY_CONNECTED")

    def per_channel(tree):
        quantization = tree.subgraphs[0].tensors[dense.inputs[1]].quantization
        quantization.scale, quantization.zeroPoint = list(quantization.scale) * 4, [0] * 4

    def newer(tree):
        tree.operatorCodes[0].version = 12

    def two(tree):
        for tensor in tree.subgraphs[0].tensors:
            if tree.buffers[tensor.buffer].data is None:
                tensor.shape = [2, *tensor.shape[1:]]

    verdicts = [preflight(edited(model, change)).verdict for change in (per_channel, newer, two)]
    assert verdicts == ["mapped", "refused", "cpu"]  # a scale a channel is said, and mapped


# --- Coral's own pairs ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coral(shared_dir: Path) -> Path:
    folder = shared_dir / "fixtures" / "edgetpu"
    if not folder.is_dir():
        pytest.skip("the models that Coral published are not here")
    return folder


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(plain, compiled) of every pair there is."""
    found = [(path.with_name(path.name.replace("_edgetpu", "")), path) for path in folder.glob("*_edgetpu.tflite")]
    return sorted((plain, made) for plain, made in found if plain.is_file())


def test_the_preflight_agrees_with_every_pair(coral: Path) -> None:
    """What the compiled file keeps outside is what was predicted to stay outside, by operator and output."""
    assert len(pairs(coral)) >= 2
    for plain, made in pairs(coral):
        found = preflight(plain.read_bytes(), plain.name)
        seen = read_compiled(made.read_bytes(), made.name, plain.read_bytes(), plain.name)
        outside = sorted((o.node.operator, o.outputs[0].name) for o in seen.outside)
        predicted = sorted(
            (p.operator.node.operator, p.operator.outputs[0].name)
            for p in found.placed
            if p.placement.status != "mapped"
        )
        assert outside == predicted, plain.name
        assert (found.verdict, found.subgraphs) == (seen.verdict, len(seen.packages)), plain.name
        assert seen.belongs, (plain.name, seen.twin)


def test_no_other_plain_file_passes_for_a_twin(coral: Path) -> None:
    for plain, made in pairs(coral):
        for other, _ in pairs(coral):
            if other != plain:
                assert read_compiled(made.read_bytes(), "", other.read_bytes()).belongs is False


def test_what_is_inside_a_published_file(coral: Path) -> None:
    seen = read_compiled((coral / "mobilenet_v1_0.25_128_quant_edgetpu.tflite").read_bytes())
    (package,) = seen.packages
    assert (package.runtime, package.cached_bytes, package.streamed_bytes) == (12, 566912, 0)
    assert [executable.kind for executable in package.executables] == ["execution-only", "parameter-caching"]
    assert [(layer.name, layer.extents) for layer in package.inputs] == [("input", (128, 128, 3))]
    assert seen.outside == () and seen.mapped is None


def test_a_published_file_that_no_compiler_takes(coral: Path) -> None:
    assert preflight((coral / "model_invoking_error.tflite").read_bytes()).verdict == "refused"


# --- compiled files -------------------------------------------------------------------------------------------------


def test_a_compiled_file_and_its_twin() -> None:
    plain = classifier()
    seen = read_compiled(compiled(plain), "made", plain)
    assert (seen.verdict, seen.belongs, seen.mapped, len(seen.outside)) == ("mapped", True, 6, 0)
    partly = read_compiled(compiled(plain, outside=2), "made", plain)
    assert (partly.verdict, partly.belongs, partly.mapped) == ("partly", True, 4)
    assert [o.name for o in partly.outside] == ["FULLY_CONNECTED", "SOFTMAX"]
    record = partly.to_record()
    assert (record["cpu"], record["refused"], record["subgraphs"], record["twin"]["belongs"]) == (2, 0, 1, True)


def scaled(tree):
    tree.subgraphs[0].tensors[0].quantization.scale = [0.2]


def renamed(tree):
    tree.subgraphs[0].tensors[int(tree.subgraphs[0].outputs[0])].name = "other"


def shaped(tree):
    tree.subgraphs[0].tensors[0].shape = [1, 4, 16, 3]


def shifted(tree):
    tree.subgraphs[0].tensors[0].quantization.zeroPoint = [1]


@pytest.mark.parametrize(
    ("change", "check"), [(scaled, "inputs"), (renamed, "outputs"), (shaped, "inputs"), (shifted, "inputs")]
)
def test_a_twin_with_another_end_is_none(change, check: str) -> None:
    plain = classifier()
    seen = read_compiled(compiled(plain), "made", edited(plain, change))
    assert seen.belongs is False
    assert check in {each.name for each in seen.twin or () if not each.agrees}


def test_a_twin_whose_compiled_file_was_altered_is_none() -> None:
    """The file's tensors say what the plain ones say, its executable does not."""
    plain = classifier()
    made = edited(compiled(plain), scaled)
    seen = read_compiled(made, "made", edited(plain, scaled))
    assert [each.name for each in seen.twin or () if not each.agrees] == ["layers"]
    held = read_compiled(compiled(plain, parameter_bytes=2_000_000), "made", plain)
    assert [each.name for each in held.twin or () if not each.agrees] == ["parameters"]


def test_plain_and_compiled_cannot_be_exchanged() -> None:
    plain = classifier()
    with pytest.raises(EdgeTpuModelError, match="compiled for the Edge TPU already"):
        preflight(compiled(plain))
    with pytest.raises(EdgeTpuModelError, match="not compiled"):
        read_compiled(plain, "plain", plain)
    with pytest.raises(EdgeTpuModelError, match="compiled itself"):
        read_compiled(compiled(plain), "made", compiled(plain))


def test_a_compiled_operator_without_an_executable_is_refused_in_one_line() -> None:
    def emptied(tree):
        tree.subgraphs[0].operators[0].customOptions = [1, 2, 3]

    with pytest.raises(BrokenModelError, match="no map") as caught:
        read_compiled(edited(compiled(classifier()), emptied))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", ["String", "Blob"])
@pytest.mark.parametrize("content", [b"x", b"DWN1" * 40, b"z" * 70_000])
def test_flexbuffer_maps_agree_with_the_library(write: str, content: bytes) -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, method, value in (
            ("minus", "Int", -7),
            ("many", "UInt", 70_000),
            ("flag", "Bool", True),
            ("4", write, content.decode() if write == "String" else content),
        ):
            builder.Key(key)
            getattr(builder, method)(value)
    assert read_map(bytes(builder.Finish())) == {"minus": -7, "many": 70_000, "flag": 1, "4": content}


@pytest.mark.parametrize("data", [b"", b"\0", b"\x01\x24\x01", bytes(16), b"\xff" * 32, b"\x05\x09\x28\x09"])
def test_what_is_no_flexbuffer_map_is_refused(data: bytes) -> None:
    with pytest.raises(FlatbufferError):
        read_map(data)


def test_names_in_a_file_draw_no_lines_of_their_own() -> None:
    def named(tree):
        for tensor in tree.subgraphs[0].tensors:
            tensor.name = "x\nmapped: the whole model\x1b[2J" + "y" * 500

    bad = edited(MAKERS["resize-size"](True), named)
    text = preflight(bad).to_text()
    assert text.splitlines()[0].startswith("cpu: ") and "\x1b" not in text
    assert not any(line.startswith("mapped:") for line in text.splitlines())
    assert max(map(len, text.splitlines())) < 300


# --- the command ----------------------------------------------------------------------------------------------------


def test_exit_codes_and_one_json_object(tmp_path: Path) -> None:
    files = {"whole": classifier(), "partly": MAKERS["after-unmapped"](True), "refused": MAKERS["op-version"](True)}
    for name, data in files.items():
        (tmp_path / f"{name}.tflite").write_bytes(data)
    expected = {"whole": (0, "mapped"), "partly": (1, "partly"), "refused": (1, "refused")}
    for name, (code, verdict) in expected.items():
        done = run("inspect", tmp_path / f"{name}.tflite", "--edgetpu", "--json")
        record = json.loads(done.stdout)
        assert (done.returncode, record["verdict"], done.stderr) == (code, verdict, "")
        assert {"mapped", "cpu", "refused", "subgraphs", "verdict"} <= record.keys()


def test_text_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(MAKERS["op-version"](True))
    done = run("inspect", tmp_path / "a.tflite", "--edgetpu")
    assert done.returncode == 1
    assert "CONV_2D v6" in done.stdout and "cure: replace what needs the newer version" in done.stdout


def test_twins_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(classifier())
    (tmp_path / "a_edgetpu.tflite").write_bytes(compiled(classifier()))
    (tmp_path / "other.tflite").write_bytes(MAKERS["dense-output"](False))
    assert run("inspect", tmp_path / "a_edgetpu.tflite", "--edgetpu").returncode == 0
    same = run("inspect", tmp_path / "a_edgetpu.tflite", "--edgetpu", "--plain", tmp_path / "a.tflite")
    assert same.returncode == 0 and "its twin" in same.stdout
    other = run("inspect", tmp_path / "a_edgetpu.tflite", "--edgetpu", "--plain", tmp_path / "other.tflite")
    assert other.returncode == 1 and "NOT what it was compiled from" in other.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.tflite", "--edgetpu"], "No such file"),
        (["text.tflite", "--edgetpu"], "not a readable TFLite file"),
        (["text.tflite", "--plain", "a.tflite"], "give --edgetpu too"),
        (["whole.tflite", "--edgetpu", "--plain", "whole.tflite"], "not compiled for the Edge TPU"),
    ],
)
def test_wrong_requests(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "text.tflite").write_text("no model")
    (tmp_path / "whole.tflite").write_bytes(classifier())
    done = run("inspect", *(tmp_path / word if word.endswith(".tflite") else word for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
