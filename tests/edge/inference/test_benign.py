"""Which label is benign: one answer, by the contract, and nowhere else."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ContractError
from edge.inference.benign import as_labels, in_words, indices, recorded
from edge.inference.contract import InputContract
from models.data.published import TRAINED, bundles, trained
from tests.paths import ROOT

CONTRACT = InputContract((32, 32), ("sick", "healthy", "normal"))
# What names the label of the published set: its list of labels, prose on its limits, the smears drawn of its classes.
_MAY_NAME_IT = {
    "edge/inference/benign.py",
    "models/data/published.py",
    "models/report/card.py",
    "edge/cameras/simulation/settings.py",
    "edge/cameras/synthetic/laboratory.py",  # which recipe healthy slides are of
    "edge/cameras/synthetic/recipes.py",
    "edge/cameras/synthetic/smear.py",
}


@pytest.mark.parametrize(
    ("labels", "named", "found"),
    [
        (("Benign", "Pro"), None, ("Benign",)),
        (("pro", "benign"), None, ("benign",)),
        (("BENIGN", "Pro"), None, ("BENIGN",)),
        (("benignant", "Pro"), None, ()),
        (("cat", "dog"), None, ()),
        (("cat", "dog"), ("dog",), ("dog",)),
        (("Benign", "Pro", "Pre"), ("Pro",), ("Pro",)),
        (("Benign", "Pro"), (), ()),
        (("a", "b", "c"), ("c", "a"), ("a", "c")),
    ],
)
def test_named_labels_go_before_spelling(
    labels: tuple[str, ...], named: tuple[str, ...] | None, found: tuple[str, ...]
) -> None:
    contract = InputContract((32, 32), labels, benign=named)
    assert contract.benign_labels == found
    assert InputContract.from_json(contract.to_json()) == contract
    assert [labels[k] for k in indices(labels, found)] == list(found)
    assert as_labels(recorded(found)) == found


def test_a_contract_may_hold_one_label_or_a_list() -> None:
    record = json.loads(CONTRACT.to_json())
    assert "benign" not in record
    one, more = (
        InputContract.from_json(json.dumps({**record, "benign": b})) for b in ("healthy", ["normal", "healthy"])
    )
    assert one.benign_labels == ("healthy",) and more.benign_labels == ("healthy", "normal")
    assert in_words(more.benign_labels) == "healthy or normal" and in_words(()) == "benign"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("absent", "benign must name labels of"),
        (["healthy", "healthy"], "each label once"),
        (["sick", "healthy", "normal"], "must leave a label"),
        (3, "a label or a list of labels"),
        ([3], "a label or a list of labels"),
        (None, "a label or a list of labels"),
    ],
)
def test_what_is_no_benign_label_is_refused(named: object, said: str) -> None:
    record = {**json.loads(CONTRACT.to_json()), "benign": named}
    with pytest.raises(ContractError, match=said):
        InputContract.from_json(json.dumps(record))


def test_a_label_named_and_one_spelt_so_are_alike() -> None:
    spelt = InputContract((32, 32), ("Benign", "Pro"))
    assert spelt.alike(replace(spelt, benign=("Benign",)))
    assert not spelt.alike(replace(spelt, benign=("Pro",))) and not spelt.alike(replace(spelt, benign=()))
    assert not spelt.alike(replace(spelt, size=(64, 64)))


@pytest.mark.parametrize("path", [*(trained(n) for n in TRAINED), *(bundles() / f"{n}-int8" for n in TRAINED)])
def test_shipped_contracts_keep_their_bytes(path: Path) -> None:
    """They were written before the key existed, and their digests are signed."""
    contract = InputContract.load(path / "contract.json")
    assert contract.benign is None and contract.benign_labels == ("Benign",)
    assert contract.to_json().encode() == (path / "contract.json").read_bytes()


def _spellings(source: str) -> list[int]:
    """Lines with the word as a value, docstrings aside."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and ((node.value.casefold() == "benign" and node.value != "benign") or "Benign" in node.value)
        and id(node) not in said
    ]


def test_no_code_looks_for_the_published_label() -> None:
    """A label spelt otherwise would be counted as none, and a count of none reads as safe."""
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for floor in ("edge", "models", "convert")
        for path in (ROOT / floor).rglob("*.py")
        if str(path.relative_to(ROOT)) not in _MAY_NAME_IT
        for line in _spellings(path.read_text(encoding="utf-8"))
    }
    assert not found
    assert _spellings('"Benign"\n') == []
