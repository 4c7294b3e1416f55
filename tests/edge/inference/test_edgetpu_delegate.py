"""The Edge TPU's delegate: what is missing is told apart, with the cure; the CPU stands in only where it may."""

import faulthandler
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import ai_edge_litert.interpreter as litert
import cv2
import numpy as np
import pytest

from convert.certification.renewal import renew
from convert.edgetpu.bundle import NOT_MEASURED
from convert.edgetpu.golden import with_edgetpu_outputs
from edge.bundle import bundle as bundles
from edge.bundle.files import COMPILED
from edge.bundle.golden import Golden, judge
from edge.diagnostics.coral import coral
from edge.errors import BundleError, EdgeTpuUnavailable, GoldenMismatchError, ModelFileError, SettingsError
from edge.inference.runtime import edgetpu_delegate as edgetpu
from edge.inference.runtime import interpreters
from edge.serving.serve import serve
from edge.settings.model import ModelSettings
from edge.settings.profile import parse
from edge.settings.trusted_keys import machine_keys
from edge.system.machine import Machine
from tests.convert.edgetpu.compiled import compiled
from tests.edge.inference import fake_edgetpu
from tests.tiny_bundle import TinyModels

GATES = ["under_exposed", "over_exposed", "empty_field", "motion_blur", "out_of_focus", "unlike_training"]
EDGE = Path(sys.executable).with_name("edge")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_edgetpu.library(tmp_path_factory.mktemp("lib"))


def refusing(module: Any = None) -> ModuleType:
    """An interpreter's module whose delegate says what the real one says of every failure."""

    def load_delegate(library: str, options: dict[str, str]) -> Any:
        raise ValueError(f"Failed to load delegate from {library}\n")

    return SimpleNamespace(load_delegate=load_delegate, __name__="stand_in")  # type: ignore[return-value]


# --- which device ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["usb", "usb:0", "pci", "pci:1"])
def test_devices_by_name(text: str) -> None:
    assert edgetpu.device_name(text) == text


@pytest.mark.parametrize("text", ["", "USB", "usb:", "usb:-1", "tpu", "pci:0:1", "usb:0\n", "/dev/apex_0"])
def test_what_is_no_device(text: str) -> None:
    with pytest.raises(SettingsError, match="must be usb, pci, usb:N or pci:N"):
        edgetpu.device_name(text)


def test_devices_of_a_machine(tmp_path: Path) -> None:
    found = edgetpu.devices(fake_edgetpu.machine(tmp_path, apex=2))
    assert [(each.bus, each.usable, each.mbit) for each in found] == [
        ("usb", True, 5000),
        ("pci", True, 0),
        ("pci", True, 0),
    ]
    assert "1a6e:089a (not used since it was plugged in)" in found[0].name
    assert [each.name for each in found[1:]] == ["/dev/apex_0 (PCIe)", "/dev/apex_1 (PCIe)"]


def test_both_usb_identities_are_known(tmp_path: Path) -> None:
    (used,) = edgetpu.devices(fake_edgetpu.machine(tmp_path / "a", ids="18d1:9302"))
    assert "in use before" in used.name
    assert edgetpu.devices(fake_edgetpu.machine(tmp_path / "b", ids="18d1:9303")) == ()


# --- what is missing ------------------------------------------------------------------------------------------------


def cause(library: Path | str, device: str, machine: Machine, module: Any = None) -> tuple[str, str]:
    with pytest.raises(EdgeTpuUnavailable) as caught:
        edgetpu.load_delegate(module or refusing(), device, machine=machine, library=str(library))
    assert caught.value.exit_code == 4 and "\n" not in str(caught.value)
    return caught.value.cause, str(caught.value)


def test_a_missing_library(tmp_path: Path) -> None:
    """By its soname, as the loader looks for it; also a library behind it that is missing."""
    what, said = cause("libedgetpu-that-is-not-there.so.1", "usb", Machine())
    assert what == "library" and "is not installed: install it from Coral's package archive: apt install" in said


