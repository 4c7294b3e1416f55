"""Golden images: how they are chosen, certified for each kind of arithmetic, renewed, and judged."""

import hashlib
import io
import platform
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.certification.golden import ArithmeticSet, certified_golden, choose
from convert.certification.renewal import renew
from edge.bundle import bundle as bundles
from edge.bundle.golden import MOST_KINDS, ONE_KIND_LSB, Golden, judge
from edge.errors import BundleError, GoldenMismatchError
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys
from models.data.published import bundles as shipped_bundles
from tests.commands import is_one_line, shell
from tests.paths import ROOT
from tests.tiny_bundle import TinyModels, certified

INPUTS = np.zeros((3, 8, 8, 3), np.uint8)


def raw(*rows: list[int]) -> Any:
    return np.array(rows, np.int8)


# three images: decided, less decided, undecided; and what other arithmetic makes of them
A = raw([127, -128, -128], [60, -60, -128], [1, 0, -128])
B = raw([127, -128, -128], [56, -58, -128], [2, -1, -128])
TWO_KINDS = Golden(INPUTS, A, {"builtin": B})


@pytest.fixture(scope="module")
def chosen(tiny_models: TinyModels) -> tuple[Golden, dict[str, Any]]:
    return certified_golden(tiny_models.int8, tiny_models.contract)


# --- the choice


def test_every_class_that_was_found_is_there_and_the_rest_is_named(
    chosen: tuple[Golden, dict[str, Any]], tiny_models: TinyModels
) -> None:
    golden, record = chosen
    labels = tiny_models.contract.labels
    assert len(golden.inputs) == len(record["images"]) <= 12
    assert {labels[index] for index in golden.outputs.argmax(axis=1)} == set(record["answered"])
    assert sorted([*record["answered"], *record["not_answered"]]) == sorted(labels)
    assert len(record["answered"]) >= 2
    for image, outputs in zip(record["images"], golden.outputs.astype(int), strict=True):
        second, highest = np.sort(outputs)[-2:]
        assert (image["label"], image["margin"]) == (labels[outputs.argmax()], highest - second)


def test_extremes_noise_and_turns_are_there(chosen: tuple[Golden, dict[str, Any]]) -> None:
    golden, record = chosen
    named = {image["what"]: pixels for image, pixels in zip(record["images"], golden.inputs, strict=True)}
    assert (named["black"] == 0).all() and (named["white"] == 255).all()
    assert len(np.unique(named["noise"])) == 256
    turns = [image["margin"] for image in record["images"] if " of it " in image["what"]]
    confident = [image["margin"] for image in record["images"] if " of it " not in image["what"]][: len(turns)]
    assert turns and np.median(turns) < np.median(confident)


def test_the_same_model_gives_the_same_bytes(chosen: tuple[Golden, dict[str, Any]], tiny_models: TinyModels) -> None:
    golden, record = certified_golden(tiny_models.int8, tiny_models.contract)
    assert golden.to_bytes() == chosen[0].to_bytes() and record == chosen[1]


def test_each_kind_answers_as_it_was_certified(chosen: tuple[Golden, dict[str, Any]], tiny_models: TinyModels) -> None:
    golden, record = chosen
    contract = tiny_models.contract
    for kernels in ({}, {"xnnpack": False}, {"reference": True}):
        interpreter = open_interpreter(tiny_models.int8, **kernels)
        assert interpreter.kind in record["kinds"]
        answers = [interpreter.invoke(contract.encode(p, interpreter.input.quantization)) for p in golden.inputs]
        replay = judge(golden, answers, interpreter.kind, "xnnpack")
        assert replay.passed and not replay.differing and replay.kind == interpreter.kind


def test_a_model_of_many_classes_gets_no_more_images(tiny_models: TinyModels) -> None:
    """Forty classes, a pool that gets more than MOST_CLASSES of them."""

    class Many(ArithmeticSet):
        def __init__(self) -> None:
            self.interpreters, self.first = {"xnnpack": None, "builtin": None}, "xnnpack"  # type: ignore[dict-item]

        def ask(self, pixels: Any, kind: str | None = None) -> Any:
            mean = int(pixels.mean())
            return np.array([100 if index == mean % 40 else -abs(index - mean % 40) for index in range(40)], np.int8)

    contract = InputContract((32, 32), tuple(f"class {index}" for index in range(40)))
    images, answered = choose(Many(), contract)
    assert len(images) <= 12 and len(answered) >= 4


