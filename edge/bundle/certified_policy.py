"""The policy that a bundle was certified by, against the one that ships: laxer limits are said wherever it runs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

SHIPPED_POLICIES = Path(__file__).with_name("shipped_policies.json")
NO_POLICY = "no policy is recorded"
DEVICE = "device"  # a table that a policy may leave out
_DIGITS = 12


def laxer_policy(certificate: Mapping[str, Any]) -> str | None:
    """Name and digest of the policy, and its limits that allow more than those of the shipped policy; None where none
    does.

    Synthetic images are judged by a policy of their own, which is what such a bundle is compared with.

    >>> laxer_policy({"synthetic": False})
    'no policy is recorded'
    """
    policy = certificate.get("policy")
    if not isinstance(policy, Mapping):
        return NO_POLICY
    shipped = _shipped()["real" if certificate.get("synthetic") is False else "synthetic"]
    if "summary" not in certificate:  # older: it could not judge what the device says
        shipped = {section: limits for section, limits in shipped.items() if section != DEVICE}
    laxer = list(_laxer(policy, shipped))
    if not laxer:
        return None
    return f"{policy.get('name')} ({policy_digest(policy)[:_DIGITS]}): {', '.join(laxer)}"


def policy_digest(policy: Mapping[str, Any]) -> str:
    """Sha256 of a policy's record, keys sorted."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()


def _laxer(policy: Mapping[str, Any], shipped: Mapping[str, Any]) -> Iterator[str]:
    for section, limits in shipped.items():
        if not isinstance(limits, Mapping):  # format and name
            continue
        own = policy.get(section)
        if section == DEVICE and own is None:
            yield f"{DEVICE}: what the device says is not judged"
            continue
        for key, limit in limits.items():
            value = own.get(key) if isinstance(own, Mapping) else None
            if not isinstance(value, int | float):
                yield f"{section}.{key} is not recorded"
            elif value != limit and (value > limit) == _allows_more_when_larger(key):
                yield f"{section}.{key} {value:g}, shipped {limit:g}"


def _allows_more_when_larger(key: str) -> bool:
    """A larger margin leaves fewer images to the strict limit, as a larger maximum does."""
    return key.startswith("max_") or key == "decided_margin"


@cache
def _shipped() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(SHIPPED_POLICIES.read_text(encoding="utf-8"))
    return found
