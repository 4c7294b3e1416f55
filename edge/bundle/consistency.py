"""Files of a bundle that must be about one another: certificate, compiled model, gates and acceptance."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.bundle.acceptance import Acceptance
from edge.bundle.files import ACCEPTANCE, COMPILED, GATES
from edge.errors import BundleError, GatesError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile


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
