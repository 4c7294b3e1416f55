"""The contract: exact on every machine, equal to its formula, and plain about what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ContractError, FrameError
from edge.inference.contract import FLOAT32, InputContract, Quantization, grey_levels
from tests.edge.inference import golden_contract

LABELS = ("a", "b", "c")
SIZES = st.tuples(st.integers(8, 64), st.integers(8, 64))
TRIPLES = st.tuples(*[st.floats(1e-4, 2.0)] * 3)
OFFSETS = st.tuples(*[st.floats(-300.0, 300.0)] * 3)
QUANTIZATIONS = st.one_of(
    st.just(FLOAT32),
    st.builds(Quantization, st.just("int8"), st.floats(1e-4, 4.0), st.integers(-128, 127)),
    st.builds(Quantization, st.just("uint8"), st.floats(1e-4, 4.0), st.integers(0, 255)),
)


def frame(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def contract(**changes: object) -> InputContract:
    return InputContract(**{"size": (32, 24), "labels": LABELS, **changes})  # type: ignore[arg-type]


# --- the same bytes on every machine


def test_golden_digests_hold() -> None:
    expected = json.loads(golden_contract.GOLDEN.read_text())
    found = golden_contract.digests()
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    assert not wrong, f"preprocessing changed; see {golden_contract.__doc__}"


@settings(max_examples=40, deadline=None)
@given(
    SIZES,
    st.integers(16, 150),
    st.integers(16, 150),
    st.sampled_from(["squeeze", "crop"]),
    st.integers(0, 99),
)
def test_prepare_equals_an_integer_implementation(
    size: tuple[int, int], width: int, height: int, aspect: str, seed: int
) -> None:
    """The same arithmetic written in numpy integers, which no instruction set can round otherwise."""
    source = frame(width, height, seed)
    made = contract(size=size, aspect=aspect).prepare(source)
    assert made.dtype == np.uint8 and made.shape == (size[1], size[0], 3) and made.flags.c_contiguous
    assert np.array_equal(made, reference_prepare(source, size, aspect))


def reference_prepare(pixels: np.ndarray, size: tuple[int, int], aspect: str) -> np.ndarray:
    width, height = size
    if aspect == "crop":
        rows, columns = pixels.shape[:2]
        if columns * height > rows * width:
            pixels = centre(pixels, rows * width // height, rows)
        else:
            pixels = centre(pixels, columns, columns * height // width)
    while True:
        rows, columns = pixels.shape[:2]
        by_x, by_y = 1 + (columns >= 2 * width), 1 + (rows >= 2 * height)
        if by_x * by_y == 1:
            break
        pixels = centre(pixels, columns - columns % by_x, rows - rows % by_y).astype(np.int64)
        blocks = pixels.reshape(pixels.shape[0] // by_y, by_y, pixels.shape[1] // by_x, by_x, 3)
        total = blocks.sum(axis=(1, 3))
        half_up, half_to_even = (total + 2) // 4, (total + ((total // 2) & 1)) // 2
        pixels = half_up if by_x * by_y == 4 else half_to_even
    if pixels.shape[:2] != (height, width):
        pixels = linear(linear(pixels.astype(np.int64), height, 0), width, 1)
        pixels = (pixels + (1 << 15)) >> 16
    return pixels.astype(np.uint8)


def centre(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def linear(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Interpolation along an axis with weights in 256ths, the result 256 times as large."""
    length = values.shape[axis]
    at = (np.arange(count) + 0.5) * (length / count) - 0.5
    first = np.floor(at).astype(int)
    weight = np.floor((at - first) * 256 + 0.5).astype(np.int64)
    weight[first < 0], weight[first >= length - 1] = 0, 256
    first = np.clip(first, 0, length - 2)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    weight = weight.reshape(shape)
    return values.take(first, axis) * (256 - weight) + values.take(first + 1, axis) * weight


@given(SIZES)
def test_a_frame_of_the_right_size_passes_untouched(size: tuple[int, int]) -> None:
    size = (max(size[0], 16), max(size[1], 16))
    source = frame(*size)
    for aspect in ("squeeze", "crop"):
        assert np.array_equal(contract(size=size, aspect=aspect).prepare(source), source)


def test_prepare_leaves_its_argument_alone_and_takes_views() -> None:
    source = frame(100, 90)
    kept = source.copy()
    view = frame(200, 90)[:, ::2]
    assert np.array_equal(contract().prepare(view), contract().prepare(view.copy()))
    contract().prepare(source)
    contract().encode(contract().prepare(source))
    assert np.array_equal(source, kept)


def test_squeeze_sees_the_edges_and_crop_does_not() -> None:
    source = np.zeros((64, 256, 3), np.uint8)
    source[:, :60] = 255
    assert contract(size=(64, 64), aspect="squeeze").prepare(source).any()
    assert not contract(size=(64, 64), aspect="crop").prepare(source).any()


