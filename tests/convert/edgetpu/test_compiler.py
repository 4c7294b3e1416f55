"""`convert compile --edgetpu` with a stand-in for Coral's compiler that replays what the real one said."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from convert.edgetpu.compiler import Compilation, compile_model, find_compiler
from convert.edgetpu.preflight import preflight
from convert.errors import BrokenModelError, CompilerUnavailable, EdgeTpuModelError
from edge.bundle import bundle as bundles
from edge.errors import BundleError
from edge.settings.trusted_keys import machine_keys
from tests.convert.edgetpu.compiled import compiled
from tests.convert.edgetpu.models import classifier
from tests.convert.edgetpu.test_compiler_log import recorded
from tests.convert.edgetpu.test_rules import MAKERS
from tests.convert.keras_models import edited

CONVERT = Path(sys.executable).with_name("convert")
STAND_IN = """#!{python}
import json, shutil, subprocess, sys, time
plan = json.load(open({plan!r}))
out, model = sys.argv[sys.argv.index("-o") + 1], sys.argv[-1]
assert sys.argv[1] == "-s" and model.endswith(".tflite")
if plan["output"]:
    shutil.copy(plan["output"], out + "/" + model.replace(".tflite", "_edgetpu.tflite"))
if plan["log_file"]:
    open(out + "/" + model.replace(".tflite", "_edgetpu.log"), "w").write(plan["log_file"])
sys.stdout.write(plan["said"])
sys.stdout.flush()
if plan["hang"]:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    time.sleep(600)
sys.exit(plan["exit_code"])
"""


class StandIn:
    """A program that takes the compiler's arguments and does what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "edgetpu_compiler"
        self.path.write_text(STAND_IN.format(python=sys.executable, plan=str(folder / "plan.json")))
        self.path.chmod(0o755)

    def does(
        self, said: str = "", output: bytes | None = None, exit_code: int = 0, hang: bool = False, log_file: str = ""
    ) -> Path:
        made = self.folder / "output.tflite"
        if output is not None:
            made.write_bytes(output)
        plan = {"said": said, "output": str(made) if output is not None else None, "exit_code": exit_code}
        (self.folder / "plan.json").write_text(json.dumps({**plan, "hang": hang, "log_file": log_file}))
        return self.path


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    return StandIn(folder)


def success(model: bytes, outside: int = 0) -> str:
    """What the compiler says of a model, the last `outside` operators of which stay outside."""
    names = [each.operator.name for each in preflight(model).placed]
    inside, rest = Counter(names[: len(names) - outside]), Counter(names[len(names) - outside :])
    rows = [f"{name:<30} {count:<10} Mapped to Edge TPU" for name, count in inside.items()]
    rows += [f"{name:<30} {count:<10} More than one subgraph is not supported" for name, count in rest.items()]
    return "\n".join(
        [
            "Edge TPU Compiler version 16.0.384591198",
            "Started a compilation timeout timer of 180 seconds.",
            "",
            "Model compiled successfully in 63 ms.",
            "",
            "On-chip memory used for caching model parameters: 12.50KiB",
            "On-chip memory remaining for caching model parameters: 7.67MiB",
            "Off-chip memory used for streaming uncached model parameters: 0.00B",
            "Number of Edge TPU subgraphs: 1",
            f"Total number of operations: {len(names)}",
            f"Number of operations that will run on Edge TPU: {len(names) - outside}",
            f"Number of operations that will run on CPU: {outside}",
            "",
            "Operator                       Count      Status",
            "",
            *rows,
            "Compilation child process completed within timeout period.",
            "Compilation succeeded! ",
            "",
        ]
    )


def outcome(stand_in: StandIn, model: bytes | None = None, timeout_s: float = 30, **plan: Any) -> Compilation:
    return compile_model(model or classifier(), "a.tflite", stand_in.does(**plan), timeout_s)


# --- by what it made ------------------------------------------------------------------------------------------------


def test_a_success_is_one(stand_in: StandIn) -> None:
    made = outcome(stand_in, said=success(classifier()), output=compiled(classifier()))
    assert (made.verdict, made.disagreements, made.exit_code) == ("mapped", (), 0)
    assert made.model == compiled(classifier())
    record = made.to_record()
    assert (record["mapped"], record["cpu"], record["subgraphs"]) == (6, 0, 1)
    assert record["predicted"] == {"verdict": "mapped", "mapped": 6, "cpu": 0, "refused": 0}


