"""A bundle certified by a laxer policy than the shipped one: said at every step, with name and digest."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from convert.parity.policy import Policy
from edge.bundle.certified_policy import NO_POLICY, SHIPPED_POLICIES, laxer_policy, policy_digest
from edge.bundle.provenance import BY_LAXER_POLICY
from edge.record.audit import verify
from edge.system.machine import Machine
from tests.edge.bundle.officer import Bench
from tests.edge.record.records import ask
from tests.edge.serving.update.world import NAME

SHARP = "sim:Early?motion=0&focus_drift=0&empty=0&fps=200"
SHIPPED_POLICY = Policy.default().to_record()


def changed(section: str, key: str, value: float, name: str = "lenient") -> dict[str, Any]:
    """The shipped policy with another limit."""
    policy = copy.deepcopy(SHIPPED_POLICY)
    policy[section][key] = value
    return {**policy, "name": name}


def test_the_shipped_policies_are_those_of_convert() -> None:
    """`edge` cannot import them: it ships their limits."""
    shipped = json.loads(SHIPPED_POLICIES.read_text())
    assert shipped == {"real": Policy.default().to_record(), "synthetic": Policy.synthetic().to_record()}


LIMITS = [(section, key) for section, limits in SHIPPED_POLICY.items() if isinstance(limits, dict) for key in limits]


@pytest.mark.parametrize(("section", "key"), LIMITS)
def test_every_limit_is_compared_in_its_own_direction(section: str, key: str) -> None:
    limit = SHIPPED_POLICY[section][key]
    more, less = changed(section, key, limit + 0.01), changed(section, key, limit - 0.01)
    laxer, stricter = (more, less) if key.startswith("max") or key == "decided_margin" else (less, more)
    said = laxer_policy({"synthetic": False, "policy": laxer, "summary": ""})
    assert said is not None and said.startswith(f"lenient ({policy_digest(laxer)[:12]}): {section}.{key} ")
    assert laxer_policy({"synthetic": False, "policy": stricter, "summary": ""}) is None
    del laxer[section][key]
    assert f"{section}.{key} is not recorded" in str(laxer_policy({"synthetic": False, "policy": laxer, "summary": ""}))


def test_a_policy_without_what_the_device_says_is_laxer_unless_it_is_older() -> None:
    policy = {section: limits for section, limits in SHIPPED_POLICY.items() if section != "device"}
    said = laxer_policy({"synthetic": False, "policy": policy, "summary": "it passes"})
    assert said is not None and said.endswith(": device: what the device says is not judged")
    assert laxer_policy({"synthetic": False, "policy": policy}) is None


def test_synthetic_images_have_a_policy_of_their_own_and_none_is_the_laxest() -> None:
    synthetic = Policy.synthetic().to_record()
    assert laxer_policy({"synthetic": True, "policy": synthetic}) is None
    assert "agreement.min_percent 90, shipped 99" in str(laxer_policy({"synthetic": False, "policy": synthetic}))
    assert laxer_policy({"synthetic": False}) == laxer_policy({"policy": "lenient"}) == NO_POLICY


@pytest.mark.parametrize("lax", [True, False])
def test_every_step_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, drawn_once: None, lax: bool
) -> None:
    from edge.diagnostics import slots, trust

    bench = Bench.build(tmp_path, capsys, monkeypatch)
    policy = changed("evidence", "min_images", 20) if lax else SHIPPED_POLICY
    said = f"lenient ({policy_digest(policy)[:12]}): evidence.min_images 20, shipped 300"
    expected = said if lax else None
    path = bench.bundle(policy=policy)
    code, text, error = bench.convert("sign", path, *bench.key, "--version", 1, "--json")
    assert code == 0 and json.loads(text)["lax_policy"] == expected and (said in error) is lax
    words = ("verify", path, "--public", tmp_path / "keys" / "officer.pub")
    assert (f"{BY_LAXER_POLICY}: {said}" in bench.convert(*words)[1]) is lax
    assert json.loads(bench.convert(*words, "--json")[1])["lax_policy"] == expected
    words = ("publish", tmp_path / "repo", "--keys", tmp_path / "roles")
    bench.convert(*words, "--init")
    assert (said in bench.convert(*words, "--bundle", path)[1]) is lax
    code, text, error = bench.edge("update", path, "--trusted", tmp_path / "trusted", "--json")
    assert code == 0 and json.loads(text)["lax_policy"] == expected
    assert (f"warning: {NAME} version 1 was {BY_LAXER_POLICY}: {said}" in error) is lax
    assert (f"{BY_LAXER_POLICY}: {said}" in bench.edge("slots")[1]) is lax
    [found] = slots.slots(Machine())
    assert (said in found.found) is lax
    [found] = [each for each in trust.bundle(Machine()) if each.name == "bundle"]
    assert (BY_LAXER_POLICY in found.found, said in found.cure, found.state) == (lax, lax, "warning" if lax else "ok")
    record, out = tmp_path / "record", tmp_path / "out"
    words = ("run", "--camera", SHARP, "--frames", 2, "--store", record, "--bundle", path)
    code, text, error = bench.edge(*words, "--json")
    assert code == 0 and (f"warning: {NAME} was {BY_LAXER_POLICY}: {said}" in error) is lax
    assert [json.loads(line).get("lax_policy") for line in text.splitlines()] == [expected] * 2
    begun = "SELECT json_extract(body, '$.lax_policy') FROM entries WHERE type = 'run'"
    assert ask(record, begun) == [(expected,)]
    assert len(ask(record, "SELECT detail FROM events WHERE kind = 'lax_policy'")) == int(lax)
    assert bench.edge("export", "--slide", "unnamed", "--to", out, "--store", record)[0] == 0
    assert (f"LAX POLICY: a bundle that judged here was {BY_LAXER_POLICY}" in (out / "README.txt").read_text()) is lax
    [judged_by] = json.loads((out / "chain.json").read_text())["bundles"]
    assert judged_by.get("lax_policy") == expected
    with (out / "verdicts.csv").open(newline="") as table:
        assert len(list(csv.DictReader(table))) == 2
    assert verify(record).sound