# --- a pixel is a table of 256 entries


@settings(max_examples=60, deadline=None)
@given(TRIPLES, OFFSETS, QUANTIZATIONS, st.sampled_from(["RGB", "BGR"]))
def test_encode_is_the_formula_in_float64(
    scale: tuple[float, ...], offset: tuple[float, ...], quantization: Quantization, order: str
) -> None:
    every = contract(size=(32, 24), channel_order=order, scale=scale, offset=offset)
    pixels = np.arange(32 * 24 * 3, dtype=np.int64).reshape(24, 32, 3).astype(np.uint8)
    tensor = every.encode(pixels, quantization)
    assert tensor.shape == (1, 24, 32, 3) and tensor.dtype == quantization.dtype
    channels = (0, 1, 2) if order == "RGB" else (2, 1, 0)
    for place, channel in enumerate(channels):
        real = pixels[..., channel].astype(np.float64) * scale[place] + offset[place]
        assert np.array_equal(tensor[0, ..., place], quantized(real, quantization))


def quantized(real: np.ndarray, quantization: Quantization) -> np.ndarray:
    """Round half away from zero and saturate, one value at a time in Python."""
    if quantization.dtype == "float32":
        return real.astype(np.float32)
    limits = np.iinfo(quantization.dtype)

    def one(value: float) -> int:
        steps = value / quantization.scale
        whole = int(abs(steps) + 0.5) * (1 if steps >= 0 else -1)
        return min(max(whole + quantization.zero_point, limits.min), limits.max)

    return np.vectorize(one, otypes=[quantization.dtype])(real)


def test_the_default_int8_tensor_is_the_pixels_with_the_top_bit_flipped() -> None:
    pixels = frame(32, 24)
    tensor = contract().encode(pixels, Quantization("int8", 1 / 128, 0))
    assert np.array_equal(tensor[0], (pixels.astype(int) - 128).astype(np.int8))


def test_the_fast_form_is_taken_only_where_it_is_right() -> None:
    pixels = frame(32, 24)
    almost = contract().encode(pixels, Quantization("int8", 1 / 127, 0))
    assert not np.array_equal(almost[0], (pixels.astype(int) - 128).astype(np.int8))


def test_bgr_swaps_the_ends_and_only_them() -> None:
    pixels = frame(32, 24)
    rgb, bgr = contract().encode(pixels), contract(channel_order="BGR").encode(pixels)
    assert np.array_equal(rgb[..., ::-1], bgr) and not np.array_equal(rgb, bgr)


def test_grey_levels_are_the_stated_rule_for_every_colour() -> None:
    """All 2^24, in whole numbers; equal channels give their own value, which is what a mono camera delivers."""
    green, blue = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for red in range(256):
        pixels = np.stack([np.full_like(green, red), green, blue], axis=-1).astype(np.uint8)
        wanted = (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15
        assert np.array_equal(grey_levels(pixels)[..., 0], wanted)
    even = np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis].repeat(3, axis=2)
    assert np.array_equal(grey_levels(even)[..., 0], even[..., 0])


@pytest.mark.parametrize("quantization", [FLOAT32, Quantization("int8", 1 / 128, 0), Quantization("uint8", 0.017, 115)])
def test_grey_is_encoded_from_the_grey_levels(quantization: Quantization) -> None:
    grey = contract(channel_order="GRAY", scale=(1 / 128,), offset=(-1.0,))
    pixels = frame(32, 24)
    tensor = grey.encode(pixels, quantization)
    assert tensor.shape == (1, 24, 32, 1) and tensor.dtype == quantization.dtype
    real = grey_levels(pixels).astype(np.float64) / 128 - 1
    assert np.array_equal(tensor[0], quantized(real, quantization))
    held = np.empty_like(tensor)
    assert grey.encoder(quantization)(pixels, held) is held and np.array_equal(held, tensor)


def test_a_sigmoid_has_one_output_and_two_labels() -> None:
    made = contract(labels=("no", "yes"), output="sigmoid")
    assert made.outputs == 1 and InputContract.from_json(made.to_json()) == made
    assert "output" not in contract().to_json() and contract().outputs == len(LABELS)
    with pytest.raises(ContractError, match="output sigmoid needs two labels"):
        contract(output="sigmoid")


def test_the_table_cannot_be_changed_by_who_reads_it() -> None:
    table = contract().table(FLOAT32)
    assert table.shape == (1, 256, 3)
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0, 0] = 1


# --- json


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)
CONTRACTS = st.builds(
    InputContract,
    size=SIZES,
    labels=st.lists(NAMES, min_size=2, unique=True).map(tuple),
    channel_order=st.sampled_from(["RGB", "BGR"]),
    aspect=st.sampled_from(["squeeze", "crop"]),
    scale=TRIPLES,
    offset=OFFSETS,
)