def test_a_library_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "libedgetpu.so.1"
    broken.write_bytes(b"no ELF file")
    assert cause(broken, "usb", Machine())[0] == "library"
    other = fake_edgetpu.library(tmp_path / "other", "int nothing(void) { return 0; }")
    what, said = cause(other, "usb", Machine())
    assert what == "library" and "is no delegate of TensorFlow Lite" in said


@pytest.mark.parametrize(
    ("facts", "device", "what", "part"),
    [
        ({"ids": None}, "usb", "device", "no Edge TPU usb: none is plugged in; plug it in, or name another"),
        ({"ids": None, "apex": 1}, "usb:0", "device", "no Edge TPU usb:0: /dev/apex_0 (PCIe); plug it in"),
        ({}, "usb:1", "device", "no Edge TPU usb:1: 1a6e:089a"),
        ({}, "pci", "device", "check that the gasket driver is loaded"),
        (
            {"mode": 0o600},
            "usb",
            "permission",
            "`sudo usermod -aG plugdev someone`, log in again, and plug it in again",
        ),
        (
            {"ids": None, "apex": 1, "mode": 0o600},
            "pci:0",
            "permission",
            "`sudo usermod -aG apex someone`, log in again",
        ),
        ({}, "usb:0", "busy", "end the process that uses it, or plug it in again"),
    ],
)
def test_what_the_runtime_calls_by_one_name_is_told_apart(
    library: Path, tmp_path: Path, facts: dict[str, Any], device: str, what: str, part: str
) -> None:
    found, said = cause(library, device, fake_edgetpu.machine(tmp_path, **facts))
    assert found == what and part in said


def test_a_runtime_that_takes_no_delegates(library: Path) -> None:
    assert cause(library, "usb", Machine(), SimpleNamespace(__name__="old"))[0] == "runtime"


def test_the_delegate_gets_the_device_and_tells_its_version(library: Path) -> None:
    asked = []
    module = SimpleNamespace(load_delegate=lambda *words: asked.append(words) or "delegate")
    assert edgetpu.load_delegate(module, "usb:0", library=str(library)) == ("delegate", "14")  # type: ignore[arg-type]
    assert asked == [(str(library), {"device": "usb:0"})]
    experimental = SimpleNamespace(experimental=module)
    assert edgetpu.load_delegate(experimental, "pci", library=str(library))[0] == "delegate"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (
            "Internal: Unsupported data type in custom op handler: 0Node number 1 failed to prepare.",
            "do not fit together",
        ),
        ("Encountered unresolved custom op: edgetpu-custom-op.", "do not fit together"),
        (
            "Failed to prepare for TPU. Failed precondition: Package requires runtime version (14), which is newer "
            "than this runtime version (13).",
            "compiled for Edge TPU runtime 14, and 13 is installed: upgrade libedgetpu",
        ),
        ("std::bad_alloc", ""),
    ],
)
def test_mismatches_by_their_messages(message: str, part: str) -> None:
    found = edgetpu.mismatch(message)
    assert part in found and bool(found) == bool(part)


@pytest.mark.parametrize(("mbit", "slow"), [(480, True), (5000, False), (0, False)])
def test_usb_2_is_said(tmp_path: Path, mbit: int, slow: bool) -> None:
    machine = fake_edgetpu.machine(tmp_path, mbit=mbit)
    assert ("USB 2 makes each inference several times slower" in edgetpu.slow_usb("usb", machine)) == slow
    assert edgetpu.slow_usb("pci", machine) == ""


def test_doctor_sees_several_pcie_devices(tmp_path: Path) -> None:
    findings = coral(fake_edgetpu.machine(tmp_path, ids=None, apex=2))
    assert [f.name for f in findings] == ["Edge TPU delegate", "Edge TPU device", "Edge TPU device"]


