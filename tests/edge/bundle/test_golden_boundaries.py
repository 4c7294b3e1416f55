"""Golden outputs at their limits: the last difference that passes, leads that are too small, counts that do not fit."""

import io
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.bundle import golden as module
from edge.bundle.golden import Golden, compare, judge
from edge.errors import BundleError

INPUTS = np.zeros((2, 8, 8, 3), np.uint8)
OUTPUTS = np.array([[10, 0, -5, -5], [0, 20, 0, -20]], np.int8)
Rows = npt.NDArray[Any]


def golden(**others: Rows) -> Golden:
    return Golden(INPUTS, OUTPUTS, others)


def moved(row: int, column: int, by: int) -> Rows:
    made = OUTPUTS.copy()
    made[row, column] += by
    return made


def test_constants_of_the_replay() -> None:
    assert (module.ONE_KIND_LSB, module.ELSEWHERE_LSB, module.MOST_KINDS) == (16, 1, 8)
    assert module.LARGEST_GOLDEN_BYTES == 64 * 2**20


def test_a_certified_kind_is_the_same_to_the_bit() -> None:
    same = judge(golden(), list(OUTPUTS), "xnnpack", "xnnpack")
    assert same.passed and same.exact and same.same_class and (same.allowed, same.max_difference) == (0, 0)
    assert (same.images, same.kind, same.expected, same.answered) == (2, "xnnpack", (0, 1), (0, 1))
    for row in (0, 1):
        for by in (1, -1):
            one = judge(golden(), list(moved(row, 2, by)), "xnnpack", "xnnpack")
            assert not one.passed and one.same_class and one.differing == one.beyond == (row,)
            assert one.max_difference == 1 and one.differences == ((1, 0) if row == 0 else (0, 1))
    assert compare(golden(), list(OUTPUTS)).exact and not compare(golden(), list(moved(1, 3, 1))).passed


def test_elsewhere_one_step_passes_and_two_do_not() -> None:
    for by, passed in ((0, True), (1, True), (-1, True), (2, False), (-2, False)):
        found = judge(golden(), list(moved(1, 3, by)), "xnnpack", "xnnpack", elsewhere=True)
        assert (found.allowed, found.passed, found.exact) == (1, passed, by == 0)
    assert judge(golden(edgetpu=OUTPUTS), list(OUTPUTS), "edgetpu", "xnnpack", elsewhere=True).allowed == 0