@settings(max_examples=40, deadline=None)
@given(CONTRACTS)
def test_json_round_trip(made: InputContract) -> None:
    assert InputContract.from_json(made.to_json()) == made
    assert InputContract.from_json(made.to_json().encode()).to_json() == made.to_json()


def record(**changes: object) -> str:
    return json.dumps({**json.loads(contract().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ("{}", "format"),
        (record(format=2), "format"),
        (record(size=[224]), "size"),
        (record(size=224), "size"),
        (record(size=[224.0, 224]), "size"),
        (record(size=[7, 224]), "size"),
        (record(labels=["a"]), "labels"),
        (record(labels=["a", "a"]), "labels"),
        (record(labels=["a", ""]), "labels"),
        (record(labels=["a", "b\nc"]), "labels"),
        (record(labels=["a", 3]), "labels"),
        (record(labels="ab"), "labels"),
        (record(channel_order="GRB"), "channel_order"),
        (record(channel_order=["RGB"]), "channel_order"),
        (record(channel_order="GRAY"), "scale must be one finite number"),
        (record(scale=[1]), "scale must be three finite numbers"),
        (record(output="tanh"), "output"),
        (record(output="sigmoid"), "two labels"),
        (record(aspect="pad"), "aspect"),
        (record(scale=[1, 1]), "scale"),
        (record(scale=[1, 1, 0]), "scale"),
        (record(scale=[1, 1, "x"]), "scale"),
        (record(scale=[1, 1, float("nan")]), "scale"),
        (record(offset=[1, 1, float("inf")]), "offset"),
        (record(offset=None), "offset"),
        (record(gamma=1), "gamma"),
    ],
)
def test_what_is_no_contract_is_named(text: str, named: str) -> None:
    with pytest.raises(ContractError, match=named) as caught:
        InputContract.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arrived", [None, [[1]], np.zeros((32, 32)), np.zeros((32, 32, 4), np.uint8)])
@pytest.mark.parametrize("call", ["prepare"])
def test_what_is_no_frame_is_named(arrived: object, call: str) -> None:
    with pytest.raises(FrameError, match=r"frame must be a uint8 array \(H, W, 3\)"):
        contract().prepare(arrived)  # type: ignore[arg-type]


def test_a_frame_too_small_to_show_a_cell_is_refused() -> None:
    contract().prepare(frame(16, 16))
    with pytest.raises(FrameError, match="at least 16"):
        contract().prepare(frame(15, 400))


@pytest.mark.parametrize(
    "pixels", [frame(24, 32), frame(32, 24).astype(np.float32), frame(32, 24)[..., :1], frame(64, 48)]
)
def test_encode_takes_prepared_pixels_only(pixels: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r"from prepare\(\)"):
        contract().encode(pixels)


@pytest.mark.parametrize(("dtype", "scale"), [("int16", 1.0), ("int8", 0.0), ("uint8", float("nan")), ("int8", -1)])
def test_impossible_number_formats(dtype: str, scale: float) -> None:
    with pytest.raises(ContractError, match=r"dtype|scale"):
        Quantization(dtype, scale)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "quantization",
    [FLOAT32, Quantization("int8", 1 / 128, 0), Quantization("int8", 0.0123, -7), Quantization("uint8", 1 / 128, 128)],
)
def test_encoding_into_a_buffer_gives_the_same_tensor_in_it(quantization: Quantization) -> None:
    contract = InputContract((20, 16), ("a", "b"))
    encode = contract.encoder(quantization)
    first, second = np.random.default_rng(3).integers(0, 256, (2, 16, 20, 3), np.uint8)
    into = np.empty((1, 16, 20, 3), quantization.dtype)
    for pixels in (first, second):
        assert encode(pixels, into) is into
        np.testing.assert_array_equal(into, contract.encode(pixels, quantization))
    assert encode(first) is not encode(first)


# --- what the images show


def test_a_domain_is_written_only_where_it_is_said() -> None:
    plain = InputContract((8, 8), ("a", "b"))
    smear = replace(plain, domain="blood smear")
    assert '"domain"' not in plain.to_json() and InputContract.from_json(plain.to_json()) == plain
    assert '"domain": "blood smear"' in smear.to_json() and InputContract.from_json(smear.to_json()) == smear
    assert smear.alike(plain)


@pytest.mark.parametrize("value", ['"smear"', "null", "[]", "1"])
def test_a_domain_is_one_of_two(value: str) -> None:
    text = InputContract((8, 8), ("a", "b"), domain="any").to_json().replace('"any"', value)
    with pytest.raises(ContractError, match="contract domain must be blood smear or any"):
        InputContract.from_json(text)
    with pytest.raises(ContractError, match="domain must be blood smear or any"):
        InputContract((8, 8), ("a", "b"), domain="smear")  # type: ignore[arg-type]
