"""The mutation tester itself: which faults it sets, how they are named, and that it tells noticed from unnoticed."""

import textwrap

import pytest

from tests.mutation.__main__ import accepted, targets, told
from tests.mutation.mutants import mutants
from tests.mutation.run import Result

SOURCE = textwrap.dedent(
    '''
    """A text."""
    LIMIT = 3

    def inside(value: int, low: int = 1) -> bool:
        """Another text."""
        if value is None:
            raise ValueError(f"value {1 + 1}")
        return low <= value < LIMIT and not value == 2
    '''
)


def test_faults_are_set_where_they_may_be_and_named_by_function() -> None:
    found = {mutant.name: mutant for mutant in mutants(SOURCE)}
    assert set(found) == {
        "module: 3 -> 4",
        "inside: 1 -> 2",
        "inside: if value is None: -> if not value is None",
        "inside: value is None -> value is not None",
        "inside: raise ValueError(f'value {1 + 1}') -> pass",
        "inside: return low <= value < LIMIT and (not value == 2) -> return None",
        "inside: low <= value < LIMIT and (not value == 2) -> low <= value < LIMIT or not value == 2",
        "inside: low <= value < LIMIT -> low < value < LIMIT",
        "inside: low <= value < LIMIT -> low <= value <= LIMIT",
        "inside: not value == 2 -> value == 2",
        "inside: value == 2 -> value != 2",
        "inside: 2 -> 3",
    }
    assert found["module: 3 -> 4"].function == "" and found["inside: 2 -> 3"].function == "inside"
    assert found["inside: 1 -> 2"].function == "", "a default is set at import"


def test_a_fault_lies_on_every_line_of_its_condition() -> None:
    """Of `if (` alone no test is known to run it: what runs are the lines below."""
    source = "def inside(value):\n    if (\n        value > 1\n        and value < 3\n    ):\n        return 1\n"
    found = {mutant.name: list(mutant.lines) for mutant in mutants(source)}
    assert found["inside: if value > 1 and value < 3: -> if not (value > 1 and value < 3)"] == [2, 3, 4]
    assert found["inside: value < 3 -> value <= 3"] == [4] and found["inside: return 1 -> return None"] == [6]


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("inside: low <= value < LIMIT -> low <= value <= LIMIT", 3, False, True),
        ("inside: low <= value < LIMIT -> low < value < LIMIT", 1, True, False),
        ("inside: value == 2 -> value != 2", 2, False, True),
        ("module: 3 -> 4", 3, False, True),
    ],
)
def test_a_mutant_does_what_its_name_says(name: str, value: int, before: bool, after: bool) -> None:
    [mutant] = [mutant for mutant in mutants(SOURCE) if mutant.name == name]
    whole: dict[str, object] = {}
    faulty: dict[str, object] = {}
    exec(compile(SOURCE, "whole", "exec"), whole)
    exec(compile(mutant.tree, "faulty", "exec"), faulty)
    assert (whole["inside"](value), faulty["inside"](value)) == (before, after)  # type: ignore[operator]


def test_what_is_enough() -> None:
    assert told(Result("m.py", 10, ("a",)), {"a": "equivalent"}, whole=True)[0]
    assert not told(Result("m.py", 10, ("a",)), {}, whole=True)[0], "nobody accepted it"
    assert not told(Result("m.py", 10, ()), {"a": "equivalent"}, whole=True)[0], "it does not live any more"
    assert not told(Result("m.py", 10, ("a", "b")), {"a": "x", "b": "y"}, whole=True)[0], "fewer than 90 %"


def test_lists_name_what_there_is() -> None:
    """A module that moved, or a mutant whose line changed, would be left out in silence."""
    listed = {target.module: target for target in targets()}
    assert set(accepted()) <= set(listed)
    for module, reasons in accepted().items():
        names = {mutant.name for mutant in mutants(listed[module].source)}
        assert set(reasons) <= names, module
        assert all(reason.strip() for reason in reasons.values())