@pytest.mark.parametrize(("lead", "may"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_class_may_change_where_the_lead_is_no_more_than_twice_what_is_allowed(lead: int, may: bool) -> None:
    """Elsewhere 1 step is allowed: 2 between the two highest is within what both may have moved, 3 is not."""
    outputs = np.array([[40, 40 + lead, -50, -60]], np.int8)
    made = Golden(INPUTS[:1], outputs)
    changed = outputs.copy()
    changed[0, 0] = 40 + lead + 1
    found = judge(made, list(changed), "xnnpack", "xnnpack", elsewhere=True)
    assert found.answered == (0,) and found.reclassified == (() if may or found.expected == (0,) else (0,))
    strict = judge(made, list(changed), "xnnpack", "xnnpack")
    assert strict.reclassified == (() if strict.expected == (0,) else (0,)), "to the bit no class may change"


def test_another_kind_may_differ_by_what_the_certified_ones_do() -> None:
    made = golden(builtin=moved(0, 3, 4))  # from -5 to -1
    for value, passed in ((-9, True), (-10, False), (3, True), (4, False)):
        found = judge(made, list(moved(0, 3, value + 5)), "reference", "xnnpack")
        assert (found.allowed, found.kind, found.passed) == (4, "", passed), value
    assert judge(golden(builtin=OUTPUTS), list(OUTPUTS), "reference", "xnnpack").allowed == 1, "1 at least"
    assert judge(made, list(made.others["builtin"]), "builtin", "xnnpack").exact
    assert judge(made, list(OUTPUTS), "builtin", "xnnpack").differences == (4, 0)


def test_one_kind_alone_says_little_of_others_and_a_tpu_says_nothing() -> None:
    for made in (golden(), golden(edgetpu=moved(0, 0, 90))):
        for by, passed in ((16, True), (17, False), (-16, True), (-17, False)):
            found = judge(made, list(moved(1, 3, by)), "builtin", "xnnpack")
            assert (found.allowed, found.passed) == (16, passed)
    low, high = golden(edgetpu=moved(0, 0, 90), builtin=moved(0, 0, 3)).range()
    assert (low[0, 0], high[0, 0]) == (10, 13)
    assert judge(golden(), list(OUTPUTS), "xnnpack", None).allowed == 16, "the certificate names none"


def test_int8_ends_do_not_wrap() -> None:
    made = Golden(INPUTS[:1], np.array([[-128, 127]], np.int8))
    found = judge(made, [np.array([127, -128], np.int8)], "xnnpack", "xnnpack")
    assert found.max_difference == 255 and found.reclassified == (0,)


@pytest.mark.parametrize("outputs", [OUTPUTS[:1], OUTPUTS[:, :3], OUTPUTS.astype(np.uint8), OUTPUTS.astype(np.float32)])
def test_outputs_are_of_the_golden_shape_and_type(outputs: Rows) -> None:
    with pytest.raises(BundleError, match=r"golden outputs are int8 \(2, 4\); the model gave "):
        compare(golden(), list(outputs))


@pytest.mark.parametrize(
    ("inputs", "outputs", "others", "said"),
    [
        (INPUTS[:0], OUTPUTS[:0], {}, "golden inputs must be"),
        (INPUTS[0], OUTPUTS, {}, "golden inputs must be"),
        (INPUTS[..., :1], OUTPUTS, {}, "golden inputs must be"),
        (INPUTS.astype(np.int8), OUTPUTS, {}, "golden inputs must be"),
        (INPUTS, OUTPUTS[:1], {}, r"golden outputs must be int8 or uint8 \(2, classes\)"),
        (INPUTS, OUTPUTS[0], {}, "golden outputs must be"),
        (INPUTS, OUTPUTS.astype(np.int16), {}, "golden outputs must be"),
        (INPUTS, OUTPUTS, {"builtin": OUTPUTS[:1]}, "golden outputs of kind builtin must be"),
        (INPUTS, OUTPUTS, {"builtin": OUTPUTS.astype(np.uint8)}, "golden outputs of kind builtin must be"),
        (INPUTS, OUTPUTS, {"builtin": OUTPUTS, "xnnpack": OUTPUTS[:, :3]}, "golden outputs of kind xnnpack"),
        (INPUTS, OUTPUTS, {"other": OUTPUTS}, "golden kinds must be of"),
        (INPUTS, OUTPUTS, dict.fromkeys("ABCDEFGHI", OUTPUTS), "golden kinds must be of .*8 at most"),
    ],
)
def test_what_is_no_golden_is_named(inputs: Rows, outputs: Rows, others: dict[str, Rows], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        Golden(inputs, outputs, others)
    assert len(Golden(INPUTS, OUTPUTS, dict.fromkeys("ABCDEFGH", OUTPUTS)).others) == 8


# --- the archive --------------------------------------------------------------------------------------------


def archive(**members: Rows | bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as stored:
        for name, member in members.items():
            stored.writestr(zipfile.ZipInfo(f"{name}.npy"), member if isinstance(member, bytes) else npy(member))
    return stream.getvalue()


def npy(array: Rows, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    write: Any = np.lib.format.write_array  # numpy publishes no types for it
    write(stream, array, version=version)
    return stream.getvalue()


def test_an_archive_is_read_as_it_was_written_every_kind_too() -> None:
    made = golden(builtin=moved(0, 0, 1), xnnpack=moved(1, 1, 2))
    again = Golden.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes() and set(again.others) == {"builtin", "xnnpack"}
    assert (again.inputs == INPUTS).all() and (again.outputs == OUTPUTS).all()
    assert all((again.others[kind] == made.others[kind]).all() for kind in made.others)
    assert (Golden.from_bytes(archive(inputs=INPUTS, outputs=OUTPUTS)).outputs == OUTPUTS).all()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"inputs": INPUTS}, "must hold inputs.npy and outputs.npy"),
        ({"outputs": OUTPUTS}, "must hold inputs.npy and outputs.npy"),
        ({"inputs": INPUTS, "outputs": OUTPUTS, "more": OUTPUTS}, "must hold inputs.npy and outputs.npy"),
        ({"inputs": npy(INPUTS)[:-1], "outputs": OUTPUTS}, "inputs.npy: shape .* does not fit its 383 bytes"),
        ({"inputs": INPUTS, "outputs": npy(OUTPUTS) + b"x"}, "outputs.npy: shape .* does not fit its 9 bytes"),
        ({"inputs": INPUTS, "outputs": OUTPUTS.astype(np.int16)}, "outputs.npy: must be uint8 or int8 in C order"),
        ({"inputs": INPUTS, "outputs": np.asfortranarray(OUTPUTS)}, "outputs.npy: must be uint8 or int8 in C order"),
        ({"inputs": INPUTS, "outputs": npy(OUTPUTS, (2, 0))}, r"outputs.npy: must be npy version 1\.0"),
        ({"inputs": INPUTS, "outputs": b"no array"}, "outputs.npy: not a readable npy array"),
        (
            {"inputs": INPUTS, "outputs": npy(OUTPUTS).replace(b"(2, 4)", b"(-2,-4)")},
            "outputs.npy: not a readable|does not fit",
        ),
    ],
)
def test_what_is_no_archive_is_named(members: dict[str, Rows | bytes], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        Golden.from_bytes(archive(**members))


def test_members_are_stored_without_a_time_or_an_owner() -> None:
    with zipfile.ZipFile(io.BytesIO(golden(builtin=OUTPUTS).to_bytes())) as stored:
        assert [entry.filename for entry in stored.infolist()] == ["inputs.npy", "outputs.npy", "outputs_builtin.npy"]
        for entry in stored.infolist():
            assert (entry.date_time, entry.create_system) == ((1980, 1, 1, 0, 0, 0), 3)
            assert (entry.external_attr, entry.compress_type) == (0o644 << 16, zipfile.ZIP_STORED)


@pytest.mark.parametrize(("kinds", "read"), [("ABCDEFGH", True), ("ABCDEFGHI", False)])
def test_eight_further_kinds_are_read_and_nine_are_not(kinds: str, read: bool) -> None:
    data = archive(inputs=INPUTS, outputs=OUTPUTS, **{f"outputs_{kind}": OUTPUTS for kind in kinds})
    if read:
        assert len(Golden.from_bytes(data).others) == 8
    else:
        with pytest.raises(BundleError, match=r"must hold inputs\.npy and outputs\.npy"):
            Golden.from_bytes(data)


def test_an_archive_of_the_largest_size_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data, size = golden().to_bytes(), len(npy(INPUTS)) + len(npy(OUTPUTS))
    monkeypatch.setattr(module, "LARGEST_GOLDEN_BYTES", size)
    assert Golden.from_bytes(data).inputs.shape == INPUTS.shape
    monkeypatch.setattr(module, "LARGEST_GOLDEN_BYTES", size - 1)
    with pytest.raises(BundleError, match="unpacks to more than"):
        Golden.from_bytes(data)


def test_a_flipped_byte_and_an_empty_array_are_named() -> None:
    data = bytearray(golden().to_bytes())
    data[data.index(OUTPUTS.tobytes())] ^= 1
    with pytest.raises(BundleError, match="not a readable npz archive"):
        Golden.from_bytes(bytes(data))
    with pytest.raises(BundleError, match=r"golden outputs must be int8 or uint8 \(2, classes\); got int8 \(0, 4\)"):
        Golden.from_bytes(archive(inputs=INPUTS, outputs=OUTPUTS[:0]))
