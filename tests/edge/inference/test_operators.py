"""Which operators end a process: what the check refuses does, what it lets through does not."""

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import ModelFileError
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tflite.child_process import ends_the_process
from edge.inference.tflite.model_file import check_model, is_vouched_for, may_abort_in_reference_kernels
from tests.edge.inference.one_operator import (
    ADD,
    INT8,
    INT16,
    SQUARED_DIFFERENCE,
    SUB,
    UINT8,
    convolution,
    softmax,
    sum_of_two,
    svdf,
)

# operator, type, scale of both inputs, smallest scale of the result that its kernel takes
RIMS = [
    (ADD, INT8, 1.0, 2.0**-19),
    (ADD, INT16, 1.0, 2.0**-14),
    (SUB, INT8, 1.0, 2.0**-19),
    (SQUARED_DIFFERENCE, INT8, 1.0, 2.0**-12),
    (SQUARED_DIFFERENCE, INT8, 2.0**-4, 2.0**-20),
]


def run(model: bytes, kernels: str = "BUILTIN_WITHOUT_DEFAULT_DELEGATES") -> npt.NDArray[np.int8]:
    """What LiteRT makes of ones, without any check before it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    engine = Interpreter(model_content=model, experimental_op_resolver_type=getattr(OpResolverType, kernels))
    engine.allocate_tensors()
    for given in engine.get_input_details():
        engine.set_tensor(given["index"], np.ones(given["shape"], given["dtype"]))
    engine.invoke()
    found: npt.NDArray[np.int8] = engine.get_tensor(engine.get_output_details()[0]["index"])
    return found


@pytest.mark.parametrize(("code", "kind", "scale", "rim"), RIMS)
def test_sums_are_refused_where_their_kernels_abort_and_nowhere_else(
    code: int, kind: int, scale: float, rim: float
) -> None:
    inside, outside = (sum_of_two(code, kind, scale, scale, rim * factor) for factor in (1.02, 0.98))
    check_model(inside)
    assert not ends_the_process(lambda: run(inside), 30)
    with pytest.raises(ModelFileError, match=r"whole, but not safe to run: .* sum: a result of scale") as caught:
        check_model(outside)
    assert "damaged" not in str(caught.value)
    if code != SUB:  # LiteRT 2.3 takes it, tflite-runtime 2.14 aborts
        assert "SIGABRT" in ends_the_process(lambda: run(outside), 30)


@pytest.mark.parametrize("code", [ADD, SUB])
def test_inputs_that_are_far_apart_run_rightly(code: int) -> None:
    """`x + 1e-6`, as every layer normalization has it: the small one counts as nothing."""
    model = sum_of_two(code, INT8, 1.0, 1e-9, 1.0)
    check_model(model)
    np.testing.assert_array_equal(run(model), 1)
    check_model(sum_of_two(code, INT8, 1e-3, 1e-3, 1e3))


def test_an_svdf_whose_state_is_too_short_is_refused() -> None:
    check_model(svdf(INT16))
    assert not ends_the_process(lambda: run(svdf(INT16)), 30)
    with pytest.raises(ModelFileError, match=r"SVDF with state \(memory\) that are not int16"):
        check_model(svdf(INT8))
    assert "it crashed" in ends_the_process(lambda: run(svdf(INT8)), 30)  # a double free, or worse
    with pytest.raises(ModelFileError, match=r"SVDF with time weights \(time\)"):
        check_model(svdf(INT16, INT8))


@pytest.mark.parametrize("zero_points", [5, [0, -128, 127, 3]])
def test_zero_points_of_channels_are_no_damage(zero_points: object) -> None:
    """Some kernels compute with them, others raise; none ends the process."""
    model = convolution(zero_points)
    check_model(model)
    for kernels in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
        assert not ends_the_process(lambda kernels=kernels: run(model, kernels), 30)  # type: ignore[misc]
    with pytest.raises(ModelFileError, match=r"a zero point of 128, outside -128\.\.127"):
        check_model(convolution([0, 0, 128, 0]))


@pytest.mark.parametrize(("scale", "beta"), [(2.0**-26 * 0.98, 1.0), (0.1, 0.0), (1e-20, 1.0)])
def test_a_softmax_of_nothing_is_refused(scale: float, beta: float) -> None:
    with pytest.raises(ModelFileError, match="SOFTMAX of x: beta"):
        check_model(softmax(scale, beta))
    assert "SIGABRT" in ends_the_process(lambda: run(softmax(scale, beta), "BUILTIN_REF"), 30)


def test_a_softmax_of_little_runs() -> None:
    check_model(softmax(2.0**-26 * 1.02))
    assert not ends_the_process(lambda: run(softmax(2.0**-26 * 1.02), "BUILTIN_REF"), 30)


@pytest.mark.parametrize("kind", [INT8, UINT8])
def test_a_wide_softmax_is_not_run_with_the_reference_kernels(kind: int) -> None:
    """Found with an untrained MobileNetV2 of 1,000 classes, all equally likely: its conversion ended in SIGABRT."""
    wide, narrow = softmax(classes=512, kind=kind), softmax(classes=511, kind=kind)
    check_model(wide)
    assert "SIGABRT" in ends_the_process(lambda: run(wide, "BUILTIN_REF"), 30)
    assert not ends_the_process(lambda: run(narrow, "BUILTIN_REF"), 30)
    assert may_abort_in_reference_kernels(wide) and not may_abort_in_reference_kernels(narrow)
    with pytest.raises(ModelFileError, match="not run with the reference kernels: their SOFTMAX of 512"):
        open_interpreter(wide, reference=True)
    assert not ends_the_process(lambda: run(wide, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"), 30)
    assert not may_abort_in_reference_kernels(softmax(classes=512, kind=INT16))


def test_what_no_rule_covers_is_tried_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_vouched_for(convolution(0)) and is_vouched_for(softmax())
    assert not is_vouched_for(svdf(INT16))
    monkeypatch.setattr("edge.inference.runtime.interpreters.check_model", lambda data, name: None)
    monkeypatch.setattr("edge.inference.runtime.interpreters.is_vouched_for", lambda data: False)
    with pytest.raises(ModelFileError, match="tried in a process of its own, it crashed: SIGABRT"):
        open_interpreter(softmax(beta=0.0), reference=True)
    with pytest.raises(ModelFileError, match="a classifier has one input"):  # raised there, and so here
        open_interpreter(sum_of_two(ADD, INT8, 1, 1, 1))


def test_what_raises_in_a_child_may_be_done_here() -> None:
    import os
    import time

    assert ends_the_process(lambda: 1 / 0, 5) == ""
    assert ends_the_process(os.abort, 5) == "it crashed: SIGABRT"
    assert ends_the_process(lambda: time.sleep(30), 0.2) == "no answer in 0.2 s"
