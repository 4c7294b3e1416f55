"""The `gates.json` that a network is judged behind: given, beside it, or none, which is said."""

import logging
from pathlib import Path

import numpy as np
import pytest

from edge.errors import GatesError
from edge.inference.contract import InputContract
from models.data.published import TRAINED, trained
from models.decision.network_gates import FILE, gates_of, published_gates
from models.errors import EvaluationError
from tests.gates import open_gates, shipped_gates_file

CONTRACT = InputContract((32, 32), ("a", "b"))


def test_the_shipped_networks_have_the_gates_of_their_bundles() -> None:
    for name in TRAINED:
        assert (
            gates_of(trained(name), InputContract((224, 224), ("a", "b"))).names == shipped_gates_file().gates().names
        )
    assert published_gates() == shipped_gates_file()


def test_a_file_that_is_given_comes_before_the_one_beside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dark = np.zeros((32, 32, 3), np.uint8)
    caplog.set_level(logging.INFO)
    (tmp_path / "model.keras").write_bytes(b"")
    assert gates_of(tmp_path, CONTRACT).names == ()
    assert "no gate is asked; `models gates` fits one to its images" in caplog.text
    (tmp_path / FILE).write_bytes(open_gates((32, 32)))
    assert gates_of(tmp_path, CONTRACT).check(dark).refusal is None
    given = tmp_path / "strict.json"
    given.write_bytes(open_gates((32, 32)).replace(b'"limit": 0.0', b'"limit": 9.0'))
    refusal = gates_of(tmp_path, CONTRACT, given).check(dark).refusal
    assert refusal is not None and refusal.gate == "under_exposed"


def test_what_is_no_gates_file_of_this_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_bytes(open_gates((64, 64)))
    with pytest.raises(EvaluationError, match=r"other\.json: size must be the contract's 32x32; got 64x64"):
        gates_of(tmp_path, CONTRACT, tmp_path / "other.json")
    with pytest.raises(GatesError, match=r"none\.json: No such file"):
        gates_of(tmp_path, CONTRACT, tmp_path / "none.json")
