"""What a certificate and the files beside it must say of one another, and by what policy it was given.

Laxer limits than those of the policy that ships are said wherever a bundle runs.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edge.bundle.acceptance import Acceptance
from edge.bundle.files import ACCEPTANCE, COMPILED, GATES
from edge.errors import BundleError, GatesError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile

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


def check_compiled(path: Path, certificate: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """The compiled model and the certificate's entry about it come together, and are of the model beside them."""
    entry = certificate.get("edgetpu")
    if COMPILED not in files:
        if entry is not None:
            raise BundleError(f"{path / 'certificate.json'}: tells of a {COMPILED} that is not there")
        return
    plain = entry.get("plain_sha256") if isinstance(entry, dict) else None
    if certified_sha256(certificate, "edgetpu") != hashlib.sha256(files[COMPILED]).hexdigest():
        raise BundleError(f"{path / 'certificate.json'}: its edgetpu is not the {COMPILED} beside it")
    if plain != certified_sha256(certificate, "int8_model"):
        raise BundleError(f"{path / 'certificate.json'}: its edgetpu was not compiled from the model beside it")


def gates_of(
    path: Path, contract: InputContract, certificate: Mapping[str, Any], files: Mapping[str, bytes]
) -> GatesFile | None:
    """What `gates.json` says; it and the certificate's entry about it come together, and fit the contract."""
    if GATES not in files:
        if "gates" in certificate:
            raise BundleError(f"{path / 'certificate.json'}: tells of a {GATES} that is not there")
        return None
    if certified_sha256(certificate, "gates") != hashlib.sha256(files[GATES]).hexdigest():
        raise BundleError(f"{path / 'certificate.json'}: its gates are not the {GATES} beside it")
    try:
        gates = GatesFile.from_bytes(files[GATES], str(path / GATES))
    except GatesError as error:
        raise BundleError(str(error)) from error
    if gates.size != contract.size:
        needed, found = ("x".join(map(str, size)) for size in (contract.size, gates.size))
        raise BundleError(f"{path / GATES}: size must be the contract's {needed}; got {found}")
    if contract.domain not in (None, gates.domain):
        raise BundleError(f"{path / GATES}: domain must be the contract's {contract.domain!r}; got {gates.domain!r}")
    return gates


def certified_sha256(certificate: Mapping[str, Any], subject: str) -> Any:
    """The sha256 that a certificate gives of what it is about; None where it gives none."""
    record = certificate.get(subject)
    return record.get("sha256") if isinstance(record, dict) else None


def acceptance_of(path: Path, contract: InputContract, files: Mapping[str, bytes]) -> Acceptance | None:
    """What `acceptance.json` says, where there is one; BundleError unless it is about the files beside it."""
    if ACCEPTANCE not in files:
        return None
    shown = str(path / ACCEPTANCE)
    acceptance = Acceptance.from_bytes(files[ACCEPTANCE], shown)
    about = {"model": "model.tflite", "contract": "contract.json", "gates": GATES}
    digests = {what: hashlib.sha256(files[name]).hexdigest() if name in files else None for what, name in about.items()}
    acceptance.require_about(shown, contract, digests)
    return acceptance