@pytest.mark.parametrize(
    ("asked", "fallback", "ids", "installed", "state"),
    [
        ("usb:0", False, None, True, "missing"),
        ("usb:0", True, None, True, "warning"),
        ("usb", False, "1a6e:089a", False, "missing"),
        ("pci", False, "1a6e:089a", True, "missing"),
        ("usb", False, "1a6e:089a", True, "ok"),
        ("", False, None, False, "ok"),
    ],
)
def test_doctor_misses_what_the_profile_asks_for(
    tmp_path: Path, asked: str, fallback: bool, ids: str | None, installed: bool, state: str
) -> None:
    machine = replace(fake_edgetpu.machine(tmp_path, ids=ids), edgetpu=asked, fallback=fallback)
    if installed:
        (tmp_path / "usr/lib").mkdir(parents=True)
        (tmp_path / "usr/lib/libedgetpu.so.1").touch()
    assert coral(machine)[0].state == state


# --- the interpreter on it ------------------------------------------------------------------------------------------


class OnTheChip:
    """What an interpreter with a working delegate is: here the plain twin answers, by its reference kernels."""

    def __init__(self, plain: bytes, **arguments: Any) -> None:
        assert arguments["experimental_delegates"] == ["the delegate"]
        self._engine = litert.Interpreter(
            model_content=plain, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, library: Path, tiny_models: TinyModels, tmp_path: Path) -> Any:
    """LiteRT with an Edge TPU behind it. `state.error` makes the delegate fail, `state.crash` ends the process."""
    state = SimpleNamespace(error=None, crash=False, loaded=0)

    def load_delegate(path: str, options: dict[str, str]) -> str:
        state.loaded += 1
        if state.crash:
            faulthandler.disable()  # of the child: what it would write is not of this test
            os.kill(os.getpid(), signal.SIGSEGV)
        if state.error:
            raise state.error
        return "the delegate"

    def interpreter(model_content: bytes, **arguments: Any) -> Any:
        if not arguments.get("experimental_delegates"):
            return litert.Interpreter(model_content=model_content, **arguments)
        if state.unfit:
            raise RuntimeError(state.unfit)
        return OnTheChip(tiny_models.int8, **arguments)

    state.unfit = ""
    module = SimpleNamespace(
        Interpreter=interpreter, OpResolverType=litert.OpResolverType, load_delegate=load_delegate, __name__="stand_in"
    )
    backend = interpreters._BACKENDS["litert"]
    monkeypatch.setattr(interpreters, "_choose", lambda runtime: (backend, module))
    monkeypatch.setattr(edgetpu, "LIBRARY", str(library))
    monkeypatch.setattr(edgetpu, "Machine", lambda: fake_edgetpu_machine(tmp_path))
    return state


def fake_edgetpu_machine(tmp_path: Path) -> Machine:
    root = tmp_path / "machine"
    if not root.exists():
        root.mkdir()
        return fake_edgetpu.machine(root)
    return Machine(root=root)


@pytest.fixture
def tpu_bundle(bundle_parts: dict[str, Any], tmp_path: Path) -> Path:
    """The tiny bundle with a compiled model."""
    import hashlib

    made = compiled(bundle_parts["model"])
    entry = {
        "sha256": hashlib.sha256(made).hexdigest(),
        "plain_sha256": hashlib.sha256(bundle_parts["model"]).hexdigest(),
    }
    certificate = {**bundle_parts["certificate"], "edgetpu": entry}
    parts = {**bundle_parts, "certificate": certificate, "extra_files": {COMPILED: made}}
    return bundles.write(tmp_path / "bundles" / "tpu-int8", **parts).path


def served(path: Path, **words: Any) -> Any:
    return serve(ModelSettings(path, **words), allow_unsigned=True)


