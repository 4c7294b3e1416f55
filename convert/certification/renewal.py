"""The renewal of an existing bundle's golden images or gates, without converting it again.

Model, calibration and report stay byte for byte; what is renewed and the certificate's entry about it are new, and so
are the manifest and the digest. A signature is of the old manifest: the bundle must be signed again.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert.certification.gates import require_size
from convert.certification.golden import certified_golden
from convert.edgetpu.bundle import NOT_MEASURED
from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.files import ACCEPTANCE
from edge.errors import BundleError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys

_log = logging.getLogger(__name__)


def renew(path: Path) -> dict[str, Any]:
    """Renew one bundle; the certificate's `golden`. A second time, with the same arithmetic, changes nothing."""
    bundle = _load(path)
    interpreter = open_interpreter(bundle.model)
    certified = bundles.certified_kind(bundle.certificate)
    if interpreter.kind != certified:
        raise BundleError(
            f"{path}: certified with {certified} arithmetic, and this machine computes {interpreter.kind}; "
            "renew it where it was made"
        )
    bundles.require_golden(bundle, interpreter)
    golden, record = certified_golden(bundle.model, bundle.contract)
    parts = bundles.parts_of(bundle)
    bundles.write(path, **{**parts, "certificate": _renewed(bundle, record), "golden": golden})
    _say_unsigned(bundle)
    return record


def renew_gates(path: Path, gates: Callable[[InputContract, GatesFile | None], GatesFile]) -> GatesFile:
    """Give a bundle other gates; what they are. Everything else stays as it is but for the certificate's `gates`.

    Args:
        gates: makes them for the bundle's contract, given its gates of before.

    Raises:
        BundleError: no bundle. GatesError: gates for another size.
    """
    bundle = _load(path)
    file = gates(bundle.contract, bundle.gates)
    require_size(file, bundle.contract, "gates")
    data = file.to_bytes()
    certificate = {**bundle.certificate, "gates": {"sha256": hashlib.sha256(data).hexdigest()}}
    parts = bundles.parts_of(bundle)
    if data != bundle.gates_json and parts["extra_files"].pop(ACCEPTANCE, None) is not None:
        _log.warning(f"{path}: its acceptance was with other gates and is gone; `convert accept` judges slides again")
    bundles.write(path, **{**parts, "certificate": certificate, "gates": data})
    _say_unsigned(bundle)
    return file


def _say_unsigned(bundle: Bundle) -> None:
    if bundle.signature is not None:
        _log.info(f"{bundle.path}: its signature was of the old manifest and is gone; sign it again")


def _renewed(bundle: Bundle, record: dict[str, Any]) -> dict[str, Any]:
    """The certificate with the new golden images. An Edge TPU's answers were to the old ones and go with them."""
    certificate = {**bundle.certificate, "golden": record}
    compiled = certificate.get("edgetpu")
    if isinstance(compiled, dict) and compiled.get("golden") is not None:
        certificate["edgetpu"] = {**compiled, "golden": None, "note": NOT_MEASURED}
        _log.info(
            f"{bundle.path}: an Edge TPU's answers are gone with them; `convert compile --edgetpu --measure` asks anew"
        )
    return certificate


def _load(path: Path) -> Bundle:
    return bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