# --- the rule


def test_a_certified_kind_is_held_to_its_own_outputs_bit_by_bit() -> None:
    assert judge(TWO_KINDS, list(A), "xnnpack", "xnnpack").passed
    assert judge(TWO_KINDS, list(B), "builtin", "xnnpack").passed
    for kind, outputs in (("xnnpack", B), ("builtin", A)):
        replay = judge(TWO_KINDS, list(outputs), kind, "xnnpack")
        assert not replay.passed and replay.beyond == (1, 2) and replay.allowed == 0 and replay.max_difference == 4
    one_off = A.copy()
    one_off[0, 1] += 1
    assert judge(TWO_KINDS, list(one_off), "xnnpack", "xnnpack").beyond == (0,)


def test_a_certified_kind_may_lie_a_step_off_on_another_architecture() -> None:
    one_off, two_off = A.copy(), A.copy()
    one_off[0, 1] += 1
    two_off[0, 1] += 2
    replay = judge(TWO_KINDS, list(one_off), "xnnpack", "xnnpack", elsewhere=True)
    assert replay.passed and (replay.allowed, replay.max_difference) == (1, 1) and not replay.exact
    assert judge(TWO_KINDS, list(two_off), "xnnpack", "xnnpack", elsewhere=True).beyond == (0,)
    assert judge(TWO_KINDS, list(B), "xnnpack", "xnnpack", elsewhere=True).beyond == (1,)


def test_a_class_turns_a_step_off_only_where_it_was_near_a_tie() -> None:
    golden = Golden(np.zeros((2, 8, 8, 3), np.uint8), raw([10, 9, -128], [10, 7, -128]), {})
    turned = judge(golden, list(raw([9, 10, -128], [9, 8, -128])), "xnnpack", "xnnpack", elsewhere=True)
    assert turned.passed and turned.answered == (1, 0)
    assert not judge(golden, list(raw([9, 10, -128], [10, 7, -128])), "xnnpack", "xnnpack").passed


@pytest.mark.parametrize(
    ("said", "elsewhere"),
    [
        ({}, False),
        ({"machine": {"architecture": platform.machine()}}, False),
        ({"machine": {"architecture": "another"}}, True),
        ({"machine": {"architecture": "another"}, "golden": {"architecture": platform.machine()}}, False),
        ({"machine": {"architecture": platform.machine()}, "golden": {"architecture": "another"}}, True),
        ({"machine": "x86", "golden": [1]}, False),
    ],
)
def test_where_the_golden_outputs_were_computed(said: dict[str, Any], elsewhere: bool) -> None:
    assert (bundles.golden_architecture(said) not in (None, platform.machine())) is elsewhere


@pytest.mark.parametrize(
    ("outputs", "beyond", "reclassified"),
    [
        (raw([123, -128, -128], [64, -60, -128], [0, 2, -128]), (), ()),  # 4 LSB outside, and a turn where it is narrow
        (raw([122, -128, -128], [60, -60, -128], [1, 0, -128]), (0,), ()),
        (raw([127, -128, -128], [60, 65, -128], [1, 0, -128]), (1,), (1,)),
        (raw([-128, 127, -128], [60, -60, -128], [1, 0, -128]), (0,), (0,)),
    ],
)
def test_another_kind_may_differ_by_what_certified_ones_differ(outputs: Any, beyond: Any, reclassified: Any) -> None:
    replay = judge(TWO_KINDS, list(outputs), "builtin-arm", "xnnpack")
    assert replay.allowed == 4 and replay.kind == ""
    assert (replay.beyond, replay.reclassified) == (beyond, reclassified)
    assert replay.passed is not (beyond or reclassified)


def test_where_certified_kinds_agree_another_gets_one_step() -> None:
    agreed = Golden(INPUTS, A, {"builtin": A, "reference": A})
    one, two = A.astype(np.int8).copy(), A.copy()
    one[1, 0] += 1
    two[1, 0] += 2
    assert judge(agreed, list(one), "?", "xnnpack").passed
    assert not judge(agreed, list(two), "?", "xnnpack").passed


def test_a_bundle_of_before_knows_one_kind() -> None:
    before = Golden(INPUTS, A)
    within, beyond = A.copy(), A.copy()
    within[1, 0] += ONE_KIND_LSB
    beyond[1, 0] += ONE_KIND_LSB + 1
    assert (
        judge(before, list(within), "builtin", "xnnpack").passed
        and not judge(before, list(beyond), "builtin", "xnnpack").passed
    )
    assert not judge(before, list(within), "xnnpack", "xnnpack").passed


