"""The study of pooling: rules and limits by hand, and shares where the truth is known."""

import numpy as np

from docs.studies.decision.tile_pooling import RULES, TILES, compared, to_text


def test_rules_by_hand() -> None:
    tiles = np.array([[0.0, 0.1, 0.2, 0.9], [0.0, 0.0, 0.0, 0.0]])
    found = {rule: score(tiles).round(3).tolist() for rule, score in RULES.items()}
    assert found == {
        "mean": [0.3, 0.0],
        "worst tile": [0.9, 0.0],
        "mean of the worst two": [0.55, 0.0],
        "mean of the worst quarter": [0.9, 0.0],
        "mean, at least half the worst": [0.45, 0.0],
    }


def test_a_network_that_knows_every_tile_loses_lone_blasts_by_the_mean_alone() -> None:
    """Doubt 0.02 in benign tiles and 0.98 in others: of 64 tiles one moves the mean by 0.015, below any limit."""
    is_benign = np.arange(200) % 2 == 0
    doubt = np.where(is_benign, 0.02, 0.98)
    found = compared(doubt, is_benign)
    assert found["tiles_with_blasts_called_benign"] == found["benign_tiles_called_otherwise"] == 0
    for count in map(str, TILES):
        for rule in RULES:
            assert found[count][rule]["fixed"]["0"] == 1 and found[count][rule]["fixed"][count] == 0
        assert found[count]["mean, at least half the worst"]["fixed"]["1"] == 0
    assert found["64"]["mean"]["fixed"]["1"] == 1 and found["4"]["mean"]["fixed"]["1"] == 0
    swapped = compared(np.where(is_benign, 0.98, 0.02), is_benign)  # negative control: nothing right
    assert swapped["64"]["worst tile"]["fixed"] == {"0": 0, "1": 0, "2": 0, "4": 0, "64": 1}
    assert "64 tiles, worst tile" in to_text({"perfect": found})
