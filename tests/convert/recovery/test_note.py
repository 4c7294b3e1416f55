"""The decision note about the search says what the files say."""

import json

from tests.convert.recovery import tables as recovery_tables


def test_the_table_is_the_files() -> None:
    """`python -m tests.convert.recovery.tables --write` renews it."""
    text = recovery_tables.PAGE.read_text(encoding="utf-8")
    assert recovery_tables.with_table(text) == text


def test_every_hard_case_is_back_within_half_a_point_and_was_hard() -> None:
    study = json.loads((recovery_tables.REFERENCE / "recovery.json").read_text(encoding="utf-8"))
    assert [case["case"] for case in study["cases"]] == list(recovery_tables.CASES)
    for case in study["cases"]:
        plain, found = case["test"]["plain"], case["test"]["chosen"]
        assert plain["accuracy_float"] - plain["accuracy_int8"] > 0.02
        assert plain["accuracy_float"] - found["accuracy_int8"] <= 0.005 and found["malignant_to_benign"] == 0


def test_no_shipped_network_is_made_worse() -> None:
    for path in recovery_tables.SHIPPED.values():
        log = json.loads(path.read_text(encoding="utf-8"))
        if "test" not in log:
            assert log["chosen_trial"] == 1  # the plain file stays
            continue
        plain, found = log["test"]["plain"], log["test"]["chosen"]
        assert found["lost"] <= plain["lost"] and found["agreement"] >= plain["agreement"]


def test_the_labels_kept_on_drawn_fields_are_the_files() -> None:
    text = " ".join(recovery_tables.PAGE.read_text(encoding="utf-8").split())
    kept = {}
    for which in ("plain", "searched"):
        record = json.loads((recovery_tables.REFERENCE / f"drawn_parity_{which}.json").read_text(encoding="utf-8"))
        kept[which] = f"{record['agreed']} of {record['images']}"
    assert f"({kept['searched']} against {kept['plain']}," in text
