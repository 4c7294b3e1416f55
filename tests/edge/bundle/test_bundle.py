"""The bundle: whole or not there, verified before it is read, the same bytes for the same contents."""

import errno
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import bundle
from edge.bundle.files import OPTIONAL, REQUIRED
from edge.bundle.golden import Golden, compare
from edge.bundle.manifest import manifest_bytes
from edge.errors import BundleError, GoldenMismatchError, ModelFileError
from edge.inference.gates.gates_file import LARGEST_GATES_BYTES
from edge.inference.runtime.interpreters import available_runtimes, open_interpreter
from edge.settings.trusted_keys import machine_keys
from edge.system import folders
from tests.gates import open_gates
from tests.paths import ROOT
from tests.tiny_bundle import TinyModels, certified

load = partial(bundle.load, trust=machine_keys(), allow_unsigned=True)  # signatures: test_signed.py
NAMES = {*REQUIRED, "gates.json", "manifest.json"}
# of the archive in test_golden_bytes_hold_on_every_machine, x86-64, numpy 1.26; any other must agree
GOLDEN_SHA256 = "be4a4c04f495eeeb6e5148a5b6121ba749c27c2b533962ec39caf6a7f3c5d8e2"
CANNOT_EXCHANGE = OSError(errno.EINVAL, "no exchange on this file system")


def left_over(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if p != path)


def repack(path: Path, **changes: bytes) -> None:
    """Alter files and make the manifest agree, as somebody would who builds bundles by hand."""
    for name, data in changes.items():
        (path / name.replace("__", ".")).write_bytes(data)
    files = {p.name: p.read_bytes() for p in path.iterdir() if not p.name.startswith("manifest")}
    (path / "manifest.json").write_bytes(manifest_bytes(files))


# --- writing