def test_its_exit_code_decides_nothing(stand_in: StandIn) -> None:
    good = outcome(stand_in, said=success(classifier()), output=compiled(classifier()), exit_code=1)
    bad = outcome(stand_in, said=recorded("internal_error"), exit_code=0)
    assert (good.verdict, good.exit_code) == ("mapped", 1)
    assert (bad.verdict, bad.exit_code, bad.model) == ("failed", 0, None)
    assert "Internal compiler error" in bad.why


def test_the_table_is_found_in_the_log_file_too(stand_in: StandIn) -> None:
    summary, _, table = success(classifier()).partition("\nOperator ")
    made = outcome(stand_in, said=summary, log_file="Operator " + table, output=compiled(classifier()))
    assert made.verdict == "mapped" and len(made.log.rows) == 5


def test_a_part_on_the_cpu_disagrees_with_the_prediction(stand_in: StandIn) -> None:
    model = classifier()
    made = outcome(stand_in, said=success(model, outside=1), output=compiled(model, outside=1))
    assert made.verdict == "partly" and made.model is not None
    assert made.disagreements == ("SOFTMAX: 1 predicted on the Edge TPU, 0 are",)
    assert "the prediction differs: SOFTMAX" in made.to_text()


def test_a_part_on_the_cpu_that_was_predicted(stand_in: StandIn) -> None:
    model = MAKERS["after-unmapped"](True)
    made = outcome(stand_in, model, said=success(model, outside=2), output=compiled(model, outside=2))
    assert (made.verdict, made.disagreements) == ("partly", ())


@pytest.mark.parametrize("name", ["exp_version_2", "dynamic_tensors", "not_quantized", "large_activations"])
def test_a_refusal_is_one_and_disagrees_where_another_was_predicted(stand_in: StandIn, name: str) -> None:
    made = outcome(stand_in, said=recorded(name), exit_code=0)
    assert (made.verdict, made.model) == ("refused", None)
    assert made.disagreements == ("mapped was predicted, and the compiler's answer is refused",)
    assert made.why in recorded(name)


def test_a_refusal_that_was_predicted(stand_in: StandIn) -> None:
    made = outcome(stand_in, MAKERS["op-version"](True), said=recorded("conv_version_6"), exit_code=1)
    assert (made.verdict, made.disagreements) == ("refused", ())
    assert "the prediction agrees" in made.to_text()


@pytest.mark.parametrize("name", ["internal_error", "internal_out_of_range", "failure_without_reason"])
def test_a_failure_is_no_refusal(stand_in: StandIn, name: str) -> None:
    made = outcome(stand_in, said=recorded(name), exit_code=0)
    assert (made.verdict, made.model, made.disagreements) == ("failed", None, ())


def test_nothing_mapped_leaves_nothing(stand_in: StandIn) -> None:
    model = MAKERS["dense-output"](True)
    text = success(model, outside=1).replace("subgraphs: 1", "subgraphs: 0")
    made = outcome(stand_in, model, said=text, output=model)
    assert (made.verdict, made.model, made.disagreements) == ("cpu", None, ())


@pytest.mark.parametrize(
    ("said", "output", "why"),
    [
        ("", None, "nothing that is known"),
        ("\x00\xff garbage \x1b[2J", None, "nothing that is known"),
        (success(classifier()), None, "left no file"),
        (success(classifier()), b"TFL3 no model", "its file is broken"),
        (success(classifier()), classifier(), "holds nothing for the Edge TPU"),
        (success(classifier()), compiled(MAKERS["dense-output"](False)), "not of this model"),
        (success(classifier()), compiled(classifier(), outside=1), "leaves 0 operators to the CPU, its file 1"),
        (
            success(classifier()).replace("run on Edge TPU: 6", "run on Edge TPU: 4"),
            compiled(classifier()),
            "contradicts",
        ),
        (success(classifier()) + "Internal compiler error. Aborting! \n", compiled(classifier()), "Internal compiler"),
        (success(classifier())[:90], compiled(classifier()), "nothing that is known"),
    ],
)
def test_what_its_file_does_not_bear_out_is_a_failure(
    stand_in: StandIn, said: str, output: bytes | None, why: str
) -> None:
    made = outcome(stand_in, said=said, output=output)
    assert (made.verdict, made.model) == ("failed", None)
    assert why in made.why and "\x1b" not in made.to_text()