@pytest.mark.parametrize("kind", ["xnnpack", "?"])
@pytest.mark.parametrize("name", ["mobilenet_v2-int8", "custom_cnn-int8"])
def test_a_broken_layer_fails_under_every_rule(name: str, kind: str) -> None:
    """Negative control: one constant of the shipped model is zeroed; not even the widest rule lets that pass."""
    from edge.inference.tflite.flatbuffer import Buffer
    from edge.inference.tflite.model_file import IDENTIFIER, constant_span

    bundle = bundles.load(ROOT / "models/bundles" / name, trust=machine_keys())
    spans = sorted(
        (constant_span(entry) for entry in Buffer(bundle.model).root(IDENTIFIER).tables(4)), key=lambda s: s[1]
    )
    start, count = spans[len(spans) // 2]
    broken = bytearray(bundle.model)
    broken[start : start + count] = bytes(count)
    interpreter = open_interpreter(bytes(broken))
    quantization = interpreter.input.quantization
    answers = [interpreter.invoke(bundle.contract.encode(pixels, quantization)) for pixels in bundle.golden.inputs]
    assert not judge(bundle.golden, answers, kind, "xnnpack").passed


# --- the archive


def test_outputs_of_kinds_round_trip() -> None:
    read = Golden.from_bytes(TWO_KINDS.to_bytes())
    assert (
        np.array_equal(read.outputs, A)
        and list(read.others) == ["builtin"]
        and np.array_equal(read.others["builtin"], B)
    )
    assert (
        Golden(INPUTS, A, {"reference": A, "builtin": B}).to_bytes()
        == Golden(INPUTS, A, {"builtin": B, "reference": A}).to_bytes()
    )


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"b": A}, "golden kinds must be of xnnpack, builtin"),
        ({"../B": A}, "golden kinds must be of xnnpack, builtin"),
        ({chr(65 + n): A for n in range(MOST_KINDS + 1)}, f"{MOST_KINDS} at most"),
        ({"builtin": A[:2]}, "golden outputs of kind builtin must be int8"),
        ({"builtin": A.view(np.uint8)}, "golden outputs of kind builtin must be int8"),
    ],
)
def test_other_kinds_must_fit(others: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        Golden(INPUTS, A, others)


def repacked(change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(TWO_KINDS.to_bytes())) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in change(members):
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "change",
    [
        lambda members: [*members, members[-1]],
        lambda members: [*members, ("outputs_BB.npy", members[-1][1])],
        lambda members: [*members, ("outputs_b.npy", members[-1][1])],
        lambda members: [*members, ("outputs_B.npy", members[-1][1])],  # the old name of outputs_builtin.npy
        lambda members: [*members, ("outputs_xnnpack2.npy", members[-1][1])],
        lambda members: [*members, ("../outputs_C.npy", members[-1][1])],
        lambda members: [member for member in members if member[0] != "outputs.npy"],
        lambda members: [*members, *((f"outputs_{chr(67 + n)}.npy", members[-1][1]) for n in range(MOST_KINDS))],
    ],
)
def test_archives_with_other_members_are_refused(change: Any) -> None:
    with pytest.raises(BundleError, match=r"must hold inputs\.npy and outputs\.npy"):
        Golden.from_bytes(repacked(change))


def test_old_letters_are_read() -> None:
    letters = {"outputs_builtin.npy": "outputs_B.npy"}
    old = Golden.from_bytes(repacked(lambda members: [(letters.get(name, name), data) for name, data in members]))
    assert list(old.others) == ["builtin"] and np.array_equal(old.others["builtin"], B)
    assert old.to_bytes() == TWO_KINDS.to_bytes()
    assert bundles.certified_kind({"interpreter": {"kind": "A"}}) == "xnnpack"
    shipped = bundles.load(shipped_bundles() / "custom_cnn-int8", trust=machine_keys())
    assert bundles.golden_kinds(shipped) == ("xnnpack", "builtin", "reference")


