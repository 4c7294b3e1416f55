"""Where a contract begins to be doubted and refused, to the image: a network whose answers are set by hand."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from convert.errors import PreprocessingError
from convert.quantization import preprocessing_check
from convert.quantization.predictions import device_probabilities, float_probabilities
from convert.quantization.preprocessing_check import check_preprocessing
from edge.inference.contract import InputContract

Array = npt.NDArray[Any]
LABELS = ("a", "b", "c")
CONTRACT = InputContract((8, 8), LABELS)
MANY = replace(CONTRACT, labels=tuple(f"class {n}" for n in range(100)))  # too many to try another order of them
HOWS = ("-1..1 RGB", "-1..1 BGR", "0..1 RGB", "0..255 RGB")


def pictures(count: int) -> Array:
    """uint8 (count, 8, 8, 3): white, red and black in the first row, then the image's number."""
    made = np.zeros((count, 8, 8, 3), np.uint8)
    made[:, 0, 0] = 255
    made[:, 0, 1, 0] = 255
    numbers = np.arange(count)
    made[:, 1, 0], made[:, 1, 1] = (numbers // 200)[:, None], (numbers % 200)[:, None]
    return made


class Script:
    """A network that says of image n, fed in one of HOWS, what stands in its script; the last class where nothing does.

    Attributes:
        fed: by how, the numbers of the images.
    """

    def __init__(self, said: Mapping[str, Array]) -> None:
        self.said = said
        self.fed: dict[str, list[int]] = {}

    def predict(self, inputs: Array) -> Array:
        white, red, black = inputs[0, 0, 0, 0], inputs[0, 0, 1], inputs[0, 0, 2, 0]
        values = {-1: "-1..1", 0: "0..1" if white < 2 else "0..255"}[round(float(black))]
        how = values if len(red) == 1 else f"{values} {'RGB' if red[0] > red[-1] else 'BGR'}"
        levels = np.rint((inputs[:, 1, :2, 0] - black) / (white - black) * 255).astype(int)
        numbers = levels[:, 0] * 200 + levels[:, 1]
        self.fed.setdefault(how, []).extend(numbers.tolist())
        return cast(Array, np.eye(100, dtype=np.float32)[self.said.get(how, np.full(4000, 99))[numbers]])


TRUTH = np.arange(400) % 99


def check(
    count: int, right: Iterable[int], contract: InputContract = MANY, **others: Iterable[int]
) -> tuple[str | None, Script]:
    """The rule that refuses, if any. `right`, and in `others` one of bgr, unit, pixels: numbers of images that are
    named rightly as the contract says, and fed otherwise; the others are called by a class that is never true."""
    truth = TRUTH[:count]

    def said(kept: Iterable[int]) -> Array:
        found = np.full(count, 99)
        kept = list(kept)
        found[kept] = truth[kept]
        return found

    hows = {"bgr": "-1..1 BGR", "unit": "0..1 RGB", "pixels": "0..255 RGB"}
    script = Script({hows[how]: said(kept) for how, kept in others.items()})
    probabilities = np.eye(100, dtype=np.float32)[said(right)]
    try:
        check_preprocessing(script, contract, pictures(count), truth, probabilities)  # type: ignore[arg-type]
    except PreprocessingError as error:
        return str(error), script
    return None, script


def test_constants_of_the_check() -> None:
    """Each decides which contracts are refused: a change is a decision, not a slip."""
    module = preprocessing_check
    assert (module.SURE_ENOUGH, module.LEAST_GAIN, module.CHANCE, module.DOUBT) == (0.9, 0.1, 1e-3, 0.05)
    assert (module.MOST_IMAGES, module.IMAGES_A_CLASS) == (200, 5)


def test_from_nine_in_ten_on_nothing_else_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    found, script = check(100, range(90), bgr=range(100))
    assert found is None and script.fed == {} and not caplog.records
    found, script = check(100, range(89), bgr=range(100))
    assert found is not None and found.startswith("channel-order: as the contract says, the float model names 89.0 %")
    assert found.endswith("of 100 images rightly; 100.0 % when it is fed BGR")
    assert sorted(script.fed) == sorted(HOWS[1:])


def test_one_in_ten_more_is_enough_and_fewer_are_not(caplog: pytest.LogCaptureFixture) -> None:
    assert check(200, [], bgr=range(19))[0] is None and not caplog.records
    found, _ = check(200, [], bgr=range(20))
    assert found is not None and found.startswith("channel-order: ")
    assert check(200, range(40), bgr=range(55))[0] is None and not caplog.records, "15 gained and none lost"
    found, _ = check(200, range(160), bgr=range(180))
    assert found is not None, "exactly a tenth, though 0.9 - 0.8 is less than 0.1"


def test_images_lost_are_weighed_against_those_gained(caplog: pytest.LogCaptureFixture) -> None:
    """30 gained and 9 lost: chance does that in 1 of 1,000 sets, 1.06 to be exact; 30 and 8 in 0.5."""
    assert check(200, range(100), bgr=range(9, 130))[0] is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING and record.getMessage().startswith("channel-order: ")
    assert check(200, range(100), bgr=range(8, 130))[0] is not None


def test_doubt_ends_where_chance_may_do_it(caplog: pytest.LogCaptureFixture) -> None:
    """Six images gained and none lost: 1 of 32 sets, a warning; five: 1 of 16, silence."""
    assert check(20, [], bgr=range(5))[0] is None and not caplog.records
    assert check(20, [], bgr=range(6))[0] is None
    assert "30.0 % when it is fed BGR. Too few images to be sure" in caplog.text


def test_the_best_of_several_is_named(caplog: pytest.LogCaptureFixture) -> None:
    found, _ = check(100, range(10), bgr=range(90), unit=range(50), pixels=range(60))
    assert found is not None and found.startswith("channel-order: ") and "90.0 %" in found
    found, _ = check(100, range(10), bgr=range(50), unit=range(60), pixels=range(90))
    assert found is not None and found.startswith("value-range: ") and found.endswith("90.0 % when it is fed 0..255")
    assert not caplog.records
    assert check(20, [], bgr=range(9), unit=range(8), pixels=range(7))[0] is None
    assert "channel-order: " in caplog.text and "45.0 %" in caplog.text


def test_what_is_certain_is_not_drowned_by_what_is_in_doubt(caplog: pytest.LogCaptureFixture) -> None:
    assert check(20, [], bgr=range(20), unit=range(8))[0] is not None
    assert not caplog.records


def test_two_hundred_images_from_the_first_to_the_last_are_tried() -> None:
    for count, fed in ((200, list(range(200))), (201, None), (400, None)):
        _, script = check(count, [], bgr=[])
        numbers = script.fed["-1..1 BGR"]
        assert len(numbers) == len(set(numbers)) == 200 and numbers == sorted(numbers)
        assert (numbers[0], numbers[-1]) == (0, count - 1)
        assert fed is None or numbers == fed


@pytest.mark.parametrize(("count", "refused"), [(14, False), (15, True)])
def test_another_order_of_labels_needs_five_images_a_class(count: int, refused: bool) -> None:
    truth = np.arange(count) % 3
    probabilities = np.eye(3, dtype=np.float32)[(truth + 1) % 3]  # output b stands for a, c for b, a for c
    script = Script({})
    if refused:
        with pytest.raises(PreprocessingError, match=r"^label-order: .*100.0 % if its outputs are called c, a, b$"):
            check_preprocessing(script, CONTRACT, pictures(count), truth, probabilities)  # type: ignore[arg-type]
    else:
        check_preprocessing(script, CONTRACT, pictures(count), truth, probabilities)  # type: ignore[arg-type]


def ranges(scale: float, offset: float, order: str = "RGB") -> list[tuple[str, str]]:
    """Rules that are tried, and what they feed."""
    channels = 1 if order == "GRAY" else 3
    made = replace(CONTRACT, channel_order=order, scale=(scale,) * channels, offset=(offset,) * channels)  # type: ignore[arg-type]
    others = list(preprocessing_check._others(made))
    assert all(other.channels == channels for _, _, other in others)
    return [(rule, how) for rule, how, _ in others]


@pytest.mark.parametrize(
    ("scale", "offset", "left_out"),
    [
        (1 / 128, -1.0, "-1..1"),
        (1 / 127.5, -1.0, "-1..1"),
        (1 / 255, 0.0, "0..1"),
        (1 / 256, 0.0, "0..1"),
        (1.0, 0.0, "0..255"),
        (1 / 128 + 0.02 / 255, -1.0, "-1..1"),
        (1 / 128 + 0.03 / 255, -1.0, None),
        (1 / 128 + 0.015 / 255, -1.015, "-1..1"),
        (1 / 128, -1.03, None),
        (2 / 255, 0.0, None),
    ],
)
def test_a_range_that_differs_by_a_fiftieth_is_another(scale: float, offset: float, left_out: str | None) -> None:
    tried = [("value-range", how) for how in ("-1..1", "0..1", "0..255") if how != left_out]
    assert ranges(scale, offset) == [("channel-order", "BGR"), *tried]
    assert ranges(scale, offset, "BGR") == [("channel-order", "RGB"), *tried]
    assert ranges(scale, offset, "GRAY") == tried, "one channel has no order"


# --- probabilities ------------------------------------------------------------------------------------------


class Counted:
    """A classifier that says how bright an image is."""

    def probabilities(self, image: Array) -> Array:
        return np.array([image[0, 0, 0] / 255, 1 - image[0, 0, 0] / 255], np.float32)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 65])
def test_every_image_has_its_own_row_the_last_one_too(count: int) -> None:
    pixels = pictures(count)
    pixels[:, 0, 0] = np.arange(count)[:, None]
    on_device = device_probabilities(Counted(), pixels)  # type: ignore[arg-type]
    assert (
        on_device.dtype == np.float32
        and on_device[:, 0].tolist() == (np.arange(count, dtype=np.float32) / 255).tolist()
    )
    plain = replace(CONTRACT, scale=(1.0,) * 3, offset=(0.0,) * 3)

    class Echo:
        def predict(self, inputs: Array) -> Array:
            return np.stack([inputs[:, 0, 0, 0], inputs[:, 0, 1, 0]], axis=1)

    fed = float_probabilities(Echo(), plain, pixels)  # type: ignore[arg-type]
    assert fed[:, 0].tolist() == list(range(count)) and (fed[:, 1] == 255).all()