def test_a_compiler_that_hangs_is_ended_with_all_it_started(stand_in: StandIn) -> None:
    started = time.monotonic()
    made = outcome(stand_in, said="Edge TPU Compiler version 16.0.384591198\n", hang=True, timeout_s=1.5)
    assert time.monotonic() - started < 30
    assert (made.verdict, made.exit_code) == ("failed", None) and "no result in 1.5 s" in made.why
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(stand_in.path) not in left


def test_endless_output_is_read_up_to_a_bound(stand_in: StandIn) -> None:
    made = outcome(stand_in, said=success(classifier()) + "x" * (3 << 20), output=compiled(classifier()))
    assert made.verdict == "mapped"


def test_what_it_cannot_compile_is_said_before_it_runs(stand_in: StandIn) -> None:
    with pytest.raises(BrokenModelError):
        compile_model(b"no model", "a", stand_in.does(), 5)
    with pytest.raises(EdgeTpuModelError, match="already"):
        compile_model(compiled(classifier()), "a", stand_in.does(), 5)


# --- finding it -----------------------------------------------------------------------------------------------------


def test_absent_compilers_say_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(CompilerUnavailable, match=r"not installed: Coral's package archive .*run-on-a-coral") as caught:
        find_compiler(None)
    assert caught.value.exit_code == 4
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(CompilerUnavailable, match="Linux on x86-64 only, and this is Linux on aarch64"):
        find_compiler(None)
    with pytest.raises(CompilerUnavailable, match="no such program"):
        find_compiler(tmp_path / "edgetpu_compiler")


def test_a_program_for_another_processor_is_said(tmp_path: Path) -> None:
    other = tmp_path / "edgetpu_compiler"
    other.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(64))
    other.chmod(0o755)
    with pytest.raises(CompilerUnavailable, match="cannot be run here"):
        compile_model(classifier(), "a", other, 5)


def test_the_one_on_path_is_found(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(stand_in.folder))
    assert find_compiler(None) == stand_in.path


# --- the command and the bundle -------------------------------------------------------------------------------------


def run(*words: object, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **more}
    return subprocess.run(
        [CONVERT, *map(str, words)], capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.mark.slow
def test_a_file_gets_its_compiled_twin_beside_it(stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(classifier())
    program = stand_in.does(said=success(classifier()), output=compiled(classifier()))
    done = run("compile", "--edgetpu", tmp_path / "a.tflite", "--compiler", program, "--json")
    record = json.loads(done.stdout)
    assert (done.returncode, record["verdict"]) == (0, "mapped"), done.stderr
    assert record["written"] == [str(tmp_path / "a_edgetpu.tflite"), str(tmp_path / "a_edgetpu.json")]
    assert (tmp_path / "a_edgetpu.tflite").read_bytes() == compiled(classifier())
    out = tmp_path / "elsewhere"
    words = ("--compiler", program, "--timeout", "300", "--out", out)
    assert run("compile", "--edgetpu", tmp_path / "a.tflite", *words).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["a_edgetpu.json", "a_edgetpu.tflite"]


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"said": success(classifier(), outside=1), "output": compiled(classifier(), outside=1)}, 1),
        ({"said": recorded("exp_version_2")}, 1),
        ({"said": recorded("internal_error")}, 1),
    ],
)
def test_exit_codes_follow_the_result(stand_in: StandIn, tmp_path: Path, plan: dict[str, Any], code: int) -> None:
    (tmp_path / "a.tflite").write_bytes(classifier())
    done = run("compile", "--edgetpu", tmp_path / "a.tflite", "--compiler", stand_in.does(**plan))
    assert done.returncode == code, done.stderr
    assert ("nothing was written" in done.stdout) == ("output" not in plan)
    assert (tmp_path / "a_edgetpu.tflite").exists() == ("output" in plan)


def test_without_a_compiler_the_command_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(classifier())
    done = run("compile", "--edgetpu", tmp_path / "a.tflite", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: edgetpu_compiler is not installed") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.tflite"], "needs --edgetpu"),
        (["--edgetpu", "a.tflite", "--timeout", "0"], "--timeout must be at least 1"),
        (["--edgetpu", "missing.tflite"], "No such file"),
        (["--edgetpu", "text.tflite"], "not a readable TFLite file"),
    ],
)
def test_wrong_requests(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "text.tflite").write_text("no model")
    done = run("compile", *(tmp_path / word if word.endswith(".tflite") else word for word in words))
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def bundle_models(tiny_bundle: Path) -> tuple[bytes, bytes]:
    model = (tiny_bundle / "model.tflite").read_bytes()
    return model, compiled(model)