def test_round_trip(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "new" / "tiny-int8"
    written = bundle.write(path, **bundle_parts, extra_files={"report.html": b"<p>"})
    assert {p.name for p in path.iterdir()} == {*NAMES, "report.html"} and left_over(path) == []
    loaded = load(path)
    assert (loaded.path, loaded.name, loaded.certified) == (path, "tiny-int8", True)
    assert (loaded.model, loaded.contract) == (bundle_parts["model"], bundle_parts["contract"])
    assert (loaded.certificate, loaded.calibration) == (
        bundle_parts["certificate"],
        bundle_parts["calibration"],
    )
    assert np.array_equal(loaded.golden.inputs, bundle_parts["golden"].inputs)
    assert np.array_equal(loaded.golden.outputs, bundle_parts["golden"].outputs)
    assert loaded.digest == written.digest and len(loaded.digest) == 64
    assert (path / "labels.txt").read_text() == "Benign\nEarly\nPre\nPro\n"


def test_equal_contents_give_equal_bytes(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    one = bundle.write(tmp_path / "one", **bundle_parts)
    shuffled = dict(reversed(list(bundle_parts["certificate"].items())))
    two = bundle.write(tmp_path / "two", **{**bundle_parts, "certificate": shuffled})
    assert one.digest == two.digest
    for name in NAMES:
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    other = bundle.write(tmp_path / "two", **certified(bundle_parts, verdict="fail"))
    assert other.digest != one.digest


def test_golden_bytes_hold_on_every_machine() -> None:
    inputs = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    data = Golden(inputs, np.array([[1, -2], [3, 4]], np.int8)).to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert hashlib.sha256(data).hexdigest() == GOLDEN_SHA256
    with np.load(io.BytesIO(data)) as plain:  # and numpy reads it as any other npz
        assert np.array_equal(plain["inputs"], inputs)


@pytest.mark.parametrize("way", ["exchange", "two steps", "overlay"])
def test_an_existing_bundle_is_replaced(
    bundle_parts: dict[str, Any], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way != "exchange":
        code = errno.EINVAL if way == "two steps" else errno.EXDEV

        def refuse(*_: Path) -> None:
            raise OSError(code, "no")

        monkeypatch.setattr(folders, "_exchange", refuse)
    before = load(tiny_bundle).digest
    (tiny_bundle / "manifest.sig").write_bytes(b"old signature")
    after = bundle.write(tiny_bundle, **{**bundle_parts, "calibration": {"images": ["other"]}})
    assert after.digest != before and load(tiny_bundle).digest == after.digest
    assert after.signature is None and left_over(tiny_bundle) == []


@pytest.mark.parametrize("content", ["notes.txt", "folder", "link"])
def test_what_is_no_bundle_is_not_replaced(bundle_parts: dict[str, Any], tmp_path: Path, content: str) -> None:
    path = tmp_path / "home"
    path.mkdir()
    if content == "folder":
        (path / "model.tflite").mkdir()
    elif content == "link":
        (path / "model.tflite").symlink_to("/etc/passwd")
    else:
        (path / content).write_text("precious")
    with pytest.raises(BundleError, match="nothing was replaced"):
        bundle.write(path, **bundle_parts)
    assert len(list(path.iterdir())) == 1 and left_over(path) == []


def test_files_and_links_under_the_name_are_not_replaced(
    bundle_parts: dict[str, Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("precious")
    link.symlink_to(tiny_bundle)
    for path in (file, link):
        with pytest.raises(BundleError, match="is no folder; nothing was replaced"):
            bundle.write(path, **bundle_parts)
    assert file.read_text() == "precious" and load(link).name == "link"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("step", ["write_new", "sync_path", "_take_name"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_leaves_what_was_there(
    bundle_parts: dict[str, Any],
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    step: str,
    existing: bool,
) -> None:
    path = tmp_path / "tiny-int8"
    before = bundle.write(path, **bundle_parts).digest if existing else None
    real, calls = getattr(folders, step), []

    def fail(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == (3 if step == "write_new" else 1):
            raise error
        real(*arguments)

    monkeypatch.setattr(folders, step, fail)
    with pytest.raises(type(error)):
        bundle.write(path, **{**bundle_parts, "calibration": {"new": True}})
    assert calls and left_over(path) == []
    if existing:
        assert load(path).digest == before
    else:
        assert not path.exists()


def test_an_interrupt_between_two_steps_puts_the_old_one_back(
    bundle_parts: dict[str, Any], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise CANNOT_EXCHANGE

    before, real, names = load(tiny_bundle).digest, Path.rename, []

    def interrupted(self: Path, target: Path) -> Path:
        names.append(self.name)
        if len(names) == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(folders, "_exchange", refuse)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bundle.write(tiny_bundle, **{**bundle_parts, "calibration": {}})
    assert load(tiny_bundle).digest == before and left_over(tiny_bundle) == []


def test_a_disk_that_really_fills_up(tiny_bundle: Path, bundle_parts: dict[str, Any]) -> None:
    """The kernel refuses the write (a file size limit: needs no privileges); the old bundle stands."""
    before = load(tiny_bundle).digest
    child = os.fork()
    if child == 0:
        code = 9
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
            bundle.write(tiny_bundle, **{**bundle_parts, "calibration": {"new": True}})
        except OSError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert load(tiny_bundle).digest == before and left_over(tiny_bundle) == []


def test_a_folder_that_cannot_be_written(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        bundle.write(file / "tiny-int8", **bundle_parts)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": b"TFL3"}, ModelFileError, "not a TFLite file"),
        ({"certificate": {}}, BundleError, "verdict must be one of"),
        ({"certificate": {"verdict": "PASS"}}, BundleError, "verdict must be one of"),
        (
            {"certificate": {"verdict": "pass", "x": float("nan")}},
            BundleError,
            "certificate must be plain JSON",
        ),
        ({"calibration": {"x": {1, 2}}}, BundleError, "calibration must be plain JSON"),
        ({"extra_files": {"../evil": b""}}, BundleError, "extra_files may hold report.html"),
        ({"extra_files": {"manifest.sig": b""}}, BundleError, "extra_files may hold report.html"),
    ],
)
def test_contents_that_load_would_refuse_are_not_written(
    bundle_parts: dict[str, Any], tmp_path: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        bundle.write(tmp_path / "tiny-int8", **{**bundle_parts, **changes})
    assert list(tmp_path.iterdir()) == []


def test_contract_and_golden_must_fit(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    for contract in (
        replace(bundle_parts["contract"], size=(32, 31)),
        replace(bundle_parts["contract"], labels=("a", "b")),
    ):
        with pytest.raises(BundleError, match="contract needs inputs"):
            bundle.write(
                tmp_path / "x", **certified({**bundle_parts, "contract": contract, "gates": open_gates(contract.size)})
            )


# --- reading


def test_a_certificate_that_does_not_pass(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    for verdict in ("fail", "inconclusive"):
        path = bundle.write(tmp_path / verdict, **certified(bundle_parts, verdict=verdict)).path
        with pytest.raises(BundleError, match=f"says '{verdict}', not 'pass'; add --allow-uncertified"):
            load(path)
        assert not load(path, allow_uncertified=True).certified


def test_a_certificate_speaks_of_the_files_beside_it(
    bundle_parts: dict[str, Any], tiny_models: TinyModels, tmp_path: Path
) -> None:
    for changes, said in (
        ({"model": tiny_models.uint8}, "its int8_model is not the model.tflite beside it"),
        ({"contract": replace(bundle_parts["contract"], channel_order="BGR")}, "its contract is not"),
        ({"certificate": {"verdict": "pass"}}, "its int8_model is not"),
        ({"certificate": {"verdict": "pass", "int8_model": []}}, "its int8_model is not"),
    ):
        with pytest.raises(BundleError, match=said):
            bundle.write(tmp_path / "x", **{**bundle_parts, **changes})


@pytest.mark.parametrize("name", sorted({*REQUIRED, "gates.json"}))
def test_every_byte_counts(tiny_bundle: Path, name: str) -> None:
    data = bytearray((tiny_bundle / name).read_bytes())
    for at in (0, len(data) // 2, len(data) - 1):
        data[at] ^= 1
        (tiny_bundle / name).write_bytes(data)
        with pytest.raises(BundleError, match=f"{name}: altered"):
            load(tiny_bundle, allow_uncertified=True)
        data[at] ^= 1
    (tiny_bundle / name).write_bytes(data + b" ")
    with pytest.raises(BundleError, match="altered"):
        load(tiny_bundle)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_file_is_needed(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        load(tiny_bundle)


def test_nothing_is_parsed_before_the_manifest_holds(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tiny_bundle / "golden.npz").write_bytes(b"PK evil")

    def refuse(*_: Any) -> None:
        raise AssertionError("parsed before it was verified")

    monkeypatch.setattr(Golden, "from_bytes", refuse)
    monkeypatch.setattr(bundle.InputContract, "from_json", refuse)
    with pytest.raises(BundleError, match=r"golden.npz: altered"):
        load(tiny_bundle)


def spoil_unknown(path: Path) -> None:
    (path / "setup.py").write_text("")


def spoil_unlisted(path: Path) -> None:
    (path / "report.html").write_text("")


def spoil_link(path: Path) -> None:
    (path / "labels.txt").rename(path.parent / "labels.txt")
    (path / "labels.txt").symlink_to(path.parent / "labels.txt")


def spoil_fifo(path: Path) -> None:
    (path / "labels.txt").unlink()
    os.mkfifo(path / "labels.txt")


def spoil_folder(path: Path) -> None:
    (path / "labels.txt").unlink()
    (path / "labels.txt").mkdir()


def spoil_huge(path: Path) -> None:
    with (path / "manifest.json").open("ab") as stream:
        stream.truncate(10 * 2**30)


def spoil_manifest(text: str) -> Callable[[Path], None]:
    return lambda path: (path / "manifest.json").write_text(text) and None


def spoil_listed(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        record = json.loads((path / "manifest.json").read_text())
        record["files"][name] = {"sha256": "0" * 64, "size": 0}
        (path / "manifest.json").write_text(json.dumps(record))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_unknown, "'setup.py', which is no file of a bundle"),
        (spoil_unlisted, "does not list report.html"),
        (spoil_link, r"labels.txt: is a link"),
        (spoil_fifo, r"labels.txt: is no regular file"),
        (spoil_folder, r"labels.txt: is no regular file|Is a directory"),
        (spoil_huge, r"manifest.json: larger than"),
        (spoil_manifest("{"), "not plain JSON"),
        (spoil_manifest("[]"), "must be a JSON object"),
        (spoil_manifest("{}"), "must hold format 1"),
        (spoil_manifest("[" * 60000), "not plain JSON"),
        (spoil_manifest('{"format": 1, "files": []}'), "files must be an object"),
        (spoil_manifest('{"format": 1, "format": 1, "files": {}}'), "given twice"),
        (spoil_manifest('{"format": 1, "files": {}}'), "does not list"),
        (spoil_manifest("\xff\xfe"), "not plain JSON"),
        (spoil_listed("../../etc/passwd"), "which is no file of a bundle"),
        (spoil_listed("report.html"), "report.html: missing"),
        (spoil_listed("manifest.json"), "which is no file of a bundle"),
    ],
)
def test_spoilt_bundles_are_named_in_one_line(tiny_bundle: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(tiny_bundle)
    with pytest.raises(BundleError, match=said) as caught:
        load(tiny_bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("contract__json", b"{}", "contract format"),
        ("labels__txt", b"Early\nBenign\nPre\nPro\n", "its labels are not the contract's"),
        ("certificate__json", b'{"verdict": NaN}', "not plain JSON"),
        ("calibration__json", b"[]", "must be a JSON object"),
        ("golden__npz", b"PK", "not a zip file"),
    ],
)
def test_consistent_manifests_over_nonsense(tiny_bundle: Path, name: str, data: bytes, said: str) -> None:
    repack(tiny_bundle, **{name: data})
    with pytest.raises(BundleError, match=said):
        load(tiny_bundle)


def npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


class Bomb:
    """Unpickling this ends the test run."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


INPUTS, OUTPUTS = np.zeros((1, 32, 32, 3), np.uint8), np.zeros((1, 4), np.int8)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npz(inputs=npy(INPUTS)), "must hold inputs.npy and outputs.npy"),
        (npz(inputs=npy(INPUTS), outputs=npy(OUTPUTS), more=b""), "must hold"),
        (npz(inputs=npy(np.array([Bomb()], object)), outputs=npy(OUTPUTS)), "must be uint8 or int8"),
        (npz(inputs=npy(INPUTS.astype(float)), outputs=npy(OUTPUTS)), "must be uint8 or int8"),
        (npz(inputs=npy(np.asfortranarray(INPUTS)), outputs=npy(OUTPUTS)), "C order"),
        (npz(inputs=npy(INPUTS)[:-1], outputs=npy(OUTPUTS)), "does not fit its"),
        (npz(inputs=npy(INPUTS) + b"x", outputs=npy(OUTPUTS)), "does not fit its"),
        (npz(inputs=b"", outputs=b""), "not a readable npy"),
        (npz(inputs=b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, outputs=b""), "not a readable npy"),
        (npz(inputs=npy(OUTPUTS), outputs=npy(OUTPUTS)), "golden inputs must be"),
        (npz(inputs=npy(INPUTS), outputs=npy(np.zeros((2, 4), np.int8))), "golden outputs must be"),
        (npz(inputs=npy(INPUTS[:0]), outputs=npy(OUTPUTS[:0])), "N >= 1"),
        (npz(inputs=bytes(65 * 2**20), outputs=npy(OUTPUTS)), "unpacks to more than 64 MiB"),
        (npz(inputs=npy(INPUTS), outputs=npy(OUTPUTS))[:-30], "not a zip file"),
    ],
    ids=range(14),
)
def test_golden_archives_are_read_without_trust(data: bytes, said: str) -> None:
    assert Golden.from_bytes(npz(inputs=npy(INPUTS), outputs=npy(OUTPUTS))).outputs.shape == (1, 4)
    with pytest.raises(BundleError, match=said):
        Golden.from_bytes(data)


# --- golden


@pytest.mark.parametrize("runtime", ["litert", "tflite_runtime", "tf_lite"])
def test_replay_on_every_runtime(tiny_bundle: Path, runtime: str) -> None:
    if runtime not in available_runtimes():
        pytest.skip(f"{runtime} is not installed")
    loaded = load(tiny_bundle)
    interpreter = open_interpreter(loaded.model, runtime=runtime)
    replay = bundle.require_golden(loaded, interpreter)
    assert replay.images == 6 and replay.max_difference <= 1
    if interpreter.kind == loaded.certificate["kind"]:
        assert replay.exact and replay.same_class


def test_replay_counts_steps_and_classes() -> None:
    golden = Golden(np.zeros((3, 32, 32, 3), np.uint8), np.array([[-128, 127], [0, 0], [50, 60]], np.int8))
    same = compare(golden, list(golden.outputs.copy()))
    assert same.exact and same.same_class and same.max_difference == 0
    outputs = [np.array(row, np.int8) for row in ([-127, 127], [0, 0], [127, -128])]
    other = compare(golden, outputs)
    assert (other.differing, other.reclassified, other.max_difference) == ((0, 2), (2,), 188)
    assert not other.exact and not other.same_class
    with pytest.raises(BundleError, match="golden outputs are"):
        compare(golden, [row.view(np.uint8) for row in outputs])


def test_another_model_fails_the_replay(bundle_parts: dict[str, Any], tiny_models: TinyModels, tmp_path: Path) -> None:
    """Negative control: a model whose last weights are other ones."""
    spoilt = bytearray(tiny_models.int8)
    at = spoilt.rindex(max(_weights(tiny_models.int8), key=len))
    spoilt[at : at + 64] = bytes(64)
    made = bundle.write(tmp_path / "spoilt-int8", **certified({**bundle_parts, "model": bytes(spoilt)}))
    with pytest.raises(GoldenMismatchError, match="golden images differ") as caught:
        bundle.require_golden(made, open_interpreter(made.model))
    assert caught.value.exit_code == 1


def _weights(model: bytes) -> list[bytes]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    tensors = (d for d in interpreter.get_tensor_details() if d["dtype"] is np.int8 and len(d["shape"]) == 2)
    arrays = [interpreter.get_tensor(d["index"]).tobytes() for d in tensors]
    return [array for array in arrays if array in model]


def test_reading_needs_no_interpreter_and_no_tensorflow(tiny_bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edge.bundle import bundle;"
        "from edge.settings.trusted_keys import machine_keys;"
        "bundle.load(Path(sys.argv[1]), trust=machine_keys(), allow_unsigned=True);"
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras', 'ai_edge_litert')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_bundle)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[]"


# --- gates


def test_gates_come_with_the_bundle(tiny_bundle: Path, bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    found = load(tiny_bundle)
    assert found.gates is not None and found.gates.gates().names == ("under_exposed",)
    assert found.gates_json == bundle_parts["gates"] == (tiny_bundle / "gates.json").read_bytes()
    without = bundle.write(tmp_path / "old-int8", **certified({**bundle_parts, "gates": None}))
    assert without.gates is None and not (without.path / "gates.json").exists()
    assert OPTIONAL["gates.json"] == LARGEST_GATES_BYTES


def test_certificate_and_gates_come_together(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    certificate = bundle_parts["certificate"]
    silent = {name: entry for name, entry in certificate.items() if name != "gates"}
    other = {**certificate, "gates": {"sha256": "0" * 64}}
    for changes, said in (
        ({"gates": None}, "certificate.json: tells of a gates.json that is not there"),
        ({"certificate": silent}, "certificate.json: its gates are not the gates.json beside it"),
        ({"certificate": other}, "certificate.json: its gates are not the gates.json beside it"),
    ):
        with pytest.raises(BundleError, match=said):
            bundle.write(tmp_path / "x-int8", **{**bundle_parts, **changes})


def test_gates_are_of_the_contracts_domain(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    for domain, said in (("any", None), ("blood smear", "domain must be the contract's 'blood smear'; got 'any'")):
        parts = certified({**bundle_parts, "contract": replace(bundle_parts["contract"], domain=domain)})
        if said is None:
            bundle.write(tmp_path / "x-int8", **parts)
            continue
        with pytest.raises(BundleError, match=said):
            bundle.write(tmp_path / "x-int8", **parts)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (lambda data: open_gates((64, 32)), "gates.json: size must be the contract's 32x32; got 64x32"),
        (lambda data: data[:-30], "gates.json: not plain JSON"),
        (lambda data: data.replace(b'"limit": 0.0', b'"limit": NaN'), "gates.json: not plain JSON: NaN"),
        (lambda data: data.replace(b'"limit": 0.0', b'"limit": -1'), "gates.json: Expected `float` >= 0"),
        (lambda data: data.replace(b'"format"', b'"format": 1, "format"'), "gates.json: .*a key is given twice"),
        (lambda data: data.replace(b'"any"', b'"blood smear"').replace(b"under", b"over"), None),
    ],
    ids=["size", "truncated", "NaN", "range", "repeated", "sound"],
)
def test_gates_are_read_with_distrust(tiny_bundle: Path, gates: Any, said: str | None) -> None:
    """Certificate and manifest agree with the altered file here: somebody built it by hand."""
    data = gates((tiny_bundle / "gates.json").read_bytes())
    certificate = json.loads((tiny_bundle / "certificate.json").read_bytes())
    certificate["gates"]["sha256"] = hashlib.sha256(data).hexdigest()
    repack(tiny_bundle, gates__json=data, certificate__json=json.dumps(certificate).encode())
    if said is None:
        found = load(tiny_bundle).gates
        assert found is not None and found.gates().names == ("over_exposed",)
        return
    with pytest.raises(BundleError, match=said) as caught:
        load(tiny_bundle)
    assert "\n" not in str(caught.value)


def test_a_bundle_is_written_again_with_all_its_files(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    """A renewal that changes one part keeps the report, the search log and the gates."""
    extra = {"report.html": b"<p>", "search.json": b"{}"}
    first = bundle.write(tmp_path / "one-int8", **bundle_parts, extra_files=extra)
    again = bundle.write(tmp_path / "two-int8", **bundle.parts_of(first))
    assert again.digest == first.digest
