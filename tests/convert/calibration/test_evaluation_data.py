"""Images of a conversion: synthetic fields are drawn once for contracts that differ in their decision alone."""

from dataclasses import replace

import pytest

from convert.calibration import evaluation_data
from edge.inference.contract import InputContract
from edge.inference.decision import Decision
from models.data.published import TRAINED, trained


def test_fields_are_drawn_once_for_both_shipped_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They differ in temperature and thresholds, which say nothing about pixels."""
    asked: list[InputContract] = []
    monkeypatch.setattr(evaluation_data, "_drawn", lambda contract, *counts: asked.append(contract))
    contracts = [InputContract.load(trained(name) / "contract.json") for name in TRAINED]
    assert contracts[0] != contracts[1] and all(isinstance(each.decision, Decision) for each in contracts)
    for contract in (*contracts, replace(contracts[0], size=(96, 96))):
        evaluation_data.from_synthetic_fields(contract)
    assert len(set(asked[:2])) == 1, "the second is the first again"
    assert asked[2] not in asked[:2], "negative control: another size is drawn anew"