def test_a_bundle_gets_its_compiled_model_with_a_certificate_entry(stand_in: StandIn, tiny_bundle: Path) -> None:
    model, made = bundle_models(tiny_bundle)
    before = bundles.load(tiny_bundle, trust=machine_keys(), allow_unsigned=True)
    (tiny_bundle / "manifest.sig").write_bytes(b"a signature of the old manifest")
    done = run("compile", "--edgetpu", tiny_bundle, "--compiler", stand_in.does(said=success(model), output=made))
    assert done.returncode == 0, done.stderr
    assert "signature was of the old manifest and is gone" in done.stderr
    after = bundles.load(tiny_bundle, trust=machine_keys(), allow_unsigned=True)
    assert (after.compiled, after.model, after.signature) == (made, before.model, None)
    assert after.digest != before.digest
    entry = after.certificate["edgetpu"]
    assert entry["sha256"] == hashlib.sha256(made).hexdigest()
    assert entry["plain_sha256"] == hashlib.sha256(model).hexdigest()
    assert (entry["compiler"], entry["verdict"], entry["golden"]) == ("16.0.384591198", "mapped", None)
    assert "none was measured" in entry["note"]
    rest = {name: value for name, value in after.certificate.items() if name != "edgetpu"}
    assert rest == before.certificate


def test_a_copy_of_the_bundle_leaves_the_original(stand_in: StandIn, tiny_bundle: Path, tmp_path: Path) -> None:
    model, made = bundle_models(tiny_bundle)
    program = stand_in.does(said=success(model), output=made)
    assert run("compile", "--edgetpu", tiny_bundle, "--compiler", program, "--out", tmp_path / "o").returncode == 0
    assert bundles.load(tmp_path / "o" / tiny_bundle.name, trust=machine_keys(), allow_unsigned=True).compiled == made
    assert bundles.load(tiny_bundle, trust=machine_keys(), allow_unsigned=True).compiled is None


def altered(tiny_bundle: Path, **entry: Any) -> dict[str, Any]:
    """What `edge.bundle.bundle.write` takes to write the bundle again with a compiled model and this entry about it."""
    bundle = bundles.load(tiny_bundle, trust=machine_keys(), allow_unsigned=True)
    return {
        "model": bundle.model,
        "contract": bundle.contract,
        "calibration": bundle.calibration,
        "certificate": {**bundle.certificate, "edgetpu": entry} if entry else bundle.certificate,
        "golden": bundle.golden,
        "gates": bundle.gates_json,
        "extra_files": {bundles.COMPILED: compiled(bundle.model)},
    }


def test_a_compiled_model_without_its_entry_or_of_another_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    model, made = bundle_models(tiny_bundle)
    right = {"sha256": hashlib.sha256(made).hexdigest(), "plain_sha256": hashlib.sha256(model).hexdigest()}
    assert bundles.write(tmp_path / "right-int8", **altered(tiny_bundle, **right)).compiled == made
    for wrong in ({}, {**right, "sha256": "0" * 64}, {**right, "plain_sha256": "0" * 64}):
        with pytest.raises(BundleError, match="its edgetpu"):
            bundles.write(tmp_path / "wrong-int8", **altered(tiny_bundle, **wrong))
    parts = altered(tiny_bundle, **right)
    with pytest.raises(BundleError, match="that is not there"):
        bundles.write(tmp_path / "wrong-int8", **{**parts, "extra_files": {}})


def test_a_bundle_whose_compiled_model_was_altered_is_refused(stand_in: StandIn, tiny_bundle: Path) -> None:
    model, made = bundle_models(tiny_bundle)
    assert run("compile", "--edgetpu", tiny_bundle, "--compiler", stand_in.does(success(model), made)).returncode == 0
    path = tiny_bundle / bundles.COMPILED
    path.write_bytes(edited(path.read_bytes(), lambda tree: setattr(tree, "description", "another")))
    with pytest.raises(BundleError, match="altered"):
        bundles.load(tiny_bundle, trust=machine_keys(), allow_unsigned=True)