def test_a_bundle_served_on_the_chip(chip: Any, tpu_bundle: Path) -> None:
    found = served(tpu_bundle, edgetpu="usb:0")
    interpreter = found.classifier.interpreter
    assert (interpreter.kind, interpreter.runtime, found.instead) == ("edgetpu", "litert", "")
    assert interpreter.version.endswith(", Edge TPU runtime 14")
    assert found.replay is not None and found.replay.passed and found.replay.kind != "edgetpu"
    pixels = np.zeros((32, 32, 3), np.uint8)
    assert found.classifier.classify(pixels).label in found.bundle.contract.labels


def test_without_being_asked_the_cpu_works_and_no_library_is_touched(chip: Any, tpu_bundle: Path) -> None:
    assert served(tpu_bundle).classifier.interpreter.kind != "edgetpu"
    assert chip.loaded == 0


def test_a_device_that_does_not_open_ends_it(chip: Any, tpu_bundle: Path) -> None:
    chip.error = ValueError("Failed to load delegate from libedgetpu.so.1")
    with pytest.raises(EdgeTpuUnavailable, match="does not open") as caught:
        served(tpu_bundle, edgetpu="usb:0")
    assert caught.value.cause == "busy"


def test_the_cpu_stands_in_where_the_profile_allows_it(
    chip: Any, tpu_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip.error = ValueError("Failed to load delegate from libedgetpu.so.1")
    found = served(tpu_bundle, edgetpu="usb:0", fallback=True)
    assert found.classifier.interpreter.kind != "edgetpu"
    assert "does not open" in found.instead
    assert "the CPU does the work, as the profile allows" in capsys.readouterr().err


def test_a_library_that_ends_the_process_ends_a_child(chip: Any, tpu_bundle: Path) -> None:
    chip.crash = True
    with pytest.raises(EdgeTpuUnavailable, match=r"it crashed: SIGSEGV.* do not fit together") as caught:
        served(tpu_bundle, edgetpu="usb:0")
    assert caught.value.cause == "mismatch"


def test_a_model_that_does_not_fit_the_library(chip: Any, tpu_bundle: Path) -> None:
    chip.unfit = "Package requires runtime version (14), which is newer than this runtime version (13)."
    with pytest.raises(EdgeTpuUnavailable, match="upgrade libedgetpu") as caught:
        served(tpu_bundle, edgetpu="usb:0")
    assert caught.value.cause == "mismatch"
    chip.unfit = "something else is wrong with it"
    with pytest.raises(ModelFileError, match="something else"):
        served(tpu_bundle, edgetpu="usb:0")


def test_a_chip_that_stops_answering(chip: Any, tpu_bundle: Path) -> None:
    classifier = served(tpu_bundle, edgetpu="usb:0").classifier

    def unplugged() -> None:
        raise RuntimeError("Failed to execute request. Deadline exceeded: USB transfer error")

    classifier.interpreter._engine = SimpleNamespace(
        set_tensor=lambda index, tensor: None, invoke=unplugged, get_tensor=lambda index: None
    )
    with pytest.raises(EdgeTpuUnavailable, match="does not answer any more") as caught:
        classifier.classify(np.zeros((32, 32, 3), np.uint8))
    assert (caught.value.cause, caught.value.exit_code) == ("lost", 4)


def test_a_bundle_without_a_compiled_model_is_no_reason_to_fall_back(chip: Any, tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="convert compile --edgetpu"):
        served(tiny_bundle, edgetpu="usb", fallback=True)


# --- the profile ----------------------------------------------------------------------------------------------------


def test_the_profile() -> None:
    model = parse({"model": {"edgetpu": "pci:0", "fallback": True}}).model
    assert (model.edgetpu, model.fallback) == ("pci:0", True)
    assert parse({}).model.edgetpu is None


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"edgetpu": "yes"}, "model.edgetpu must be usb"),
        ({"edgetpu": True}, "model.edgetpu must be a text"),
        ({"edgetpu": "usb", "fallback": "true"}, "model.fallback must be true or false"),
        ({"fallback": True}, r"\[model\] fallback is about edgetpu"),
    ],
)
def test_wrong_profiles(section: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse({"model": section})


# --- the installed command, the real LiteRT, and a library that fails ------------------------------------------------


def command(library: Path, mode: str, *words: object) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library.parent), "FAKE_EDGETPU": mode}
    return subprocess.run(
        [EDGE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("null", "no Edge TPU usb: none is plugged in"),
        ("report", "no Edge TPU usb: none is plugged in"),
        ("crash", "it crashed: SIGSEGV"),
        ("idle", "do not fit together"),
        ("refuse", "do not fit together"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(library: Path, tpu_bundle: Path, mode: str, said: str) -> None:
    if edgetpu.devices(Machine()):
        pytest.skip("an Edge TPU is plugged in here")
    done = command(
        library,
        mode,
        "selftest",
        "--edgetpu",
        "usb",
        "--bundle",
        tpu_bundle,
        "--allow-unsigned",
        "--store",
        tpu_bundle.parent,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert (done.returncode, len(errors)) == (4, 1), done.stderr
    assert said in errors[0] and "Traceback" not in done.stderr


def test_no_library_by_the_command(tpu_bundle: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [EDGE, "selftest", "--edgetpu", "usb", "--bundle", tpu_bundle, "--allow-unsigned", "--store", tmp_path / "s"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "libedgetpu.so.1 is not installed" not in done.stderr:
        pytest.skip("libedgetpu is installed here")
    assert done.returncode == 4 and "Delegate.__del__" not in done.stderr


def test_a_run_on_the_cpu_instead_says_so_in_its_record(library: Path, tpu_bundle: Path, tmp_path: Path) -> None:
    if edgetpu.devices(Machine()):
        pytest.skip("an Edge TPU is plugged in here")
    store, profile = tmp_path / "record", tmp_path / "edge.toml"
    profile.write_text(
        f'[model]\nbundle = "{tpu_bundle}"\nedgetpu = "usb"\nfallback = true\n'
        f'[gates]\noff = {json.dumps(GATES)}\n[record]\nfolder = "{store}"\n'
    )
    done = command(library, "null", "run", "--config", profile, "--frames", 2, "--allow-unsigned", "--json")
    assert done.returncode == 0, done.stderr
    assert "the CPU does the work, as the profile allows" in done.stderr
    exported = tmp_path / "out"
    assert command(library, "null", "export", "unnamed", exported, "--store", store).returncode == 0
    bodies = [json.loads(line)["entry"] for line in (exported / "record.jsonl").read_text().splitlines()]
    events = [body for body in bodies if body.get("type") == "event" and body.get("kind") == "edgetpu_unavailable"]
    assert events and "none is plugged in" in events[0]["detail"]
    (run,) = [body for body in bodies if body.get("type") == "run"]
    assert run["kind"] != "edgetpu" and '"edgetpu": "usb"' in run["settings"]


def test_classify_goes_by_the_profile(library: Path, tpu_bundle: Path, tmp_path: Path) -> None:
    """Without a device, and without leave to do without, it ends; with leave the CPU does the work and it says so."""
    if edgetpu.devices(Machine()):
        pytest.skip("an Edge TPU is plugged in here")
    image, profile = tmp_path / "a.png", tmp_path / "edge.toml"
    cv2.imwrite(str(image), np.full((64, 64, 3), 200, np.uint8))
    codes = []
    for fallback in ("false", "true"):
        profile.write_text(f'[model]\nbundle = "{tpu_bundle}"\nedgetpu = "usb"\nfallback = {fallback}\n')
        words = (image, "--config", profile, "--allow-unsigned", "--ungated", "--json")
        done = command(library, "null", "classify", *words)
        codes.append(done.returncode)
        said = "the CPU does the work" if fallback == "true" else "error: no Edge TPU usb: none is plugged in"
        assert said in done.stderr and "Traceback" not in done.stderr
    assert codes == [4, 0]
    assert json.loads(done.stdout)["label"] is not None


# --- golden outputs of an Edge TPU ----------------------------------------------------------------------------------


def test_what_the_chip_answers_is_certified_and_asked_for_bit_for_bit(
    chip: Any, tpu_bundle: Path, tmp_path: Path
) -> None:
    bundle = bundles.load(tpu_bundle, trust=machine_keys(), allow_unsigned=True)
    assert bundle.compiled is not None
    golden, record = with_edgetpu_outputs(bundle, bundle.compiled, "usb:0")
    assert (record["kind"], record["images"], record["device"]) == ("edgetpu", 6, "usb:0")
    assert "Edge TPU runtime 14" in record["runtime"]
    parts = {**bundles.parts_of(bundle), "golden": golden}
    written = bundles.write(tmp_path / "measured-int8", **parts)
    replay = served(written.path, edgetpu="usb:0").replay
    assert (replay.kind, replay.allowed, replay.passed) == ("edgetpu", 0, True)
    golden.others["edgetpu"][0, 0] ^= 1  # negative control: one bit of one output
    other = bundles.write(tmp_path / "wrong-int8", **parts)
    with pytest.raises(GoldenMismatchError, match="edgetpu arithmetic"):
        served(other.path, edgetpu="usb:0")


def test_renewed_golden_images_take_the_chip_s_answers_to_the_old_ones_with_them(
    chip: Any, tpu_bundle: Path, tmp_path: Path
) -> None:
    bundle = bundles.load(tpu_bundle, trust=machine_keys(), allow_unsigned=True)
    assert bundle.compiled is not None
    golden, record = with_edgetpu_outputs(bundle, bundle.compiled, "usb:0")
    entry = bundle.certificate["edgetpu"]
    certificate = {
        **bundle.certificate,
        "interpreter": {"kind": "xnnpack"},
        "edgetpu": {**entry, "golden": record, "note": "measured"},
    }
    parts = {**bundles.parts_of(bundle), "golden": golden, "certificate": certificate}
    measured = bundles.write(tmp_path / "measured-int8", **parts)
    renew(measured.path)
    renewed = bundles.load(measured.path, trust=machine_keys(), allow_unsigned=True)
    assert "edgetpu" in measured.golden.others and "edgetpu" not in renewed.golden.others
    assert renewed.certificate["edgetpu"] == {**entry, "golden": None, "note": NOT_MEASURED}
    assert renewed.compiled == bundle.compiled


def test_a_chip_that_decides_otherwise_is_not_certified(chip: Any, tpu_bundle: Path) -> None:
    bundle = bundles.load(tpu_bundle, trust=machine_keys(), allow_unsigned=True)
    clear = bundle.golden.outputs.copy()
    clear[:] = -128
    clear[np.arange(len(clear)), (bundle.golden.outputs.argmax(axis=1) + 1) % 4] = 127
    other = replace(bundle, golden=Golden(bundle.golden.inputs, clear))
    with pytest.raises(GoldenMismatchError, match="get another class on the Edge TPU"):
        with_edgetpu_outputs(other, bundle.compiled or b"", "usb:0")


def test_outputs_of_the_chip_do_not_loosen_what_a_cpu_may_answer(bundle_parts: dict[str, Any]) -> None:
    golden = bundle_parts["golden"]
    near = (golden.outputs.astype(np.int16) ^ 1).astype(np.int8)
    far = (127 - golden.outputs.astype(np.int16) - 1).clip(-128, 127).astype(np.int8)
    with_b = Golden(golden.inputs, golden.outputs, {"builtin": near})
    with_both = Golden(golden.inputs, golden.outputs, {"builtin": near, "edgetpu": far})
    outputs = list(golden.outputs)
    assert (
        judge(with_both, outputs, "builtin-arm", "xnnpack").allowed
        == judge(with_b, outputs, "builtin-arm", "xnnpack").allowed
        == 1
    )