def test_the_certificate_s_own_kind_stands_once(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    golden = bundle_parts["golden"]
    twice = Golden(golden.inputs, golden.outputs, {"xnnpack": golden.outputs})
    with pytest.raises(BundleError, match="the certificate's own kind twice"):
        bundles.write(
            tmp_path / "x-int8", **certified({**bundle_parts, "golden": twice}, interpreter={"kind": "xnnpack"})
        )


# --- renewing


@pytest.fixture
def old_bundle(bundle_parts: dict[str, Any], tmp_path: Path) -> Path:
    """As they were before outputs of several kinds were kept."""
    parts = certified(bundle_parts, interpreter={"kind": "xnnpack"})
    return bundles.write(tmp_path / "old-int8", **parts, extra_files={"report.html": b"<p>"}).path


def digests(path: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in path.iterdir()}


def test_an_old_bundle_is_renewed_and_nothing_else_of_it_changes(old_bundle: Path) -> None:
    before = digests(old_bundle)
    assert bundles.load(old_bundle, trust=machine_keys(), allow_unsigned=True).golden.others == {}
    done = shell("convert", "golden", old_bundle)
    assert done.returncode == 0 and "certified for kinds builtin, reference, xnnpack" in done.stdout, done.stderr
    after = digests(old_bundle)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"golden.npz", "certificate.json", "manifest.json"} and before.keys() == after.keys()
    renewed = bundles.load(old_bundle, trust=machine_keys(), allow_unsigned=True)
    assert bundles.golden_kinds(renewed) == ("xnnpack", "builtin", "reference")
    assert bundles.require_golden(renewed, open_interpreter(renewed.model, xnnpack=False)).kind == "builtin"
    renew(old_bundle)
    assert digests(old_bundle) == after, "renewing again changes nothing"


def test_a_signature_of_the_old_manifest_does_not_stay(old_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old_bundle / "manifest.sig").write_bytes(b"signed")
    renew(old_bundle)
    assert "sign it again" in capsys.readouterr().err
    assert not (old_bundle / "manifest.sig").exists()


def test_a_bundle_that_answers_otherwise_is_not_certified_anew(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    """Negative control: renewing must not bless a model whose golden outputs do not come out."""
    golden = bundle_parts["golden"]
    wrong = {**bundle_parts, "golden": Golden(golden.inputs, np.roll(golden.outputs, 1, axis=1))}
    path = bundles.write(tmp_path / "wrong-int8", **certified(wrong, interpreter={"kind": "xnnpack"})).path
    before = digests(path)
    done = shell("convert", "golden", path)
    assert done.returncode == 1 and is_one_line(done.stderr) and "golden images differ" in done.stderr
    assert digests(path) == before


def test_another_machine_s_bundle_is_not_renewed_here(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    path = bundles.write(tmp_path / "far-int8", **certified(bundle_parts, interpreter={"kind": "builtin-arm"})).path
    done = shell("convert", "golden", path)
    assert done.returncode == 2 and is_one_line(done.stderr) and "renew it where it was made" in done.stderr


def test_golden_without_a_bundle_is_no_request() -> None:
    done = shell("convert", "golden")
    assert done.returncode == 2 and is_one_line(done.stderr)


def test_the_replay_names_how_it_failed(bundle_parts: dict[str, Any], tmp_path: Path) -> None:
    golden = bundle_parts["golden"]
    off = golden.outputs.copy()
    off[2, 0] ^= 1
    made = bundles.write(
        tmp_path / "off-int8",
        **certified({**bundle_parts, "golden": Golden(golden.inputs, off)}, interpreter={"kind": "xnnpack"}),
    )
    with pytest.raises(GoldenMismatchError, match=r"1 of 6 golden images differ .* by up to 1 LSB, where at most 0"):
        bundles.require_golden(made, open_interpreter(made.model))


def test_kernels_that_do_not_know_an_operator_certify_nothing(tmp_path: Path) -> None:
    """UpSampling2D becomes a version of TILE that the reference kernels do not know; the others do."""
    keras = pytest.importorskip("keras", reason="conversion needs TensorFlow")
    from convert.quantization.float_model import load_float
    from convert.quantization.quantize import quantize
    from tests.convert.keras_models import CONTRACT, SIZE, smear_pixels

    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.UpSampling2D(2)(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x))
    keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x)).save(tmp_path / "up.keras")
    int8 = quantize(load_float(tmp_path / "up.keras"), CONTRACT, smear_pixels(4))
    assert list(ArithmeticSet(int8, CONTRACT).interpreters) == ["xnnpack", "builtin"]
